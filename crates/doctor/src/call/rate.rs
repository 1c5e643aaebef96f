//! Sound at a wrong rate: speech for 16 or 24 kHz that was encoded as μ-law without being converted to 8 kHz. It plays at half or
//! a third of its pace, an octave or more too deep.
//!
//! Nothing in the octets tells so; what a voice can't do does. Four figures are taken: the pitch, where the middle of the
//! spectrum lies, how much the spectrum changes within 32 ms, and how fast loudness goes up and down. A linear discriminant
//! weighs them; its weights come from 218 pieces of speech of 4 to 10 s (six voices of flite and espeak, readers of LibriSpeech),
//! as they are and at twice and three times their rate. As they are, none has less than -0.6; at twice the rate 90 of 100, at
//! three times all, have less than -2. Tones, hums and music are told by what speech never has.

use crate::causes::{self, Cause};

/// Octets that suffice: 10 s.
const MOST_JUDGED: usize = 80_000;
/// Fewer aren't judged: 3 s.
pub(crate) const LEAST_JUDGED: usize = 24_000;
/// Below this it is the wrong rate, whatever else.
const SURE: f64 = -1.5;
/// Below this it is, when the octets come at a wrong pace, too.
const WITH_PACE: f64 = -0.7;

const FRAME: usize = 256;
const STEP: usize = 128;
const BINS: usize = FRAME / 2 + 1;

/// What is sent, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    /// Milliseconds of the call, octets.
    messages: Vec<(u64, usize)>,
}

impl Pace {
    pub(crate) fn note(&mut self, now_ms: u64, octets: usize) {
        if self.messages.len() < 1_000 {
            self.messages.push((now_ms, octets));
        }
    }

    /// How much faster than it is played the sound comes, if it comes steadily for a while: 1 as it is played.
    fn steady(&self) -> Option<f64> {
        const WINDOW_MS: u64 = 500;
        let mut best: &[(u64, usize)] = &[];
        for run in self.messages.chunk_by(|one, next| next.0 - one.0 <= 200) {
            let length = |run: &[(u64, usize)]| Some(run.last()?.0 - run.first()?.0);
            if length(run) > length(best) {
                best = run;
            }
        }
        let (first, last) = (best.first()?.0, best.last()?.0);
        let windows = (last - first) / WINDOW_MS;
        if windows < 3 {
            return None;
        }
        let rate = |window: u64| {
            let from = first + window * WINDOW_MS;
            let inside = best.iter().filter(|(at, _)| (from..from + WINDOW_MS).contains(at));
            inside.map(|(_, octets)| *octets).sum::<usize>() as f64 / (8 * WINDOW_MS) as f64
        };
        let rates: Vec<f64> = (0..windows).map(rate).collect();
        let mean = rates.iter().sum::<f64>() / rates.len() as f64;
        rates.iter().all(|rate| (rate / mean - 1.0).abs() < 0.15).then_some(mean)
    }

    /// The usual rate at which the sound was made, if it comes at that rate's pace.
    fn made_at(&self) -> Option<u32> {
        let pace = self.steady()?;
        [16_000, 22_050, 24_000, 44_100, 48_000]
            .into_iter()
            .find(|rate| (pace * 8_000.0 / f64::from(*rate) - 1.0).abs() < 0.06)
    }
}

/// Judges μ-law as it came.
pub(crate) fn judge(octets: &[u8], pace: &Pace) -> Option<(&'static Cause, String)> {
    if octets.len() < LEAST_JUDGED {
        return None;
    }
    let mut samples = vec![0; octets.len().min(MOST_JUDGED)];
    offhook_mulaw::decode_slice(octets.get(..samples.len())?, &mut samples);
    let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
    let figures = Figures::take(&samples).filter(Figures::may_be_slow_speech)?;
    let made_at = pace.made_at();
    if figures.score() >= if made_at.is_some() { WITH_PACE } else { SURE } {
        return None;
    }
    let heard =
        format!("the voice is too slow and too deep to be one (its pitch is {:.0} Hz)", figures.pitch);
    let what = match made_at {
        Some(rate) => {
            format!(
                "{heard}, and {rate} octets come a second: the sound was made for {rate} Hz, and is played at 8000"
            )
        }
        None => format!("{heard}: the sound was made for 16 kHz or more, and is played at 8 kHz"),
    };
    Some((&causes::WRONG_RATE, what))
}

/// What is measured of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Figures {
    /// Of the voice, the middle of all; hertz.
    pitch: f64,
    /// The middle of the spectrum, the middle of all frames; hertz.
    middle: f64,
    /// How much the spectrum's shape changes within 32 ms.
    change: f64,
    /// The middle of the spectrum of loudness, 0.8 to 16 Hz.
    beat: f64,
    /// The middle half of all pitches lies in so much of the middle one.
    spread: f64,
}

