//! From a stream of text to pieces that can be spoken on their own.
//!
//! The first piece goes out as soon as it is speakable, so that the agent begins to speak early; later ones, and what is there
//! all at once, are whole sentences, which sound better.

use crate::language::Language;
use crate::markup::{Hidden, Retracted};

/// A first piece may end at a comma if it has at least so many characters, as long as the sentence isn't whole yet: some 0.8 s
/// of speech, in which the rest is written and spoken.
pub const SHORTEST_CLAUSE: usize = 12;
/// No piece has more characters: without a sentence end, text is cut at a blank, or wherever it must be.
pub const LONGEST_SENTENCE: usize = 220;
/// Text that was given out is forgotten when there is so much of it, in bytes.
const FORGET: usize = 4_096;

/// Cuts a stream of text into pieces. Thoughts and code are no part of any. The work grows with the text's length, however
/// it comes.
#[derive(Clone, Debug)]
pub struct SentenceCutter {
    language: Language,
    hidden: Hidden,
    text: String,
    /// Where the next piece begins.
    start: usize,
    /// How far it was looked at.
    at: usize,
    /// Its characters so far.
    count: usize,
    /// Where the word begins that is looked at.
    word: usize,
    /// The last blank in it, and the first end of a clause.
    blank: Option<usize>,
    clause: Option<usize>,
    /// It has a letter or digit.
    speaks: bool,
    given: usize,
    steps: u64,
}

impl Default for SentenceCutter {
    fn default() -> Self {
        Self::new("")
    }
}

impl SentenceCutter {
    /// Cuts text of the language of this BCP 47 tag.
    #[must_use]
    pub fn new(language: &str) -> Self {
        Self {
            language: Language::new(language),
            hidden: Hidden::default(),
            text: String::new(),
            start: 0,
            at: 0,
            count: 0,
            word: 0,
            blank: None,
            clause: None,
            speaks: false,
            given: 0,
            steps: 0,
        }
    }

    /// Takes more text.
    pub fn push(&mut self, delta: &str) {
        self.take(delta, false);
    }

    fn take(&mut self, delta: &str, ended: bool) {
        if self.hidden.push(delta, ended, &mut self.text) == Retracted(true) {
            // It was a thought; what was given out of it can't be taken back.
            self.begin(0);
        }
    }

    /// The next piece that is whole. Pieces without a letter or digit are passed over.
    pub fn next_piece(&mut self) -> Option<String> {
        loop {
            let (end, speaks) = self.find_end()?;
            let piece = speaks.then(|| self.text.get(self.start..end).unwrap_or_default().trim().to_owned());
            self.begin(end);
            if piece.is_some() {
                self.given += 1;
                return piece;
            }
        }
    }

    /// What is left at the end of the stream: more than one piece if it is long, so call it until there is none.
    pub fn rest(&mut self) -> Option<String> {
        self.take("", true);
        if let Some(piece) = self.next_piece() {
            return Some(piece);
        }
        let piece = self.text.get(self.start..).unwrap_or_default().trim();
        let piece = piece.chars().any(char::is_alphanumeric).then(|| piece.to_owned());
        self.text.clear();
        self.begin(0);
        piece
    }

