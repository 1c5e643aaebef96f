//! Sample rates.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::SampleCount;

/// Samples per second of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleRate(NonZeroU32);

impl SampleRate {
    /// The telephone's rate, and the rate of everything inside the engine.
    pub const HZ_8000: Self = Self::constant(8_000);
    /// Wide-band speech.
    pub const HZ_16000: Self = Self::constant(16_000);
    /// Half of compact disc.
    pub const HZ_22050: Self = Self::constant(22_050);
    /// What most speech synthesisers produce.
    pub const HZ_24000: Self = Self::constant(24_000);
    /// Compact disc.
    pub const HZ_44100: Self = Self::constant(44_100);
    /// Studio and WebRTC.
    pub const HZ_48000: Self = Self::constant(48_000);

    const fn constant(hz: u32) -> Self {
        match NonZeroU32::new(hz) {
            Some(hz) => Self(hz),
            None => Self(NonZeroU32::MIN),
        }
    }

    /// A rate in hertz; `None` for zero.
    #[must_use]
    pub const fn new(hz: u32) -> Option<Self> {
        match NonZeroU32::new(hz) {
            Some(hz) => Some(Self(hz)),
            None => None,
        }
    }

    /// In hertz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0.get()
    }

    /// How many samples a time has, fractions left out.
    #[must_use]
    pub fn samples_in(self, time: Duration) -> usize {
        usize::try_from(time.as_nanos() * u128::from(self.hz()) / 1_000_000_000).unwrap_or(usize::MAX)
    }

    /// How long `count` samples last at this rate, rounded down to a nanosecond.
    #[must_use]
    pub fn duration_of(self, count: SampleCount) -> Duration {
        let hz = u64::from(self.hz());
        Duration::new(count.0 / hz, 0) + Duration::from_nanos((count.0 % hz) * 1_000_000_000 / hz)
    }
}

impl std::fmt::Display for SampleRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} Hz", self.hz())
    }
}
