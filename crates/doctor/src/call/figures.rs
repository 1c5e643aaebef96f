//! What is measured of speech, to tell whether it is played at its own rate.
//!
//! - What: the pitch, where the middle of the spectrum lies, how much the spectrum and its envelope change within 32 and 64 ms, how
//!   fast loudness goes up and down, and by how much.
//! - How: two linear discriminants. The first weighs pitch, middle, change and beat; the second, for voices whose pitch isn't deep
//!   enough for that, how much the spectrum moves for how much the level does. What is no speech is told by what speech never has.
//!   A third weighs pitch and middle with the spacing of the resonances ([`throat`](super::throat)): at 0.73 of its rate a voice would
//!   need a throat that nobody has.
//!   Besides, speech of 4 kHz that was widened well has nothing in the upper half of its band when it is played at half its rate.
//! - Quality, in numpy with the same sums, over 14 wide-band voices of flite and espeak-ng that speak 56 sentences: at twice the rate
//!   56 of 56 are found (42 by the first alone), at 2.75 and three times 56 of 56. Of 94 pieces of 5 s of telephone speech
//!   (LibriSpeech, flite, espeak) at twice their rate, widened by a filter, all (by interpolation: see [`traces`](super::traces)): they have at most −32 dB above 2.25 kHz, speech at its own rate −18 dB and more. At its own rate no speech is taken for wrong: not these, nor 96 of very
//!   slow, fast, deep and high talkers, nor speech in music, babble, street and other noise, nor that noise alone.
//! - Source: measured in November 2026; Fisher 1936.

const FRAME: usize = 256;
const STEP: usize = 128;
const BINS: usize = FRAME / 2 + 1;
/// The spacing of resonances that a voice at half its rate, or less, never has: 20 cm; hertz.
const LONGEST_THROAT: f64 = 440.0;
/// Coefficients of an envelope.
const ENVELOPE: usize = 8;

/// What is measured of speech.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    /// Of the voice, the middle of all; hertz.
    pub(super) pitch: f64,
    /// The middle of the spectrum, the middle of all frames; hertz.
    middle: f64,
    /// How much the spectrum's shape changes within 32 ms.
    change: f64,
    /// The middle of the spectrum of loudness, 0.8 to 16 Hz.
    beat: f64,
    /// The middle half of all pitches lies in so much of the middle one.
    spread: f64,
    /// How much the spectrum's envelope changes within 32 ms, and within 64.
    turn: f64,
    long_turn: f64,
    /// How much the level changes from one 16 ms to the next, the middle and the greatest tenth; decibels.
    step: f64,
    great_step: f64,
    /// The spacing of the voice's resonances; hertz.
    throat: Option<f64>,
    /// How much of a frame lies above 2.25 kHz, of the tenth with most there; decibels.
    high: f64,
}

impl Figures {
    pub(super) fn take(samples: &[f64]) -> Option<Self> {
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
        let mut highs: Vec<f64> =
            powers.iter().zip(&active).filter(|(_, active)| **active).map(|(power, _)| high(power)).collect();
        highs.sort_by(f64::total_cmp);
        let shapes: Vec<Vec<f64>> = powers.iter().map(shape).collect();
        let changes = (2..shapes.len()).filter(|at| active[*at] && active[*at - 2]).map(|at| {
            let pairs = shapes[at].iter().zip(&shapes[at - 2]);
            let apart: f64 = pairs.map(|(one, other)| (one - other).powi(2)).sum();
            (apart / shapes[at].len() as f64).sqrt()
        });
        let envelopes: Vec<[f64; ENVELOPE]> = shapes.iter().map(|shape| envelope(shape)).collect();
        let turn = |lag: usize| {
            let turns = (lag..envelopes.len()).filter(|at| active[*at] && active[*at - lag]).map(|at| {
                let pairs = envelopes[at].iter().zip(&envelopes[at - lag]);
                pairs.map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
            });
            median(turns)
        };
        let levels: Vec<f64> = energy.iter().map(|energy| 10.0 * (energy + loudest * 1e-4).log10()).collect();
        let mut steps: Vec<f64> = (1..levels.len())
            .filter(|at| active[*at])
            .map(|at| (levels[at] - levels[at - 1]).abs())
            .collect();
        steps.sort_by(f64::total_cmp);
        let pitch = part(&pitches, 1, 2)?;
        Some(Self {
            turn: turn(2)?,
            long_turn: turn(4)?,
            step: part(&steps, 1, 2)?,
            great_step: part(&steps, 9, 10)?,
            high: part(&highs, 9, 10)?,
            throat: super::throat::spacing(&samples),
            pitch,
            spread: (part(&pitches, 3, 4)? - part(&pitches, 1, 4)?) / pitch,
            middle: median(middles)?,
            change: median(changes)?,
            beat: beat(&energy, loudest),
        })
    }

