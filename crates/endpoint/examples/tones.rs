//! Counts what the tone detectors find in recordings: `tones PATH…`.
//!
//! A path is a WAV file (8 kHz, mono, 16-bit or μ-law) or a folder of such; folders are searched to the bottom. For recordings
//! of speech, noise and music everything found is false. One line of what was found per file (keys only counted), then the sums
//! per hour, and the time that each detector took.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use offhook_audio::{FRAME_SAMPLES, PcmFrame};
use offhook_endpoint::dtmf::DtmfDetector;
use offhook_endpoint::tones::{BeepDetector, ProgressDetector};

type Fault = Box<dyn std::error::Error>;

fn wavs(path: &Path, into: &mut Vec<PathBuf>) -> Result<(), Fault> {
    if path.is_dir() {
        let mut inside: Vec<PathBuf> =
            std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
        inside.sort();
        return inside.iter().try_for_each(|path| wavs(path, into));
    }
    if path.extension().is_some_and(|extension| extension == "wav") {
        into.push(path.to_owned());
    }
    Ok(())
}

/// The samples of a WAV as telephones have it.
fn samples(path: &Path) -> Result<Vec<i16>, Fault> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.get(12..).ok_or("no WAV")?;
    let mut mulaw = false;
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes(head[4..].try_into()?) as usize;
        let content = body.get(..length.min(body.len())).unwrap_or(body);
        match &head[..4] {
            b"fmt " => {
                let (tag, channels) = (u16::from_le_bytes([content[0], content[1]]), content[2]);
                let rate = u32::from_le_bytes(content[4..8].try_into()?);
                if rate != 8_000 || channels != 1 || !matches!(tag, 1 | 7) {
                    return Err(format!("{}: not 8 kHz mono, 16-bit or μ-law", path.display()).into());
                }
                mulaw = tag == 7;
            }
            b"data" if mulaw => {
                return Ok(content.iter().map(|&octet| offhook_mulaw::decode(octet)).collect());
            }
            b"data" => {
                return Ok(content.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect());
            }
            _ => {}
        }
        rest = body.get((length + length % 2).min(body.len())..).unwrap_or(&[]);
    }
    Err(format!("{}: no sound in it", path.display()).into())
}

fn main() -> Result<(), Fault> {
    let mut files = Vec::new();
    for path in std::env::args().skip(1) {
        wavs(Path::new(&path), &mut files)?;
    }
    let mut out = std::io::stdout().lock();
    let mut all = [Tally::default(), Tally::default(), Tally::default()];
    let mut frames = 0;
    for path in &files {
        let sound = samples(path)?;
        let (mut keys, mut progress, mut beeps) =
            (DtmfDetector::default(), ProgressDetector::default(), BeepDetector::default());
        let sound: Vec<PcmFrame> = sound
            .chunks_exact(FRAME_SAMPLES)
            .map(|chunk| Ok(PcmFrame(chunk.try_into()?)))
            .collect::<Result<_, Fault>>()?;
        frames += sound.len();
        let name = path.display();
        // Keys are only counted: they may be somebody's.
        let before = all[0].found;
        all[0].run(&sound, |frame| keys.push(frame).map(drop));
        if all[0].found > before {
            writeln!(out, "{name}: {} keys", all[0].found - before)?;
        }
        let mut told = Vec::new();
        all[1].run(&sound, |frame| progress.push(frame).map(|event| told.push(format!("{event:?}"))));
        all[2].run(&sound, |frame| beeps.push(frame).map(|beep| told.push(format!("{beep:?}"))));
        for told in told {
            writeln!(out, "{name}: {told}")?;
        }
    }
    let hours = frames as f64 / 180_000.0;
    writeln!(out, "{} files, {hours:.3} hours", files.len())?;
    for (name, tally) in ["keys", "progress", "beeps"].iter().zip(&all) {
        let each = tally.took.as_secs_f64() * 1e6 / frames.max(1) as f64;
        writeln!(
            out,
            "{name:9} {:4}, {:6.1} per hour, {each:.2} µs per frame",
            tally.found,
            f64::from(tally.found) / hours
        )?;
    }
    Ok(())
}

/// What a detector found, and how long it took.
#[derive(Default)]
struct Tally {
    found: u32,
    took: Duration,
}

impl Tally {
    fn run(&mut self, sound: &[PcmFrame], mut push: impl FnMut(&PcmFrame) -> Option<()>) {
        let began = Instant::now();
        for frame in sound {
            self.found += u32::from(push(frame).is_some());
        }
        self.took += began.elapsed();
    }
}
