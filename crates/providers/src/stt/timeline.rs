//! From a provider's count of the sound it got to places on the caller's time line.
//!
//! A provider counts seconds of sound received on one connection: from 0, without what was never sent. The caller's time
//! line begins with the call and knows its gaps.

use offhook_audio::SamplePos;

/// More gaps than this in one connection, and the oldest places are forgotten.
const MOST_ANCHORS: usize = 256;

/// No connection lasts longer: two weeks. Whatever a server says lies before that, so that sums don't overflow.
const LONGEST: u64 = 10_000_000_000;

/// Where each sample sent lies on the caller's time line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// Samples sent so far.
    sent: u64,
    /// From this sent sample on, places count up from that one. In order; a new one only where there was a gap.
    anchors: Vec<(u64, u64)>,
}

impl Timeline {
    /// So many samples went out; the first of them lies at `at`.
    pub(crate) fn sent(&mut self, at: SamplePos, samples: u64) {
        if self.anchors.is_empty() || self.place(self.sent) != at.0 {
            if self.anchors.len() >= MOST_ANCHORS {
                self.anchors.remove(0);
            }
            self.anchors.push((self.sent, at.0));
        }
        self.sent = self.sent.saturating_add(samples);
    }

    /// So many samples went out that the caller never made.
    pub(crate) fn padded(&mut self, samples: u64) {
        self.sent = self.sent.saturating_add(samples);
    }

    /// The place of a sample sent.
    pub(crate) fn place(&self, sample: u64) -> u64 {
        let after = self.anchors.partition_point(|&(sent, _)| sent <= sample);
        match self.anchors.get(after.saturating_sub(1)) {
            Some(&(sent, at)) if sent <= sample => at.saturating_add(sample - sent),
            Some(&(sent, at)) => at.saturating_sub(sent - sample),
            None => sample,
        }
    }

    /// The place of a time in seconds; what is no time is the beginning.
    pub(crate) fn at_seconds(&self, seconds: f64) -> u64 {
        // Casts of floats saturate, and take NaN for 0.
        self.place(((seconds * 8_000.0).round() as u64).min(LONGEST))
    }

    /// The place of a time in milliseconds.
    pub(crate) fn at_millis(&self, millis: f64) -> u64 {
        self.at_seconds(millis / 1_000.0)
    }

    /// The place after the last sample sent.
    pub(crate) fn end(&self) -> u64 {
        self.place(self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connection_opened_late_still_tells_the_callers_time() {
        let mut line = Timeline::default();
        line.sent(SamplePos(4_000), 160);
        assert_eq!(line.at_seconds(0.0), 4_000);
        assert_eq!(line.at_seconds(0.02), 4_160);
    }

    #[test]
    fn a_gap_moves_what_comes_after_it_only() {
        let mut line = Timeline::default();
        line.sent(SamplePos(0), 8_000);
        line.sent(SamplePos(24_000), 8_000);
        assert_eq!(line.at_millis(500.0), 4_000);
        assert_eq!(line.at_millis(1_500.0), 28_000);
        line.padded(4_000);
        line.sent(SamplePos(32_000), 160);
        assert_eq!(line.at_seconds(2.5), 32_000);
        assert_eq!(line.end(), 32_160);
    }

    #[test]
    fn nonsense_is_the_beginning() {
        let mut line = Timeline::default();
        line.sent(SamplePos(80), 160);
        assert_eq!(line.at_seconds(f64::NAN), 80);
        assert_eq!(line.at_seconds(-3.0), 80);
    }

    proptest! {
        #[test]
        fn every_sample_is_where_it_was(gaps in proptest::collection::vec((0_u64..1_000, 1_u64..500), 1..40)) {
            let (mut line, mut at, mut sent, mut known) = (Timeline::default(), 0, 0, Vec::new());
            for (gap, samples) in gaps {
                at += gap;
                line.sent(SamplePos(at), samples);
                known.push((sent, at));
                at += samples;
                sent += samples;
            }
            for (sample, place) in known {
                prop_assert_eq!(line.place(sample), place);
            }
        }
    }
}
