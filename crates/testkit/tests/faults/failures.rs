//! Failures of stages and of the line, and who holds the floor.

use std::time::Duration;

use offhook_conversation::{CallEvent, Control, Input, Output};
use offhook_media_line::{CallConfig, MediaInput, media_call};
use offhook_stage_api::{CallTime, Interruptible, StageFailure, SttEvent};
use offhook_testkit::Phone;

use super::{LONG, asked, at, final_of, never, order, partial_of};

#[test]
fn a_voice_that_stalls_is_noticed_without_a_chain() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "is there a table")
        .agent_says("Yes there is a table. It is outside, near the river.");
    phone.tts_hang = vec!["It is outside, near the river.".into()];
    let phone = phone.run(60_000);
    order(&phone, &["agent speaks (Reply): Yes", "agent speaks (Filler)", "agent speaks (Apology)"]);
    assert!(at(&phone, "agent speaks (Apology)") < 16_000, "{}", phone.timeline);
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "is there a table")
        .agent_says("Yes there is a table.");
    phone.tts_hang = vec!["Yes there is a table.".into()];
    let phone = phone.run(30_000);
    order(&phone, &["turn over", "agent speaks (Filler)", "agent speaks (Apology)"]);
}

#[test]
fn a_model_that_has_ended_is_apologised_for() {
    let mut call = media_call(CallConfig::default());
    let failure = || StageFailure {
        stage: "model".into(),
        message: "it panicked".into(),
        kind: offhook_stage_api::FailureKind::Broken,
        retry_after_ms: None,
    };
    call.handle(Input::Start, CallTime::ZERO);
    call.handle(Input::LlmEnded(failure()), CallTime::from_millis(100));
    let mut said = Vec::new();
    while let Some(output) = call.poll_output() {
        if let Output::Tts(offhook_stage_api::TtsCommand::Speak(request)) = output {
            said.push(request.text);
        }
    }
    assert!(said.iter().any(|text| text.contains("something went wrong")), "{said:?}");
    // A voice that has ended, too, ends the call within bounds, and not in silence for ever.
    call.handle(Input::Line(MediaInput::TtsEnded(failure())), CallTime::from_millis(200));
    let mut now = CallTime::from_millis(200);
    let mut ended = None;
    while let Some(due) = call.deadline().filter(|due| due.at < CallTime::from_millis(120_000)) {
        now = now.max(due.at);
        call.handle(Input::Timeout, now);
        call.handle(Input::Line(MediaInput::Media { timestamp_ms: None, payload: &[0xFF; 160] }), now);
        while let Some(output) = call.poll_output() {
            if let Output::Event(CallEvent::Ended { .. }) = output {
                ended = Some(now);
            }
        }
    }
    assert!(ended.is_some_and(|at| at < CallTime::from_millis(60_000)), "{ended:?}");
}

#[test]
fn nothing_is_said_into_a_mailboxs_greeting() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(1_500, "booking-1", "")
        .control(4_700, Control::LeaveMessage { text: "Please call back.".into(), beeped: false });
    phone.no_auto_stt = true;
    let phone = phone.run(16_000);
    never(&phone, "(Filler)");
    order(&phone, &["agent said: Please call back.", "ended: MessageLeft"]);
}

#[test]
fn a_stream_without_media_is_given_up_in_time() {
    let mut call = media_call(CallConfig::default());
    call.handle(Input::Start, CallTime::ZERO);
    loop {
        while let Some(output) = call.poll_output() {
            if matches!(output, Output::HangUp { .. }) {
                return;
            }
        }
        let due = call.deadline().unwrap();
        assert!(due.at <= CallTime::from_millis(15_000), "{due:?}");
        call.handle(Input::Timeout, due.at);
    }
}

#[test]
fn a_late_final_of_a_part_replaces_that_part_alone() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "booking-1", "")
        .agent_says("Alright.")
        .stt_event(4_300, final_of(2_500, 4_200, "I would like a table for four people."))
        .stt_event(5_000, partial_of(4_200, 5_300, "on friday at eight"))
        .stt_event(8_500, final_of(4_200, 5_400, "On Friday at 8."))
        .caller_says(12_000, "pizza-5", "")
        .stt_event(13_100, final_of(12_000, 12_950, "did you get that?"))
        .agent_says("Yes.");
    phone.no_auto_stt = true;
    let phone = phone.run(17_000);
    let last = asked(&phone, 0);
    assert!(last.contains("Caller: I would like a table for four people. On Friday at 8.\n"), "{last}");
}

#[test]
fn timestamps_at_the_end_of_time_do_no_harm() {
    let mut call = media_call(CallConfig::default());
    call.handle(Input::Start, CallTime::ZERO);
    let frame = [0xFF_u8; 160];
    for (ms, timestamp) in [(20, 100), (40, u64::MAX), (60, 140), (80, u64::MAX - 5)] {
        let media = MediaInput::Media { timestamp_ms: Some(timestamp), payload: &frame };
        call.handle(Input::Line(media), CallTime::from_millis(ms));
    }
    assert!(call.deadline().is_some());
}

#[test]
fn a_word_that_the_detector_misses_still_interrupts() {
    // Words without any sound that the detector takes for speech, over the agent.
    let mut phone = Phone::new()
        .agent_says(&format!("{LONG} {LONG} {LONG}"))
        .stt_event(4_000, partial_of(3_500, 3_900, "wait please"))
        .stt_event(4_400, final_of(3_500, 4_200, "wait please stop"))
        .agent_says("Of course.");
    phone.no_auto_stt = true;
    let phone = phone.run(12_000);
    assert!(at(&phone, "barge-in Interrupted") <= 4_100, "{}", phone.timeline);
    order(&phone, &["interrupted: We are open", "agent speaks (Reply): Of course."]);
    assert!(asked(&phone, 0).contains("Caller: wait please stop"), "{}", asked(&phone, 0));
    never(&phone, "(Apology)");
}

