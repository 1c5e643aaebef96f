//! What the caller said in a turn, put together from transcripts by where they lie on the caller's time line.

use offhook_stage_api::{Transcript, beginning};

/// Octets of a turn's words, some 20 min of speech. Of more, the newest stay.
const LONGEST: usize = 16_000;
/// Pieces of a turn: a recogniser that sends many is not worth keeping them all.
const MOST_PIECES: usize = 2_000;

/// The words of one turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct TurnText {
    finals: Vec<Transcript>,
    partial: Option<Transcript>,
}

impl TurnText {
    /// All the words of a turn at once, from a line that knows when it is over. They take no place: whatever follows, even in the
    /// same instant, comes after them.
    pub(crate) fn whole(text: &str, at: u64) -> Self {
        let piece = Transcript { from: at, until: at, text: text.to_owned(), ..Transcript::default() };
        Self { finals: vec![piece], partial: None }
    }

    /// The same, with words that might still have changed taken as they are.
    pub(crate) fn settled(mut self) -> Self {
        if let Some(partial) = self.partial.take() {
            self.finals.retain(|old| !overlaps(old, &partial));
            self.keep(partial);
        }
        self
    }

    /// A final transcript for a turn that is over: replaces what it covers for the most part.
    pub(crate) fn on_late_final(&mut self, transcript: Transcript) {
        self.finals.retain(|old| {
            let shared = old.until.min(transcript.until).saturating_sub(old.from.max(transcript.from));
            shared * 2 < old.until.saturating_sub(old.from).max(1)
        });
        let place = self.finals.partition_point(|old| old.from <= transcript.from);
        self.finals.insert(place, transcript);
    }

    /// A transcript that won't change: replaces what it overlaps.
    pub(crate) fn on_final(&mut self, transcript: Transcript) {
        self.finals.retain(|old| !overlaps(old, &transcript));
        self.pass_by(&transcript);
        if self.partial.as_ref().is_some_and(|old| overlaps(old, &transcript)) {
            self.partial = None;
        }
        self.keep(transcript);
    }

    fn keep(&mut self, mut transcript: Transcript) {
        transcript.text.truncate(beginning(&transcript.text, LONGEST).len());
        let place = self.finals.partition_point(|old| old.from <= transcript.from);
        self.finals.insert(place, transcript);
        let mut length: usize = self.finals.iter().map(|piece| piece.text.len()).sum();
        while self.finals.len() > 1 && (length > LONGEST || self.finals.len() > MOST_PIECES) {
            length -= self.finals.remove(0).text.len();
        }
    }

    /// Words whose final transcript never came stay when the recogniser is at later ones.
    fn pass_by(&mut self, newer: &Transcript) {
        if let Some(passed) = self.partial.take_if(|old| old.until <= newer.from) {
            self.keep(passed);
        }
    }

    /// A transcript that may change: replaces the earlier partial.
    pub(crate) fn on_partial(&mut self, mut transcript: Transcript) {
        transcript.text.truncate(beginning(&transcript.text, LONGEST).len());
        if !self.finals.iter().any(|old| transcript.until <= old.until && old.from <= transcript.from) {
            self.pass_by(&transcript);
            self.partial = Some(transcript);
        }
    }

    /// All the words so far.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // A partial that covers the turn again stands for the finals it overlaps.
        let kept =
            self.finals.iter().filter(|old| self.partial.as_ref().is_none_or(|new| !overlaps(old, new)));
        let (before, after): (Vec<_>, Vec<_>) = kept.partition(|old| {
            self.partial.as_ref().is_none_or(|new| old.from < new.from || old.until <= new.from)
        });
        for piece in before.into_iter().chain(&self.partial).chain(after) {
            let words = piece.text.trim();
            if !words.is_empty() {
                if !text.is_empty() {
                    text.push(' ');
                }
                text.push_str(words);
            }
        }
        text
    }

    /// The words that won't change.
    pub(crate) fn finals(&self) -> String {
        self.finals.iter().map(|piece| piece.text.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
    }

    /// The newest words are final, and there are some (or it is final that there are none).
    pub(crate) fn is_settled(&self) -> bool {
        self.partial.is_none() && !self.finals.is_empty()
    }

    /// Where the words end, on the caller's time line; those that may still change among them.
    pub(crate) fn until(&self) -> u64 {
        self.finals.iter().chain(&self.partial).map(|piece| piece.until).max().unwrap_or(0)
    }

    /// Whether the recogniser thinks that the last words complete an answer.
    pub(crate) fn complete(&self) -> Option<bool> {
        match &self.partial {
            Some(_) => None,
            None => self.finals.last().and_then(|last| last.complete),
        }
    }

    /// The least confidence of the finals.
    pub(crate) fn confidence(&self) -> Option<f32> {
        self.finals.iter().filter_map(|piece| piece.confidence).min_by(f32::total_cmp)
    }
}

fn overlaps(a: &Transcript, b: &Transcript) -> bool {
    a.from < b.until && b.from < a.until
}

/// Words as compared: case and punctuation don't count.
fn plain_words(text: &str) -> Vec<String> {
    text.split_whitespace()
        .map(|word| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect())
        .filter(|word: &String| !word.is_empty())
        .collect()
}

