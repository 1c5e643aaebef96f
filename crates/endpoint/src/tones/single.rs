//! One steady tone, from 350 to 2 500 Hz: beeps, and the special information tone.
//!
//! How: of a sine, each sample's two neighbours add up to 2·cos ω times it, and so do the products of samples k apart. From those
//! of lags 1 to 7 cos ω comes by least squares; noise, which is alike only with itself, spoils lag 0 alone, and that one
//! tells how much of the sound is the tone. Two tones less than 150 Hz apart may look like one within a frame; their level beats.

use offhook_audio::{FRAME_SAMPLES, PcmFrame};

use crate::goertzel::atan2_turns;

const LAGS: usize = 9;
/// Least mean square: −45 dBov.
const STILL: f32 = 33_954.0;
/// Share of the frame's energy that the tone must have: noise may be 6 dB under it.
const PURITY: f32 = 0.8;
/// Share of the lags' squares that may be left over.
const UNLIKE: f32 = 0.012;

/// A frame that is one tone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Single {
    pub(super) hz: f32,
}

/// A frame's mean square.
pub(super) fn power(frame: &PcmFrame) -> f32 {
    let sum: i64 = frame.0.iter().map(|&x| i64::from(x) * i64::from(x)).sum();
    sum as f32 / FRAME_SAMPLES as f32
}

/// The tone that the frame is, if it is one; `power` is the frame's.
pub(super) fn single(frame: &PcmFrame, power: f32) -> Option<Single> {
    if power < STILL {
        return None;
    }
    let mut x = [0.0f32; FRAME_SAMPLES];
    for (to, &sample) in x.iter_mut().zip(&frame.0) {
        *to = f32::from(sample);
    }
    // Products over the same samples at every lag: then the sine's identity holds exactly.
    let mut r = [0.0f32; LAGS];
    for (lag, r) in r.iter_mut().enumerate() {
        *r = product(&x[LAGS - 1..], &x[LAGS - 1 - lag..]);
    }
    let (mut above, mut below) = (0.0, 0.0);
    for around in r.windows(3).skip(1) {
        above += around[1] * (around[0] + around[2]);
        below += around[1] * around[1];
    }
    if below <= 0.0 {
        return None;
    }
    let cos = 0.5 * above / below;
    // 350 and 2 500 Hz.
    if !(-0.3827..=0.9625).contains(&cos) {
        return None;
    }
    let sin = (1.0 - cos * cos).sqrt();
    // Fit c·cos kω + s·sin kω, to lags 1 and up: the second part is there because the sound is cut anywhere.
    let (mut cc, mut ss, mut cs, mut rc, mut rs, mut rr) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut c, mut s) = (cos, sin);
    for &r in r.get(1..)? {
        cc += c * c;
        ss += s * s;
        cs += c * s;
        rc += r * c;
        rs += r * s;
        rr += r * r;
        (c, s) = (c * cos - s * sin, s * cos + c * sin);
    }
    let determinant = cc * ss - cs * cs;
    if determinant <= 0.0 {
        return None;
    }
    let (in_phase, across) = ((rc * ss - rs * cs) / determinant, (rs * cc - rc * cs) / determinant);
    let left = rr - in_phase * rc - across * rs;
    if left > UNLIKE * rr || in_phase < PURITY * r[0] {
        return None;
    }
    let hz = atan2_turns(f64::from(sin), f64::from(cos)) * 8_000.0;
    Some(Single { hz: hz as f32 })
}

/// The sum of the products of the first 152 samples of each, in eight partial sums of a fixed order.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(hz: &[f64], noise: f64) -> PcmFrame {
        let mut state = 3u32;
        let mut frame = PcmFrame::SILENCE;
        for (n, sample) in frame.0.iter_mut().enumerate() {
            let t = n as f64 / 8_000.0;
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let hiss = (f64::from(state >> 8) / f64::from(1 << 23) - 1.0) * noise;
            let sum: f64 = hz.iter().map(|hz| 6_000.0 * (std::f64::consts::TAU * hz * t + 0.7).sin()).sum();
            *sample = (sum + hiss) as i16;
        }
        frame.encode().decode()
    }

    fn hz_of(frame: &PcmFrame) -> Option<f32> {
        single(frame, power(frame)).map(|single| single.hz)
    }

    #[test]
    fn measures_a_tone_also_in_noise() {
        for hz in [360.0, 425.0, 500.0, 950.0, 1_000.0, 1_400.0, 1_800.0, 2_000.0, 2_400.0] {
            let measured = hz_of(&frame(&[hz], 0.0)).unwrap();
            assert!((f64::from(measured) - hz).abs() < 0.004 * hz, "{hz}: {measured}");
            // 12 dB of signal to noise.
            let measured = hz_of(&frame(&[hz], 1_850.0)).unwrap();
            assert!((f64::from(measured) - hz).abs() < 0.03 * hz, "{hz}: {measured}");
        }
    }

    #[test]
    fn two_tones_and_noise_are_none() {
        for hz in [[697.0, 1_209.0], [941.0, 1_633.0], [770.0, 1_477.0]] {
            assert_eq!(hz_of(&frame(&hz, 0.0)), None, "{hz:?}");
        }
        assert_eq!(hz_of(&frame(&[], 8_000.0)), None);
        assert_eq!(hz_of(&frame(&[200.0], 0.0)), None);
        assert_eq!(hz_of(&frame(&[3_000.0], 0.0)), None);
    }
}
