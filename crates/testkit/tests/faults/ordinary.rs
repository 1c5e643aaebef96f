//! Ordinary calls.

use offhook_conversation::{Control, LanguagePhrases};
use offhook_media_line::CallConfig;
use offhook_stage_api::{Interruptible, LlmEvent, ReplyId, ToolCall};
use offhook_testkit::{Phone, shown};

use super::{LONG, asked, at, final_of, never, order};

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
