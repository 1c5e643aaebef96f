//! What a peer may have us do: so much sound, so many messages, so many octets.
//!
//! A phone speaks in real time. Whoever sends faster for long, or leaps ahead in time so that gaps are to be filled, takes time
//! from the other calls of the same worker. Bursts are usual: a network that stood still delivers what it held back.

use std::time::Duration;

/// `connected` and `start` must come within this.
pub(crate) const START_WITHIN: Duration = Duration::from_secs(10);
/// So many messages in a row that can't be used end the call; fewer are dropped and counted.
pub(crate) const MOST_BAD_IN_A_ROW: u32 = 50;
/// Messages after which others have their turn, and sound after which they do.
const MESSAGES_AT_ONCE: u32 = 16;
const SOUND_AT_ONCE: Duration = Duration::from_millis(500);

/// A rate, and how much more may come at once.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    per_second: u64,
    burst: u64,
}

impl Allowance {
    const fn after(self, elapsed: Duration) -> u64 {
        let milliseconds = elapsed.as_secs().saturating_mul(1_000) + elapsed.subsec_millis() as u64;
        self.burst.saturating_add(self.per_second.saturating_mul(milliseconds) / 1_000)
    }
}

/// A peer has sent more than a call can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// More sound than passes in the time.
    #[error("more than twice as much sound came as time passed")]
    Sound,
    /// More messages.
    #[error("more messages came than a call has")]
    Messages,
    /// More octets.
    #[error("more octets came than a call has")]
    Octets,
}

/// Watches what one peer sends.
#[derive(Clone, Debug)]
pub struct StreamGuard {
    /// Milliseconds of sound; twice real time.
    sound: Allowance,
    messages: Allowance,
    octets: Allowance,
    had: [u64; 3],
    /// Since others had their turn.
    at_once: (u32, Duration),
    newest: Option<u64>,
}

impl StreamGuard {
    /// For Media Streams: Twilio sends 50 messages of some 400 octets a second.
    #[must_use]
    pub const fn of_sound() -> Self {
        let sound = Allowance { per_second: 2_000, burst: 15_000 };
        let messages = Allowance { per_second: 200, burst: 1_500 };
        let octets = Allowance { per_second: 80_000, burst: 800_000 };
        Self { sound, messages, octets, had: [0; 3], at_once: (0, Duration::ZERO), newest: None }
    }

    /// For ConversationRelay: Twilio sends some messages a second while somebody speaks.
    #[must_use]
    pub const fn of_text() -> Self {
        let sound = Allowance { per_second: 0, burst: 0 };
        let messages = Allowance { per_second: 50, burst: 500 };
        let octets = Allowance { per_second: 20_000, burst: 200_000 };
        Self { sound, messages, octets, had: [0; 3], at_once: (0, Duration::ZERO), newest: None }
    }

    /// A message of so many octets has come, so long after the stream's begin.
    ///
    /// # Errors
    /// If it is too much.
    pub const fn message(&mut self, octets: usize, elapsed: Duration) -> Result<(), TooMuch> {
        let [_, messages, all] = &mut self.had;
        *messages += 1;
        *all = all.saturating_add(octets as u64);
        self.at_once.0 += 1;
        if *messages > self.messages.after(elapsed) {
            return Err(TooMuch::Messages);
        }
        if *all > self.octets.after(elapsed) { Err(TooMuch::Octets) } else { Ok(()) }
    }

    /// Sound has come: so many samples, with this timestamp. A leap ahead counts as sound, up to `gap`: so much is filled in.
    ///
    /// # Errors
    /// If it is too much.
    pub fn sound(
        &mut self,
        samples: usize,
        timestamp_ms: Option<u64>,
        gap: Duration,
        elapsed: Duration,
    ) -> Result<(), TooMuch> {
        let own = u64::try_from(samples / 8).unwrap_or(u64::MAX);
        let gap = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        let leap = match (timestamp_ms, self.newest) {
            (Some(now), Some(newest)) => now.saturating_sub(newest).min(gap),
            _ => 0,
        };
        self.newest = timestamp_ms.or(self.newest);
        // Sound in order leaps by its own length.
        let all = own.max(leap);
        let [sound, ..] = &mut self.had;
        *sound = sound.saturating_add(all);
        self.at_once.1 += Duration::from_millis(all);
        if *sound > self.sound.after(elapsed) { Err(TooMuch::Sound) } else { Ok(()) }
    }

    /// Whether others should have their turn now.
    pub fn rests(&mut self) -> bool {
        let rests = self.at_once.0 >= MESSAGES_AT_ONCE || self.at_once.1 >= SOUND_AT_ONCE;
        if rests {
            self.at_once = (0, Duration::ZERO);
        }
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_secs(5);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_call_in_real_time_goes_on_for_hours_and_a_held_back_burst_is_taken() {
        let mut guard = StreamGuard::of_sound();
        let mut frame = |number: u64, at: Duration| {
            guard.message(420, at)?;
            guard.sound(160, Some(number * 20), GAP, at)
        };
        for number in 0..180_000 {
            frame(number, ms(number * 20)).unwrap();
        }
        // 10 s held back, then all at once.
        for number in 180_000..180_500 {
            frame(number, ms(180_500 * 20)).unwrap();
        }
    }

    #[test]
    fn whoever_sends_faster_is_too_fast_soon() {
        let mut guard = StreamGuard::of_sound();
        let sent = (0..).find(|number| guard.sound(160, Some(number * 20), GAP, ms(0)).is_err());
        assert_eq!(sent, Some(750), "15 s");
        let mut guard = StreamGuard::of_sound();
        let at_triple =
            (0..).find(|number| guard.sound(160, Some(number * 20), GAP, ms(number * 20 / 3)).is_err());
        assert!(at_triple.is_some_and(|frames| frames * 20 < 60_000), "{at_triple:?}");
        // Timestamps that leap make us fill gaps.
        let mut guard = StreamGuard::of_sound();
        let leaps = (0..).find(|number| guard.sound(0, Some(number * 5_000), GAP, ms(*number)).is_err());
        assert_eq!(leaps, Some(4));
        // One that leaps back and forth gains nothing by it.
        let mut guard = StreamGuard::of_sound();
        let leaps = (0..).find(|number| guard.sound(0, Some(number % 2 * 5_000), GAP, ms(0)).is_err());
        assert!(leaps.is_some_and(|leaps| leaps < 10));
    }

    #[test]
    fn messages_and_octets_have_their_measure() {
        let mut guard = StreamGuard::of_sound();
        assert_eq!((1..).find_map(|_| guard.message(2, ms(0)).err()), Some(TooMuch::Messages));
        let mut guard = StreamGuard::of_text();
        let prompts = (1..).find(|_| guard.message(60_000, ms(0)).is_err());
        assert_eq!(prompts, Some(4));
        let mut guard = StreamGuard::of_text();
        for number in 0..100_000 {
            guard.message(200, ms(number * 100)).unwrap();
        }
    }

    #[test]
    fn others_have_their_turn() {
        let mut guard = StreamGuard::of_sound();
        let rests: Vec<bool> = (0..32)
            .map(|_| {
                guard.message(420, ms(0)).unwrap();
                guard.rests()
            })
            .collect();
        assert_eq!(rests.iter().filter(|rests| **rests).count(), 2);
        guard.sound(16_000, None, GAP, ms(0)).unwrap();
        assert!(guard.rests() && !guard.rests());
    }
}
