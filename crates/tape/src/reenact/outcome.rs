//! What came of a call, in figures that can be compared.

use offhook_conversation::{BargeInStage, CallEvent};
use serde::Serialize;

/// Whoever speaks again so soon after the end of a turn was decided wasn't done.
const CUT_OFF_MS: u64 = 700;

/// What came of a call, or of many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The caller's turns that were answered: when decided, and the words.
    pub turns: Vec<(u64, String)>,
    /// Times of turns whose end was decided although the caller went on within 700 ms: false cut-offs.
    pub cut_offs: Vec<u64>,
    /// From the end of speech to the decision, in milliseconds, a turn each, but those cut off.
    pub decided_ms: Vec<u64>,
    /// From the end of speech to the reply's first frame.
    pub answered_ms: Vec<u64>,
    /// Times at which the agent was interrupted.
    pub interruptions: Vec<u64>,
    /// Times at which the agent went on after what was no interruption.
    pub resumed: Vec<u64>,
    /// What the caller heard, utterance by utterance.
    pub heard: Vec<String>,
}

impl Outcome {
    /// From a call's events with their times in milliseconds.
    pub fn of<'a>(events: impl Iterator<Item = (u64, &'a CallEvent)>) -> Self {
        let mut outcome = Self::default();
        let mut open: Option<(u64, u64, String)> = None;
        for (at, event) in events {
            match event {
                CallEvent::SpeechStarted { .. } => {
                    if let Some((decided, _, _)) = &open
                        && at <= decided + CUT_OFF_MS
                    {
                        outcome.cut_offs.push(*decided);
                        let text = open.take().map(|(_, _, text)| text);
                        outcome.turns.push((at, text.unwrap_or_default()));
                    }
                }
                CallEvent::TurnEnded(turn) => {
                    outcome.close(open.take());
                    let waited = turn.decided_ms.saturating_sub(turn.speech_end_ms);
                    open = Some((turn.decided_ms, waited, turn.text.clone()));
                }
                CallEvent::ReplyTimed(timing) => outcome.answered_ms.push(timing.first_frame_ms),
                CallEvent::BargeIn { stage: BargeInStage::Interrupted, .. } => outcome.interruptions.push(at),
                CallEvent::BargeIn { stage: BargeInStage::Resumed, .. } => outcome.resumed.push(at),
                CallEvent::Said { heard, .. } => outcome.heard.push(heard.clone()),
                _ => {}
            }
        }
        outcome.close(open);
        outcome
    }

    fn close(&mut self, open: Option<(u64, u64, String)>) {
        if let Some((decided, waited, text)) = open {
            self.turns.push((decided, text));
            self.decided_ms.push(waited);
        }
    }

    /// Adds another call's.
    pub fn add(&mut self, other: Self) {
        self.turns.extend(other.turns);
        self.cut_offs.extend(other.cut_offs);
        self.decided_ms.extend(other.decided_ms);
        self.answered_ms.extend(other.answered_ms);
        self.interruptions.extend(other.interruptions);
        self.resumed.extend(other.resumed);
        self.heard.extend(other.heard);
    }
}

/// The value that so many percent of the others don't exceed; `None` of nothing.
#[must_use]
pub fn percentile(values: &[u64], percent: usize) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * percent.min(100) + 50) / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_there() {
        assert_eq!(percentile(&[], 50), None);
        assert_eq!(percentile(&[7], 95), Some(7));
        assert_eq!(percentile(&[30, 10, 20], 50), Some(20));
        assert_eq!(percentile(&[30, 10, 20], 100), Some(30));
    }
}
