//! Text that is written bit by bit, passed on by the sentence.

use offhook_speakable::SHORTEST_CLAUSE;

/// A sentence of so many characters is passed on by the word.
const RUN_ON: usize = 200;

/// Keeps text back until a sentence is whole, or its first clause long enough to begin with. The call speaks by sentences too, so nothing is said later for this; and when
/// no link can finish a sentence, none was begun.
#[derive(Debug, Default)]
pub struct Hold {
    held: String,
    /// Something was passed on.
    begun: bool,
    /// Characters passed on since a sentence ended.
    run: usize,
}

impl Hold {
    /// Takes more text; returns what may be passed on.
    pub fn push(&mut self, delta: &str) -> Option<String> {
        self.held.push_str(delta);
        let end = self.last_boundary()?;
        let rest = self.held.split_off(end);
        let whole = std::mem::replace(&mut self.held, rest);
        self.begun = true;
        let ended = whole.trim_end().ends_with(is_full_stop) || whole.ends_with('\n');
        self.run = if ended { 0 } else { self.run + whole.chars().count() };
        Some(whole)
    }

    /// What is held, at the end of the text.
    pub fn flush(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.held);
        self.begun |= !rest.is_empty();
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// The whole sentences of what is held, when no more comes: the last one has no space behind it that would end it.
    pub fn whole(&mut self) -> Option<String> {
        let mut end = self.held.trim_end().chars().rev();
        let ends = end.next().is_some_and(is_full_stop) && end.next().is_some_and(char::is_alphabetic);
        ends.then(|| self.flush()).flatten()
    }

    /// Forgets what is held: the link that wrote it failed.
    pub fn forget(&mut self) {
        self.held.clear();
    }

    fn last_boundary(&self) -> Option<usize> {
        let mut boundary = None;
        let mut chars = self.held.char_indices().peekable();
        let mut count = 0;
        while let Some((at, c)) = chars.next() {
            count += 1;
            let after = at + c.len_utf8();
            let space_follows = chars.peek().is_some_and(|(_, next)| next.is_whitespace());
            let ends = match c {
                '.' | '!' | '?' | '…' => space_follows,
                '。' | '！' | '？' | '\n' => true,
                ',' | ';' | ':' | '—' => !self.begun && count > SHORTEST_CLAUSE && space_follows,
                _ => c.is_whitespace() && self.run + count >= RUN_ON,
            };
            if ends {
                // With the space: the sentence cutter looks for it.
                let spaced = chars.peek().filter(|(_, next)| next.is_whitespace());
                boundary = Some(spaced.map_or(after, |(at, space)| at + space.len_utf8()));
            }
        }
        boundary
    }
}

/// Whether the character ends a sentence.
#[must_use]
pub const fn is_full_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_are_kept_until_they_are_whole() {
        let mut hold = Hold::default();
        assert_eq!(hold.push("Hel"), None);
        assert_eq!(hold.push("lo."), None);
        assert_eq!(hold.push(" How are").as_deref(), Some("Hello. "));
        assert_eq!(hold.push(" you? Well, "), Some("How are you? ".into()));
        assert_eq!(hold.flush().as_deref(), Some("Well, "));
        let mut hold = Hold::default();
        let clause = "I have looked at all of the tables that we have left, ";
        assert_eq!(hold.push(clause).as_deref(), Some(clause));
        assert_eq!(hold.push(clause), None, "only the first");
        assert!(hold.push(&"and on ".repeat(30)).is_some());
        assert!(hold.push("and on ").is_some(), "a run-on sentence comes by the word");
    }

    proptest! {
        #[test]
        fn held_text_is_lost_nowhere(pieces in proptest::collection::vec("[a-d .,!\n。é]{0,30}", 0..20)) {
            let mut hold = Hold::default();
            let mut out: String = pieces.iter().filter_map(|piece| hold.push(piece)).collect();
            out.extend(hold.flush());
            prop_assert_eq!(out, pieces.concat());
        }
    }
}
