//! Faults of ordinary calls and of failure paths that were found once, as scenes: what is right in each.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use offhook_conversation::{CallEvent, Control, Input, LanguagePhrases, Output};
use offhook_media_line::{CallConfig, MediaInput, media_call};
use offhook_stage_api::{
    CallTime, Interruptible, LlmEvent, ReplyId, StageFailure, SttEvent, ToolCall, Transcript,
};
use offhook_testkit::{Phone, shown};

fn heard(from_ms: u64, until_ms: u64, text: &str) -> Transcript {
    Transcript { from: from_ms * 8, until: until_ms * 8, text: text.into(), ..Transcript::default() }
}

fn final_of(from_ms: u64, until_ms: u64, text: &str) -> SttEvent {
    SttEvent::Final(heard(from_ms, until_ms, text))
}

fn partial_of(from_ms: u64, until_ms: u64, text: &str) -> SttEvent {
    SttEvent::Partial(heard(from_ms, until_ms, text))
}

/// When the first line of the timeline that holds this was written.
fn at(phone: &Phone, what: &str) -> u64 {
    let line = phone.timeline.lines().find(|line| line.contains(what));
    let line = line.unwrap_or_else(|| panic!("no “{what}” in\n{}", phone.timeline));
    line.trim_start().split(' ').next().unwrap().parse().unwrap()
}

fn never(phone: &Phone, what: &str) {
    assert!(!phone.timeline.contains(what), "“{what}” in\n{}", phone.timeline);
}

fn order(phone: &Phone, whats: &[&str]) {
    let places = whats.iter().map(|what| {
        phone.timeline.find(what).unwrap_or_else(|| panic!("no “{what}” in\n{}", phone.timeline))
    });
    assert!(places.collect::<Vec<_>>().is_sorted(), "not in order: {whats:?}\n{}", phone.timeline);
}

fn asked(phone: &Phone, nth_last: usize) -> String {
    shown(&phone.requests[phone.requests.len() - 1 - nth_last].1.history)
}

const LONG: &str = "We are open every day from eleven in the morning to ten at night, but not on Sundays.";

#[test]
fn a_filler_never_follows_what_it_bridges() {
    for llm in (800..4_000).step_by(150) {
        for voice in [30, 350, 600, 1_000] {
            let mut phone = Phone::new()
                .agent_says("Hello.")
                .caller_says(3_500, "pizza-1", "where is the shop?")
                .agent_says("It is in the middle of the town.");
            phone.reply_delays = [60, llm].into();
            phone.tts_ms = voice;
            let phone = phone.run(14_000);
            let answer = at(&phone, "agent speaks (Reply): It is");
            for line in phone.timeline.lines().filter(|line| line.contains("agent speaks (Filler)")) {
                let filler: u64 = line.trim_start().split(' ').next().unwrap().parse().unwrap();
                assert!(filler < answer, "model {llm}, voice {voice}:\n{}", phone.timeline);
            }
            let turn = at(&phone, "turn over");
            let filler = phone.timeline.contains("(Filler)").then(|| at(&phone, "agent speaks (Filler)"));
            let first = filler.unwrap_or(answer).min(answer);
            assert!(first - turn <= 1_700 + voice, "model {llm}, voice {voice}:\n{}", phone.timeline);
        }
    }
}

#[test]
fn a_reply_that_may_not_be_interrupted_is_heard_whole_and_the_turn_answered_after_it() {
    let second = ReplyId(2);
    let mut config = CallConfig::default();
    config.conversation_mut().barge_in.reply = Interruptible::No;
    let text = "The first rule is that you must wait here until we come. ";
    let phone = Phone::with(config)
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "what are the rules")
        .llm_event(5_100, LlmEvent::Text { reply: second, delta: text.into() })
        .caller_says(5_500, "pizza-5", "okay then.")
        .llm_event(9_000, LlmEvent::Text { reply: second, delta: "The second rule is to stay calm.".into() })
        .llm_event(9_100, LlmEvent::Done { reply: second })
        .run(16_000);
    never(&phone, "interrupted");
    order(
        &phone,
        &[
            "turn over after",
            "agent said: The first rule is that you must wait here until we come. The second",
        ],
    );
    let last = asked(&phone, 0);
    assert!(last.contains("Caller: okay then."), "{last}");
}