/// How many words a text has.
pub(crate) fn count(text: &str) -> usize {
    plain_words(text).len()
}

/// Whether two texts have the same words.
pub(crate) fn same_words(a: &str, b: &str) -> bool {
    plain_words(a) == plain_words(b)
}

/// What follows these words in a text that begins with them.
pub(crate) fn after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let mut rest = text;
    for wanted in plain_words(words) {
        loop {
            let word = rest.split_whitespace().next()?;
            let place = rest.find(word).unwrap_or(0) + word.len();
            rest = rest.get(place..).unwrap_or("");
            match plain_words(word).first() {
                Some(plain) if *plain == wanted => break,
                Some(_) => return None,
                None => {}
            }
        }
    }
    Some(rest.trim_start_matches(|c: char| !c.is_alphanumeric()))
}

/// Whether the words of a piece stand in a text, one after the other.
#[must_use]
pub fn contains_words(text: &str, piece: &str) -> bool {
    let (text, piece) = (plain_words(text), plain_words(piece));
    piece.is_empty() || text.windows(piece.len()).any(|some| some == piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(from: u64, until: u64, text: &str) -> Transcript {
        Transcript { from, until, text: text.into(), ..Transcript::default() }
    }

    #[test]
    fn a_later_final_replaces_what_it_overlaps() {
        let mut turn = TurnText::default();
        turn.on_partial(piece(0, 50, "a table"));
        turn.on_final(piece(0, 100, "a table for two"));
        assert_eq!(turn.text(), "a table for two");
        turn.on_partial(piece(120, 150, "tonight"));
        assert_eq!(turn.text(), "a table for two tonight");
        assert!(!turn.is_settled());
        turn.on_final(piece(0, 200, "a table for two tonight at eight"));
        assert_eq!(turn.text(), "a table for two tonight at eight");
        assert!(turn.is_settled());
    }

    #[test]
    fn a_partial_that_meets_the_one_before_replaces_it_and_one_behind_it_does_not() {
        let mut turn = TurnText::default();
        turn.on_partial(piece(100, 160, "two"));
        turn.on_partial(piece(100, 220, "two pizzas"));
        assert_eq!(turn.text(), "two pizzas");
        turn.on_partial(piece(220, 300, "please"));
        assert_eq!((turn.text().as_str(), turn.until()), ("two pizzas please", 300));
        turn.on_final(piece(100, 280, "two pizzas, please"));
        assert_eq!((turn.text().as_str(), turn.until()), ("two pizzas, please", 280));
    }

    #[test]
    fn a_late_final_replaces_the_part_that_it_covers() {
        let mut turn = TurnText::default();
        turn.on_final(piece(0, 100, "two pizzas"));
        turn.on_partial(piece(110, 200, "and a water"));
        let mut turn = turn.settled();
        turn.on_late_final(piece(0, 100, "two large pizzas"));
        assert_eq!(turn.text(), "two large pizzas and a water");
        turn.on_late_final(piece(105, 200, "and some water"));
        assert_eq!(turn.text(), "two large pizzas and some water");
    }

    #[test]
    fn a_partial_that_is_settled_leaves_later_finals_alone() {
        let mut turn = TurnText::default();
        turn.on_final(piece(240, 270, "stop"));
        turn.on_partial(piece(150, 220, "that is"));
        let mut turn = turn.settled();
        assert_eq!(turn.text(), "that is stop");
        turn.on_late_final(piece(150, 225, "that is it."));
        assert_eq!(turn.text(), "that is it. stop");
    }

    #[test]
    fn finals_are_ordered_by_place_not_by_arrival() {
        let mut turn = TurnText::default();
        turn.on_final(piece(100, 200, "world"));
        turn.on_final(piece(0, 100, "hello"));
        assert_eq!(turn.text(), "hello world");
    }

    #[test]
    fn case_and_punctuation_do_not_count() {
        assert!(same_words("Two pizzas, please.", "two pizzas please"));
        assert!(!same_words("two pizzas", "three pizzas"));
        assert!(contains_words("Open from eleven, to ten at night.", "eleven to ten"));
        assert!(!contains_words("Open from eleven to ten.", "eleven ten"));
        assert!(!contains_words("Open.", "open at night"));
        assert_eq!(after("A table, for two – and a chair.", "a table for two"), Some("and a chair."));
        assert_eq!(after("A table.", "a table"), Some(""));
        assert_eq!(after("A chair.", "a table"), None);
        assert_eq!(after("A", "a table"), None);
    }

    #[test]
    fn words_without_end_keep_the_newest() {
        let mut words = TurnText::default();
        for nth in 0..5_000u64 {
            words.on_final(piece(nth * 10, nth * 10 + 10, &format!("word{nth}")));
        }
        words.on_partial(piece(50_000, 50_010, &"ü".repeat(20_000)));
        assert!(words.finals().len() <= LONGEST + MOST_PIECES && words.finals().ends_with("word4999"));
        assert!(words.text().len() <= 2 * (LONGEST + MOST_PIECES));
    }
}
