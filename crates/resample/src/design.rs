//! The filters: one table per ratio, designed at first use, shared by all calls.

use std::f64::consts::PI;
use std::sync::OnceLock;

use offhook_audio::SampleRate;

/// Kaiser's β: stop-band a little over 65 dB.
const BETA: f64 = 6.5;
/// How long the filter is, in samples at 8 kHz: sets the width of its slope, and the delay of half of it.
const SPAN_8K: f64 = 44.0;
/// −6 dB point; the pass-band ends at 3 400 Hz, images start at 4 600 Hz.
const CUT_HZ: f64 = 3_960.0;

/// A polyphase low-pass for the ratio `up / down`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) up: usize,
    pub(crate) down: usize,
    /// Inputs that an output depends on.
    pub(crate) taps: usize,
    /// `up` phases of `taps` coefficients in Q14, oldest input first.
    coefficients: Vec<i16>,
}

const Q: u32 = 14;

impl Table {
    fn new(up: usize, down: usize, from_hz: f64) -> Self {
        // Half the span on each side, in input samples.
        let span = SPAN_8K * from_hz.max(8_000.0) / 8_000.0;
        // A multiple of eight inputs, so that the vector unit has no remainder.
        let taps = (span / 8.0).round() as usize * 8;
        let length = taps * up;
        let middle = (length - 1) as f64 / 2.0;
        let cut = CUT_HZ / (from_hz * up as f64);
        let prototype: Vec<f64> = (0..length)
            .map(|n| {
                let t = n as f64 - middle;
                let sinc = if t == 0.0 { 2.0 * cut } else { (2.0 * PI * cut * t).sin() / (PI * t) };
                let x = t / (length as f64 / 2.0);
                sinc * bessel_i0(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel_i0(BETA)
            })
            .collect();
        let mut coefficients = Vec::with_capacity(length);
        for phase in 0..up {
            // Oldest input first: the prototype runs backwards.
            let row: Vec<f64> = (0..taps).rev().map(|tap| prototype[phase + tap * up]).collect();
            let gain: f64 = row.iter().sum();
            let mut rounded: Vec<i16> =
                row.iter().map(|c| (c / gain * f64::from(1 << Q)).round() as i16).collect();
            // Rounding must not change the gain at DC: the largest coefficient takes the difference.
            let error = (1 << Q) - rounded.iter().map(|&c| i32::from(c)).sum::<i32>();
            if let Some(largest) = rounded.iter_mut().max_by_key(|c| c.abs()) {
                *largest += error as i16;
            }
            coefficients.extend(rounded);
        }
        Self { up, down, taps, coefficients }
    }

    /// One output sample from the newest `taps` inputs.
    pub(crate) fn output(&self, phase: usize, window: &[i16]) -> i16 {
        let row = self.coefficients.get(phase * self.taps..(phase + 1) * self.taps).unwrap_or(&[]);
        let sum: i32 = row.iter().zip(window).map(|(&c, &x)| i32::from(c) * i32::from(x)).sum();
        ((sum + (1 << (Q - 1))) >> Q).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
    }
}

/// Modified Bessel function of the first kind, order zero, by its series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..40 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

/// The table for a pair of rates, if there is one.
pub(crate) fn table(from: SampleRate, to: SampleRate) -> Option<&'static Table> {
    static TABLES: [OnceLock<Table>; 10] = [const { OnceLock::new() }; 10];
    // Rate, and the ratio to 8 kHz in lowest terms.
    const RATES: [(u32, usize, usize); 5] =
        [(16_000, 2, 1), (22_050, 441, 160), (24_000, 3, 1), (44_100, 441, 80), (48_000, 6, 1)];
    let (index, &(_, high, low)) =
        RATES.iter().enumerate().find(|(_, (hz, ..))| from.hz().max(to.hz()) == *hz)?;
    match (from.hz(), to.hz()) {
        (8_000, _) => Some(TABLES.get(index)?.get_or_init(|| Table::new(high, low, 8_000.0))),
        (hz, 8_000) => Some(TABLES.get(index + 5)?.get_or_init(|| Table::new(low, high, f64::from(hz)))),
        _ => None,
    }
}
