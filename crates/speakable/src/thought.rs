//! Takes out of a stream what was never meant for ears.

use crate::markup::{Hidden, Retracted};

/// What the end of a thought is passed on as, where its beginning was taken for speech.
const END: &str = "</think>";

/// Takes thoughts, code and comments out of a stream of text, as soon as they are known for what they are.
#[derive(Clone, Debug, Default)]
pub struct ThoughtFilter {
    hidden: Hidden,
    /// Text that holds no letter or digit yet.
    blank: String,
    /// A letter or digit came out.
    spoke: bool,
}

impl ThoughtFilter {
    /// Takes more text, and gives what of it is meant for ears; nothing before there is a letter or digit in it. Where what was
    /// given out turns out to have been a thought, it begins with the thought's end.
    pub fn push(&mut self, delta: &str) -> String {
        self.take(delta, false)
    }

    /// What was held back at the end of the stream.
    pub fn finish(&mut self) -> String {
        self.take("", true)
    }

    fn take(&mut self, delta: &str, ended: bool) -> String {
        let retracted = self.hidden.push(delta, ended, &mut self.blank) == Retracted(true);
        let end = retracted && self.spoke;
        self.spoke |= self.blank.chars().any(char::is_alphanumeric);
        if !self.spoke {
            return String::new();
        }
        let text = std::mem::take(&mut self.blank);
        if end { format!("{END}{text}") } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filtered(text: &str, size: usize) -> Vec<String> {
        let mut filter = ThoughtFilter::default();
        let chars: Vec<char> = text.chars().collect();
        let mut out: Vec<String> =
            chars.chunks(size).map(|token| filter.push(&String::from_iter(token))).collect();
        out.push(filter.finish());
        out.retain(|text| !text.is_empty());
        out
    }

    #[test]
    fn what_is_no_word_is_kept_until_there_is_one() {
        assert_eq!(filtered("👍 ... ", 1), [""; 0]);
        assert_eq!(filtered("... Yes.", 8), ["... Yes."]);
        for size in [1, 3, 50] {
            assert_eq!(filtered("<think>He wants 2.</think>\n\n", size), [""; 0]);
            assert_eq!(filtered("<think>He wants 2.</think>👍", size), [""; 0]);
            assert_eq!(filtered("<think>He wants 2.</think>Two, then.", size).concat(), "Two, then.");
            assert_eq!(filtered("a < b and <i>c</i>", size).concat(), "a < b and <i>c</i>");
        }
    }

    #[test]
    fn a_thought_that_was_taken_for_speech_keeps_its_end() {
        assert_eq!(filtered("I should greet.</think>Hello.", 100), ["Hello."]);
        assert_eq!(filtered("I should greet.</think>Hello.", 1).concat(), "I should greet.</think>Hello.");
    }
}
