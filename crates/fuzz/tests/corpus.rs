//! The corpus, and changed copies of it: what was once found stays found, and much more is tried each time.
//!
//! `OFFHOOK_FUZZ_ROUNDS` sets how many copies of each input are tried (default 300); the seed is always the same.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use offhook_fuzz::TARGETS;

/// Longest input: limits of their own stop longer ones before they are parsed.
const LONGEST: usize = 64 * 1024;

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// Octets that parsers care about.
const MARKS: &[u8] = b"{}[]<>\"'\\,:;&=%?#/.*_-+`$\0\n\r\t 019aZ\xff\xc3\xe2\x80";

fn change(input: &[u8], others: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=changed.len());
        let until = (at + random.usize(0..64)).min(changed.len());
        match random.u8(0..7) {
            0 if at < changed.len() => changed[at] ^= 1 << random.u8(0..8),
            1 => changed.insert(at, MARKS[random.usize(0..MARKS.len())]),
            2 => drop(changed.drain(at..until)),
            // The same again, and again: what grows faster than its input shows.
            3 => {
                let piece = changed[at..until].repeat(random.usize(1..60));
                changed.splice(at..at, piece);
            }
            4 => {
                let other = &others[random.usize(0..others.len())];
                let from = random.usize(0..=other.len());
                let piece = other[from..(from + 200).min(other.len())].to_vec();
                changed.splice(at..at, piece);
            }
            5 => changed.truncate(at),
            _ => {
                let number = random.choice([
                    "-1",
                    "0",
                    "1e999",
                    "18446744073709551616",
                    "NaN",
                    "\u{202e}",
                    "\u{1f600}",
                ]);
                changed.splice(at..until, number.unwrap().bytes());
            }
        }
        changed.truncate(LONGEST);
    }
    changed
}

#[test]
fn nothing_from_outside_breaks_a_parser() {
    let rounds = std::env::var("OFFHOOK_FUZZ_ROUNDS").map_or(300, |rounds| rounds.parse().unwrap());
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name} has no corpus");
        let mut random = fastrand::Rng::with_seed(7);
        for input in &corpus {
            target(input);
            for round in 0..rounds {
                let changed = change(input, &corpus, &mut random);
                let outcome = std::panic::catch_unwind(|| target(&changed));
                assert!(outcome.is_ok(), "{name}, round {round}: {:?}", String::from_utf8_lossy(&changed));
            }
        }
    }
}

/// What is no document at all tries little.
#[test]
fn the_corpus_has_a_document_with_something_to_redact() {
    let read = |input: Vec<u8>| {
        let text = String::from_utf8(input).unwrap();
        serde_json::from_str::<offhook_store::Document>(text.split_once('\0').unwrap().1)
    };
    let mut document = corpus("document").into_iter().map(read).next().unwrap().unwrap();
    let before = document.clone();
    offhook_store::Redaction::default().apply(&mut document);
    assert_ne!(document.turns, before.turns);
    assert_eq!(document.outcome.unwrap().evidence, "card [redacted]");
}
