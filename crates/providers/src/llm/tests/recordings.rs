//! Answers recorded from real services, by other projects: they are not part of this one. They are read from `../shared/recordings`
//! beside the repository, or from where `OFFHOOK_RECORDINGS` points; without them the test says so, and passes. What each came to
//! stands in `recordings.txt`, in counts and hashes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::llm::LlmProtocol;
use crate::llm::recorded::{all, folder, hash};
use crate::llm::replay::{Replay, replay};

/// As it came over the wire: some recordings are the data of events, one a line.
fn on_the_wire(name: &str, octets: Vec<u8>) -> Vec<u8> {
    if !name.ends_with(".txt") {
        return octets;
    }
    let text = String::from_utf8(octets).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("data: {line}\n\n")).collect::<String>().into_bytes()
}

/// The protocol, by what only it has.
fn protocol(octets: &[u8]) -> Option<LlmProtocol> {
    let text = String::from_utf8_lossy(octets);
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["\"message-start\""]) {
        return Some(LlmProtocol::CohereChat);
    }
    if has(&["\"event_type\"", "\"object\":\"interaction\"", "\"object\": \"interaction\""]) {
        return Some(LlmProtocol::Interactions);
    }
    if has(&[
        "\"response.created\"",
        "\"response.in_progress\"",
        "\"object\":\"response\"",
        "\"object\": \"response\"",
    ]) {
        Some(LlmProtocol::Responses)
    } else if has(&["\"message_start\"", "\"type\":\"message\"", "\"type\": \"message\""]) {
        Some(LlmProtocol::Messages)
    } else if has(&["\"candidates\""]) {
        Some(LlmProtocol::GenerateContent)
    } else if has(&["\"choices\"", "\"error\":", "\"error\": "]) {
        Some(LlmProtocol::ChatCompletions)
    } else {
        None
    }
}

/// A line about what an answer came to, with nothing of its text.
fn summary(replay: &Replay) -> String {
    let words = replay.text.split_whitespace().collect::<Vec<_>>();
    let mut line = format!("{} words", words.len());
    if !words.is_empty() {
        let _infallible = write!(line, " {:08x}", hash(&words.join(" ")));
    }
    for call in &replay.tools {
        let _infallible = write!(line, ", tool {:08x}", hash(&format!("{} {}", call.name, call.arguments)));
    }
    if replay.kept > 0 {
        let _infallible = write!(line, ", {} kept", replay.kept);
    }
    let usage = replay.usage;
    let _infallible =
        write!(line, ", {}+{} in, {} out", usage.input_tokens, usage.cached_tokens, usage.output_tokens);
    if let Some(failure) = &replay.failure {
        let _infallible = write!(line, ", {:?}", failure.kind);
    }
    line
}

#[tokio::test]
async fn every_recording_is_read_the_same_wherever_it_is_cut() {
    let Some(folder) = folder() else {
        eprintln!("skipped: {} recordings are not at ../shared/recordings", KNOWN.lines().count());
        return;
    };
    let (mut read, mut skipped) = (String::new(), Vec::new());
    for (name, octets) in all(&folder) {
        let Some(protocol) = protocol(&octets) else {
            skipped.push(name);
            continue;
        };
        let octets = on_the_wire(&name, octets);
        let whole = replay(protocol, octets.chunks(4_096)).await;
        for size in [1, 7] {
            assert_eq!(replay(protocol, octets.chunks(size)).await, whole, "{name}, in pieces of {size}");
        }
        let told = whole.failure.as_ref().map_or(String::new(), |failure| failure.message.clone());
        assert!(
            whole.failure.is_some() || !whole.text.trim().is_empty() || !whole.tools.is_empty(),
            "{name}"
        );
        if std::env::var_os("OFFHOOK_RECORDINGS_SHOW").is_some() {
            eprintln!("{name}: {} {:?} {told}", whole.text, whole.tools);
        }
        let _infallible = writeln!(read, "{name} [{}]: {}", protocol.name(), summary(&whole));
    }
    if std::env::var_os("OFFHOOK_RECORDINGS_UPDATE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/llm/tests/recordings.txt");
        return std::fs::write(path, read).unwrap();
    }
    let known: BTreeMap<&str, &str> = KNOWN.lines().filter_map(|line| line.split_once(" [")).collect();
    let (mut same, mut new) = (0, 0);
    for (name, told) in read.lines().filter_map(|line| line.split_once(" [")) {
        match known.get(name) {
            Some(expected) => {
                assert_eq!(told, *expected, "{name}");
                same += 1;
            }
            None => new += 1,
        }
    }
    eprintln!("{same} are as before, {new} are new, {} are of other protocols", skipped.len());
}

/// What each recording came to, a line each. `OFFHOOK_RECORDINGS_UPDATE=1 cargo nextest run -p offhook-providers recording` writes it.
const KNOWN: &str = include_str!("recordings.txt");

/// Answers of our own, after what services were seen to send, in `fixtures/answers`: named by their protocol.
#[tokio::test]
async fn answers_of_every_kind_are_read_the_same_wherever_they_are_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/answers");
    let mut told = String::new();
    for (name, octets) in all(&folder) {
        let protocol = name.split('.').next().unwrap_or_default();
        let protocol = LlmProtocol::ALL.into_iter().find(|known| known.name() == protocol).unwrap();
        let whole = replay(protocol, octets.chunks(4_096)).await;
        for size in [1, 7] {
            assert_eq!(replay(protocol, octets.chunks(size)).await, whole, "{name}, in pieces of {size}");
        }
        let _infallible = write!(told, "{name}\n  {:?}", whole.text);
        for call in &whole.tools {
            let _infallible = write!(told, " {}{}", call.name, call.arguments);
        }
        let usage = whole.usage;
        let kept = whole.kept;
        let _infallible = write!(
            told,
            "\n  {}+{} in, {} out, {kept} kept",
            usage.input_tokens, usage.cached_tokens, usage.output_tokens
        );
        if let Some(failure) = whole.failure {
            let _infallible = write!(told, "\n  {:?}: {}", failure.kind, failure.message.replace('\n', " "));
        }
        told.push('\n');
    }
    insta::assert_snapshot!("answers", told);
}
