//! The call's clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time since the stream's `start` message.
///
/// The session makes it, the tape stores it, the core only compares it: nothing below the session reads a clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallTime(Duration);

impl CallTime {
    /// The stream's start.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// So long after the stream's start.
    #[must_use]
    pub const fn after(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// So many milliseconds after the stream's start.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    /// Time from the stream's start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// So much earlier, but not before the start.
    #[must_use]
    pub const fn back(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(by))
    }
}

impl CallTime {
    /// The first whole microsecond not before this.
    #[must_use]
    pub const fn up_to_whole_micros(self) -> Self {
        let more = self.0.subsec_nanos() % 1_000;
        if more == 0 { self } else { Self(self.0.saturating_add(Duration::from_nanos(1_000 - more as u64))) }
    }
}

impl Add<Duration> for CallTime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub for CallTime {
    type Output = Duration;
    fn sub(self, rhs: Self) -> Duration {
        self.since(rhs)
    }
}

impl std::fmt::Display for CallTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}