impl Figures {
    fn take(samples: &[f64]) -> Option<Self> {
        let samples = level(samples)?;
        let table = Table::new();
        let frames: Vec<[f64; FRAME]> =
            samples.windows(FRAME).step_by(STEP).map(|f| table.window(f)).collect();
        let energy: Vec<f64> =
            frames.iter().map(|frame| frame.iter().map(|x| x * x).sum::<f64>() / FRAME as f64).collect();
        let loudest = energy.iter().copied().fold(0.0, f64::max);
        let active: Vec<bool> = energy.iter().map(|energy| *energy > loudest * 1e-3).collect();
        let powers: Vec<[f64; BINS]> = frames.iter().map(|frame| table.power(frame)).collect();
        let mut pitches = pitches(&samples);
        pitches.sort_by(f64::total_cmp);
        if pitches.len() < 20 || active.iter().filter(|active| **active).count() < 100 {
            return None;
        }
        let middles = powers.iter().zip(&active).filter(|(_, active)| **active).map(|(power, _)| {
            let weighed: f64 = power.iter().enumerate().map(|(bin, power)| hertz(bin) * power).sum();
            weighed / power.iter().sum::<f64>()
        });
        let shapes: Vec<Vec<f64>> = powers.iter().map(shape).collect();
        let changes = (2..shapes.len()).filter(|at| active[*at] && active[*at - 2]).map(|at| {
            let pairs = shapes[at].iter().zip(&shapes[at - 2]);
            let apart: f64 = pairs.map(|(one, other)| (one - other).powi(2)).sum();
            (apart / shapes[at].len() as f64).sqrt()
        });
        let pitch = part(&pitches, 1, 2)?;
        Some(Self {
            pitch,
            spread: (part(&pitches, 3, 4)? - part(&pitches, 1, 4)?) / pitch,
            middle: median(middles)?,
            change: median(changes)?,
            beat: beat(&energy, loudest),
        })
    }

    /// Above 0 for speech at its own rate, below for what is slowed down.
    fn score(&self) -> f64 {
        1.7586 * self.pitch.ln() + 1.5188 * self.middle.ln() + 12.8879 * self.change + 3.0218 * self.beat.ln()
            - 43.8806
    }

    /// Tones change less and keep their pitch, music and noise are brighter or beat faster.
    fn may_be_slow_speech(&self) -> bool {
        (1.2..1.85).contains(&self.change) && self.middle < 500.0 && self.beat < 4.0 && self.spread > 0.015
    }
}

/// The samples at one level, whatever the voice's.
fn level(samples: &[f64]) -> Option<Vec<f64>> {
    let energy: Vec<f64> = samples
        .windows(FRAME)
        .step_by(STEP)
        .map(|frame| frame.iter().map(|x| x * x).sum::<f64>() / FRAME as f64)
        .collect();
    let loudest = energy.iter().copied().fold(0.0, f64::max);
    let loud: Vec<f64> = energy.into_iter().filter(|energy| *energy > loudest * 1e-2).collect();
    let mean = loud.iter().sum::<f64>() / loud.len() as f64;
    (mean > 100.0).then(|| samples.iter().map(|x| x * 3_000.0 / mean.sqrt()).collect())
}

fn hertz(bin: usize) -> f64 {
    bin as f64 * 8_000.0 / FRAME as f64
}

