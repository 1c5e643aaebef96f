//! The caller's sound on its way to a provider: kept while there is no connection, cut into messages, not sent faster than
//! the provider allows, and left out where nobody speaks and the provider is behind.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_audio::{FRAME_DURATION, FRAME_SAMPLES, MulawFrame, SamplePos};
use tokio::time::Instant;

use super::timeline::Timeline;

/// Most sound that waits: 10 s. What comes then pushes out the oldest.
const MOST_FRAMES: usize = 500;

/// Sound that is kept in silence too, because it may be the beginning of speech that isn't known for speech yet: 160 ms.
const PRE_ROLL: usize = 8;

/// How a provider wants its sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// Frames in a message.
    pub(crate) batch: usize,
    /// Fewest frames in a message, where the rest of a talkspurt goes out early.
    pub(crate) least: usize,
    /// How much faster than it was spoken sound may be sent, on the average.
    pub(crate) rate: f32,
    /// How much may be ahead of that average.
    pub(crate) burst: Duration,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    /// Send this sound.
    Send(Vec<u8>),
    /// Ask for the final transcript of what was sent.
    Force,
    /// Nothing before then.
    Wait(Instant),
    /// Nothing before more comes.
    Idle,
}

#[derive(Clone, Copy, Debug)]
enum Item {
    Audio(SamplePos, MulawFrame),
    Force,
}

/// Sound that waits to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    pace: Pace,
    items: VecDeque<Item>,
    frames: usize,
    speaking: bool,
    /// When the sound sent so far will have been spoken, at the rate allowed.
    spoken: Option<Instant>,
    /// Frames of speech that were lost for want of room.
    lost: u64,
}

