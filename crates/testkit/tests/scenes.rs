//! Scenes of a call, told as a timeline.

use offhook_conversation::config::BargeInConfig;
use offhook_media_line::CallConfig;
use offhook_stage_api::Interruptible;
use offhook_testkit::Phone;

#[test]
fn a_question_and_its_answer() {
    let line = Phone::new()
        .agent_says("Hello there. How can I help you?")
        .caller_says(3_000, "pizza-2", "what are your opening hours?")
        .agent_says("We are open all day.")
        .run(9_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_pause_within_a_turn_does_not_end_it() {
    let line = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_000, "pause-800ms", "a table for two and")
        .caller_says(20_000, "pizza-4", "a table for two at eight o'clock.")
        .agent_says("For two.")
        .run(8_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn barge_in_keeps_what_was_heard() {
    let line = Phone::new()
        .agent_says("We are open every day from eleven in the morning to ten at night, but not on Sundays.")
        .caller_says(2_000, "pizza-3", "and a bottle of water.")
        .agent_says("Alright.")
        .run(7_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_backchannel_does_not_stop_the_agent() {
    let line = Phone::new()
        .agent_says("We are open every day from eleven in the morning to ten at night, but not on Sundays.")
        .caller_says(1_500, "pizza-6", "okay")
        .run(9_000);
    insta::assert_snapshot!(line.timeline);
    // 18 words of 250 ms: none lost, none heard twice; a cut inside a frame may cost a part of one.
    assert!(line.heard_frames.abs_diff(18 * 250 / 20) <= 1, "{}", line.heard_frames);
}

#[test]
fn a_cough_leaves_no_hole() {
    let line = Phone::new()
        .agent_says("We are open every day from eleven in the morning to ten at night.")
        .cough(1_500, 100)
        .run(7_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn the_agents_own_voice_does_not_interrupt_it() {
    for (db, late_ms) in [(-12.0, 60), (-18.0, 200), (-24.0, 500), (-30.0, 300)] {
        let line = Phone::new()
            .agent_says(
                "We are open every day from eleven in the morning to ten at night, but not on Sundays.",
            )
            .echo(db, late_ms)
            .run(7_000);
        assert!(!line.timeline.contains("caller speaks"), "{db} dB, {late_ms} ms:\n{}", line.timeline);
        assert_eq!(line.heard_frames, 18 * 250 / 20, "{db} dB, {late_ms} ms:\n{}", line.timeline);
    }
}

#[test]
fn a_caller_interrupts_over_the_echo() {
    let line = Phone::new()
        .agent_says("We are open every day from eleven in the morning to ten at night, but not on Sundays.")
        .caller_says(2_000, "booking-2", "that is enough, thank you.")
        .agent_says("Alright.")
        .echo(-15.0, 180)
        .run(8_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_greeting_that_must_be_heard_is() {
    let barge_in = BargeInConfig { greeting: Interruptible::No, ..BargeInConfig::default() };
    let mut config = CallConfig::default();
    config.conversation_mut().barge_in = barge_in;
    let line = Phone::with(config)
        .agent_says("This call is recorded for training and quality.")
        .caller_says(500, "pizza-4", "no.")
        .agent_says("Okay.")
        .run(6_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn silence_is_met_with_check_ins_and_a_farewell() {
    let line = Phone::new().agent_says("Hello.").run(50_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_slow_model_is_bridged() {
    let mut line =
        Phone::new().agent_says("Hello.").caller_says(2_000, "pizza-4", "no thanks.").agent_says("Bye then.");
    line.reply_ms = 4_000;
    insta::assert_snapshot!(line.run(14_000).timeline);
}

#[test]
fn keys_interrupt_and_are_answered() {
    let line = Phone::new()
        .agent_says("Please enter your number now, then press the hash key.")
        .key(1_000, '1')
        .key(1_300, '2')
        .key(1_600, '#')
        .agent_says("Thanks.")
        .run(5_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn noise_starts_no_turn() {
    for fixture in ["clicks", "ringback", "hum", "keys-in-band"] {
        let line = Phone::new().agent_says("Hello.").caller_says(2_000, fixture, "").run(6_500);
        assert!(!line.timeline.contains("caller speaks"), "{fixture}:\n{}", line.timeline);
    }
}

#[test]
fn quiet_loud_and_noisy_callers_are_heard() {
    for fixture in ["quiet", "loud", "noisy"] {
        let line = Phone::new()
            .agent_says("Hello.")
            .caller_says(2_000, fixture, "a large mushroom pizza.")
            .agent_says("Okay.")
            .run(8_000);
        assert!(line.timeline.contains("agent said: Okay."), "{fixture}:\n{}", line.timeline);
    }
}

#[test]
fn after_the_stream_nothing_happens() {
    let line = Phone::new().agent_says("We are open every day.").hang_up(500).run(5_000);
    insta::assert_snapshot!(line.timeline);
    assert!(line.config().conversation.turn.speculate);
}

#[test]
fn the_agent_presses_keys_and_goes_on() {
    let line = Phone::new()
        .agent_says("One moment.")
        .press(400, "12#")
        .caller_says(3_000, "pizza-4", "go on.")
        .agent_says("Good.")
        .run(7_000);
    insta::assert_snapshot!(line.timeline);
    // Three words in all, and three keys of 100 ms with as long a pause.
    assert_eq!(line.heard_frames, 3 * 250 / 20 + 1 + 3 * 200 / 20, "{}", line.timeline);
}

#[test]
fn a_voice_without_a_sound_is_apologised_for() {
    let mut line =
        Phone::new().agent_says("Hello.").caller_says(2_000, "pizza-4", "no thanks.").agent_says("Bye.");
    line.mute = Some("Bye.".into());
    insta::assert_snapshot!(line.run(8_000).timeline);
}

#[test]
fn a_turn_model_shortens_or_lengthens_the_wait() {
    for (probability, wait) in [(1.0, "after 250 ms (TurnModel)"), (0.0, "after 2000 ms (TurnModel)")] {
        let mut config = CallConfig::default();
        config.conversation_mut().turn.model = true;
        let mut line = Phone::with(config)
            .agent_says("Hello.")
            .caller_says(2_000, "pizza-4", "no thanks")
            .agent_says("Bye.");
        line.turn_model = Some(probability);
        let line = line.run(9_000);
        assert!(line.timeline.contains(wait), "{}", line.timeline);
    }
    let line = Phone::new().caller_says(2_000, "pizza-4", "no thanks").agent_says("Bye.").run(9_000);
    assert!(line.timeline.contains("after 350 ms (Plain)"), "{}", line.timeline);
}

#[test]
fn the_agents_own_words_from_the_recogniser_are_no_turn() {
    let line = Phone::new()
        .agent_says("We are open every day from eleven in the morning to ten at night.")
        .recogniser_hears(1_000, 600, "Eleven in the morning")
        .run(6_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn an_announcement_that_must_be_heard_is() {
    let line = Phone::new()
        .agent_says("Hello.")
        .announce(1_000, "This call ends in five minutes.", Interruptible::DtmfOnly)
        .caller_says(1_300, "pizza-3", "and a bottle of water.")
        .agent_says("Okay.")
        .run(6_000);
    insta::assert_snapshot!(line.timeline);
}
