//! Two sides on one time line.
//!
//! What does it do: puts the caller's frames where the carrier's timestamps say, and the agent's where they are played: one behind
//! the other, from when they were sent or from the end of what was sent before. A `clear` takes back what had not been played.
//! How does it work: positions are samples since the stream's start. What lies more than [`HOLD`] in the past can't change any more
//! and is given out.
//! Source: Twilio Media Streams, `media` and `clear`.

use std::collections::VecDeque;

use crate::{RATE, SILENCE};

/// Samples that are held back: a second. The carrier's frames come in order and no later.
const HOLD: u64 = RATE as u64;
/// A side is not held longer than this ahead, in samples: ten minutes of sound sent at once.
const AHEAD: u64 = 600 * RATE as u64;

/// Puts two sides on one time line.
#[derive(Clone, Debug, Default)]
pub struct Mixer {
    /// Samples given out.
    given: u64,
    caller: VecDeque<u8>,
    agent: VecDeque<u8>,
    /// The carrier's timestamp in milliseconds, and the place, of the caller's first frame.
    first: Option<(u64, u64)>,
}

/// Microseconds as samples.
const fn samples(us: u64) -> u64 {
    us.saturating_mul(RATE as u64) / 1_000_000
}

fn put(side: &mut VecDeque<u8>, given: u64, from: u64, octets: &[u8]) {
    // What comes too late has no place any more.
    let late = usize::try_from(given.saturating_sub(from)).unwrap_or(usize::MAX);
    let Some(octets) = octets.get(late..) else { return };
    let offset = from.max(given) - given;
    if offset > AHEAD {
        return;
    }
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    if side.len() < offset + octets.len() {
        side.resize(offset + octets.len(), SILENCE);
    }
    side.iter_mut().skip(offset).zip(octets).for_each(|(place, octet)| *place = *octet);
}

impl Mixer {
    /// A frame of the caller's came at `us` microseconds since the stream's start.
    pub fn caller(&mut self, us: u64, timestamp_ms: Option<u64>, octets: &[u8]) {
        let arrived = samples(us);
        let length = octets.len() as u64;
        let from = match (timestamp_ms, self.first) {
            (Some(ts), Some((first, place))) => {
                place + ts.saturating_sub(first).saturating_mul(u64::from(RATE)) / 1_000
            }
            (Some(ts), None) => {
                // A frame comes when it is over.
                let place = arrived.saturating_sub(length);
                self.first = Some((ts, place));
                place
            }
            (None, _) => (self.given + self.caller.len() as u64).max(arrived.saturating_sub(length)),
        };
        put(&mut self.caller, self.given, from, octets);
    }

    /// A frame was sent to the caller.
    pub fn agent(&mut self, us: u64, octets: &[u8]) {
        let from = samples(us).max(self.given + self.agent.len() as u64);
        put(&mut self.agent, self.given, from, octets);
    }

    /// What was sent and not played yet never will be.
    pub fn clear(&mut self, us: u64) {
        let kept = samples(us).saturating_sub(self.given);
        self.agent.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    /// Gives out what can't change any more, left and right in turn.
    pub fn take(&mut self, us: u64, out: &mut Vec<u8>) {
        self.give(samples(us).saturating_sub(HOLD), out);
    }

    /// The stream has ended: gives out the rest. What had not been played by then nobody heard.
    pub fn finish(&mut self, us: u64, out: &mut Vec<u8>) {
        self.clear(us);
        self.give(samples(us).max(self.given + self.caller.len() as u64), out);
    }

    fn give(&mut self, until: u64, out: &mut Vec<u8>) {
        while self.given < until {
            out.push(self.caller.pop_front().unwrap_or(SILENCE));
            out.push(self.agent.pop_front().unwrap_or(SILENCE));
            self.given += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Left and right, and where each is not silent.
    fn sides(out: &[u8]) -> (Vec<u8>, Vec<u8>) {
        (out.iter().step_by(2).copied().collect(), out.iter().skip(1).step_by(2).copied().collect())
    }

    const MS: u64 = 1_000;

    #[test]
    fn each_side_lies_where_it_was_heard() {
        let (mut mixer, mut out) = (Mixer::default(), Vec::new());
        mixer.caller(25 * MS, Some(100), &[1; 160]);
        // 60 ms are missing.
        mixer.caller(105 * MS, Some(180), &[2; 160]);
        // Sent at once, played one behind the other.
        for octet in 3..8 {
            mixer.agent(50 * MS, &[octet; 160]);
        }
        mixer.take(2_000 * MS, &mut out);
        mixer.finish(2_000 * MS, &mut out);
        let (left, right) = sides(&out);
        assert_eq!(left.len(), 16_000);
        assert_eq!((&left[40..200], &left[680..840]), (&[1u8; 160][..], &[2u8; 160][..]));
        assert!(left[200..680].iter().all(|octet| *octet == SILENCE));
        assert_eq!((right[399], right[400], right[559], right[560], right[1_199]), (SILENCE, 3, 3, 4, 7));
        assert_eq!(right[1_200], SILENCE);
    }

    #[test]
    fn what_a_clear_took_back_or_the_end_cut_off_was_not_heard() {
        let (mut mixer, mut out) = (Mixer::default(), Vec::new());
        mixer.agent(0, &[1; 8_000]);
        mixer.clear(400 * MS);
        mixer.agent(500 * MS, &[2; 8_000]);
        mixer.finish(1_000 * MS, &mut out);
        let (_, right) = sides(&out);
        assert_eq!(right.len(), 8_000);
        assert_eq!((right[3_199], right[3_200], right[3_999], right[4_000]), (1, SILENCE, SILENCE, 2));
    }

    proptest! {
        /// However often it is given out in between, the sound is the same; and it holds little.
        #[test]
        fn taking_often_changes_nothing(takes in proptest::collection::vec(any::<bool>(), 100)) {
            let (mut often, mut once) = (Mixer::default(), Mixer::default());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for (number, takes) in (0u64..).zip(takes) {
                let us = number * 37 * MS;
                for mixer in [&mut often, &mut once] {
                    let octet = u8::try_from(number % 100).unwrap();
                    mixer.caller(us, Some(number * 37), &[octet; 160]);
                    mixer.agent(us, &[octet; 320]);
                    if number % 11 == 0 {
                        mixer.clear(us);
                    }
                }
                if takes {
                    often.take(us, &mut first);
                }
            }
            often.finish(3_700 * MS, &mut first);
            once.finish(3_700 * MS, &mut second);
            prop_assert_eq!(first, second);
        }

        /// Timestamps of a hostile peer cost no memory.
        #[test]
        fn it_is_bounded(stamps in proptest::collection::vec(any::<u64>(), 1..20)) {
            let mut mixer = Mixer::default();
            for (number, stamp) in (0u64..).zip(stamps) {
                mixer.caller(number * 20 * MS, Some(stamp), &[1; 160]);
                prop_assert!(mixer.caller.len() as u64 <= AHEAD + 160);
            }
        }
    }
}
