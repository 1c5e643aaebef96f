//! A provider's piece of text, and its place on the caller's time line.

use offhook_stage_api::beginning;

/// A word and where it lies on the caller's time line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) text: String,
}

/// A piece of text as a provider gave it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Piece {
    /// Tells pieces apart: a later one with the same number replaces the earlier.
    pub(crate) id: u64,
    /// Where its words begin; where its sound begins, if it has none.
    pub(crate) from: u64,
    /// Where its words end.
    pub(crate) until: u64,
    /// The provider has looked at all sound before this place.
    pub(crate) covers: u64,
    pub(crate) text: String,
    /// The text's words, if their times are known.
    pub(crate) words: Vec<Word>,
    pub(crate) confidence: Option<f32>,
}

/// Longest text of a piece, in octets, and most of its words: what is spoken in minutes without a pause.
const LONGEST: usize = 4_000;
const MOST_WORDS: usize = 1_000;

impl Piece {
    /// Cuts a text that is too long to have been spoken. Whether it was.
    pub(super) fn cut_short(&mut self) -> bool {
        let is_long = self.text.len() > LONGEST || self.words.len() > MOST_WORDS;
        if is_long {
            self.text.truncate(beginning(&self.text, LONGEST).len());
            self.text.shrink_to_fit();
            self.words.truncate(MOST_WORDS);
            self.words.shrink_to_fit();
        }
        is_long
    }

    pub(super) fn middle(&self) -> u64 {
        self.from + self.until.saturating_sub(self.from) / 2
    }

    /// Divides the words into those before a place and those after it.
    pub(super) fn split(self, place: u64) -> (Option<Self>, Option<Self>) {
        if self.until <= place || self.from >= place || self.words.is_empty() {
            return if self.middle() < place { (Some(self), None) } else { (None, Some(self)) };
        }
        let (mut early, mut late) = (self.clone(), self);
        early.words.retain(|word| word.from + word.until.saturating_sub(word.from) / 2 < place);
        let count = early.words.len();
        late.words.drain(..count.min(late.words.len()));
        (early.with_words_only(), late.with_words_only())
    }

    pub(super) fn with_words_only(mut self) -> Option<Self> {
        self.from = self.words.first()?.from;
        self.until = self.words.last()?.until;
        self.text = self.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        Some(self)
    }
}
