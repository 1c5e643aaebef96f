//! Golden tapes of every situation: each is played anew on the virtual line, and must come out as it is on tape.
//!
//! `OFFHOOK_ACCEPT=1 cargo test --package offhook-tape --test situations` writes them anew, where a change is meant.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use offhook_conversation::{Deadline, Input, Output};
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire};
use offhook_stage_api::{CallTime, Interruptible};
use offhook_tape::{Header, header, replay, unpacked, write_header, write_input, write_output};
use offhook_testkit::Phone;
use offhook_testkit::phone::Watch;

/// Writes what it sees on a tape.
struct Scribe(Rc<RefCell<Vec<u8>>>);

impl Watch for Scribe {
    fn input(&mut self, now: CallTime, input: &Input<MediaInput<'_>>, deadline: Option<Deadline>) {
        write_input::<MediaLine>(&mut self.0.borrow_mut(), now, input, deadline);
    }
    fn output(&mut self, now: CallTime, output: &Output<MediaWire>) {
        write_output::<MediaLine>(&mut self.0.borrow_mut(), now, output);
    }
}

/// Plays a situation to its end; gives its tape.
fn taped(name: &str, mut line: Phone, until_ms: u64) -> String {
    let tape = Rc::new(RefCell::new(Vec::new()));
    let header = Header::new(&format!("CA{name}"), "virtual line", "golden", line.config());
    write_header(&mut tape.borrow_mut(), &header);
    line.watch = Some(Box::new(Scribe(Rc::clone(&tape))));
    drop(line.run(until_ms));
    String::from_utf8(Rc::into_inner(tape).unwrap().into_inner()).unwrap()
}

fn with(change: impl FnOnce(&mut CallConfig)) -> Phone {
    let mut config = CallConfig::default();
    change(&mut config);
    Phone::with(config)
}

const LONG: &str = "We are open every day from eleven in the morning to ten at night, but not on Sundays.";

/// Every situation: its name, how it goes, and how long it lasts.
fn situations() -> Vec<(&'static str, Phone, u64)> {
    let answer = |line: Phone| {
        line.agent_says("Hello.").caller_says(1_500, "pizza-4", "no thanks.").agent_says("Bye.")
    };
    vec![
        ("question-and-answer", answer(Phone::new()), 5_000),
        (
            "pause-in-a-turn",
            Phone::new()
                .agent_says("Hello.")
                .caller_says(1_500, "pause-800ms", "a table for two and")
                .caller_says(20_000, "pizza-4", "a table for two at eight o'clock.")
                .agent_says("For two."),
            7_000,
        ),
        (
            "dictated-number",
            Phone::new()
                .agent_says("Hello.")
                .caller_says(1_500, "pause-800ms", "five five five")
                .caller_says(20_000, "pizza-4", "five five five oh one two three.")
                .agent_says("Thanks."),
            8_000,
        ),
        (
            "barge-in",
            Phone::new()
                .agent_says(LONG)
                .caller_says(2_000, "pizza-3", "that is enough.")
                .agent_says("Alright."),
            6_000,
        ),
        ("backchannel", Phone::new().agent_says(LONG).caller_says(1_500, "pizza-6", "okay"), 8_000),
        ("cough", Phone::new().agent_says(LONG).cough(1_500, 100), 7_000),
        ("echo", Phone::new().agent_says(LONG).echo(-15.0, 180), 6_500),
        (
            "barge-in-over-echo",
            Phone::new()
                .agent_says(LONG)
                .caller_says(2_000, "booking-2", "that is enough, thank you.")
                .agent_says("Alright.")
                .echo(-15.0, 180),
            7_000,
        ),
        (
            "greeting-that-must-be-heard",
            with(|config| config.conversation_mut().barge_in.greeting = Interruptible::No)
                .agent_says("This call is recorded for training and quality.")
                .caller_says(500, "pizza-4", "no.")
                .agent_says("Okay."),
            5_000,
        ),
        (
            "silent-caller",
            with(|config| {
                config.conversation_mut().timeouts.caller_silent = std::time::Duration::from_secs(2)
            })
            .agent_says("Hello."),
            16_000,
        ),
        ("slow-model", answer(slow(4_000)), 9_000),
        ("model-that-never-answers", answer(slow(60_000)), 14_000),
        ("voice-without-a-sound", mute(answer(Phone::new())), 8_000),
        ("noise-is-no-turn", Phone::new().agent_says("Hello.").caller_says(1_500, "clicks", ""), 5_000),
        (
            "keys",
            Phone::new()
                .agent_says("Please enter your number.")
                .key(1_000, '1')
                .key(1_300, '2')
                .key(1_600, '#')
                .agent_says("Thanks."),
            4_000,
        ),
        (
            "keys-in-the-sound",
            with(|config| config.conversation_mut().dtmf.in_band = true)
                .agent_says("Your number?")
                .caller_says(1_500, "keys-in-band", "")
                .agent_says("Thanks."),
            8_000,
        ),
        ("agent-presses-keys", Phone::new().agent_says("One moment.").press(400, "12#"), 3_000),
        (
            "without-speculation",
            answer(with(|config| config.conversation_mut().turn.speculate = false)),
            5_000,
        ),
        ("caller-hangs-up", Phone::new().agent_says(LONG).hang_up(900), 2_000),
        ("turn-model", judged(answer(with(|config| config.conversation_mut().turn.model = true))), 5_000),
    ]
}

fn slow(reply_ms: u64) -> Phone {
    let mut line = Phone::new();
    line.reply_ms = reply_ms;
    line
}

fn mute(mut line: Phone) -> Phone {
    line.mute = Some("Bye.".into());
    line
}

fn judged(mut line: Phone) -> Phone {
    line.turn_model = Some(0.9);
    line
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/tapes/{name}.tape.jsonl.zst"))
}

#[test]
fn every_situation_comes_out_as_on_its_tape() {
    let mut differing = Vec::new();
    for (name, line, until_ms) in situations() {
        let now = taped(name, line, until_ms);
        // A tape that doesn't replay to itself is worth nothing as a standard.
        let config = header(&now).unwrap().call_config().unwrap();
        assert_eq!(replay(&now, config).unwrap().divergence, None, "{name}");
        if std::env::var_os("OFFHOOK_ACCEPT").is_some() {
            std::fs::write(path(name), offhook_tape::packed(now.as_bytes())).unwrap();
        }
        let golden = unpacked(std::fs::read(path(name)).unwrap()).unwrap();
        if golden != now {
            let line = golden.lines().zip(now.lines()).find(|(a, b)| a != b);
            differing.push(format!("{name}: {line:.300?}"));
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}
