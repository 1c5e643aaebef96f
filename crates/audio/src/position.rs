//! Places and lengths on a call's 8 kHz time line, counted in samples.

use std::ops::{Add, AddAssign, Sub};
use std::time::Duration;

/// A place on the caller's (or the agent's) time line: samples at 8 kHz since the stream's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SamplePos(pub u64);

/// A length in samples. At 8 kHz unless a [`SampleRate`](crate::SampleRate) stands beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleCount(pub u64);

const SAMPLES_PER_MILLISECOND: u64 = 8;
const NANOS_PER_SAMPLE: u64 = 125_000;

impl SampleCount {
    /// The number of whole 8 kHz samples in `duration`.
    #[must_use]
    pub fn from_duration(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos() / u128::from(NANOS_PER_SAMPLE)).unwrap_or(u64::MAX))
    }

    /// How long this many 8 kHz samples last.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_nanos(self.0.saturating_mul(NANOS_PER_SAMPLE))
    }

    /// The number of 8 kHz samples in so many milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(SAMPLES_PER_MILLISECOND))
    }
}

impl SamplePos {
    /// The first sample.
    pub const ZERO: Self = Self(0);

    /// Time from the stream's start to this place.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        SampleCount(self.0).duration()
    }

    /// The place so long after the stream's start.
    #[must_use]
    pub fn at(since_start: Duration) -> Self {
        Self(SampleCount::from_duration(since_start).0)
    }

    /// The length from `earlier` to here, zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> SampleCount {
        SampleCount(self.0.saturating_sub(earlier.0))
    }

    /// The place so much before this one, not before the start.
    #[must_use]
    pub const fn back(self, by: SampleCount) -> Self {
        Self(self.0.saturating_sub(by.0))
    }
}

impl Add<SampleCount> for SamplePos {
    type Output = Self;
    fn add(self, rhs: SampleCount) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign<SampleCount> for SamplePos {
    fn add_assign(&mut self, rhs: SampleCount) {
        *self = *self + rhs;
    }
}

impl Add for SampleCount {
    type Output = Self;
    fn add(self, rhs: Self) -> Self {
        Self(self.0.saturating_add(rhs.0))
    }
}

impl AddAssign for SampleCount {
    fn add_assign(&mut self, rhs: Self) {
        *self = *self + rhs;
    }
}

impl Sub for SampleCount {
    type Output = Self;
    fn sub(self, rhs: Self) -> Self {
        Self(self.0.saturating_sub(rhs.0))
    }
}
