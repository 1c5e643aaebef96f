//! From a stream of text to pieces that can be spoken on their own.
//!
//! The first piece goes out as soon as it is speakable, so that the agent begins to speak early; later ones, and what is there
//! all at once, are whole sentences, which sound better.

use offhook_stage_api::text::SHORTEST_CLAUSE;

/// Without any sentence end, text is cut at a space after so many characters.
const LONGEST: usize = 220;

/// Abbreviations whose full stop ends no sentence.
const ABBREVIATIONS: &[&str] =
    &["mr", "mrs", "ms", "dr", "st", "no", "vs", "etc", "e.g", "i.e", "a.m", "p.m", "approx"];

/// Cuts a stream of text.
#[derive(Clone, Debug, Default)]
pub(crate) struct SentenceCutter {
    text: String,
    given: usize,
}

impl SentenceCutter {
    /// Takes more text.
    pub(crate) fn push(&mut self, delta: &str) {
        self.text.push_str(delta);
    }

    /// The next piece that is whole. Pieces without letters or digits are left out.
    pub(crate) fn next_piece(&mut self) -> Option<String> {
        while let Some(end) = self.find_end() {
            let rest = self.text.split_off(end);
            let piece = std::mem::replace(&mut self.text, rest.trim_start().to_owned());
            if piece.chars().any(char::is_alphanumeric) {
                self.given += 1;
                return Some(piece.trim().to_owned());
            }
        }
        None
    }

    /// What is left at the end of the stream.
    pub(crate) fn rest(&mut self) -> Option<String> {
        let piece = std::mem::take(&mut self.text);
        let piece = piece.trim();
        piece.chars().any(char::is_alphanumeric).then(|| piece.to_owned())
    }

    fn find_end(&self) -> Option<usize> {
        let mut previous_word_start = 0;
        let mut clause = None;
        let mut chars = self.text.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if c.is_whitespace() {
                previous_word_start = at + c.len_utf8();
            }
            let Some(&(after, next)) = chars.peek() else { break };
            let word = self.text.get(previous_word_start..at).unwrap_or("");
            let ends = match c {
                '!' | '?' | '…' => next.is_whitespace(),
                '.' => next.is_whitespace() && !is_abbreviation(word),
                '\n' => at > 0,
                '。' | '！' | '？' => true,
                ',' | ';' | ':' | '—' => {
                    if self.given == 0 && at >= SHORTEST_CLAUSE && next.is_whitespace() {
                        clause.get_or_insert(after);
                    }
                    false
                }
                ' ' => at >= LONGEST,
                _ => false,
            };
            if ends {
                return Some(after);
            }
        }
        clause
    }
}

fn is_abbreviation(word: &str) -> bool {
    let word = word.to_lowercase();
    word.len() == 1 || ABBREVIATIONS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        let mut cutter = SentenceCutter::default();
        let mut pieces = Vec::new();
        for c in text.chars() {
            cutter.push(&c.to_string());
            pieces.extend(cutter.next_piece());
        }
        pieces.extend(cutter.rest());
        pieces
    }

    #[test]
    fn sentences_are_cut_at_their_ends() {
        assert_eq!(cut("Hello there. How are you? Fine!"), ["Hello there.", "How are you?", "Fine!"]);
        assert_eq!(cut("Dr. Smith is in at 3.30 today. Good."), ["Dr. Smith is in at 3.30 today.", "Good."]);
        assert_eq!(cut(" ... "), Vec::<String>::new());
        assert_eq!(cut("… ! Yes. … No."), ["Yes.", "No."]);
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
}
