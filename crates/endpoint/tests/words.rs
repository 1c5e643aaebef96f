//! A single word is detected however long nobody has spoken.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

use std::path::{Path, PathBuf};

use offhook_audio::{ComfortNoise, Dbov, PcmFrame};
use offhook_endpoint::{SpeechEvent, TalkspurtConfig, Talkspurts};

/// What the silence is made of: an octet of μ-law, or noise at a level in dBov.
#[derive(Clone, Copy, Debug)]
enum Silence {
    Octet(u8),
    Noise(f32),
}

const SILENCES: [Silence; 4] =
    [Silence::Octet(0xFF), Silence::Octet(0x7F), Silence::Noise(-65.0), Silence::Noise(-55.0)];

/// The decision's delay after the word's first frame in milliseconds, if the word is detected.
fn delay(word: &[i16], silence: Silence, seconds: usize) -> Option<usize> {
    let mut spurts = Talkspurts::from_config(TalkspurtConfig::turn_taking());
    let mut noise =
        ComfortNoise::new(Dbov(if let Silence::Noise(level) = silence { level } else { -90.0 }), 7);
    let mut quiet = || match silence {
        Silence::Octet(octet) => PcmFrame([offhook_mulaw::decode(octet); 160]),
        Silence::Noise(_) => noise.next_frame(),
    };
    for _ in 0..seconds * 50 {
        assert_eq!(spurts.push(&quiet()).event, None, "speech in {silence:?}");
    }
    for (index, samples) in word.chunks(160).chain([&[][..]; 5]).enumerate() {
        let mut frame = quiet();
        for (sum, sample) in frame.0.iter_mut().zip(samples) {
            *sum = offhook_mulaw::decode(offhook_mulaw::encode(sum.saturating_add(*sample)));
        }
        if matches!(spurts.push(&frame).event, Some(SpeechEvent::Onset { .. })) {
            return Some((index + 1) * 20);
        }
    }
    None
}

fn sound(path: &Path) -> Vec<i16> {
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    wav[data..].iter().map(|&octet| offhook_mulaw::decode(octet)).collect()
}

/// The sound from its first to its last stretch of 10 ms that is less than 30 dB under the loudest, at most so many; at −26 dBov.
fn word(sound: &[i16], most: usize) -> Vec<i16> {
    let power = |stretch: &[i16]| stretch.iter().map(|&x| f32::from(x) * f32::from(x)).sum::<f32>();
    let powers: Vec<f32> = sound.chunks(80).map(power).collect();
    let loudest = powers.iter().fold(0.0, |most: f32, &power| most.max(power));
    let loud = |power: &f32| *power > loudest / 1_000.0;
    let first = powers.iter().position(loud).unwrap();
    let last = powers.iter().rposition(loud).unwrap().min(first + most);
    let word = &sound[first * 80..((last + 1) * 80).min(sound.len())];
    let gain = 10f32.powf(-26.0 / 20.0) * 32_768.0 / (power(word) / word.len() as f32).sqrt();
    word.iter().map(|&x| (f32::from(x) * gain) as i16).collect()
}

/// After each silence every word is detected, within this time.
fn all_are_detected(words: &[(String, Vec<i16>)], within_ms: usize) {
    let mut late = Vec::new();
    for (name, word) in words {
        for silence in SILENCES {
            for seconds in [1, 6, 20, 60] {
                match delay(word, silence, seconds) {
                    Some(ms) if ms <= within_ms => {}
                    found => late.push(format!("{name} after {seconds} s of {silence:?}: {found:?}")),
                }
            }
        }
    }
    assert!(late.is_empty(), "{} missed or late:\n{}", late.len(), late.join("\n"));
}

#[test]
fn the_first_word_of_a_sentence() {
    let callers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/callers");
    let names = [
        "booking-1",
        "booking-2",
        "booking-3",
        "pizza-1",
        "pizza-2",
        "pizza-3",
        "pizza-4",
        "pizza-5",
        "pizza-6",
    ];
    let words: Vec<_> = names
        .iter()
        .map(|name| ((*name).to_owned(), word(&sound(&callers.join(format!("{name}.wav"))), 30)))
        .collect();
    all_are_detected(&words, 200);
}

#[test]
fn single_words_of_synthetic_callers() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let phrases =
        manifest.ancestors().map(|folder| folder.join("shared/audio-synth")).find(|path| path.exists());
    let Some(folder) = phrases else {
        eprintln!("skipped: there is no shared/audio-synth beside the repository");
        return;
    };
    let lines = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let phrases = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let words: Vec<_> = phrases
        .filter(|phrase| phrase["kind"] == "phrase" && !phrase["text"].as_str().unwrap().contains(' '))
        .map(|phrase| phrase["file"].as_str().unwrap().to_owned())
        .map(|file| (file.clone(), word(&sound(&folder.join(PathBuf::from(file))), 200)))
        .collect();
    assert!(words.len() > 20, "{} words", words.len());
    all_are_detected(&words, 400);
}