/// The spectrum's shape between 100 and 3800 Hz, whatever its level.
fn shape(power: &[f64; BINS]) -> Vec<f64> {
    let logs = power.iter().enumerate().filter(|(bin, _)| (100.0..3_800.0).contains(&hertz(*bin)));
    let logs: Vec<f64> = logs.map(|(_, power)| (power + 1e3).ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    logs.into_iter().map(|log| log - mean).collect()
}

/// The middle of the spectrum of loudness.
fn beat(energy: &[f64], loudest: f64) -> f64 {
    let logs: Vec<f64> = energy.iter().map(|energy| (energy + loudest * 1e-4).ln()).collect();
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    let (mut weighed, mut whole) = (0.0, 0.0);
    for tenth in 8..161 {
        let turn = std::f64::consts::TAU * f64::from(tenth) / 10.0 * STEP as f64 / 8_000.0;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (at, log) in logs.iter().enumerate() {
            let value = (log - mean) * hann(at, logs.len());
            let (sine, cosine) = (turn * at as f64).sin_cos();
            real += value * cosine;
            imaginary += value * sine;
        }
        let power = real * real + imaginary * imaginary;
        weighed += f64::from(tenth) / 10.0 * power;
        whole += power;
    }
    weighed / whole
}

/// The voice's pitch each 30 ms, where there is one.
fn pitches(samples: &[f64]) -> Vec<f64> {
    const LONG: usize = 800;
    const SHORTEST: usize = 20;
    const LONGEST: usize = 320;
    let window: Vec<f64> = (0..LONG).map(|at| hann(at, LONG)).collect();
    let along = |frame: &[f64], by: usize| -> f64 {
        frame.iter().zip(frame.iter().skip(by)).map(|(one, other)| one * other).sum()
    };
    let bare: Vec<f64> = (0..LONGEST).map(|by| along(&window, by)).collect();
    let mut found = Vec::new();
    for frame in samples.windows(LONG).step_by(240) {
        let mean = frame.iter().sum::<f64>() / LONG as f64;
        let energy = frame.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / LONG as f64;
        if energy.sqrt() < 300.0 {
            continue;
        }
        let frame: Vec<f64> = frame.iter().zip(&window).map(|(x, window)| (x - mean) * window).collect();
        let whole = along(&frame, 0);
        let alike: Vec<f64> =
            (SHORTEST..LONGEST).map(|by| along(&frame, by) / whole / (bare[by] / bare[0] + 1e-9)).collect();
        let best = alike.iter().copied().fold(f64::MIN, f64::max);
        // The shortest period that is nearly as good: the best may be several of them.
        let first = (1..alike.len() - 1).find(|at| {
            alike[*at] > 0.85 * best && alike[*at] >= alike[at - 1] && alike[*at] >= alike[at + 1]
        });
        let at = first.or_else(|| alike.iter().position(|alike| *alike >= best));
        if let Some(at) = at.filter(|at| alike[*at] > 0.5) {
            found.push(8_000.0 / (SHORTEST + at) as f64);
        }
    }
    found
}

fn hann(at: usize, length: usize) -> f64 {
    0.5 - 0.5 * (std::f64::consts::TAU * at as f64 / (length - 1) as f64).cos()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    part(&values, 1, 2)
}

/// The value with so great a part of the others below it.
fn part(sorted: &[f64], of: usize, parts: usize) -> Option<f64> {
    sorted.get(sorted.len() * of / parts).copied()
}

/// Sines for the frames' spectra.
struct Table {
    window: Vec<f64>,
    sines: Vec<(f64, f64)>,
}

impl Table {
    fn new() -> Self {
        let turn = |at: usize| std::f64::consts::TAU * at as f64 / FRAME as f64;
        Self {
            window: (0..FRAME).map(|at| hann(at, FRAME)).collect(),
            sines: (0..FRAME).map(|at| turn(at).sin_cos()).collect(),
        }
    }

    fn window(&self, samples: &[f64]) -> [f64; FRAME] {
        let mut frame = [0.0; FRAME];
        for ((to, from), window) in frame.iter_mut().zip(samples).zip(&self.window) {
            *to = from * window;
        }
        frame
    }

    fn power(&self, frame: &[f64; FRAME]) -> [f64; BINS] {
        let mut power = [0.0; BINS];
        for (bin, power) in power.iter_mut().enumerate() {
            let (mut real, mut imaginary) = (0.0, 0.0);
            for (at, x) in frame.iter().enumerate() {
                let (sine, cosine) = self.sines[bin * at % FRAME];
                real += x * cosine;
                imaginary += x * sine;
            }
            *power = real * real + imaginary * imaginary;
        }
        power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
        std::fs::read(path).unwrap().split_off(58)
    }

    /// Speech of several lines, its rate multiplied by `times` in the plainest way there is.
    fn speech(names: &[&str], times: usize) -> Vec<u8> {
        let octets: Vec<u8> = names.iter().flat_map(|name| fixture(name)).collect();
        let mut samples = vec![0_i16; octets.len()];
        offhook_mulaw::decode_slice(&octets, &mut samples);
        let between = |pair: &[i16]| {
            let (one, next) = (f64::from(pair[0]), f64::from(pair[1]));
            (0..times)
                .map(move |part| (one + (next - one) * part as f64 / times as f64) as i16)
                .collect::<Vec<_>>()
        };
        let more: Vec<i16> = samples.windows(2).flat_map(between).collect();
        let mut octets = vec![0; more.len()];
        offhook_mulaw::encode_slice(&more, &mut octets);
        octets
    }

    const LINES: [&[&str]; 4] =
        [&["pizza-1", "pizza-2"], &["pizza-4", "pizza-5"], &["booking-1", "booking-2"], &["loud", "pizza-6"]];

    #[test]
    fn speech_at_its_own_rate_is_left_alone() {
        for names in LINES {
            let octets = speech(names, 1);
            assert_eq!(judge(&octets.repeat(2), &Pace::default()), None, "{names:?}");
        }
        for name in ["hum", "ringback", "keys-in-band", "clicks", "noisy", "quiet", "loud"] {
            assert_eq!(judge(&fixture(name).repeat(2), &Pace::default()), None, "{name}");
        }
    }

    #[test]
    fn speech_at_other_rates_is_known() {
        for names in LINES {
            for times in [2, 3] {
                let found = judge(&speech(names, times), &Pace::default()).map(|(cause, _)| cause.id);
                assert_eq!(found, Some("wrong-rate"), "{names:?} {times}");
            }
        }
    }

    #[test]
    fn a_steady_pace_tells_the_rate() {
        let paced = |octets: usize, every: u64| {
            let mut pace = Pace::default();
            (0..200).for_each(|n| pace.note(n * every, octets));
            pace
        };
        assert_eq!(paced(160, 20).made_at(), None);
        assert_eq!(paced(320, 20).made_at(), Some(16_000));
        assert_eq!(paced(960, 40).made_at(), Some(24_000));
        assert_eq!(paced(8_000, 20).made_at(), None);
        let mut bursts = Pace::default();
        (0..100).for_each(|n| bursts.note(n * 100, if n % 10 < 2 { 8_000 } else { 0 }));
        assert_eq!(bursts.made_at(), None);
        let (_, what) = judge(&speech(LINES[0], 3), &paced(480, 20)).unwrap();
        assert!(what.contains("24000 octets come a second"), "{what}");
    }

    /// Speech of 4 s and more of real and synthetic callers, where the shared recordings are at hand.
    fn shared() -> Vec<(String, Vec<u8>)> {
        let up = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let Some(shared) = up.map(|up| up.join("shared")).find(|folder| folder.join("audio/vad").is_dir())
        else {
            return Vec::new();
        };
        let mut pieces = Vec::new();
        let read = |folder: &str, keep: fn(&str) -> bool| {
            let mut paths: Vec<_> =
                std::fs::read_dir(shared.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
            paths.retain(|path| path.extension().is_some_and(|kind| kind == "wav"));
            paths.sort();
            let name = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
            let files = paths.iter().map(|path| (name(path), std::fs::read(path).unwrap()));
            files
                .filter(|(name, _)| keep(name))
                .map(|(name, file)| (name, file[58.min(file.len())..].to_vec()))
                .collect::<Vec<_>>()
        };
        for (name, octets) in read("audio/vad", |name| name.starts_with("clean")) {
            pieces.extend(
                octets
                    .chunks(40_000)
                    .filter(|piece| piece.len() == 40_000)
                    .map(|piece| (name.clone(), piece.to_vec())),
            );
        }
        // Phrases of one voice, one after the other.
        let mut voices: std::collections::BTreeMap<String, Vec<u8>> = std::collections::BTreeMap::new();
        for (name, octets) in read("audio-synth/phrases", |_| true) {
            voices.entry(name.rsplit('-').next().unwrap().to_owned()).or_default().extend(octets);
        }
        for (name, octets) in voices {
            pieces.extend(
                octets
                    .chunks(40_000)
                    .filter(|piece| piece.len() == 40_000)
                    .map(|piece| (name.clone(), piece.to_vec())),
            );
        }
        pieces
    }

    #[test]
    fn callers_are_told_from_the_same_at_double_rate() {
        let pieces = shared();
        let (mut false_alarms, mut found, mut all) = (Vec::new(), 0, 0);
        // Every third is enough, and takes ten seconds.
        for (name, piece) in pieces.iter().step_by(3) {
            let at_once = Pace::default();
            if judge(piece, &at_once).is_some() {
                false_alarms.push(name.clone());
            }
            let mut samples = vec![0_i16; piece.len()];
            offhook_mulaw::decode_slice(piece, &mut samples);
            let double: Vec<i16> =
                samples.windows(2).flat_map(|two| [two[0], i16::midpoint(two[0], two[1])]).collect();
            let mut octets = vec![0; double.len()];
            offhook_mulaw::encode_slice(&double, &mut octets);
            let score = |octets: &[u8]| {
                let mut samples = vec![0_i16; octets.len()];
                offhook_mulaw::decode_slice(octets, &mut samples);
                let samples: Vec<f64> = samples.into_iter().map(f64::from).collect();
                Figures::take(&samples)
                    .map(|figures| (figures.score(), figures.may_be_slow_speech(), figures))
            };
            all += 1;
            let is = judge(&octets, &at_once).is_some();
            found += usize::from(is);
            if std::env::var_os("FIGURES").is_some() {
                eprintln!("F {name} own {:?}", score(piece));
                eprintln!("F {name} double {is} {:?}", score(&octets));
            }
        }
        eprintln!("double rate: {found} of {all}, false alarms: {false_alarms:?}");
        assert!(false_alarms.is_empty(), "{false_alarms:?}");
        assert!(found * 100 >= all * 85, "{found} of {all}");
    }
}
