//! Comfort noise: the sound of an open line where there is nothing to say.
//!
//! What: noise at a given level, so that the line doesn't sound dead.
//! How: RFC 3389 with a level and no spectral shape (model order 0): white noise, from a linear congruential generator
//! with a given seed, so that a replay gives the same samples.

use crate::{Dbov, PcmFrame};

/// A source of noise at one level.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    state: u32,
    /// Peak amplitude of the uniform distribution.
    peak: f32,
}

impl ComfortNoise {
    /// Noise at `level`; the same seed gives the same noise.
    #[must_use]
    pub fn new(level: Dbov, seed: u32) -> Self {
        // A uniform distribution's RMS is its peak divided by √3.
        let rms = 32_768.0 * Dbov(0.0).gain_to(level);
        Self { state: seed | 1, peak: rms * 1.732_050_8 }
    }

    /// The next 20 ms.
    pub fn next_frame(&mut self) -> PcmFrame {
        let mut frame = PcmFrame::SILENCE;
        for sample in &mut frame.0 {
            // Numerical Recipes' constants; the upper bits are good enough for noise.
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let uniform = (self.state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            *sample = (uniform * self.peak).clamp(-32_767.0, 32_767.0) as i16;
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_what_was_asked_for() {
        for level in [-65.0, -50.0, -30.0] {
            let mut noise = ComfortNoise::new(Dbov(level), 7);
            let sound: Vec<i16> = (0..200).flat_map(|_| noise.next_frame().0).collect();
            assert!((Dbov::of(&sound).0 - level).abs() < 0.6, "{level}: {}", Dbov::of(&sound));
        }
    }
}
