//! From written to spoken text: what a language model writes isn't always what a voice should say.
//!
//! Markup, tables, emoji, code and thoughts are left out in every language. In English, Spanish, German and French, numbers,
//! money, dates, times, addresses, units and abbreviations are written out, so that every voice says them alike and none
//! spells out "dollar sign". [`speakable`] does it to a whole text, [`Cleaner`] to one that still arrives, [`SentenceCutter`]
//! cuts a stream into pieces before that, and [`pieces`] cuts what is too long for a voice.
//!
//! [`Speakable`] keeps which spoken words stand for which written ones, so that what was heard can be told as it was
//! written. All of it reads a text once: the work grows with its length, whatever the text is.
#![forbid(unsafe_code)]

mod cleaner;
mod cursor;
mod language;
mod markup;
mod pieces;
mod rules;
mod scan;
mod sentence;
mod text;
mod thought;
mod tongue;

pub use cleaner::{Cleaner, Piece};
pub use pieces::{LONGEST_PIECE, pieces};
pub use sentence::{LONGEST_SENTENCE, SHORTEST_CLAUSE, SentenceCutter};
pub use text::Speakable;
pub use thought::ThoughtFilter;

/// What to say for `text`, in the language of this BCP 47 tag. Empty if there is nothing to say.
#[must_use]
pub fn speakable(text: &str, language: &str) -> String {
    Speakable::new(text, language).spoken
}

/// Whether a voice would say anything of this text: a letter or a digit is left when what is for the eye alone is gone.
/// "👍", "...", blanks, and a thought without an answer are not.
#[must_use]
pub fn is_speakable(text: &str, language: &str) -> bool {
    speakable(text, language).chars().any(char::is_alphanumeric)
}

impl Speakable {
    /// Makes a text speakable. `language` is a BCP 47 tag; without one, English is assumed.
    #[must_use]
    pub fn new(text: &str, language: &str) -> Self {
        Self::counted(text, language).0
    }

    /// The same, with how many steps it took.
    fn counted(text: &str, language: &str) -> (Self, u64) {
        let mut scan = scan::Scan::new(language::Language::new(language));
        scan.push_all(text);
        let (mut found, _) = scan.take(0);
        if !scan.spoke() {
            // Marks alone are nothing to say.
            let spans = if text.is_empty() { Vec::new() } else { vec![(0..0, 0..text.len())] };
            found = Self { spoken: String::new(), spans };
        }
        (found, scan.steps())
    }
}

#[cfg(test)]
mod tests;
