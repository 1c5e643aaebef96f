//! What the page's scripts must do as the crates do: held here, read by the page's own tests.
//!
//! `console-tests/vectors.json` is written anew with `UPDATE_VECTORS=1`.

use offhook_audio::SampleRate;
use offhook_resample::Resampler;
use offhook_simulator::Playout;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/console-tests/vectors.json");

fn hash(octets: impl Iterator<Item = u8>) -> String {
    let octets: Vec<u8> = octets.collect();
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Numbers that repeat on every machine and in every language (Numerical Recipes).
struct Numbers(u32);

impl Numbers {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

/// Noise that a filter has something to do with, of a quarter of full scale, and a step in it.
fn noise(count: usize) -> Vec<i16> {
    let mut numbers = Numbers(7);
    (0..count)
        .map(|at| {
            let noise = (numbers.next() % 16_384) as i16 - 8_192;
            noise + if at % 500 < 250 { 4_000 } else { -4_000 }
        })
        .collect()
}

fn resampled(from: SampleRate, to: SampleRate) -> Value {
    let mut resampler = Resampler::new(from, to).unwrap();
    let mut output = Vec::new();
    // Cut as an AudioWorklet cuts.
    for chunk in noise(3_000).chunks(128) {
        resampler.process(chunk, &mut output);
    }
    json!({ "from": from.hz(), "to": to.hz(), "output": output })
}

/// A stream of media, marks, clears and ticks, and all that came of it.
fn trace() -> Value {
    let (mut playout, mut numbers) = (Playout::default(), Numbers(11));
    let steps: Vec<Value> = (0..600)
        .map(|step| match numbers.next() % 12 {
            0 | 1 => {
                let length = numbers.next() % 900;
                let octets: Vec<u8> = (0..length).map(|_| (numbers.next() % 255) as u8).collect();
                let taken = playout.media(&octets);
                json!({ "do": "media", "length": length, "hash": hash(octets.into_iter()), "taken": taken })
            }
            2 => json!({ "do": "mark", "name": format!("m{step}"), "back": playout.mark(format!("m{step}")) }),
            3 if step % 5 == 0 => json!({ "do": "clear", "back": playout.clear() }),
            _ => {
                let tick = playout.tick();
                let frame = hash(tick.frame.into_iter());
                json!({ "do": "tick", "frame": frame, "marks": tick.marks, "sounded": tick.sounded, "waiting_ms": playout.waiting_ms() })
            }
        })
        .collect();
    json!({ "steps": steps, "gaps": playout.gaps() })
}

#[test]
fn the_page_s_tests_hold_it_to_what_the_crates_do() {
    let encoded = hash((i16::MIN..=i16::MAX).map(offhook_mulaw::encode));
    let decoded: Vec<i16> = (0..=255).map(offhook_mulaw::decode).collect();
    let (narrow, cd, wide) = (SampleRate::HZ_8000, SampleRate::HZ_44100, SampleRate::HZ_48000);
    let vectors = json!({
        "mulaw": { "encoded": encoded, "decoded": decoded },
        "resampled": [resampled(wide, narrow), resampled(narrow, wide), resampled(cd, narrow), resampled(narrow, cd)],
        "playout": trace(),
    });
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(PATH, vectors.to_string() + "\n").unwrap();
    }
    let kept: Value = serde_json::from_str(&std::fs::read_to_string(PATH).unwrap()).unwrap();
    assert!(kept == vectors, "{PATH} is old: UPDATE_VECTORS=1 writes it anew");
}
