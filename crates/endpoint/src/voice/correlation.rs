//! The autocorrelation that belongs to a spectrum, at the lags of voices.
//!
//! How: a cosine transform, by its definition: of 256 points only the lower half of the bins and a fifth of the lags are wanted. A
//! cosine at an even lag is the same on either side of the middle bin, at an odd lag the opposite, so the spectrum is folded
//! there, once for each.

use super::math::cos_turns;

/// Bins of the spectrum, from 0 to 2 000 Hz; what is above counts as silent.
pub(crate) const BINS: usize = 128;
/// Steps in a turn at lag 1.
const POINTS: usize = 2 * BINS;
const MIDDLE: usize = BINS / 2;
/// The least lag, and the one after the greatest.
const LAGS: (usize, usize) = (10, 59);
const EVEN: usize = (LAGS.1 - LAGS.0).div_ceil(2);
const ODD: usize = (LAGS.1 - LAGS.0) / 2;

/// cos(2πkm/256) for bin k up to the middle, and every second lag m.
const fn cosines<const COUNT: usize>(first: usize) -> [[f32; COUNT]; MIDDLE + 1] {
    let mut table = [[0.0; COUNT]; MIDDLE + 1];
    let mut k = 0;
    while k <= MIDDLE {
        let mut n = 0;
        while n < COUNT {
            table[k][n] = cos_turns((k * (first + 2 * n) % POINTS) as f64 / POINTS as f64) as f32;
            n += 1;
        }
        k += 1;
    }
    table
}

static AT_EVEN: [[f32; EVEN]; MIDDLE + 1] = cosines(LAGS.0);
static AT_ODD: [[f32; ODD]; MIDDLE + 1] = cosines(LAGS.0 + 1);

/// The sum of all magnitudes, which is the correlation at lag 0, and the correlations by their lags; those outside the lags of
/// voices are 0. All are halved. Bin 0 must be 0.
#[inline(always)]
pub(crate) fn correlate(magnitudes: &[f32; BINS]) -> (f32, [f32; LAGS.1]) {
    let (mut whole, mut even, mut odd) = (magnitudes[MIDDLE], [0.0; EVEN], [0.0; ODD]);
    for (even, cosine) in even.iter_mut().zip(&AT_EVEN[MIDDLE]) {
        *even = magnitudes[MIDDLE] * cosine;
    }
    for k in 1..MIDDLE {
        let (low, high) = (magnitudes[k], magnitudes[BINS - k]);
        let (sum, difference) = (low + high, low - high);
        whole += sum;
        for (even, cosine) in even.iter_mut().zip(&AT_EVEN[k]) {
            *even += sum * cosine;
        }
        for (odd, cosine) in odd.iter_mut().zip(&AT_ODD[k]) {
            *odd += difference * cosine;
        }
    }
    let mut correlation = [0.0; LAGS.1];
    for (n, even) in even.into_iter().enumerate() {
        correlation[LAGS.0 + 2 * n] = even;
    }
    for (n, odd) in odd.into_iter().enumerate() {
        correlation[LAGS.0 + 2 * n + 1] = odd;
    }
    (whole, correlation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let mut magnitudes = [0.0; BINS];
        for (k, magnitude) in magnitudes.iter_mut().enumerate().skip(1) {
            *magnitude = ((k * k * 7 + k * 3) % 101) as f32;
        }
        let at = |lag: usize| -> f64 {
            let turns = |k: usize| (k * lag) as f64 / POINTS as f64;
            let terms = magnitudes.iter().enumerate();
            terms.map(|(k, &value)| f64::from(value) * (std::f64::consts::TAU * turns(k)).cos()).sum()
        };
        let (whole, correlation) = correlate(&magnitudes);
        assert!((f64::from(whole) - at(0)).abs() < 0.01);
        for (lag, ours) in correlation.iter().enumerate().skip(LAGS.0) {
            let (ours, truth) = (f64::from(*ours), at(lag));
            assert!((ours - truth).abs() < 0.01, "lag {lag}: {ours} {truth}");
        }
    }
}
