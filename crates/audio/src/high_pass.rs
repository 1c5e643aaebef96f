//! DC removal and a gentle high-pass in front of voice activity.
//!
//! What: takes away hum, breath and the offset of cheap analogue adapters; speech on the telephone starts at 300 Hz.
//! How: a second-order Butterworth high-pass at 80 Hz, direct form I, fixed point, so that it gives the same samples
//! on every machine. Coefficients by the bilinear transform (Oppenheim & Schafer, ch. 7), in Q14; the feedback error
//! is carried over (first-order noise shaping), which keeps a low cut-off from leaving an offset of its own.

use crate::PcmFrame;

const Q: u32 = 14;
/// Butterworth, 80 Hz at 8 kHz: b = 0.956543 · (1, −2, 1), a = (1, −1.911197, 0.914976).
const B0: i64 = 15_672;
const A1: i64 = -31_313;
const A2: i64 = 14_991;

/// The filter's state.
#[derive(Clone, Debug, Default)]
pub struct HighPass {
    x1: i64,
    x2: i64,
    y1: i64,
    y2: i64,
    error: i64,
}

impl HighPass {
    /// Filters a frame in place.
    pub fn process(&mut self, frame: &mut PcmFrame) {
        for sample in &mut frame.0 {
            let x = i64::from(*sample);
            let sum = B0 * (x - 2 * self.x1 + self.x2) - A1 * self.y1 - A2 * self.y2 + self.error;
            let y = sum >> Q;
            self.error = sum & ((1 << Q) - 1); // what the shift took
            (self.x2, self.x1) = (self.x1, x);
            (self.y2, self.y1) = (self.y1, y);
            *sample = y.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dbov;

    /// Level change of a sine, after settling.
    fn gain_at(hz: f64) -> f32 {
        let mut filter = HighPass::default();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for frame in 0..100 {
            let mut pcm = PcmFrame::SILENCE;
            for (n, sample) in pcm.0.iter_mut().enumerate() {
                let t = (frame * 160 + n) as f64 / 8_000.0;
                *sample = (10_000.0 * (std::f64::consts::TAU * hz * t).sin()) as i16;
            }
            let input = pcm;
            filter.process(&mut pcm);
            if frame >= 50 {
                before.extend_from_slice(&input.0);
                after.extend_from_slice(&pcm.0);
            }
        }
        Dbov::of(&after).0 - Dbov::of(&before).0
    }

    #[test]
    fn passes_speech_and_stops_hum() {
        assert!(gain_at(300.0).abs() < 0.1, "{}", gain_at(300.0));
        assert!(gain_at(1_000.0).abs() < 0.05);
        assert!((gain_at(80.0) + 3.0).abs() < 0.3, "{}", gain_at(80.0));
        assert!(gain_at(20.0) < -20.0);
    }

    #[test]
    fn leaves_no_offset() {
        let mut filter = HighPass::default();
        let mut last = PcmFrame::SILENCE;
        for _ in 0..50 {
            last = PcmFrame([3_000; 160]);
            filter.process(&mut last);
        }
        assert!(last.0.iter().all(|sample| sample.abs() <= 1), "{:?}", &last.0[..4]);
    }
}
