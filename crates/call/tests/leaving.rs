//! The ends of calls that the application or a mailbox makes: transfers, messages.

mod line;

use line::Line;
use offhook_call::config::Interruptible;
use offhook_call::{Control, EndReason};

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
    let mut line = Line::new().agent_says("Hello. I will put you through to a colleague now.");
    line.tool_outcome = Some(Ok("connected".into()));
    let line = line.control(400, transfer()).run(9_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn after_a_transfer_that_failed_the_agent_goes_on() {
    let mut line = Line::new().agent_says("Hello. One moment.").agent_says("Nobody is there, sorry.");
    line.tool_outcome = Some(Err("the number is not valid".into()));
    let line = line.control(400, transfer()).run(9_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn twilio_takes_the_stream_away_when_a_transfer_is_done() {
    let line =
        Line::new().agent_says("Hello. One moment.").control(400, transfer()).hang_up(5_000).run(9_000);
    assert!(line.timeline.ends_with(&format!("ended: {:?}\n", EndReason::Transferred)), "{}", line.timeline);
}

#[test]
fn a_message_is_left_after_the_beep() {
    let line = Line::new()
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
    let line = Line::new()
        .agent_says("Hello, this is Ann, calling about your booking.")
        .control(300, message())
        .caller_says(1_000, "pizza-1", "nobody is at home")
        .run(20_000);
    insta::assert_snapshot!(line.timeline);
}

#[test]
fn a_machine_gets_no_check_ins_and_no_answers() {
    let line = Line::new()
        .agent_says("Hello.")
        .control(2_000, message())
        .announce(2_100, "", Interruptible::Yes)
        .run(60_000);
    assert!(!line.timeline.contains("CheckIn"), "{}", line.timeline);
    assert!(line.timeline.contains("ended: MessageLeft"), "{}", line.timeline);
}