#[test]
fn keys_and_what_must_be_heard_survive_an_interruption() {
    let phone = Phone::new()
        .agent_says(LONG)
        .press(500, "123")
        .caller_says(2_000, "pizza-3", "and a bottle of water.")
        .agent_says("Alright.")
        .run(9_000);
    order(&phone, &["interrupted: We are open", "agent speaks (Keys)", "agent said: (pressed 3 keys)"]);
    let phone = Phone::new()
        .agent_says(LONG)
        .announce(500, "This call is recorded.", Interruptible::No)
        .caller_says(2_000, "pizza-3", "and a bottle of water.")
        .agent_says("Alright.")
        .run(9_000);
    order(&phone, &["interrupted: We are open", "agent said: This call is recorded."]);
}

#[test]
fn the_model_is_told_that_keys_were_pressed_once_they_were() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "press one for me")
        .agent_uses("", r#"send_dtmf {"digits":"12345"}"#)
        .agent_says("Done.");
    phone.tool_outcome = Some(Ok(String::new()));
    let phone = phone.run(12_000);
    let pressed = at(&phone, "agent said: (pressed 5 keys)");
    let told =
        phone.requests.iter().find(|(_, request)| shown(&request.history).contains(": pressed")).unwrap();
    assert!(told.0 >= pressed, "told at {} of\n{}", told.0, phone.timeline);
}

#[test]
fn a_request_has_what_is_on_the_line() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "is there a table")
        .agent_uses("One moment, I will look at our book of tables.", r#"look {"x":1}"#)
        .agent_says("There is a table at eight.");
    phone.tool_outcome = Some(Ok("a table at eight".into()));
    phone.tool_ms = 300;
    let phone = phone.run(14_000);
    assert_eq!(
        asked(&phone, 0),
        "Agent: Hello.\nCaller: is there a table\nAgent: One moment, I will look at our book of tables. …\n\
         Call call_0: look({\"x\":1})\nResult call_0: a table at eight\n"
    );
}

#[test]
fn digits_reach_the_model_exactly_once_whatever_is_said_beside_them() {
    let mut phone = Phone::new()
        .agent_says("Please key in your number.")
        .key(3_000, '1')
        .key(3_200, '2')
        .key(3_400, '#')
        .caller_says(3_600, "pizza-6", "that is it.")
        .agent_says("Thank you.");
    phone.reply_ms = 1_500;
    let phone = phone.run(11_000);
    let last = asked(&phone, 0);
    assert_eq!(last.matches("Keyed: 12").count(), 1, "{last}");
    assert!(last.contains("Caller: that is it."), "{last}");
    never(&phone, "agent speaks (Reply): Thank you.\n  3");
    // A second number before the first is answered.
    let mut phone = Phone::new()
        .agent_says("Please key in your number.")
        .key(3_000, '1')
        .key(3_200, '#')
        .key(3_600, '2')
        .key(3_800, '#')
        .agent_says("Thank you.");
    phone.reply_ms = 2_000;
    let phone = phone.run(11_000);
    let last = asked(&phone, 0);
    assert!(last.contains("Keyed: 1\nKeyed: 2"), "{last}");
}

#[test]
fn words_before_keys_reach_the_model_and_the_answer_waits_for_the_sentences_end() {
    let phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "booking-1", "my number is coming now I will key it in")
        .key(3_500, '4')
        .key(3_700, '2')
        .key(3_900, '#')
        .agent_says("Thank you.")
        .run(12_000);
    let last = asked(&phone, 0);
    assert!(last.contains("Keyed: 42") && last.contains("Caller: my number is coming"), "{last}");
    assert!(at(&phone, "agent speaks (Reply): Thank") > at(&phone, "caller pauses"), "{}", phone.timeline);
}