    /// Above 0 for speech at its own rate, below for what is slowed down.
    pub(super) fn score(&self) -> f64 {
        1.7586 * self.pitch.ln() + 1.5188 * self.middle.ln() + 12.8879 * self.change + 3.0218 * self.beat.ln()
            - 43.8806
    }

    /// Above 0 for a throat of people's lengths, for how deep and dark the voice is: the fit of 480 pieces of 60 voices at their own rate,
    /// and of 170 at 0.73 of it. `None` where nothing tells, or it is no speech: music, noise and tones keep their envelope for 64 ms.
    pub(super) fn throat_score(&self) -> Option<f64> {
        let moves = self.long_turn > 0.95 && self.great_step > 3.4 && self.beat < 5.0 && self.spread > 0.015;
        let throat = self.throat.filter(|_| moves)?;
        Some(0.0842 * self.pitch.ln() + 3.1816 * self.middle.ln() + 21.3026 * throat.ln() - 149.8733)
    }

    /// The spectrum changes more slowly than a mouth moves, for how fast the level does, and the voice is a deep one. Music and
    /// noise may be as slow, but have other pitches, or beat faster.
    pub(super) fn moves_slowly(&self) -> bool {
        let score = 6.1597 * self.change + 3.894 * self.turn + 2.6034 * self.long_turn - 2.8393 * self.step
            + 0.762 * self.great_step
            - 19.5444;
        score < -0.75
            && self.pitch < 115.0
            && self.middle < 560.0
            && self.beat < 3.6
            && (1.4..1.9).contains(&self.change)
            && (0.04..0.5).contains(&self.spread)
    }

    /// Nothing is above the half of the band, not even in hisses: telephone speech that was widened to 16 kHz has nothing there when it
    /// is played at half its rate. Tones have nothing there either, but keep their pitch and change less.
    pub(super) fn is_half_a_band(&self) -> bool {
        self.high < -27.0
            && (1.0..2.2).contains(&self.change)
            && self.beat < 6.0
            && (0.015..0.7).contains(&self.spread)
            && self.pitch < 250.0
    }

    /// Tones change less and keep their pitch.
    pub(super) fn is_no_tone(&self) -> bool {
        self.change > 0.9 && self.spread > 0.015
    }

    /// Tones change less and keep their pitch, or have none; music and noise are brighter or beat faster. A deep voice from a throat
    /// of usual length is a deep voice.
    pub(super) fn may_be_slow_speech(&self) -> bool {
        (1.2..1.85).contains(&self.change)
            && self.middle < 500.0
            && self.beat < 4.0
            && (0.015..3.5).contains(&self.spread)
            && self.throat.is_none_or(|throat| throat < LONGEST_THROAT)
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

/// The share of a frame's power from 2.25 to 3.7 kHz, in decibels.
fn high(power: &[f64; BINS]) -> f64 {
    let above = power.iter().enumerate().filter(|(bin, _)| (2_250.0..3_700.0).contains(&hertz(*bin)));
    let above: f64 = above.map(|(_, power)| power).sum();
    10.0 * (above / power.iter().sum::<f64>().max(1e-9) + 1e-9).log10()
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

/// A shape's envelope: the slowest parts of its cosine transform.
fn envelope(shape: &[f64]) -> [f64; ENVELOPE] {
    let count = shape.len() as f64;
    std::array::from_fn(|k| {
        let turn = |at: usize| (std::f64::consts::PI * (k + 1) as f64 * (at as f64 + 0.5) / count).cos();
        let sum: f64 = shape.iter().enumerate().map(|(at, log)| log * turn(at)).sum();
        sum * (2.0 / count).sqrt() / 10.0
    })
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