impl Outbox {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, items: VecDeque::new(), frames: 0, speaking: false, spoken: None, lost: 0 }
    }

    /// Another connection: nothing was sent on it yet.
    pub(crate) fn reopen(&mut self) {
        self.spoken = None;
    }

    pub(crate) fn push(&mut self, at: SamplePos, frame: MulawFrame) {
        if self.frames >= MOST_FRAMES {
            self.drop_oldest();
            self.lost += 1;
        }
        self.items.push_back(Item::Audio(at, frame));
        self.frames += 1;
    }

    /// Speech has begun, and not paused.
    pub(crate) const fn is_speaking(&self) -> bool {
        self.speaking
    }

    pub(crate) fn speech_started(&mut self) {
        self.speaking = true;
    }

    /// Once all that has come so far is sent, its final transcript is to be asked for.
    pub(crate) fn speech_paused(&mut self) {
        self.speaking = false;
        // An earlier pause's that hasn't gone out yet is answered by this one's.
        self.items.retain(|item| matches!(item, Item::Audio(..)));
        self.items.push_back(Item::Force);
    }

    /// Frames that were pushed out since this was last asked.
    pub(crate) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// What is to be done now. Sound to be sent is noted in `line`.
    pub(crate) fn next(&mut self, now: Instant, line: &mut Timeline) -> Next {
        let force = self.items.iter().position(|item| matches!(item, Item::Force));
        let behind = self.spoken.is_none() || self.is_behind(now);
        if force.is_none() && !self.speaking && behind {
            while self.frames > PRE_ROLL.max(self.pace.batch) {
                self.drop_oldest();
            }
        }
        let ready = force.unwrap_or(self.frames);
        if ready < self.pace.batch && (force.is_none() || ready == 0 || ready < self.pace.least) {
            let Some(place) = force else { return Next::Idle };
            // What is too short to be sent alone is silence already, and goes with the next.
            self.items.remove(place);
            return Next::Force;
        }
        if let Some(at) = self.spoken.filter(|_| self.is_behind(now)) {
            return Next::Wait(at.checked_sub(self.pace.burst).unwrap_or(now));
        }
        self.take(ready.min(self.pace.batch), now, line)
    }

    /// Whether the provider has all that it may have now.
    fn is_behind(&self, now: Instant) -> bool {
        self.spoken.is_some_and(|at| at > now + self.pace.burst)
    }

    fn take(&mut self, count: usize, now: Instant, line: &mut Timeline) -> Next {
        let mut sound = Vec::with_capacity(count * FRAME_SAMPLES);
        for _ in 0..count {
            let Some(Item::Audio(at, frame)) = self.items.pop_front() else { break };
            self.frames -= 1;
            line.sent(at, FRAME_SAMPLES as u64);
            sound.extend_from_slice(&frame.0);
        }
        let frames = (sound.len() / FRAME_SAMPLES) as f32;
        let length = FRAME_DURATION.mul_f32(frames / self.pace.rate.max(0.1));
        self.spoken = Some(self.spoken.map_or(now, |at| at.max(now)) + length);
        Next::Send(sound)
    }

    fn drop_oldest(&mut self) {
        if let Some(place) = self.items.iter().position(|item| matches!(item, Item::Audio(..))) {
            self.items.remove(place);
            self.frames -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { batch: 5, least: 3, rate: 1.0, burst: Duration::from_millis(200) };

    fn outbox(frames: u64) -> (Outbox, Timeline) {
        let mut outbox = Outbox::new(PACE);
        fill(&mut outbox, 0..frames);
        (outbox, Timeline::default())
    }

    fn fill(outbox: &mut Outbox, frames: std::ops::Range<u64>) {
        for frame in frames {
            outbox.push(SamplePos(frame * 160), MulawFrame::SILENCE);
        }
    }

    /// Frames in each message that goes out at once.
    fn sent(outbox: &mut Outbox, line: &mut Timeline) -> Vec<usize> {
        let now = Instant::now();
        std::iter::from_fn(|| match outbox.next(now, line) {
            Next::Send(sound) => Some(sound.len() / 160),
            _ => None,
        })
        .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_waited_for_but_not_at_a_pause() {
        let (mut outbox, mut line) = outbox(9);
        outbox.speech_started();
        assert_eq!(sent(&mut outbox, &mut line), [5]);
        assert_eq!(outbox.next(Instant::now(), &mut line), Next::Idle);
        outbox.speech_paused();
        assert_eq!(sent(&mut outbox, &mut line), [4]);
        assert_eq!(line.end(), 9 * 160);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_short_to_send_does_not_hold_up_the_question() {
        let (mut outbox, mut line) = outbox(2);
        outbox.speech_paused();
        assert_eq!(outbox.next(Instant::now(), &mut line), Next::Force);
        fill(&mut outbox, 2..5);
        assert_eq!(sent(&mut outbox, &mut line), [5]);
    }

    #[tokio::test(start_paused = true)]
    async fn speech_that_waited_is_sent_no_faster_than_allowed() {
        let (mut outbox, mut line) = outbox(100);
        outbox.speech_started();
        let start = Instant::now();
        let (mut now, mut count) = (start, 0);
        loop {
            match outbox.next(now, &mut line) {
                Next::Send(sound) => count += sound.len() / 160,
                Next::Wait(until) => now = until,
                Next::Force | Next::Idle => break,
            }
        }
        assert_eq!(count, 100);
        let took = now - start;
        assert!(took >= Duration::from_millis(1_600) && took <= Duration::from_millis(2_000), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_that_waited_is_left_out() {
        let (mut outbox, mut line) = outbox(100);
        assert_eq!(sent(&mut outbox, &mut line), [5]);
        // Only what may be the beginning of speech was kept, and is where it was.
        assert_eq!(line.place(0), 92 * 160);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_wait_at_most() {
        let (mut outbox, mut line) = outbox(600);
        outbox.speech_started();
        assert_eq!(outbox.take_lost(), 100);
        assert!(matches!(outbox.next(Instant::now(), &mut line), Next::Send(_)));
        assert_eq!(line.place(0), 16_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_gap_within_a_message_is_noted() {
        let (mut outbox, mut line) = outbox(3);
        outbox.speech_started();
        fill(&mut outbox, 50..53);
        assert_eq!(sent(&mut outbox, &mut line), [5]);
        assert_eq!((line.place(160), line.place(480)), (160, 8_000));
    }
}
