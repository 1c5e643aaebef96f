//! What all recognisers share: an ear, and the script.

use std::sync::Arc;
use std::time::Duration;

use crate::hearing::{Encoding, Hearing};
use crate::state::State;

/// A word is recognised after so much more speech.
const WORD: Duration = Duration::from_millis(280);

/// A word of an utterance, with its place in the connection's sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) start: Duration,
    pub(super) end: Duration,
}

impl Word {
    /// Lower case, without punctuation.
    pub(super) fn bare(&self) -> String {
        bare(&self.text)
    }
}

/// Lower case, without punctuation but for apostrophes.
pub(super) fn bare(text: &str) -> String {
    text.chars()
        .filter(|letter| letter.is_alphanumeric() || "' -".contains(*letter))
        .collect::<String>()
        .to_lowercase()
}

/// Words with spaces between.
pub(super) fn join(words: &[Word]) -> String {
    words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1_000.0
}

/// An ear that knows the script.
#[derive(Debug)]
pub(super) struct Recogniser {
    pub(super) state: Arc<State>,
    pub(super) hearing: Hearing,
    nth: usize,
}

impl Recogniser {
    pub(super) fn new(state: &Arc<State>, encoding: Encoding, rate: u32) -> Self {
        Self { state: Arc::clone(state), hearing: Hearing::new(encoding, rate), nth: 0 }
    }

    /// The words of the open utterance that are recognised by now.
    pub(super) fn so_far(&self) -> Vec<Word> {
        let Some((start, end)) = self.hearing.open() else { return Vec::new() };
        let heard = end.saturating_sub(start).as_millis() / WORD.as_millis();
        let mut words = self.all();
        words.truncate(usize::try_from(heard).unwrap_or(usize::MAX));
        words
    }

    /// All words of the open utterance, spread over its speech.
    pub(super) fn all(&self) -> Vec<Word> {
        let Some((start, end)) = self.hearing.open() else { return Vec::new() };
        let text = self.state.config.script.utterance(self.nth);
        let count = u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX).max(1);
        let each = end.saturating_sub(start) / count;
        (0..)
            .zip(text.split_whitespace())
            .map(|(nth, word)| Word {
                text: word.to_owned(),
                start: start + each * nth,
                end: start + each * (nth + 1),
            })
            .collect()
    }

    /// Ends the open utterance and gives its words.
    pub(super) fn finish(&mut self) -> Vec<Word> {
        let words = self.all();
        if self.hearing.open().is_some() {
            self.nth += 1;
            self.hearing.close();
        }
        words
    }

    /// How much longer a final transcript takes, when it has been silent for some time.
    pub(super) fn thinking(&self, silence: Duration) -> Duration {
        self.state.draw(self.state.config.latency.stt.first).saturating_sub(silence)
    }
}
