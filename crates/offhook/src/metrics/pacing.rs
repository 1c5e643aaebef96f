//! How late frames were sent, against when there was room for them.

use std::sync::{Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use offhook_media_line::Histogram;

/// Upper bounds in microseconds: powers of two, where the calls' own histograms have bounds too.
const BOUNDS_US: [u64; 12] =
    [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288];

/// The histograms of calls that are over, as one.
#[derive(Debug, Default)]
pub(crate) struct Pacing(Mutex<Sums>);

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Not cumulative; the last is what lies over all bounds.
    counts: [u64; BOUNDS_US.len() + 1],
    seconds: f64,
}

impl Pacing {
    /// A call is over.
    pub(crate) fn add(&self, call: &Histogram) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (below, count) in call.buckets() {
            let below = u64::try_from(below.as_micros()).unwrap_or(u64::MAX);
            let place = BOUNDS_US.partition_point(|bound| *bound < below);
            if let Some(sum) = sums.counts.get_mut(place) {
                *sum += u64::from(count);
            }
        }
        sums.seconds += call.sum().as_secs_f64();
    }
}

impl Collector for Pacing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sums = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds = BOUNDS_US.iter().map(|us| *us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(sums.counts).collect();
        let help = "How late frames were sent, against when there was room for them";
        encoder
            .encode_descriptor("pacing_error", help, Some(&Unit::Seconds), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sums.seconds, sums.counts.iter().sum(), &buckets, None)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn calls_are_summed_up_into_a_histogram() {
        let pacing = Pacing::default();
        let mut call = Histogram::default();
        for us in [100, 300, 700, 5_000, 2_000_000] {
            call.add(Duration::from_micros(us));
        }
        pacing.add(&call);
        pacing.add(&call);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(pacing));
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        for line in [
            "# TYPE pacing_error_seconds histogram",
            "pacing_error_seconds_bucket{le=\"0.000256\"} 2",
            "pacing_error_seconds_bucket{le=\"0.001024\"} 6",
            "pacing_error_seconds_bucket{le=\"0.524288\"} 8",
            "pacing_error_seconds_bucket{le=\"+Inf\"} 10",
            "pacing_error_seconds_count 10",
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
