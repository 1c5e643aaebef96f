//! Lowering the agent's voice while it is unclear whether the caller interrupts.

use offhook_audio::{FRAME_SAMPLES, MulawFrame};

/// Gains are counted in 1/4096.
const UNITY: i32 = 4_096;

/// A gain that moves to its target within a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Duck {
    lowered: i32,
    target: i32,
    gain: i32,
}

impl Duck {
    /// `decibels`: how far the voice is lowered; above zero counts as none.
    pub(crate) fn new(decibels: f32) -> Self {
        let gain = 10f32.powf(decibels.clamp(-60.0, 0.0) / 20.0);
        Self { lowered: (gain * UNITY as f32) as i32, target: UNITY, gain: UNITY }
    }

    pub(crate) fn set(&mut self, lower: bool) {
        self.target = if lower { self.lowered } else { UNITY };
        if lower {
            // What comes next follows a cut, and fades in by itself.
            self.gain = self.lowered;
        }
    }

    /// Scales a frame; most frames are left alone.
    pub(crate) fn apply(&mut self, frame: &mut MulawFrame) {
        if self.gain == UNITY && self.target == UNITY {
            return;
        }
        let step = (self.target - self.gain) / FRAME_SAMPLES as i32;
        for octet in &mut frame.0 {
            self.gain += step;
            let sample = i32::from(offhook_mulaw::decode(*octet)) * self.gain / UNITY;
            *octet = offhook_mulaw::encode(sample as i16);
        }
        self.gain = self.target;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(frame: &MulawFrame) -> i32 {
        frame.0.iter().map(|octet| i32::from(offhook_mulaw::decode(*octet)).abs()).max().unwrap_or(0)
    }

    #[test]
    fn the_voice_is_lowered_at_once_and_raised_within_a_frame() {
        let loud = MulawFrame([offhook_mulaw::encode(8_000); FRAME_SAMPLES]);
        let mut duck = Duck::new(-15.0);
        let mut frame = loud;
        duck.apply(&mut frame);
        assert_eq!(frame, loud);
        duck.set(true);
        duck.apply(&mut frame);
        assert!((1_300..1_600).contains(&level(&frame)), "{}", level(&frame));
        duck.set(false);
        frame = loud;
        duck.apply(&mut frame);
        assert!(offhook_mulaw::decode(frame.0[159]) > 7_000);
        frame = loud;
        duck.apply(&mut frame);
        assert_eq!(frame, loud);
    }
}
