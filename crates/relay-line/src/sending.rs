//! An utterance on its way: made speakable, and not sent to its end.

use std::sync::Arc;
use std::time::Duration;

use offhook_speakable::{Cleaner, Piece};
use offhook_stage_api::{CallTime, Digits, Recording, UtteranceId};

/// A stream that stops for so long behind a sentence won't go on with its last word.
const SENTENCE_HELD: Duration = Duration::from_millis(200);
/// The same within a sentence: a word or a number may yet go on.
const WORD_HELD: Duration = Duration::from_millis(600);

/// An utterance that isn't sent to its end.
#[derive(Debug)]
pub(crate) struct Sending {
    pub(crate) id: UtteranceId,
    /// Makes its text speakable.
    pub(crate) cleaner: Cleaner,
    /// When text came last.
    pub(crate) came: CallTime,
    /// Text that isn't sent yet.
    pub(crate) text: Piece,
    /// Keys to be pressed in place of text.
    pub(crate) keys: Option<Digits>,
    /// A recording to be played in place of text.
    pub(crate) recording: Option<Arc<Recording>>,
    pub(crate) interruptible: bool,
    /// Its reply is speculative.
    pub(crate) held: bool,
    /// No more text comes.
    pub(crate) closed: bool,
    /// Some of it was sent.
    pub(crate) begun: bool,
}

impl Sending {
    /// More of its text can be said. True if it is the first.
    pub(crate) fn take(&mut self, more: &Piece) -> bool {
        let first = !self.begun && self.text.text.spoken.is_empty();
        self.text.append(more);
        first && !self.text.text.spoken.is_empty()
    }

    /// When what is held back goes out, if no more comes.
    pub(crate) fn held_until(&self) -> Option<CallTime> {
        let held = self.cleaner.held().trim_end();
        let sentence =
            held.trim_end_matches(['"', '”', '»', ')', '*', '_']).ends_with(['.', '!', '?', '…', ':']);
        let says = !self.closed && held.contains(char::is_alphanumeric);
        says.then(|| self.came + if sentence { SENTENCE_HELD } else { WORD_HELD })
    }

    /// What was written and isn't sent.
    pub(crate) fn unsent(&self) -> String {
        format!("{}{}", self.text.written, self.cleaner.held()).trim().to_owned()
    }
}
