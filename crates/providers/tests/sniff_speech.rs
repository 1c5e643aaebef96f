//! Real speech is told right: each recorded line as μ-law and as linear sound, asked for as both.
#![allow(clippy::unwrap_used, reason = "tests")]

use offhook_providers::sniff::{Asked, ENOUGH, sniff};

fn lines() -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/../../fixtures/callers", env!("CARGO_MANIFEST_DIR"));
    let speech = ["pizza-", "booking-", "quiet", "loud", "noisy", "pause"];
    let mut lines = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".wav") && speech.iter().any(|known| name.starts_with(known)) {
            let wav = std::fs::read(&path).unwrap();
            let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
            lines.push((name, wav[data..].to_vec()));
        }
    }
    assert!(lines.len() >= 10);
    lines
}

fn linear(octets: &[u8]) -> Vec<u8> {
    octets.iter().flat_map(|octet| offhook_mulaw::decode(*octet).to_le_bytes()).collect()
}

#[test]
fn speech_as_it_was_asked_for_passes_from_anywhere() {
    for (name, mulaw) in lines() {
        let pcm = linear(&mulaw);
        for from in (0..mulaw.len().saturating_sub(ENOUGH)).step_by(400) {
            let piece = &mulaw[from..from + ENOUGH];
            assert_eq!(sniff("test", Asked::Mulaw, piece).ok(), Some(0), "{name} at {from}, mu-law");
            let piece = &pcm[2 * from..2 * from + ENOUGH];
            assert_eq!(sniff("test", Asked::Pcm16(8_000), piece).ok(), Some(0), "{name} at {from}, linear");
        }
    }
}

#[test]
fn speech_of_the_other_kind_is_named() {
    let (mut right, mut all) = ([0, 0], 0);
    for (_, mulaw) in lines() {
        let pcm = linear(&mulaw);
        // From the first voice on, not from the silence before.
        let loud = |octet: &u8| offhook_mulaw::decode(*octet).unsigned_abs() > 500;
        let from = mulaw.iter().position(loud).unwrap();
        all += 1;
        right[0] += usize::from(sniff("test", Asked::Mulaw, &pcm[2 * from..2 * from + ENOUGH]).is_err());
        right[1] += usize::from(sniff("test", Asked::Pcm16(8_000), &mulaw[from..from + ENOUGH]).is_err());
    }
    assert_eq!(right, [all, all], "linear taken for mu-law, mu-law taken for linear");
}
