//! Sounds: the clips that are said, and what is made of them; noise and music.

use std::path::Path;

use crate::measure::{Dice, louder, octets_of};

#[derive(Clone)]
pub(crate) struct Clip {
    pub(crate) octets: Vec<u8>,
    pub(crate) text: String,
    pub(crate) back: bool,
}

impl Clip {
    pub(crate) fn ms(&self) -> u64 {
        self.octets.len() as u64 / 8
    }

    pub(crate) fn at(&self, gain_db: f64) -> Self {
        let octets = louder(&self.octets, gain_db);
        Self { octets, ..self.clone() }
    }

    /// Its level over all, dBov.
    pub(crate) fn level(&self) -> f64 {
        let power: f64 =
            self.octets.iter().map(|octet| f64::from(offhook_mulaw::decode(*octet)).powi(2)).sum();
        10.0 * (power / self.octets.len().max(1) as f64 / 32_768f64.powi(2)).log10()
    }

    /// As a recogniser writes it that sets no marks.
    pub(crate) fn without_stop(mut self) -> Self {
        self.text = self.text.replace(['.', '?', '!', ','], "").to_lowercase();
        self
    }

    pub(crate) fn first_words(&self, count: usize) -> Self {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        let ends = word_ends(self);
        let until = ends[count.min(ends.len()) - 1] as usize * 8;
        Self {
            octets: self.octets[..until.min(self.octets.len())].to_vec(),
            text: words[..count.min(words.len())].join(" "),
            back: self.back,
        }
    }
}

/// When each word of a clip ends, in milliseconds.
pub(crate) fn word_ends(clip: &Clip) -> Vec<u64> {
    let letters = |word: &str| word.chars().filter(|c| c.is_alphanumeric()).count().max(1) as u64 + 1;
    let all: u64 = clip.text.split_whitespace().map(letters).sum();
    let mut sum = 0;
    clip.text
        .split_whitespace()
        .map(|word| {
            sum += letters(word);
            clip.ms() * sum / all.max(1)
        })
        .collect()
}

pub(crate) fn clips(list: &Path) -> Vec<Clip> {
    let folder = list.parent().unwrap();
    let text = std::fs::read_to_string(list).unwrap();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .map(|line| Clip {
            octets: octets_of(&folder.join(line["file"].as_str().unwrap())),
            text: line["text"].as_str().unwrap().to_owned(),
            back: line["kind"] == "back",
        })
        .collect()
}

pub(crate) fn noise(dice: &mut Dice, ms: u64, dbov: f64) -> Clip {
    let peak = 32_768.0 * 10f64.powf(dbov / 20.0) * 3f64.sqrt();
    let (mut slow, mut octets) = (0.0, Vec::new());
    for _ in 0..ms * 8 {
        let white = dice.below(20_001) as f64 / 10_000.0 - 1.0;
        slow = slow * 0.7 + white * 0.5;
        octets.push(offhook_mulaw::encode((slow * peak).clamp(-32_000.0, 32_000.0) as i16));
    }
    Clip { octets, text: String::new(), back: false }
}

pub(crate) fn mixed(clips: &[&Clip], ms: u64, dbov: f64) -> Clip {
    let length = ms as usize * 8;
    let sum = |at: usize| {
        clips
            .iter()
            .map(|clip| i32::from(offhook_mulaw::decode(clip.octets[at % clip.octets.len()])))
            .sum::<i32>()
    };
    let octets = (0..length).map(|at| offhook_mulaw::encode(sum(at).clamp(-32_000, 32_000) as i16)).collect();
    let all = Clip { octets, text: String::new(), back: false };
    all.at(dbov - all.level())
}

pub(crate) fn music(ms: u64, dbov: f64) -> Clip {
    let sample = |at: u64| {
        let t = at as f64 / 8_000.0;
        let note = [262.0, 330.0, 392.0, 523.0][(t * 4.0) as usize % 4];
        (1..5).map(|k| (std::f64::consts::TAU * note * f64::from(k) * t).sin() / f64::from(k)).sum::<f64>()
    };
    let octets = (0..ms * 8).map(|at| offhook_mulaw::encode((sample(at) * 6_000.0) as i16)).collect();
    let all = Clip { octets, text: String::new(), back: false };
    all.at(dbov - all.level())
}