    /// Nothing is left to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.text.get(self.start..).unwrap_or_default().chars().any(char::is_alphanumeric)
    }

    /// How many characters were looked at.
    #[cfg(test)]
    pub(crate) const fn steps(&self) -> u64 {
        self.steps
    }

    /// A piece begins.
    fn begin(&mut self, start: usize) {
        self.start = start;
        if self.start > FORGET && self.start * 2 > self.text.len() {
            self.text.drain(..self.start);
            self.start = 0;
        }
        (self.at, self.word) = (self.start, self.start);
        (self.count, self.blank, self.clause, self.speaks) = (0, None, None, false);
    }

    /// Where the piece ends, and whether it says anything.
    fn find_end(&mut self) -> Option<(usize, bool)> {
        while let Some(c) = self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            self.steps += 1;
            if c.is_whitespace() && self.count == 0 {
                // Blanks before a piece are none of it.
                self.at += c.len_utf8();
                (self.start, self.word) = (self.at, self.at);
                continue;
            }
            if self.count >= LONGEST_SENTENCE {
                return Some((self.clause.max(self.blank).unwrap_or(self.at), self.speaks));
            }
            let after = self.at + c.len_utf8();
            let ends = match c {
                '\n' | '。' | '！' | '？' => Some(after),
                '!' | '?' | '…' | '.' => match self.closing(after) {
                    // It isn't known yet what comes.
                    None => return self.early(),
                    Some(Some(end)) if c != '.' || !self.is_abbreviation() => Some(end),
                    Some(_) => None,
                },
                ',' | ';' | ':' | '—' if self.given == 0 && self.count >= SHORTEST_CLAUSE => {
                    match self.text.get(after..).and_then(|rest| rest.chars().next()) {
                        None => return self.early(),
                        Some(next) if next.is_whitespace() => {
                            self.clause.get_or_insert(after);
                        }
                        Some(_) => {}
                    }
                    None
                }
                _ => None,
            };
            self.speaks |= c.is_alphanumeric();
            if let Some(end) = ends {
                // What closes it counts as well.
                let closing = self.text.get(self.at..end).unwrap_or_default().chars().count();
                if self.count + closing > LONGEST_SENTENCE {
                    return Some((self.clause.max(self.blank).unwrap_or(self.at), self.speaks));
                }
                return Some((end, self.speaks));
            }
            if c.is_whitespace() {
                self.word = after;
                self.blank = Some(self.at);
            }
            self.at = after;
            self.count += 1;
        }
        self.early()
    }

    /// The first piece may be a clause.
    fn early(&self) -> Option<(usize, bool)> {
        self.clause.filter(|_| self.given == 0 && self.speaks).map(|end| (end, true))
    }

    /// Where a sentence ends whose mark is before `after`, with its closing quotes. `None`: more text is needed;
    /// `Some(None)`: it doesn't end here.
    fn closing(&mut self, after: usize) -> Option<Option<usize>> {
        let mut end = after;
        for c in self.text.get(after..).unwrap_or_default().chars().take(4) {
            self.steps += 1;
            if c.is_whitespace() {
                return Some(Some(end));
            }
            if !matches!(c, '"' | '”' | '“' | '»' | '\'' | '’' | ')' | '*' | '_' | '.' | '!' | '?' | '…')
            {
                return Some(None);
            }
            end += c.len_utf8();
        }
        if self.text.len() - end == 0 && end - after < 12 { None } else { Some(None) }
    }

    /// The full stop belongs to the word before it.
    fn is_abbreviation(&mut self) -> bool {
        let word = self.text.get(self.word..self.at).unwrap_or_default();
        if word.len() > 24 {
            return false;
        }
        self.steps += word.len() as u64;
        let begins = self.word == self.start;
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let figures = !word.is_empty() && word.bytes().all(|c| c.is_ascii_digit()) && word.len() <= 3;
        let tongue = self.language.tongue;
        let german = tongue.is_some_and(|tongue| std::ptr::eq(tongue, &raw const crate::tongue::GERMAN));
        // "3. Mai"; "2. Salad" of a list.
        if figures && (german || begins) {
            return true;
        }
        let letter = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
        let short = tongue.map_or(&["dr", "mr", "st", "prof"][..], |tongue| tongue.no_stop);
        letter || short.contains(&word.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cut_in(language: &str, text: &str) -> Vec<String> {
        let mut cutter = SentenceCutter::new(language);
        let mut pieces = Vec::new();
        for c in text.chars() {
            cutter.push(&c.to_string());
            while let Some(piece) = cutter.next_piece() {
                pieces.push(piece);
            }
        }
        while let Some(piece) = cutter.rest() {
            pieces.push(piece);
        }
        pieces
    }

    fn cut(text: &str) -> Vec<String> {
        cut_in("en-US", text)
    }

    #[test]
    fn what_closes_a_sentence_makes_it_no_longer_than_a_voice_takes() {
        for length in LONGEST_SENTENCE - 6..LONGEST_SENTENCE + 3 {
            let text =
                format!("{}.\")\u{201d}) And more.", "1/".repeat(length / 2) + &"1".repeat(length % 2));
            for piece in cut(&text) {
                assert!(piece.chars().count() <= LONGEST_SENTENCE, "{piece}");
            }
        }
    }

    #[test]
    fn sentences_are_cut_at_their_ends() {
        assert_eq!(cut("Hello there. How are you? Fine!"), ["Hello there.", "How are you?", "Fine!"]);
        assert_eq!(cut("Dr. Smith is in at 3.30 today. Good."), ["Dr. Smith is in at 3.30 today.", "Good."]);
        assert_eq!(cut("He said \"Yes.\" Then **none.** So."), ["He said \"Yes.\"", "Then **none.**", "So."]);
        assert_eq!(cut(" ... "), Vec::<String>::new());
    }

    #[test]
    fn the_first_piece_may_be_a_clause() {
        assert_eq!(
            cut("So that is two large pepperoni pizzas and a bottle of water, for delivery, is that right?"),
            ["So that is two large pepperoni pizzas and a bottle of water,", "for delivery, is that right?"]
        );
        assert_eq!(cut("Well, two pizzas, then. Fine, good."), ["Well, two pizzas,", "then.", "Fine, good."]);
    }

    #[test]
    fn a_sentence_that_is_there_is_not_cut_in_two() {
        let mut cutter = SentenceCutter::default();
        cutter.push("Two large pepperoni pizzas, got it. Anything else?");
        assert_eq!(cutter.next_piece().as_deref(), Some("Two large pepperoni pizzas, got it."));
    }

    #[test]
    fn abbreviations_are_the_languages() {
        assert_eq!(
            cut_in("de-DE", "Am 3. Mai um ca. 9 Uhr, z. B. bei Dr. Weiß. Gut?"),
            ["Am 3. Mai um ca. 9 Uhr,", "z. B. bei Dr. Weiß.", "Gut?"]
        );
        assert_eq!(
            cut_in("es-ES", "La Sra. Gil vive en la Avda. Mayor. Vale."),
            ["La Sra. Gil vive en la Avda. Mayor.", "Vale."]
        );
        assert_eq!(
            cut_in("fr-FR", "M. Petit habite av. Foch. Bien."),
            ["M. Petit habite av. Foch.", "Bien."]
        );
        assert_eq!(cut("1. Pizza is hot.\n2. Salad is cold."), ["1. Pizza is hot.", "2. Salad is cold."]);
    }

    #[test]
    fn a_piece_without_letters_does_not_stop_the_loop() {
        let mut cutter = SentenceCutter::default();
        cutter.push("👍! ... ?! Hello. ");
        assert_eq!(cutter.next_piece().as_deref(), Some("Hello."));
    }

    #[test]
    fn thoughts_and_code_are_no_pieces() {
        assert_eq!(cut("<think>I should greet. Yes.</think>Hello. You."), ["Hello.", "You."]);
        // What was given out is out; the rest of the thought isn't.
        let mut cutter = SentenceCutter::default();
        cutter.push("The user says hi. I should answer.</think>Hello there. You.");
        assert_eq!(cutter.next_piece().as_deref(), Some("Hello there."));
        assert_eq!(cut("Run this:\n```sh\nrm -rf x. Now.\n```\nDone."), ["Run this:", "Done."]);
        assert_eq!(cut("a < b and [x]. Good."), ["a < b and [x].", "Good."]);
    }

    #[test]
    fn the_work_grows_with_the_text() {
        for text in [
            "Hi. ".repeat(75_000),
            "x".repeat(100_000),
            "1/".repeat(50_000),
            "a.".repeat(50_000),
            "? ".repeat(50_000),
        ] {
            let mut cutter = SentenceCutter::default();
            cutter.push(&text);
            let mut length = 0;
            while let Some(piece) = cutter.next_piece() {
                assert!(piece.chars().count() <= LONGEST_SENTENCE);
                length += piece.len();
            }
            while let Some(piece) = cutter.rest() {
                length += piece.len();
            }
            assert!(length <= text.len());
            assert!(cutter.steps() <= 8 * text.len() as u64, "{} steps for {}", cutter.steps(), text.len());
        }
    }

    proptest! {
        #[test]
        fn pieces_are_short_and_nothing_is_lost(text in "[a-z0-9 ,.!?\n]{0,600}", german in any::<bool>()) {
            let pieces = cut_in(if german { "de" } else { "en" }, &text);
            let kept = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert!(pieces.iter().all(|piece| piece.chars().count() <= LONGEST_SENTENCE));
            prop_assert_eq!(kept(&pieces.concat()), kept(&text));
        }
    }
}
