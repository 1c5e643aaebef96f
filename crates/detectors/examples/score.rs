//! Scores detectors on labelled recordings.
//!
//! `score FOLDER [--detector NAME]… [--weights FILE] [--only PREFIX]… [--gain DB] [--threshold P]`
//!
//! The folder holds WAV files (8 kHz, mono, μ-law), each with a JSON file beside it: `{"condition":"clean"|"noisy"|"noise"|"tone",
//! "noise":NAME,"snr_db":N,"speech":[[from,until],…]}`, in seconds. Two tables in Markdown: by condition, and by noise.
//!
//! - F1 of 20 ms frames; those within 200 ms after a label's end aren't counted: a hangover is no fault
//! - AUC of the frames' probabilities, which is blind to thresholds and smoothing
//! - onset: from the label's start to the decision, median and 90th percentile, of onsets that were found
//! - offset: from the label's end to the decision, in clean speech
//! - false talkspurts per minute, where there is no speech
//! - cost: microseconds per frame, on whatever machine this runs on

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use offhook_audio::{PcmFrame, SamplePos};
use offhook_detectors::AnyDetector;
use offhook_endpoint::{Detector, DetectorKind, Offhook, SpeechEvent, TalkspurtConfig, Talkspurts};

type Fault = Box<dyn std::error::Error>;

/// What is counted of a set of recordings.
#[derive(Default)]
struct Counts {
    hits: u32,
    misses: u32,
    alarms: u32,
    spurts: u32,
    minutes: f64,
    onsets_ms: Vec<f64>,
    offsets_ms: Vec<f64>,
    /// Probability, and whether there is speech.
    frames: Vec<(f32, bool)>,
}

impl Counts {
    fn f1(&self) -> f64 {
        f64::from(2 * self.hits) / f64::from((2 * self.hits + self.misses + self.alarms).max(1))
    }

    fn per_minute(&self) -> f64 {
        f64::from(self.spurts) / self.minutes.max(1e-9)
    }

    /// The chance that a frame of speech has a higher probability than one without (Mann & Whitney).
    fn auc(&mut self) -> f64 {
        self.frames.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut below, mut wins, mut with) = (0.0, 0.0, 0.0);
        for tied in self.frames.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let speech = tied.iter().filter(|frame| frame.1).count() as f64;
            let rest = tied.len() as f64 - speech;
            wins += speech * (below + rest / 2.0);
            below += rest;
            with += speech;
        }
        wins / (below * with).max(1.0)
    }
}

/// A detector as it is judged.
struct Candidate {
    name: String,
    make: Box<dyn Fn() -> Result<Box<dyn Detector>, Fault>>,
    /// Its talkspurts, or its frames as they come.
    smoothed: bool,
    config: TalkspurtConfig,
}

#[derive(Default)]
struct Options {
    folder: String,
    detectors: Vec<String>,
    weights: Option<String>,
    only: Vec<String>,
    gain_db: f32,
    threshold: Option<f32>,
}

fn options() -> Result<Options, Fault> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--detector" => options.detectors.push(value()?),
            "--weights" => options.weights = Some(value()?),
            "--only" => options.only.push(value()?),
            "--threshold" => options.threshold = Some(value()?.parse()?),
            "--gain" => options.gain_db = value()?.parse()?,
            _ => options.folder = word,
        }
    }
    if options.folder.is_empty() {
        return Err("usage: score FOLDER [--detector NAME]… [--weights FILE] [--only PREFIX]… [--gain DB] [--threshold P]".into());
    }
    Ok(options)
}