#[test]
fn the_terminator_of_a_whole_number_is_swallowed() {
    let phone = Phone::new()
        .agent_uses("Please key in your four digit number.", r#"collect_digits {"min":4,"max":4}"#)
        .agent_says("Thank you, I will look that number up for you right now.")
        .key(3_000, '1')
        .key(3_200, '2')
        .key(3_400, '3')
        .key(3_600, '4')
        .key(3_900, '#')
        .run(9_000);
    assert_eq!(phone.timeline.matches("digits\n").count(), 1, "{}", phone.timeline);
    order(&phone, &["agent said: Thank you, I will look that number up for you right now."]);
}

#[test]
fn results_of_parallel_calls_keep_their_ids() {
    let call = |id: &str, city: &str| ToolCall {
        id: id.into(),
        name: "weather".into(),
        arguments: serde_json::json!({ "city": city }),
    };
    let reply = ReplyId(2);
    let phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "how is the weather")
        .llm_event(5_100, LlmEvent::Tool { reply, call: call("a", "Rome") })
        .llm_event(5_100, LlmEvent::Tool { reply, call: call("b", "Oslo") })
        .llm_event(5_100, LlmEvent::Done { reply })
        .tool_result(5_600, "b", "weather", "snow")
        .tool_result(5_900, "a", "weather", "sun")
        .run(9_000);
    let last = asked(&phone, 0);
    assert!(last.contains("Result b: snow") && last.contains("Result a: sun"), "{last}");
}

#[test]
fn the_model_learns_why_the_applications_transfer_failed() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .control(2_000, Control::Transfer { to: "+14155550199".into() })
        .agent_says("I am still here.");
    phone.tool_outcome = Some(Err("the number is busy".into()));
    let phone = phone.run(8_000);
    assert!(asked(&phone, 0).contains("that failed: the number is busy"), "{}", asked(&phone, 0));
    order(&phone, &["agent speaks (Reply): I am still here."]);
}

#[test]
fn nothing_of_the_engines_own_begins_over_the_caller() {
    // The greeting is late, and the caller speaks from 1.2 s on.
    let mut phone = Phone::new()
        .agent_says("Hello, here is Ann.")
        .caller_says(1_000, "booking-1", "")
        .caller_says(3_990, "pizza-2", "hello hello is anyone there who can help me.")
        .agent_says("Yes.");
    phone.reply_delays = [20_000].into();
    let phone = phone.run(14_000);
    own_speech_keeps_off(&phone);
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(8_900, "booking-1", "yes I would like a table for four please.")
        .agent_says("Sure.");
    phone.tts_ms = 600;
    own_speech_keeps_off(&phone.run(15_000));
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "I would like a pizza.")
        .agent_says("Sure.")
        .caller_says(5_900, "booking-1", "with mushrooms and extra cheese please.")
        .agent_says("Of course.");
    phone.reply_delays = [60, 20_000].into();
    phone.tts_ms = 600;
    own_speech_keeps_off(&phone.run(15_000));
}

/// No filler, apology or check-in begins while the caller speaks.
fn own_speech_keeps_off(phone: &Phone) {
    let mut speaking = false;
    for line in phone.timeline.lines() {
        if line.ends_with("caller speaks") {
            speaking = true;
        } else if line.ends_with("caller pauses") {
            speaking = false;
        }
        let own = ["(Filler)", "(Apology)", "(CheckIn)"].iter().any(|kind| line.contains(kind));
        assert!(!(speaking && own && line.contains("agent speaks")), "{line} in\n{}", phone.timeline);
    }
}

