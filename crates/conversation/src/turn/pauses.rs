//! How this caller pauses, and how this recogniser punctuates: learnt during the call.

use std::time::Duration;

/// The longest pauses within the latest turns count.
const TURNS: usize = 4;
/// Shorter ones are between words.
const SHORTEST: Duration = Duration::from_millis(250);

/// Pauses within the caller's turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    turns: [Duration; TURNS],
    next: usize,
}

impl Pauses {
    /// The caller went on after a pause, with words before and after it.
    pub(crate) fn went_on(&mut self, after: Duration) {
        if after >= SHORTEST
            && let Some(longest) = self.turns.get_mut(self.next)
        {
            *longest = (*longest).max(after);
        }
    }

    /// A turn is over: its longest pause stands.
    pub(crate) fn turn_over(&mut self) {
        self.next = (self.next + 1) % TURNS;
        if let Some(next) = self.turns.get_mut(self.next) {
            *next = Duration::ZERO;
        }
    }

    /// The longest of the latest turns; zero if there was none.
    pub(crate) fn longest(&self) -> Duration {
        self.turns.iter().max().copied().unwrap_or_default()
    }
}

/// Final transcripts, by whether they end with a full stop.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stops {
    with: u32,
    without: u32,
}

impl Stops {
    pub(crate) fn on_final(&mut self, text: &str) {
        let text = text.trim_end();
        if text.chars().any(char::is_alphanumeric) {
            if text.ends_with(['.', '!', '?', '。', '？', '！']) {
                self.with += 1;
            } else {
                self.without += 1;
            }
        }
    }

    /// A full stop says something: the recogniser sets some, and leaves some out.
    pub(crate) const fn count(&self) -> bool {
        self.with > 0 && self.without > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_counts_for_four_turns() {
        let mut pauses = Pauses::default();
        pauses.went_on(Duration::from_millis(100));
        assert_eq!(pauses.longest(), Duration::ZERO);
        pauses.went_on(Duration::from_secs(1));
        for _ in 0..3 {
            pauses.turn_over();
            assert_eq!(pauses.longest(), Duration::from_secs(1));
        }
        pauses.turn_over();
        assert_eq!(pauses.longest(), Duration::ZERO);
    }

    #[test]
    fn full_stops_count_once_one_was_left_out() {
        let mut stops = Stops::default();
        stops.on_final("Two pizzas.");
        assert!(!stops.count());
        stops.on_final("a table for");
        assert!(stops.count());
    }
}
