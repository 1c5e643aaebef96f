//! Counts the single words that are missed after a long silence: `words FOLDER… [--level DBOV]… [--quiet]`.
//!
//! Each WAV file (8 kHz, mono, 16-bit) holds one word and nothing else. It is said at the given level (default −26 dBov) after 0, 6,
//! 20 and 60 s of silence: digital (μ-law `0xFF`, `0x7F`) and analogue (noise at −65 and −55 dBov, also under the word). A table per
//! folder: words missed of those said, and the delay from the word's first sample to the decision, median and 90th percentile.

use std::io::Write;
use std::path::{Path, PathBuf};

use offhook_audio::{ComfortNoise, Dbov, PcmFrame};
use offhook_endpoint::{SpeechEvent, TalkspurtConfig, Talkspurts};

type Fault = Box<dyn std::error::Error>;

/// Seconds of silence before the word.
const WAITS: [usize; 4] = [0, 6, 20, 60];
/// What the silence is made of: an octet, or noise at a level.
const SILENCES: [(&str, Silence); 4] = [
    ("0xFF", Silence::Octet(0xFF)),
    ("0x7F", Silence::Octet(0x7F)),
    ("−65 dBov", Silence::Noise(-65.0)),
    ("−55 dBov", Silence::Noise(-55.0)),
];

#[derive(Clone, Copy)]
enum Silence {
    Octet(u8),
    Noise(f32),
}

impl Silence {
    fn frames(self, seed: u32) -> impl FnMut() -> PcmFrame {
        let level = if let Self::Noise(level) = self { level } else { -90.0 };
        let mut noise = ComfortNoise::new(Dbov(level), seed);
        move || match self {
            Self::Octet(octet) => PcmFrame([offhook_mulaw::decode(octet); 160]),
            Self::Noise(_) => noise.next_frame(),
        }
    }
}

/// The delay in milliseconds, if the word is detected.
fn delay(word: &[i16], silence: Silence, wait: usize, seed: usize) -> Option<usize> {
    let mut spurts = Talkspurts::from_config(TalkspurtConfig::turn_taking());
    let mut quiet = silence.frames(seed as u32 + 1);
    for _ in 0..wait * 50 {
        spurts.push(&quiet());
    }
    // Words don't begin on the grid.
    let offset = seed * 37 % 160;
    let length = word.len() + offset;
    for index in 0..length.div_ceil(160) + 5 {
        let mut frame = quiet();
        for (n, sample) in frame.0.iter_mut().enumerate() {
            let at = (index * 160 + n).checked_sub(offset).and_then(|at| word.get(at));
            *sample = offhook_mulaw::decode(offhook_mulaw::encode(sample.saturating_add(*at.unwrap_or(&0))));
        }
        if matches!(spurts.push(&frame).event, Some(SpeechEvent::Onset { .. })) {
            return Some(((index + 1) * 160 - offset) / 8);
        }
    }
    None
}

fn samples(path: &Path, level: f32) -> Result<Vec<i16>, Fault> {
    let wav = std::fs::read(path)?;
    let data = wav.windows(4).position(|four| four == b"data").ok_or("no data in a WAV")? + 8;
    let octets = wav.get(data..).unwrap_or(&[]).as_chunks::<2>().0;
    let sound: Vec<f32> = octets.iter().map(|pair| f32::from(i16::from_le_bytes(*pair))).collect();
    let power = sound.iter().map(|x| x * x).sum::<f32>() / sound.len().max(1) as f32;
    let gain = 10f32.powf(level / 20.0) * 32_768.0 / power.sqrt().max(1.0);
    Ok(sound.iter().map(|x| (x * gain).round() as i16).collect())
}

fn main() -> Result<(), Fault> {
    let (mut folders, mut levels, mut names) = (Vec::new(), Vec::new(), true);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--level" => levels.push(words.next().ok_or("--level needs a value")?.parse()?),
            "--quiet" => names = false,
            _ => folders.push(PathBuf::from(word)),
        }
    }
    if levels.is_empty() {
        levels.push(-26.0);
    }
    let mut out = std::io::stdout().lock();
    for folder in folders {
        let mut files: Vec<_> =
            std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "wav"));
        files.sort();
        for &level in &levels {
            writeln!(out, "\n{}, {} words at {level} dBov\n", folder.display(), files.len())?;
            writeln!(
                out,
                "| silence | 0 s | 6 s | 20 s | 60 s | delay ms |\n| --- | --- | --- | --- | --- | --- |"
            )?;
            let mut missed_names = std::collections::BTreeMap::<String, u32>::new();
            for (name, silence) in SILENCES {
                write!(out, "| {name} |")?;
                let mut delays = Vec::new();
                for wait in WAITS {
                    let mut missed = 0;
                    for (index, path) in files.iter().enumerate() {
                        if let Some(ms) = delay(&samples(path, level)?, silence, wait, index) {
                            delays.push(ms);
                        } else {
                            missed += 1;
                            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                            *missed_names.entry(name).or_default() += 1;
                        }
                    }
                    write!(out, " {missed} |")?;
                }
                delays.sort_unstable();
                let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or(0);
                writeln!(out, " {} / {} |", at(50), at(90))?;
                out.flush()?;
            }
            if names && !missed_names.is_empty() {
                let told: Vec<_> =
                    missed_names.iter().map(|(name, count)| format!("{name} ({count})")).collect();
                writeln!(out, "\nmissed: {}", told.join(", "))?;
            }
        }
    }
    Ok(())
}