#[test]
fn backchannels_do_not_stop_the_agent() {
    for words in ["Mm-hm.", "I see.", "Oh, okay.", "Ah, right.", "Yes.", "Yeah, yeah."] {
        let mut phone = Phone::new()
            .agent_says(LONG)
            .caller_says(1_500, "pizza-1", "")
            .stt_event(1_900, partial_of(1_700, 1_850, words.split(' ').next().unwrap()))
            .stt_event(2_700, partial_of(1_700, 2_600, words))
            .stt_event(3_700, final_of(1_700, 3_300, words))
            .agent_says("Hm?");
        phone.no_auto_stt = true;
        let phone = phone.run(9_000);
        order(&phone, &[&format!("agent said: {LONG}")]);
        never(&phone, "agent speaks (Reply): Hm?");
        // The agent's voice went on meanwhile: as many frames as it has words.
        let frames = 18 * 250 / 20;
        assert!(
            phone.heard_frames.abs_diff(frames) <= 5,
            "{} of {frames}: {words}\n{}",
            phone.heard_frames,
            phone.timeline
        );
    }
}

#[test]
fn noise_without_words_neither_stops_the_agent_nor_holds_an_answer() {
    // The recogniser sends partial transcripts, and none for the noise.
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "")
        .stt_event(3_500, partial_of(2_500, 3_400, "is there"))
        .stt_event(4_500, partial_of(2_500, 4_300, "is there a table"))
        .stt_event(4_700, final_of(2_500, 4_400, "is there a table"))
        .agent_says(LONG)
        .caller_says(6_500, "booking-1", "")
        .caller_says(9_500, "booking-2", "");
    phone.no_auto_stt = true;
    let phone = phone.run(16_000);
    order(&phone, &[&format!("agent said: {LONG}")]);
    // Noise right after the words.
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "")
        .stt_event(3_500, partial_of(2_500, 3_400, "is there"))
        .stt_event(4_500, partial_of(2_500, 4_300, "is there a table"))
        .stt_event(4_700, final_of(2_500, 4_400, "is there a table"))
        .agent_says("Yes, there is.")
        .caller_says(4_650, "booking-1", "")
        .caller_says(7_600, "booking-2", "");
    phone.no_auto_stt = true;
    let phone = phone.run(16_000);
    assert!(at(&phone, "agent speaks (Reply): Yes, there is.") < 6_400, "{}", phone.timeline);
}

#[test]
fn partials_hold_a_turn_that_the_detector_takes_for_over() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "")
        .stt_event(4_300, partial_of(2_500, 4_300, "my number is"))
        .stt_event(5_000, partial_of(2_500, 4_900, "my number is five"))
        .stt_event(5_700, partial_of(2_500, 5_600, "my number is five five"))
        .stt_event(6_400, partial_of(2_500, 6_300, "my number is five five five"))
        .stt_event(7_000, final_of(2_500, 6_400, "my number is five five five"))
        .agent_says("Thank you.");
    phone.no_auto_stt = true;
    let phone = phone.run(14_000);
    never(&phone, "(Filler)");
    assert_eq!(phone.timeline.matches("turn over").count(), 1, "{}", phone.timeline);
    assert!(at(&phone, "turn over") > 7_000, "{}", phone.timeline);
}

#[test]
fn an_announcement_does_not_wait_behind_what_is_held() {
    let phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "booking-1", "I would like a table and")
        .agent_says("For how many?")
        .announce(5_700, "The kitchen closes at ten.", Interruptible::Yes)
        .run(14_000);
    order(&phone, &["(Announcement): The kitchen closes at ten.", "(Reply): For how many?"]);
}

#[test]
fn a_caller_who_comes_back_has_the_longest_call_anew() {
    let mut config = CallConfig::default();
    config.conversation_mut().timeouts.longest_call = Duration::from_secs(5);
    let phone = Phone::with(config).agent_says("Hello.").run(14_000);
    order(&phone, &["(Farewell)", "ended: TooLong"]);
}

#[test]
fn a_recogniser_that_took_over_and_hears_no_words_is_no_proof_that_there_were_none() {
    let line = |took_over: bool| {
        let mut phone = Phone::new()
            .agent_says("Hello.")
            .caller_says(2_500, "pizza-1", "")
            .stt_event(3_500, partial_of(2_500, 3_400, "is there"))
            .stt_event(4_500, final_of(2_500, 4_400, "is there a table"))
            .agent_says("Yes.")
            .caller_says(8_000, "booking-1", "");
        if took_over {
            phone = phone.stt_event(8_300, SttEvent::TakenOver);
        }
        let mut phone = phone.stt_event(11_200, final_of(8_000, 10_900, "")).agent_says("Pardon?");
        phone.no_auto_stt = true;
        phone.run(16_000)
    };
    let phone = line(true);
    order(&phone, &["agent said: Yes.", "agent said: Pardon?"]);
    never(&line(false), "agent said: Pardon?");
}

#[test]
fn what_only_keys_may_interrupt_is_said_behind_a_reply_that_speech_has_cut_off() {
    let scene = |speaks: bool| {
        let phone = Phone::new().agent_says(LONG).announce(
            400,
            "The kitchen closes at ten.",
            Interruptible::DtmfOnly,
        );
        let phone = if speaks {
            phone.caller_says(2_000, "pizza-1", "I want to order a pizza")
        } else {
            phone.key(2_500, '5')
        };
        phone.agent_says("Gladly.").run(16_000)
    };
    order(&scene(true), &["agent said: The kitchen closes at ten."]);
    never(&scene(false), "agent said: The kitchen closes at ten.");
}
