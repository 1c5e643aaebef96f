//! What transcripts change about a turn: its words, whether it goes on, and the words of one that was answered already.

use std::time::Duration;

use offhook_stage_api::{CallTime, Transcript};

use super::words::{self, contains_words, same_words};
use super::{CallerTurn, Pause, TurnState, WordsEffect};

/// Recognisers send a word some 150 to 300 ms after it was spoken: with a word that just came, the caller spoke until then at least.
const WORD_DELAY: Duration = Duration::from_millis(250);

impl CallerTurn {
    /// Whether a transcript is of a turn that was already answered: all of it, or but for a word that was spoken before the answer.
    fn is_late(&self, transcript: &Transcript, spoken_until: CallTime) -> bool {
        let overlaps = transcript.from < self.closed.until;
        transcript.until <= self.closed.until
            || (overlaps && self.is_quiet() && spoken_until <= self.closed.at)
    }

    /// A transcript that begins within the turn that was answered, without that turn's words.
    fn without_answered(&self, transcript: Transcript) -> Transcript {
        if transcript.from >= self.closed.until || !self.closed.answered {
            return transcript;
        }
        match words::after(&transcript.text, &self.closed.text.text()) {
            Some(text) => Transcript { from: self.closed.until, text: text.to_owned(), ..transcript },
            None => transcript,
        }
    }

    /// Words have come.
    pub(crate) fn on_words(
        &mut self,
        transcript: Transcript,
        is_final: bool,
        span: (CallTime, CallTime),
        now: CallTime,
    ) -> WordsEffect {
        let has_words = !transcript.text.trim().is_empty();
        self.partials |= !is_final && has_words;
        if self.is_late(&transcript, span.1) {
            return if is_final && has_words { self.on_late_final(transcript) } else { WordsEffect::None };
        }
        let transcript = self.without_answered(transcript);
        let has_words = has_words && !transcript.text.trim().is_empty();
        if is_final {
            self.stops.on_final(&transcript.text);
        }
        let before = self.text.text();
        if self.is_quiet() {
            if !has_words {
                return WordsEffect::None;
            }
            // Words without a talkspurt: too soft for our detector, not for the recogniser's.
            self.begin(span.0.min(now), transcript.from);
            self.until = transcript.until;
            self.ended = span.1.min(now).max(self.began);
            self.spoken = self.ended.since(self.began);
            self.state = TurnState::Paused(Pause::default());
        }
        let until = transcript.until;
        if is_final {
            self.text.on_final(transcript);
        } else {
            self.text.on_partial(transcript);
        }
        let text = self.text.text();
        let changed = !same_words(&before, &text);
        let more = changed && words::count(&text) > words::count(&before);
        match &mut self.state {
            TurnState::Speaking { onset, words, noise, .. } => {
                if more && !*words && !before.is_empty() {
                    self.pauses.went_on(onset.since(self.ended));
                }
                // A recogniser may have forgotten what came before.
                *words |= more || (changed && has_words && span.1 > *onset);
                *noise &= !*words;
            }
            TurnState::Paused(pause) => {
                if is_final {
                    pause.settled_at.get_or_insert(now);
                }
                // A word that comes now was spoken a moment ago, whether the detector noticed or not.
                let spoke = span.1.min(now.back(WORD_DELAY));
                if let Some(onset) = pause.noise_since.filter(|onset| more && span.1 > *onset) {
                    let settled_at = pause.settled_at;
                    self.state = TurnState::Speaking { onset, words: true, noise: false, settled_at };
                } else if more && !is_final && spoke > self.ended {
                    self.ended = spoke;
                    self.until = self.until.max(until);
                    *pause = Pause::default();
                }
            }
            TurnState::Reopening { .. } if more => return WordsEffect::WentOn,
            // The sound was taken for noise, or not noticed at all.
            TurnState::Decided(_) if more && span.1.min(now) > self.ended + WORD_DELAY => {
                self.ended = span.1.min(now);
                self.until = self.until.max(until);
                return WordsEffect::WentOn;
            }
            TurnState::Decided(decided) | TurnState::Reopening { decided, .. } => {
                if is_final {
                    decided.settled_at.get_or_insert(now);
                }
            }
            TurnState::Quiet => {}
        }
        if changed || before != text { WordsEffect::Changed } else { WordsEffect::None }
    }

    /// A final transcript for a turn that was already answered: it replaces what it overlaps, and must not vanish.
    fn on_late_final(&mut self, transcript: Transcript) -> WordsEffect {
        let before = self.closed.text.text();
        if contains_words(&before, &transcript.text) {
            return WordsEffect::None;
        }
        self.closed.text.on_late_final(transcript);
        WordsEffect::Corrected(self.closed.number, self.closed.text.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(from: u64, until: u64, text: &str) -> Transcript {
        Transcript { from, until, text: text.to_owned(), ..Transcript::default() }
    }

    const fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    /// Words that come before the caller's sound is noticed, and sound that goes on without any: a turn that is answered before its
    /// final transcript.
    fn answered_early() -> CallerTurn {
        let mut turn = CallerTurn::default();
        turn.on_words(heard(88_560, 89_040, "Yes"), false, (at(11_070), at(11_130)), at(11_117));
        turn.on_words(heard(88_560, 89_520, "Yes please."), false, (at(11_070), at(11_190)), at(11_197));
        turn.on_onset(at(11_177), 89_600);
        turn.on_noise();
        turn.decide(at(11_877), Duration::ZERO);
        assert_eq!(turn.close(at(11_878)), 89_520, "up to the last word that was answered");
        turn
    }

    #[test]
    fn the_final_transcript_of_words_that_were_answered_begins_no_turn() {
        let mut turn = answered_early();
        let span = (at(11_070), at(11_190));
        let effect = turn.on_words(heard(88_560, 89_520, "Yes, please."), true, span, at(11_957));
        assert!(matches!(effect, WordsEffect::None), "nothing is new in it");
        assert!(turn.is_quiet() && turn.words().is_empty());
        // What was said after it does.
        turn.on_words(heard(90_000, 92_000, "And a chair."), true, (at(11_250), at(11_500)), at(12_100));
        assert_eq!(turn.words(), "And a chair.");
    }

    #[test]
    fn a_final_transcript_with_other_words_corrects_the_turn_that_was_answered() {
        let mut turn = answered_early();
        let span = (at(11_070), at(11_190));
        let effect = turn.on_words(heard(88_560, 89_520, "Yes, three."), true, span, at(11_957));
        assert!(matches!(effect, WordsEffect::Corrected(_, text) if text == "Yes, three."));
        assert!(turn.is_quiet());
    }
}
