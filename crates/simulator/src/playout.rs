//! Twilio's outbound buffer: plays in real time, returns marks when it reaches them, all of them on `clear`.

use std::collections::VecDeque;

/// 20 ms.
const FRAME: usize = 160;
const SILENCE: u8 = 0xFF;
/// 10 minutes: beyond, Twilio discards (warning 31931).
const MOST: usize = 8_000 * 600;
/// A pause no longer than this, in the midst of speech, is a gap; longer ones are pauses between utterances.
const LONGEST_GAP_MS: u64 = 500;

/// What happened in 20 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// What the far party heard.
    pub frame: [u8; FRAME],
    /// Marks that were reached, in order.
    pub marks: Vec<String>,
    /// Sound came from the buffer.
    pub sounded: bool,
}

/// Sound that came too late: the far party heard a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    /// When, in milliseconds of the stream.
    pub at_ms: u64,
    /// How long.
    pub length_ms: u64,
}

/// The buffer of one stream.
#[derive(Clone, Debug, Default)]
pub struct Playout {
    queue: VecDeque<u8>,
    /// Names, and how many octets were ever queued before them.
    marks: VecDeque<(u64, String)>,
    queued: u64,
    played: u64,
    ticks: u64,
    /// Since when it has been dry, if something was played before and no mark said that this was the end.
    dry_since: Option<u64>,
    /// The end of what was queued is marked: what comes then is a new utterance.
    end_marked: bool,
    gaps: Vec<Gap>,
    overflowed: bool,
}

impl Playout {
    /// Queues sound. False if some was discarded because more than 10 minutes wait already.
    pub fn media(&mut self, octets: &[u8]) -> bool {
        if octets.is_empty() {
            return true;
        }
        if let Some(since) = self.dry_since.take()
            && self.queue.is_empty()
        {
            let length_ms = (self.ticks - since) * 20;
            if (1..=LONGEST_GAP_MS).contains(&length_ms) {
                self.gaps.push(Gap { at_ms: since * 20, length_ms });
            }
        }
        self.end_marked = false;
        let room = MOST.saturating_sub(self.queue.len());
        let taken = octets.get(..room.min(octets.len())).unwrap_or(&[]);
        self.queue.extend(taken);
        self.queued += taken.len() as u64;
        self.overflowed |= taken.len() < octets.len();
        taken.len() == octets.len()
    }

    /// Queues a mark; gives it back at once if nothing is queued.
    #[must_use]
    pub fn mark(&mut self, name: String) -> Option<String> {
        self.end_marked = true;
        self.dry_since = None;
        if self.queue.is_empty() {
            return Some(name);
        }
        self.marks.push_back((self.queued, name));
        None
    }

    /// Forgets what wasn't played; gives back all marks.
    pub fn clear(&mut self) -> Vec<String> {
        self.played = self.queued;
        self.queue.clear();
        self.dry_since = None;
        self.end_marked = true;
        self.marks.drain(..).map(|(_, name)| name).collect()
    }

    /// Plays 20 ms.
    pub fn tick(&mut self) -> Tick {
        let mut frame = [SILENCE; FRAME];
        let count = self.queue.len().min(FRAME);
        for (to, from) in frame.iter_mut().zip(self.queue.drain(..count)) {
            *to = from;
        }
        self.played += count as u64;
        self.ticks += 1;
        if count > 0 && self.queue.is_empty() && !self.end_marked {
            self.dry_since = Some(self.ticks);
        }
        let mut marks = Vec::new();
        while self.marks.front().is_some_and(|(at, _)| *at <= self.played) {
            marks.extend(self.marks.pop_front().map(|(_, name)| name));
        }
        Tick { frame, marks, sounded: count > 0 }
    }

    /// Nothing is queued.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Milliseconds of sound waiting.
    #[must_use]
    pub fn waiting_ms(&self) -> u64 {
        self.queue.len() as u64 / 8
    }

    /// Holes so far.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_come_back_when_reached_at_once_when_empty_and_all_on_clear() {
        let mut playout = Playout::default();
        assert_eq!(playout.mark("now".into()), Some("now".into()));
        playout.media(&[1; 320]);
        assert_eq!(playout.mark("end".into()), None);
        playout.media(&[2; 160]);
        assert_eq!(playout.mark("later".into()), None);
        assert_eq!(playout.tick().marks, Vec::<String>::new());
        assert_eq!(playout.tick().marks, ["end"]);
        assert_eq!(playout.clear(), ["later"]);
        assert!(!playout.tick().sounded);
    }

    #[test]
    fn a_hole_within_speech_is_a_gap_and_a_marked_end_is_none() {
        let mut playout = Playout::default();
        playout.media(&[1; 160]);
        playout.tick();
        playout.tick();
        playout.tick();
        playout.media(&[1; 160]);
        assert_eq!(playout.gaps(), [Gap { at_ms: 20, length_ms: 40 }]);
        assert_eq!(playout.mark("end".into()), None);
        playout.tick();
        playout.tick();
        playout.media(&[1; 160]);
        assert_eq!(playout.gaps().len(), 1);
    }

    proptest! {
        #[test]
        fn everything_is_played_once_and_marks_keep_their_order(steps in proptest::collection::vec((0usize..400, 0u8..4), 1..60)) {
            let mut playout = Playout::default();
            let (mut sent, mut back, mut number, mut sounded) = (0usize, Vec::new(), 0, 0usize);
            for (octets, what) in steps {
                match what {
                    0 => { playout.media(&vec![7; octets]); sent += octets; }
                    1 => { number += 1; back.extend(playout.mark(number.to_string())); }
                    _ => { let tick = playout.tick(); back.extend(tick.marks); sounded += tick.frame.iter().filter(|&&o| o == 7).count(); }
                }
            }
            while !playout.is_empty() {
                let tick = playout.tick();
                back.extend(tick.marks);
                sounded += tick.frame.iter().filter(|&&octet| octet == 7).count();
            }
            prop_assert_eq!(sounded, sent);
            let expected: Vec<String> = (1..=number).map(|n: i32| n.to_string()).collect();
            prop_assert_eq!(back, expected);
        }
    }
}
