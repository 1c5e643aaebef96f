//! Traces that plain ways to raise a rate leave behind: samples repeated, or drawn in straight lines between those that were there.
//!
//! - What: how strongly the roughness of the sound (its first and second differences, for its level) goes up and down in step with
//!   the places where there was a sample before, at the steps of all usual rates.
//! - Quality: 18 pieces of 5 s of telephone speech, raised from 8 kHz to 11 025, 12 000, 16 000, 22 050, 24 000, 32 000, 44 100 and
//!   48 000 Hz: 0.13 and more in straight lines, 0.66 and more by repetition; as they were, lowered in straight lines from as many
//!   rates, or raised by a filter, 0.04 at most.
//! - Source: A. C. Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005, for its idea;
//!   measured in November 2026.

/// Above this there are traces.
const LEAST: f64 = 0.11;
/// How often a second of 8 000 samples was made of 11 025 and so on: the steps, in turns a sample.
const STEPS: [f64; 7] =
    [1.0 / 2.0, 1.0 / 3.0, 1.0 - 320.0 / 441.0, 160.0 / 441.0, 1.0 / 4.0, 80.0 / 441.0, 1.0 / 6.0];
/// The level is taken over so many samples: 10 ms.
const AROUND: usize = 81;

/// Whether the rate was raised in a plain way.
pub(super) fn raised(samples: &[f64]) -> bool {
    let levels = levels(samples);
    let loud = levels.iter().copied().fold(0.0, f64::max) * 0.05;
    let rough =
        |difference: f64, level: f64| if level > loud { (difference / (level + 1.0)).min(1.0) } else { 0.0 };
    let lines = samples.windows(3).zip(levels.iter().skip(1));
    let lines: Vec<f64> =
        lines.map(|(of, level)| rough((of[0] - 2.0 * of[1] + of[2]).abs(), *level)).collect();
    let repeated = samples.windows(2).zip(&levels);
    let repeated: Vec<f64> = repeated.map(|(of, level)| rough((of[1] - of[0]).abs(), *level)).collect();
    STEPS.iter().any(|step| in_step(&lines, *step).max(in_step(&repeated, *step)) > LEAST)
}

/// How much of these goes up and down by this step: 0 nothing, 1 all.
fn in_step(values: &[f64], step: f64) -> f64 {
    let all: f64 = values.iter().sum();
    if all <= 0.0 {
        return 0.0;
    }
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, value) in values.iter().enumerate() {
        let (sine, cosine) = (std::f64::consts::TAU * (at as f64 * step).fract()).sin_cos();
        real += value * cosine;
        imaginary += value * sine;
    }
    // Half a turn has no other half.
    let sides = if step == 0.5 { 1.0 } else { 2.0 };
    sides * real.hypot(imaginary) / all
}

/// The mean size of the samples around each.
fn levels(samples: &[f64]) -> Vec<f64> {
    let mut sums = Vec::with_capacity(samples.len() + 1);
    sums.push(0.0);
    let mut sum = 0.0;
    for sample in samples {
        sum += sample.abs();
        sums.push(sum);
    }
    let level = |at: usize| {
        let (from, until) = (at.saturating_sub(AROUND / 2), (at + AROUND / 2 + 1).min(samples.len()));
        (sums[until] - sums[from]) / AROUND as f64
    };
    (0..samples.len()).map(level).collect()
}