fn candidates(options: &Options) -> Result<Vec<Candidate>, Fault> {
    let mut all = Vec::new();
    let plain = ["webrtc-0", "webrtc-1", "webrtc-2", "webrtc-3"].map(str::to_owned);
    let light = DetectorKind::ALL.map(|kind| kind.build().name().to_owned());
    let named = if options.detectors.is_empty() {
        plain.into_iter().chain(light).collect()
    } else {
        options.detectors.clone()
    };
    let mut config = TalkspurtConfig::labelling();
    config.threshold = options.threshold.unwrap_or(config.threshold);
    for name in named {
        let config = config.clone();
        let kind: AnyDetector = name.parse()?;
        let weights = options.weights.clone().filter(|_| name == "offhook");
        let weights = weights.map(std::fs::read).transpose()?;
        let make = move || -> Result<Box<dyn Detector>, Fault> {
            match &weights {
                Some(weights) => Ok(Box::new(Offhook::with_weights(weights))),
                None => Ok(kind.build()?),
            }
        };
        let plain = name.starts_with("webrtc-");
        let make = std::rc::Rc::new(make);
        let again = make.clone();
        if plain {
            all.push(Candidate {
                name: format!("{name}, frames"),
                make: Box::new(move || again()),
                smoothed: false,
                config: config.clone(),
            });
        }
        all.push(Candidate {
            name: format!("{name}, talkspurts"),
            make: Box::new(move || make()),
            smoothed: true,
            config,
        });
    }
    Ok(all)
}

fn main() -> Result<(), Fault> {
    let options = options()?;
    let mut files: Vec<_> =
        std::fs::read_dir(&options.folder)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".wav")
            && (options.only.is_empty() || options.only.iter().any(|only| name.starts_with(only.as_str())))
    });
    files.sort();
    let mut out = std::io::stdout().lock();
    let (mut first, mut second) = (String::new(), String::new());
    for candidate in candidates(&options)? {
        let mut by_condition: BTreeMap<String, Counts> = BTreeMap::new();
        let mut by_noise: BTreeMap<String, Counts> = BTreeMap::new();
        let (mut spent, mut frames) = (0.0, 0);
        for path in &files {
            let recording = Recording::read(path, options.gain_db)?;
            let mut detector = (candidate.make)()?;
            let begun = Instant::now();
            let raw: Vec<f32> = recording.frames.iter().map(|frame| detector.push(frame)).collect();
            spent += begun.elapsed().as_secs_f64();
            frames += raw.len();
            for (table, column) in
                [(&mut by_condition, &recording.condition), (&mut by_noise, &recording.noise)]
            {
                if !column.is_empty() {
                    recording.score(&candidate, &raw, table.entry(column.clone()).or_default())?;
                }
            }
        }
        if first.is_empty() {
            let columns: Vec<&str> = by_condition.keys().map(String::as_str).collect();
            first = format!("| detector | {} | onset ms | offset ms | µs |\n", columns.join(" | "));
            first += &format!("|{}\n", " --- |".repeat(columns.len() + 4));
            let columns: Vec<&str> = by_noise.keys().map(String::as_str).collect();
            second = format!("| F1 | {} |\n|{}\n", columns.join(" | "), " --- |".repeat(columns.len() + 1));
        }
        let (mut onsets, mut offsets) = (Vec::new(), Vec::new());
        first += &format!("| {} |", candidate.name);
        for (column, counts) in &mut by_condition {
            if column.starts_with("false") {
                first += &format!(" {:.1} |", counts.per_minute());
            } else {
                let auc = counts.auc();
                first += &format!(" {:.3} {auc:.2} |", counts.f1());
                onsets.append(&mut counts.onsets_ms);
                offsets.append(&mut counts.offsets_ms);
            }
        }
        first += &format!(
            " {} | {} | {:.1} |\n",
            spread(&mut onsets),
            spread(&mut offsets),
            spent * 1e6 / frames.max(1) as f64
        );
        second += &format!("| {} |", candidate.name);
        for counts in by_noise.values() {
            second += &format!(" {:.3} |", counts.f1());
        }
        second += "\n";
    }
    write!(out, "{first}\n{second}")?;
    Ok(())
}

/// Median and 90th percentile.
fn spread(values: &mut [f64]) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| {
        values.get(((values.len().saturating_sub(1)) as f64 * share) as usize).copied().unwrap_or(0.0)
    };
    format!("{:.0} / {:.0}", at(0.5), at(0.9))
}

struct Recording {
    frames: Vec<PcmFrame>,
    spans: Vec<(f64, f64)>,
    condition: String,
    noise: String,
}

