//! How late things were: counts by powers of two.

use std::time::Duration;

/// Bucket `n` holds durations under 2ⁿ µs, and from half of that; the first everything under 1 µs, the last from 0.5 s on.
const BUCKETS: usize = 21;

/// A histogram of durations from microseconds to a second. Taking one down is an addition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u32; BUCKETS],
    most_us: u64,
}

impl Histogram {
    /// Takes one down.
    pub fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        if let Some(count) = self.buckets.get_mut(bucket.min(BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
        self.most_us = self.most_us.max(us);
    }

    /// How many were taken down.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&count| u64::from(count)).sum()
    }

    /// The greatest.
    #[must_use]
    pub const fn most(&self) -> Duration {
        Duration::from_micros(self.most_us)
    }

    /// A duration that this share of them, 0 to 1, doesn't exceed; up to twice the true one. Zero if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted && count > 0 {
                let top = if bucket + 1 == BUCKETS { self.most_us } else { 1 << bucket };
                return Duration::from_micros(top.min(self.most_us));
            }
        }
        Duration::ZERO
    }

    /// Adds another's counts to this one's.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.buckets.iter_mut().zip(other.buckets) {
            *count = count.saturating_add(more);
        }
        self.most_us = self.most_us.max(other.most_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.count(), histogram.quantile(0.5)), (0, Duration::ZERO));
        for us in 0..1_000 {
            histogram.add(Duration::from_micros(us));
        }
        histogram.add(Duration::from_secs(3));
        assert_eq!((histogram.count(), histogram.most()), (1_001, Duration::from_secs(3)));
        assert_eq!(histogram.quantile(0.5), Duration::from_micros(512));
        assert_eq!(histogram.quantile(0.99), Duration::from_micros(1_024));
        assert_eq!(histogram.quantile(1.0), Duration::from_secs(3));
        let mut both = histogram;
        both.merge(&histogram);
        assert_eq!(both.count(), 2_002);
    }
}
