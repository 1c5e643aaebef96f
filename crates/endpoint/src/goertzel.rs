//! The strength and phase of chosen frequencies in a stretch of sound.
//!
//! How: Goertzel's recursion (G. Goertzel, 1958), for all frequencies of a bank side by side, so that the processor's
//! vector unit takes several at once. The constants are made at compile time, from additions and multiplications alone:
//! the same sound gives the same numbers on every machine.

use crate::voice::math::cos_turns;

/// Real and imaginary part.
pub(crate) type Phasor = (f64, f64);

/// Frequencies to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bank<const N: usize> {
    /// cos and sin of each one's advance over a sample.
    cos: [f64; N],
    sin: [f64; N],
}

impl<const N: usize> Bank<N> {
    /// A bank for these frequencies, in Hz, at 8 kHz.
    pub(crate) const fn new(hz: [f64; N]) -> Self {
        let mut bank = Self { cos: [0.0; N], sin: [0.0; N] };
        let mut n = 0;
        while n < N {
            let (cos, sin) = unit(hz[n] / 8_000.0);
            bank.cos[n] = cos;
            bank.sin[n] = sin;
            n += 1;
        }
        bank
    }

    /// Each frequency's phasor, `Σ x[n]·e^(jω(N−1−n))`: its phase is the one at the last sample.
    pub(crate) fn look(&self, sound: &[f64]) -> [Phasor; N] {
        let (mut s1, mut s2) = ([0.0; N], [0.0; N]);
        for &sample in sound {
            for n in 0..N {
                let s0 = sample + 2.0 * self.cos[n] * s1[n] - s2[n];
                s2[n] = s1[n];
                s1[n] = s0;
            }
        }
        std::array::from_fn(|n| (s1[n] - self.cos[n] * s2[n], self.sin[n] * s2[n]))
    }
}

/// cos and sin of some turns, not negative; for constants.
pub(crate) const fn unit(turns: f64) -> (f64, f64) {
    let turns = turns - turns as u64 as f64;
    (cos_turns(turns), cos_turns(if turns < 0.25 { turns + 0.75 } else { turns - 0.25 }))
}

/// The angle of a point in whole turns, −½ to ½, within 10⁻⁴ of a turn (Abramowitz & Stegun 4.4.49). 0 at the origin.
#[must_use]
pub(crate) fn atan2_turns(y: f64, x: f64) -> f64 {
    let (ax, ay) = (x.abs(), y.abs());
    let most = if ax > ay { ax } else { ay };
    if most == 0.0 {
        return 0.0;
    }
    let least = if ax > ay { ay } else { ax };
    let z = least / most;
    let zz = z * z;
    let atan = z * (0.999_866 - zz * (0.330_299_5 - zz * (0.180_141 - zz * (0.085_133 - zz * 0.020_835_1))));
    let eighth = atan / std::f64::consts::TAU;
    let quarter = if ay > ax { 0.25 - eighth } else { eighth };
    let half = if x < 0.0 { 0.5 - quarter } else { quarter };
    if y < 0.0 { -half } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_exact_and_angles_close() {
        for n in 0..4_000 {
            let turns = f64::from(n) / 400.0;
            let (sine, cosine) = (std::f64::consts::TAU * turns).sin_cos();
            let (cos, sin) = unit(turns);
            assert!((cos - cosine).abs() < 1e-12 && (sin - sine).abs() < 1e-12, "{turns}");
            let angle = (f64::from(n) - 2_000.0) / 4_001.0;
            let (sine, cosine) = (std::f64::consts::TAU * angle).sin_cos();
            assert!((atan2_turns(3.0 * sine, 3.0 * cosine) - angle).abs() < 1e-4, "atan2 {angle}");
        }
    }

    #[test]
    fn agrees_with_the_definition() {
        let sound: Vec<f64> = (0..160).map(|n| f64::from((n * 7_919) % 2_001 - 1_000)).collect();
        let hz = [350.0, 941.0, 2_750.0];
        for (hz, (re, im)) in hz.iter().zip(Bank::new(hz).look(&sound)) {
            let (mut want_re, mut want_im) = (0.0, 0.0);
            for (n, x) in sound.iter().enumerate() {
                let angle = std::f64::consts::TAU * hz / 8_000.0 * (159 - n) as f64;
                want_re += x * angle.cos();
                want_im += x * angle.sin();
            }
            assert!(
                (re - want_re).abs() < 1e-4 && (im - want_im).abs() < 1e-4,
                "{hz}: {re} {want_re} {im} {want_im}"
            );
        }
    }
}