impl Recording {
    fn read(path: &Path, gain_db: f32) -> Result<Self, Fault> {
        let label: serde_json::Value = serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?;
        let wav = std::fs::read(path)?;
        let data = wav.windows(4).position(|four| four == b"data").ok_or("no data in a WAV")? + 8;
        let gain = 10f32.powf(gain_db / 20.0);
        let frame = |octets: &[u8; 160]| {
            let mut pcm = PcmFrame::SILENCE;
            offhook_mulaw::decode_frame(octets, &mut pcm.0);
            if gain_db != 0.0 {
                for sample in &mut pcm.0 {
                    let scaled = (f32::from(*sample) * gain).round().clamp(-32_768.0, 32_767.0) as i16;
                    *sample = offhook_mulaw::decode(offhook_mulaw::encode(scaled));
                }
            }
            pcm
        };
        let frames = wav.get(data..).unwrap_or(&[]).as_chunks::<160>().0.iter().map(frame).collect();
        let spans = label["speech"]
            .as_array()
            .map(|all| all.iter().filter_map(|span| Some((span[0].as_f64()?, span[1].as_f64()?))).collect())
            .unwrap_or_default();
        let (condition, noise) = match label["condition"].as_str().unwrap_or("") {
            "clean" => ("F1, AUC clean".to_owned(), String::new()),
            "noisy" => {
                let noise = label["noise"].as_str().unwrap_or("?").to_owned();
                (format!("at {:>2} dB", label["snr_db"].as_i64().unwrap_or(0)), noise)
            }
            kind => (format!("false/min of {kind}"), String::new()),
        };
        Ok(Self { frames, spans, condition, noise })
    }

    fn score(&self, candidate: &Candidate, raw: &[f32], counts: &mut Counts) -> Result<(), Fault> {
        counts.minutes += self.frames.len() as f64 / 3_000.0;
        let mut speaking = vec![false; self.frames.len()];
        // Decisions: (frame after which it fell, whether speech began, the place it was dated back to).
        let mut decisions: Vec<(usize, bool, SamplePos)> = Vec::new();
        if candidate.smoothed {
            let mut spurts = Talkspurts::new((candidate.make)()?, candidate.config.clone());
            let mut begun = None;
            for (index, frame) in self.frames.iter().enumerate() {
                let verdict = spurts.push(frame);
                speaking[index] = verdict.speaking;
                match verdict.event {
                    Some(SpeechEvent::Onset { at }) => {
                        begun = Some(at);
                        decisions.push((index, true, at));
                        speaking[(at.0 / 160) as usize..=index].fill(true);
                    }
                    Some(SpeechEvent::Offset { at }) if begun.take().is_some() => {
                        decisions.push((index, false, at));
                        speaking[((at.0 / 160) as usize).min(index)..=index].fill(false);
                    }
                    _ => {}
                }
            }
        } else {
            for (index, probability) in raw.iter().enumerate() {
                speaking[index] = *probability >= 0.5;
                if speaking[index] != (index > 0 && speaking[index - 1]) {
                    decisions.push((index, speaking[index], SamplePos(index as u64 * 160)));
                }
            }
        }
        counts.spurts += decisions.iter().filter(|decision| decision.1).count() as u32;
        for (from, until) in &self.spans {
            let after = |t: f64, begins: bool, within: f64| {
                let ms = |index: usize| (index as f64 + 1.0) * 20.0;
                decisions
                    .iter()
                    .find(|d| d.1 == begins && ms(d.0) > t * 1e3 - 40.0)
                    .map(|d| ms(d.0) - t * 1e3)
                    .filter(|delay| *delay < within)
            };
            counts.onsets_ms.extend(after(*from, true, 1_000.0));
            counts.offsets_ms.extend(after(*until, false, 1_000.0));
        }
        for (index, &said) in speaking.iter().enumerate() {
            let t = (index as f64 + 0.5) * 0.02;
            let truth = self.spans.iter().any(|(from, until)| t >= *from && t < *until);
            let excused = self.spans.iter().any(|(_, until)| t >= *until && t < until + 0.2);
            match (truth, said) {
                (true, true) => counts.hits += 1,
                (true, false) => counts.misses += 1,
                (false, true) if !excused => counts.alarms += 1,
                _ => {}
            }
            if truth || !excused {
                counts.frames.push((raw[index], truth));
            }
        }
        Ok(())
    }
}
