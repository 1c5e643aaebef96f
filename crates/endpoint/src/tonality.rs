//! Tones are not speech: ringback, dial and busy tones, keypad tones, beeps, hum.
//!
//! How: one or two steady sines are foretold exactly by a linear predictor of order four; speech is not. The predictor
//! takes every third sample: neighbouring ones are so alike that the codec's noise would drown what tells low tones
//! apart. A frame is tonal when the predictor leaves less than 0.8 % of its energy.

use offhook_audio::{FRAME_SAMPLES, PcmFrame};

const ORDER: usize = 4;
/// Samples between a predictor's taps.
const STRIDE: usize = 3;
const UNFORETOLD: f64 = 0.008;

/// Tells frames of steady tones, with a little memory so that a tone's start and end count too.
#[derive(Clone, Debug, Default)]
pub struct ToneGuard {
    run: u32,
    linger: u32,
}

impl ToneGuard {
    /// Whether the frame belongs to a tone.
    pub fn push(&mut self, frame: &PcmFrame) -> bool {
        if is_tonal(frame) {
            self.run += 1;
            if self.run >= 2 {
                self.linger = 2;
            }
        } else {
            self.run = 0;
            self.linger = self.linger.saturating_sub(1);
        }
        self.run > 0 || self.linger > 0
    }
}

fn is_tonal(frame: &PcmFrame) -> bool {
    let energy = product(&frame.0, &frame.0) as f64;
    // Under −60 dBov it doesn't matter, and the codec's steps look like anything.
    energy >= 160.0 * 1_000.0 && unforetold(&frame.0) < UNFORETOLD * energy
}

fn product(a: &[i16], b: &[i16]) -> i64 {
    a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b))).sum()
}

/// Energy left by the best predictor of order four, by the covariance method: no window, so that a steady sine leaves
/// nothing. The normal equations are small enough for plain elimination.
fn unforetold(x: &[i16; FRAME_SAMPLES]) -> f64 {
    const TERMS: usize = FRAME_SAMPLES - ORDER * STRIDE;
    // Row and column n belong to the samples that lie n strides before the foretold one. The last row is summed up; a cell's
    // upper left neighbour has the same products, but for a stride at either end.
    let mut matrix = [[0f64; ORDER + 1]; ORDER + 1];
    for column in 0..=ORDER {
        let delay = (ORDER - column) * STRIDE;
        let mut sum = product(&x[..TERMS], &x[delay..delay + TERMS]);
        let (mut row, mut column) = (ORDER, column);
        loop {
            matrix[row][column] = sum as f64;
            matrix[column][row] = sum as f64;
            if row == 0 || column == 0 {
                break;
            }
            let (a, b) = ((ORDER - row) * STRIDE, (ORDER - column) * STRIDE);
            sum += product(&x[a + TERMS..][..STRIDE], &x[b + TERMS..][..STRIDE]);
            sum -= product(&x[a..][..STRIDE], &x[b..][..STRIDE]);
            (row, column) = (row - 1, column - 1);
        }
    }
    // Eliminate the predictors (rows 1..): what stays of the target's energy (cell 0, 0) is the residual.
    for pivot in (1..=ORDER).rev() {
        let p = matrix[pivot][pivot];
        if p <= 1.0 {
            continue;
        }
        for row in 0..pivot {
            let factor = matrix[row][pivot] / p;
            let below = matrix[pivot];
            for (cell, below) in matrix[row].iter_mut().zip(below) {
                *cell -= factor * below;
            }
        }
    }
    matrix[0][0].max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tones(hz: &[f64], start: usize) -> PcmFrame {
        let mut frame = PcmFrame::SILENCE;
        for (n, sample) in frame.0.iter_mut().enumerate() {
            let t = (start + n) as f64 / 8_000.0;
            *sample =
                hz.iter().map(|hz| 4_000.0 * (std::f64::consts::TAU * hz * t).sin()).sum::<f64>() as i16;
        }
        frame.encode().decode()
    }

    #[test]
    fn one_or_two_sines_are_tones() {
        for hz in [&[440.0, 480.0][..], &[350.0, 440.0], &[697.0, 1_209.0], &[1_000.0], &[425.0]] {
            let mut guard = ToneGuard::default();
            let verdicts: Vec<bool> = (0..10).map(|n| guard.push(&tones(hz, n * 160))).collect();
            assert!(verdicts.iter().all(|&tone| tone), "{hz:?} {verdicts:?}");
        }
    }

    #[test]
    fn a_voice_with_harmonics_is_no_tone() {
        let mut guard = ToneGuard::default();
        let harmonics: Vec<f64> = (2..20).map(|k| 130.0 * f64::from(k)).collect();
        for n in 0..10 {
            let mut frame = PcmFrame::SILENCE;
            for (k, hz) in harmonics.iter().enumerate() {
                for (i, sample) in frame.0.iter_mut().enumerate() {
                    let t = (n * 160 + i) as f64 / 8_000.0;
                    *sample +=
                        (2_000.0 / (1.0 + k as f64 / 3.0) * (std::f64::consts::TAU * hz * t).sin()) as i16;
                }
            }
            assert!(!guard.push(&frame));
        }
    }
}
