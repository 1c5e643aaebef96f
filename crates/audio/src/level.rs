//! Levels.

use crate::PcmFrame;

/// Level relative to overload: 0 dBov is a full-scale square wave (RFC 6464, RFC 3389).
///
/// A full-scale sine is −3.01 dBov. Digital silence is [`Dbov::SILENCE`].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Dbov(pub f32);

impl Dbov {
    /// The lowest level of RFC 6464, used for digital silence.
    pub const SILENCE: Self = Self(-127.0);

    /// The root-mean-square level of some samples; [`Dbov::SILENCE`] for none or for all zero.
    #[must_use]
    pub fn of(samples: &[i16]) -> Self {
        let energy: u64 = samples.iter().map(|&s| u64::from(s.unsigned_abs()).pow(2)).sum();
        if energy == 0 {
            return Self::SILENCE;
        }
        let mean = energy as f64 / samples.len() as f64;
        Self(((10.0 * (mean / (32_768.0 * 32_768.0)).log10()) as f32).max(Self::SILENCE.0))
    }

    /// The level of a frame.
    #[must_use]
    pub fn of_frame(frame: &PcmFrame) -> Self {
        Self::of(&frame.0)
    }

    /// The factor on amplitude that changes a level by so many decibels.
    #[must_use]
    pub fn gain_to(self, target: Self) -> f32 {
        10f32.powf((target.0 - self.0) / 20.0)
    }
}

impl std::fmt::Display for Dbov {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} dBov", self.0)
    }
}
