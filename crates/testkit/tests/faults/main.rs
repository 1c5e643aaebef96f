//! Faults of ordinary calls and of failure paths that were found once, as scenes: what is right in each.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod failures;
mod ordinary;

use offhook_stage_api::{SttEvent, Transcript};
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
