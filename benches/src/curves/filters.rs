//! The gain of a filter over frequency.

use std::f64::consts::TAU;

use offhook_audio::{FRAME_SAMPLES, HighPass, PcmFrame};

use super::resample::Point;

/// The inbound high-pass's gain in dB at frequencies from 5 to 1 000 Hz, measured with tones.
#[must_use]
pub fn high_pass() -> Vec<Point> {
    (1..=200).map(|n| f64::from(n) * 5.0).map(|hz| (hz, gain(hz))).collect()
}

fn gain(hz: f64) -> f64 {
    let mut filter = HighPass::default();
    let (mut input, mut output) = (0.0, 0.0);
    for frame in 0..100 {
        let mut pcm = PcmFrame([0; FRAME_SAMPLES]);
        for (n, sample) in pcm.0.iter_mut().enumerate() {
            let t = (frame * FRAME_SAMPLES + n) as f64 / 8_000.0;
            *sample = (10_000.0 * (TAU * hz * t).sin()) as i16;
        }
        let before = pcm;
        filter.process(&mut pcm);
        // Half a second to settle.
        if frame >= 25 {
            input += before.0.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            output += pcm.0.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
        }
    }
    10.0 * (output / input).max(1e-9).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hum_goes_and_the_voice_stays() {
        assert!(gain(10.0) < -20.0, "{}", gain(10.0));
        assert!((-4.5..-1.5).contains(&gain(80.0)), "{}", gain(80.0));
        assert!(gain(300.0).abs() < 0.5, "{}", gain(300.0));
        assert!(gain(1_000.0).abs() < 0.1, "{}", gain(1_000.0));
    }
}
