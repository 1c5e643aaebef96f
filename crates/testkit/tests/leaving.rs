//! The ends of calls that the application or a mailbox makes: transfers, messages.
#![allow(clippy::panic, reason = "tests")]

use offhook_conversation::{Control, EndReason};
use offhook_media_line::CallConfig;
use offhook_stage_api::Interruptible;
use offhook_stage_api::{Content, Delivery, Entry, ToolCall, ToolResult};
use offhook_testkit::Phone;

/// A mailbox's beep: 400 ms of 1 kHz.
fn beep() -> Vec<u8> {
    let sample = |n: u32| ((f64::from(n) * 1_000.0 * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0) as i16;
    (0..3_200).map(|n| offhook_mulaw::encode(sample(n))).collect()
}

fn transfer() -> Control {
    Control::Transfer { to: "+14155550199".into() }
}

fn message() -> Control {
    Control::LeaveMessage { text: "This is Ann. Please call me back tomorrow.".into(), beeped: false }
}

#[test]
fn a_transfer_waits_for_the_last_words() {
    let mut line = Phone::new().agent_says("Hello. I will put you through to a colleague now.");
    line.tool_outcome = Some(Ok("connected".into()));
    let line = line.control(400, transfer()).run(9_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn after_a_transfer_that_failed_the_agent_goes_on() {
    let mut line = Phone::new().agent_says("Hello. One moment.").agent_says("Nobody is there, sorry.");
    line.tool_outcome = Some(Err("the number is not valid".into()));
    let line = line.control(400, transfer()).run(9_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_transfer_that_nothing_comes_of_is_given_up_and_the_agent_goes_on() {
    let mut line = Phone::new().agent_says("Hello. One moment.").agent_says("Nobody is there, sorry.");
    line.tool_ms = 600_000;
    line.tool_outcome = Some(Ok("much too late".into()));
    let line = line.control(400, transfer()).run(30_000);
    assert!(line.timeline.contains("agent said: Nobody is there, sorry."), "{}", line.timeline);
    assert!(!line.timeline.contains("ended: Transferred"), "{}", line.timeline);
}

#[test]
fn twilio_takes_the_stream_away_when_a_transfer_is_done() {
    let line =
        Phone::new().agent_says("Hello. One moment.").control(400, transfer()).hang_up(5_000).run(9_000);
    assert!(line.timeline.ends_with(&format!("ended: {:?}\n", EndReason::Transferred)), "{}", line.timeline);
}

#[test]
fn a_message_is_left_after_the_beep() {
    let line = Phone::new()
        .agent_says("Hello, this is Ann, calling about your booking.")
        .caller_says(300, "pizza-1", "please leave a message")
        .control(1_500, message())
        .caller_says(3_000, "pizza-2", "after the tone")
        .sounds(6_500, &beep(), "")
        .run(20_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_greeting_without_a_beep_is_over_when_it_is_silent() {
    let line = Phone::new()
        .agent_says("Hello, this is Ann, calling about your booking.")
        .control(300, message())
        .caller_says(1_000, "pizza-1", "nobody is at home")
        .run(20_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_machine_gets_no_check_ins_and_no_answers() {
    let line = Phone::new()
        .agent_says("Hello.")
        .control(2_000, message())
        .announce(2_100, "", Interruptible::Yes)
        .run(60_000);
    assert!(!line.timeline.contains("CheckIn"), "{}", line.timeline);
    assert!(line.timeline.contains("ended: MessageLeft"), "{}", line.timeline);
}

#[test]
fn a_phone_that_screens_its_calls_is_told_who_calls() {
    let question = "please state your name and why you're calling";
    let called = || {
        let line = Phone::new().agent_says("Hello, this is Ann, calling about your booking.");
        line.agent_says("This is Ann, about your booking for tonight.")
    };
    // The verdict comes before the question, and after it.
    for (verdict, asks) in [(1_500, 3_000), (5_200, 300)] {
        let line = called().control(verdict, message()).caller_says(asks, "pizza-2", question).run(12_000);
        assert!(line.timeline.contains("for tonight"), "{}", line.timeline);
        assert!(!line.timeline.contains("call me back"), "{}", line.timeline);
    }
    // Nobody takes the call, and there is a mailbox after all.
    let line = called().control(1_500, message()).caller_says(3_000, "pizza-2", "");
    let line = line.recogniser_hears(3_000, 2_200, question);
    let line = line.sounds(14_000, &beep(), "").run(24_000);
    assert!(
        line.timeline.contains("for tonight") && line.timeline.contains("call me back"),
        "{}",
        line.timeline
    );
    assert!(line.timeline.contains("ended: MessageLeft"), "{}", line.timeline);
    // A mailbox that asks for a name is one.
    let mailbox = "please state your name and number after the tone";
    let line = called().control(1_500, message()).caller_says(3_000, "pizza-2", mailbox).run(20_000);
    assert!(
        !line.timeline.contains("for tonight") && line.timeline.contains("call me back"),
        "{}",
        line.timeline
    );
}

fn expecting_a_machine() -> Phone {
    let mut config = CallConfig::default();
    config.conversation_mut().voicemail.expected = true;
    Phone::with(config).agent_says("Hello, this is Ann, calling about your booking.")
}

/// The time in a line of the timeline that holds this.
fn at_ms(timeline: &str, what: &str) -> u64 {
    let line =
        timeline.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {timeline}"));
    line.split_whitespace().next().and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

#[test]
fn a_beep_before_the_verdict_is_remembered() {
    let said = "Announcement";
    let line =
        expecting_a_machine().caller_says(300, "pizza-1", "leave a message").sounds(2_500, &beep(), "");
    let line = line.control(5_500, message()).run(20_000);
    assert!((5_500..6_200).contains(&at_ms(&line.timeline, said)), "{}", line.timeline);
    // One that nobody listened for, one too long ago, and one after which somebody spoke: its silence is waited for.
    let line = Phone::new().agent_says("Hello, this is Ann, calling about your booking.");
    let line = line.caller_says(300, "pizza-1", "leave a message").sounds(2_500, &beep(), "");
    let line = line.control(5_500, message()).run(20_000);
    assert!(at_ms(&line.timeline, said) > 9_000, "{}", line.timeline);
    let line =
        expecting_a_machine().caller_says(300, "pizza-1", "leave a message").sounds(2_500, &beep(), "");
    let line = line.control(16_000, message()).run(40_000);
    assert!(at_ms(&line.timeline, said) > 19_000, "{}", line.timeline);
    let line = expecting_a_machine().caller_says(300, "pizza-1", "hello").sounds(2_500, &beep(), "");
    let line = line.caller_says(4_000, "pizza-2", "who is there").control(5_500, message()).run(20_000);
    assert!(at_ms(&line.timeline, said) > 8_000, "{}", line.timeline);
}

#[test]
fn who_comes_back_from_a_transfer_is_not_greeted_but_told() {
    let entry = |content| Entry { content, began_ms: 0, ended_ms: 0 };
    let said = |text: &str| Content::Agent { text: text.into(), delivery: Delivery::Heard };
    let call = ToolCall { id: "t1".into(), ..ToolCall::transfer("+14155550199") };
    let result =
        ToolResult { id: "t1".into(), name: call.name.clone(), outcome: Err("nobody answered".into()) };
    let mut config = CallConfig::default();
    config.conversation_mut().phrases.greeting = Some("Welcome to the shop.".into());
    config.conversation_mut().history.before = vec![
        entry(Content::Caller { text: "Give me a human.".into() }),
        entry(said("I will put you through.")),
        entry(Content::ToolCall(call)),
        entry(Content::ToolResult(result)),
    ];
    let line =
        Phone::with(config).agent_says("Nobody answered, sorry. What can I do?").agent_says("Of course.");
    let line = line.caller_says(5_000, "pizza-1", "a pizza then").run(12_000);
    assert!(!line.timeline.contains("Welcome"), "{}", line.timeline);
    insta::assert_snapshot!(line.timeline);
}