#[test]
fn what_failed_to_be_spoken_was_not_heard() {
    let text = "The first sentence is said here. The second one fails and is never said at all. The third one is \
                heard by the caller again and goes on for quite a while so that it can be interrupted.";
    let fails = "The second one fails and is never said at all.";
    let mut phone = Phone::new().agent_says(text).agent_says("Okay.");
    phone.tts_fail = vec![fails.into()];
    let phone = phone.run(12_000);
    order(&phone, &["agent said, interrupted: The first sentence is said here. The third one is heard"]);
    let mut phone =
        Phone::new().agent_says(text).caller_says(3_400, "pizza-3", "stop please.").agent_says("Okay.");
    phone.tts_fail = vec![fails.into()];
    let phone = phone.run(9_000);
    order(&phone, &["agent said, interrupted: The first sentence is said here. The third one"]);
    never(&phone, "said, interrupted: The first sentence is said here. The second");
}

#[test]
fn a_filler_is_in_the_language_that_is_spoken() {
    let spanish = LanguagePhrases {
        fillers: Some(vec!["Un momento, por favor.".into()]),
        ..LanguagePhrases::default()
    };
    let mut config = CallConfig::default();
    config.conversation_mut().languages =
        [("en-US".to_owned(), LanguagePhrases::default()), ("es-ES".to_owned(), spanish)].into();
    let mut phone = Phone::with(config)
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-4", "")
        .stt_event(3_800, final_of(2_500, 3_600, "español por favor"))
        .agent_uses("", r#"switch_language {"language":"es-ES"}"#)
        .agent_says("Muy bien.")
        .caller_says(9_000, "booking-1", "")
        .stt_event(16_500, final_of(9_000, 11_990, "una mesa para cuatro"))
        .agent_says("Claro.");
    phone.no_auto_stt = true;
    let phone = phone.run(22_000);
    order(&phone, &["language es-ES", "agent speaks (Filler): Un momento, por favor."]);
    never(&phone, "(Filler): One moment");
}

#[test]
fn a_tools_filler_counts_from_the_tools_start() {
    let mut phone = Phone::new()
        .agent_says("Hello.")
        .caller_says(2_500, "pizza-1", "is there a table")
        .agent_says("What is your number?")
        .key(9_000, '1')
        .key(9_200, '2')
        .key(9_400, '#')
        .agent_uses("", r#"look {"x":1}"#)
        .agent_says("Found it.");
    phone.tool_outcome = Some(Ok("a table at eight".into()));
    phone.tool_ms = 900;
    never(&phone.run(14_000), "(Filler)");
}

#[test]
fn an_answer_without_a_word_is_asked_again_and_apologised_for() {
    for wordless in ["👍", "...", "  "] {
        let phone = Phone::new()
            .agent_says("Hello.")
            .caller_says(2_500, "pizza-1", "is that okay for you?")
            .agent_says(wordless)
            .run(9_000);
        let waited = at(&phone, "agent speaks (Apology)") - at(&phone, "turn over");
        assert!(waited < 2_000, "{waited} ms in\n{}", phone.timeline);
        assert!(phone.requests.len() >= 3, "asked again");
    }
}

#[test]
fn a_model_that_only_calls_tools_is_made_to_speak() {
    let mut phone = Phone::new().agent_says("Hello.").caller_says(2_500, "pizza-1", "is there a table");
    for n in 0..400 {
        phone = phone.agent_uses("", &format!(r#"look {{"x":{n}}}"#));
    }
    phone.tool_outcome = Some(Ok("nothing".into()));
    let phone = phone.run(30_000);
    assert!(phone.requests.len() < 15, "{} requests:\n{}", phone.requests.len(), phone.timeline);
    order(&phone, &["agent speaks (Apology)"]);
    let same = r#"look {"x":1}"#;
    let mut phone = Phone::new().agent_says("Hello.").caller_says(2_500, "pizza-1", "is there a table");
    for _ in 0..50 {
        phone = phone.agent_uses("", same);
    }
    phone.tool_outcome = Some(Err("there is no tool `look` here".into()));
    let phone = phone.run(30_000);
    assert_eq!(phone.timeline.matches("tool look {").count(), 2, "{}", phone.timeline);
    order(&phone, &["agent speaks (Apology)"]);
}

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
