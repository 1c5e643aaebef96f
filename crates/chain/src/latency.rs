//! How soon a link answers, over all calls: a histogram that is counted into without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in milliseconds; one more has what took longer.
const BOUNDS_MS: [u64; BOUNDS] =
    [50, 100, 200, 300, 400, 500, 600, 800, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000];
const BOUNDS: usize = 14;

/// Counts answers by how soon they began.
#[derive(Debug, Default)]
pub(crate) struct Latency {
    buckets: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
}

/// How soon a link's answers began: text, sound, or the transcript of a pause, after it was asked while it had nothing else to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    /// Answers of each bucket, by [`bounds`](Self::bounds); the last has those beyond.
    pub buckets: [u64; BOUNDS + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Latency {
    pub(crate) fn add(&self, took: Duration) {
        let ms = took.as_millis();
        let at = BOUNDS_MS.iter().position(|bound| ms <= u128::from(*bound)).unwrap_or(BOUNDS);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Latencies {
        let mut all = Latencies {
            sum: Duration::from_micros(self.micros.load(Ordering::Relaxed)),
            ..Latencies::default()
        };
        for (read, bucket) in all.buckets.iter_mut().zip(&self.buckets) {
            *read = bucket.load(Ordering::Relaxed);
        }
        all
    }
}

impl Latencies {
    /// The buckets' upper bounds, in seconds.
    pub fn bounds() -> impl Iterator<Item = f64> {
        BOUNDS_MS.into_iter().map(|ms| Duration::from_millis(ms).as_secs_f64())
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(other.buckets) {
            *sum += more;
        }
        self.sum += other.sum;
    }

    /// How many answers.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_is_in_its_bucket() {
        let latency = Latency::default();
        for ms in [0, 50, 51, 10_000, 60_000] {
            latency.add(Duration::from_millis(ms));
        }
        let mut read = latency.read();
        assert_eq!((read.buckets[0], read.buckets[1], read.buckets[13], read.buckets[14]), (2, 1, 1, 1));
        assert_eq!((read.count(), read.sum), (5, Duration::from_millis(70_101)));
        read.add(&latency.read());
        assert_eq!(read.count(), 10);
    }
}
