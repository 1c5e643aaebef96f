//! Scores detectors on labelled recordings: `score FOLDER`.
//!
//! The folder holds WAV files (8 kHz, mono, μ-law), each with a JSON file beside it: `{"condition":"clean"|"noisy"|"noise"|"tone",
//! "noise":NAME,"snr_db":N,"speech":[[from,until],…]}`, in seconds. Frames within 200 ms after a label's end aren't
//! counted: a hangover is no fault. Prints a table: F1 of frames by condition, and talkspurts per minute where there is no speech.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use offhook_audio::PcmFrame;
use offhook_endpoint::{Detector, DetectorKind, SpeechEvent, TalkspurtConfig, Talkspurts};
use webrtc_vad::{SampleRate, Vad, VadMode};

/// WebRTC's detector as it comes, frame by frame.
struct Plain(Vad);

impl Detector for Plain {
    fn name(&self) -> &'static str {
        "plain webrtc"
    }
    fn push(&mut self, frame: &PcmFrame) -> f32 {
        f32::from(u8::from(self.0.is_voice_segment(&frame.0).unwrap_or(false)))
    }
    fn reset(&mut self) {
        self.0.reset();
    }
}

#[derive(Default)]
struct Counts {
    hits: u32,
    misses: u32,
    alarms: u32,
    onsets: u32,
    minutes: f64,
}

impl Counts {
    fn f1(&self) -> f64 {
        f64::from(2 * self.hits) / f64::from((2 * self.hits + self.misses + self.alarms).max(1))
    }
}

/// How speech is decided from a detector.
enum Decide {
    Frames(Box<dyn Detector>),
    Spurts(Talkspurts),
}

fn deciders() -> Vec<(String, Decide)> {
    let mut all = Vec::new();
    for (index, mode) in [VadMode::Quality, VadMode::LowBitrate, VadMode::Aggressive, VadMode::VeryAggressive]
        .into_iter()
        .enumerate()
    {
        let vad = Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, mode);
        all.push((format!("plain webrtc, mode {index}"), Decide::Frames(Box::new(Plain(vad)))));
    }
    for kind in DetectorKind::ALL {
        let detector = kind.build();
        let name = format!("{}, talkspurts", detector.name());
        all.push((name, Decide::Spurts(Talkspurts::new(detector, TalkspurtConfig::labelling()))));
    }
    all
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: score FOLDER")?;
    let mut files: Vec<_> =
        std::fs::read_dir(&folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    let mut table: BTreeMap<String, BTreeMap<String, Counts>> = BTreeMap::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "wav")) {
        score(path, &mut table)?;
    }
    let mut out = std::io::stdout().lock();
    let columns: Vec<&String> = table.values().next().map(|row| row.keys().collect()).unwrap_or_default();
    write!(out, "| detector |")?;
    columns.iter().try_for_each(|column| write!(out, " {column} |"))?;
    writeln!(out, "\n| --- |{}", " --- |".repeat(columns.len()))?;
    for (name, row) in &table {
        write!(out, "| {name} |")?;
        for (column, counts) in row {
            if column.starts_with("false") {
                write!(out, " {:.1} |", f64::from(counts.onsets) / counts.minutes.max(1e-9))?;
            } else {
                write!(out, " {:.3} |", counts.f1())?;
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

fn score(
    path: &Path,
    table: &mut BTreeMap<String, BTreeMap<String, Counts>>,
) -> Result<(), Box<dyn std::error::Error>> {
    let label: serde_json::Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
    let wav = std::fs::read(path)?;
    let data = wav.windows(4).position(|four| four == b"data").ok_or("no data in a WAV")? + 8;
    let octets = wav.get(data..).unwrap_or(&[]);
    let spans: Vec<(f64, f64)> = label["speech"]
        .as_array()
        .map(|spans| spans.iter().filter_map(|span| Some((span[0].as_f64()?, span[1].as_f64()?))).collect())
        .unwrap_or_default();
    let column = match label["condition"].as_str().unwrap_or("") {
        "clean" => "F1 clean".to_owned(),
        "noisy" => format!("F1 at {:>2} dB", label["snr_db"].as_i64().unwrap_or(0)),
        kind => format!("false per minute of {kind}"),
    };
    for (name, mut decide) in deciders() {
        let counts = table.entry(name).or_default().entry(column.clone()).or_default();
        let (frames, _) = octets.as_chunks::<160>();
        counts.minutes += frames.len() as f64 / 3_000.0;
        let mut speaking = vec![false; frames.len()];
        let (mut begun, mut was) = (None, false);
        for (index, frame) in frames.iter().enumerate() {
            let mut pcm = PcmFrame::SILENCE;
            offhook_mulaw::decode_frame(frame, &mut pcm.0);
            match &mut decide {
                Decide::Frames(detector) => {
                    let now = detector.push(&pcm) >= 0.5;
                    counts.onsets += u32::from(now && !was);
                    was = now;
                    speaking[index] = now;
                }
                Decide::Spurts(spurts) => {
                    let verdict = spurts.push(&pcm);
                    speaking[index] = verdict.speaking;
                    match verdict.event {
                        Some(SpeechEvent::Onset { at }) => {
                            counts.onsets += 1;
                            begun = Some(at);
                            let from = (at.0 / 160) as usize;
                            speaking[from..=index].fill(true);
                        }
                        Some(SpeechEvent::Offset { at }) if begun.take().is_some() => {
                            let until = ((at.0 / 160) as usize).min(index);
                            speaking[until..=index].fill(false);
                        }
                        _ => {}
                    }
                }
            }
        }
        for (index, &said) in speaking.iter().enumerate() {
            let t = (index as f64 + 0.5) * 0.02;
            let truth = spans.iter().any(|(from, until)| t >= *from && t < *until);
            let excused = spans.iter().any(|(_, until)| t >= *until && t < until + 0.2);
            match (truth, said) {
                (true, true) => counts.hits += 1,
                (true, false) => counts.misses += 1,
                (false, true) if !excused => counts.alarms += 1,
                _ => {}
            }
        }
    }
    Ok(())
}
