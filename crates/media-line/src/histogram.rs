//! How late things were: counts by powers of two, each in four.

use std::time::Duration;

/// Each power of two microseconds is divided in so many buckets; durations under so many microseconds have one each.
const PARTS: u64 = 4;
/// The last bucket holds everything from 0.92 s on.
const BUCKETS: usize = 76;

/// The bucket of a duration: the power of two, and the two bits behind its first.
const fn bucket(us: u64) -> usize {
    if us < PARTS {
        return us as usize;
    }
    let power = us.ilog2();
    let part = us >> (power - 2) & (PARTS - 1);
    ((power as u64 - 1) * PARTS + part) as usize
}

/// The first duration in microseconds that lies beyond a bucket.
const fn end(bucket: usize) -> u64 {
    let next = bucket as u64 + 1;
    if next < PARTS { next } else { (PARTS + next % PARTS) << (next / PARTS - 1) }
}

/// A histogram of durations from microseconds to a second. Taking one down is an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u32; BUCKETS],
    most_us: u64,
    sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], most_us: 0, sum_us: 0 }
    }
}

impl Histogram {
    /// Takes one down.
    pub fn add(&mut self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.buckets.get_mut(bucket(us).min(BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
        self.most_us = self.most_us.max(us);
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// All of them together.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// The buckets that have any: up to which duration, and how many. The last has no bound: [`Duration::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u32)> + '_ {
        let bound = |at: usize| {
            if at + 1 == BUCKETS { Duration::MAX } else { Duration::from_micros(end(at)) }
        };
        let all = self.buckets.iter().enumerate();
        all.filter(|(_, count)| **count > 0).map(move |(at, count)| (bound(at), *count))
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

    /// A duration that this share of them, 0 to 1, doesn't exceed; up to a quarter more than the true one. Zero if there are none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted && count > 0 {
                let top = if bucket + 1 == BUCKETS { self.most_us } else { end(bucket) };
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
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for us in 0..1 << 20 {
            let bucket = bucket(us);
            assert!(us < end(bucket) && (bucket == 0 || us >= end(bucket - 1)), "{us} in {bucket}");
            assert!(bucket < BUCKETS && end(bucket) <= us + us / 4 + 1, "{us} in {bucket}");
        }
    }

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
