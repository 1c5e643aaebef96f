//! What the caller says, as Twilio tells it.

use std::time::Duration;

use offhook_conversation::CallEvent;
use offhook_conversation::line::LineEvent;
use offhook_stage_api::{CallTime, Transcript};

/// Twilio tells so soon what it kept while the connection was lost.
const REPLAYED: Duration = Duration::from_secs(1);

/// The caller's words and when they came.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// When the turn began.
    turn_from: Option<CallTime>,
    /// When the caller began to speak last, and the first word of the newest prompt that may change, and its time.
    onset: Option<CallTime>,
    partial: Option<(String, CallTime)>,
    /// What was said last as a whole, and when the connection came back: Twilio may tell it once more.
    said: String,
    back: Option<CallTime>,
}

/// Places on the caller's time line are counted as if its sound came at 8 kHz.
fn position(at: CallTime) -> u64 {
    u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX / 8).saturating_mul(8)
}

impl Caller {
    pub(crate) fn on_prompt(&mut self, text: &str, last: bool, now: CallTime) -> LineEvent {
        if last {
            (self.turn_from, self.partial) = (None, None);
            let again = self.back.take().is_some_and(|back| now.since(back) < REPLAYED);
            if again && !text.is_empty() && text == self.said {
                let message = "Twilio told the caller's last words once more".to_owned();
                return LineEvent::Notice(CallEvent::Trouble { message });
            }
            text.clone_into(&mut self.said);
            return LineEvent::Said { text: text.to_owned() };
        }
        let first = text.split_whitespace().next().unwrap_or("").to_lowercase();
        if let Some((before, at)) = &self.partial
            && *before != first
            && let Some(onset) = self.onset.filter(|onset| onset > at)
        {
            // Other words since the caller began again: those of before were never given as a whole.
            self.turn_from = Some(onset);
        }
        self.partial = Some((first, now));
        let from = *self.turn_from.get_or_insert(now);
        let (from_place, until) = (position(from), position(now) + 1);
        let transcript =
            Transcript { from: from_place, until, text: text.to_owned(), ..Transcript::default() };
        LineEvent::Heard { transcript, is_final: false, span: (from, now) }
    }

    pub(crate) fn on_speaking(&mut self, speaking: bool, now: CallTime) -> LineEvent {
        let position = position(now);
        if speaking {
            self.onset = Some(now);
            self.turn_from.get_or_insert(now);
            LineEvent::CallerBegan { at: now, position }
        } else {
            LineEvent::CallerPaused { at: now, position }
        }
    }

    pub(crate) fn lost(&mut self) {
        self.turn_from = None;
    }

    pub(crate) const fn came_back(&mut self, now: CallTime) {
        self.back = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_told_once_more_are_not_said_twice() {
        let at = CallTime::from_millis;
        let mut caller = Caller::default();
        let said = |event: LineEvent| matches!(event, LineEvent::Said { .. });
        assert!(said(caller.on_prompt("A table for two.", true, at(1_000))));
        caller.lost();
        caller.came_back(at(5_000));
        assert!(!said(caller.on_prompt("A table for two.", true, at(5_200))));
        // Whoever says so again is heard, and so is another word.
        assert!(said(caller.on_prompt("A table for two.", true, at(5_900))));
        caller.came_back(at(9_000));
        assert!(said(caller.on_prompt("Hello?", true, at(9_200))));
        caller.came_back(at(12_000));
        assert!(said(caller.on_prompt("Hello?", true, at(14_000))));
    }
}
