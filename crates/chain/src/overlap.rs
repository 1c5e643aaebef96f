//! Text from one model and then another, as one text: nothing is said twice.

use offhook_stages::is_full_stop;

/// Takes away the beginning of a continuation that repeats what was said: all of it, or its last words.
#[derive(Debug)]
pub(super) struct Overlap {
    /// Letters and digits of what was said, in lower case.
    said: Vec<char>,
    /// Where words begin in them.
    starts: Vec<usize>,
    held: String,
    /// How many bytes were taken away, once that is known.
    repeated: Option<usize>,
    /// What is new has begun.
    begun: bool,
    /// What was said ends with a space, or the continuation needn't begin with one.
    spaced: bool,
}

enum Match {
    /// May still become one.
    Open,
    /// Up to this byte of what is held.
    Until(usize),
    None,
}

impl Overlap {
    pub(super) fn new(said: &str) -> Self {
        let (mut chars, mut starts) = (Vec::new(), Vec::new());
        for word in said.split_whitespace() {
            starts.push(chars.len());
            for c in word.chars().filter(|c| c.is_alphanumeric()) {
                if is_ideograph(c) {
                    starts.push(chars.len());
                }
                chars.extend(c.to_lowercase());
            }
        }
        starts.dedup();
        starts.retain(|start| *start < chars.len());
        let spaced = said.chars().next_back().is_none_or(|c| c.is_whitespace() || is_ideograph(c));
        Self { said: chars, starts, held: String::new(), repeated: None, begun: false, spaced }
    }

    /// Takes more of the continuation; gives what is new in it.
    pub(super) fn push(&mut self, delta: &str) -> String {
        self.held.push_str(delta);
        self.decide(false)
    }

    /// The rest, at its end.
    pub(super) fn finish(&mut self) -> String {
        self.decide(true)
    }

    fn decide(&mut self, ended: bool) -> String {
        if self.repeated.is_none() {
            let mut repeated = 0;
            for start in &self.starts {
                match self.compare(*start, ended) {
                    Match::Open => return String::new(),
                    Match::Until(end) => repeated = repeated.max(end),
                    Match::None => {}
                }
            }
            self.repeated = Some(repeated);
            self.held.drain(..repeated);
        }
        let held = std::mem::take(&mut self.held);
        if self.begun {
            return held;
        }
        // A stop right after what was repeated belongs to it.
        let repeats = self.repeated.is_some_and(|bytes| bytes > 0);
        let belongs = |c: char| c.is_whitespace() || repeats && is_stop(c);
        let new = held.trim_start_matches(belongs);
        if new.is_empty() {
            return String::new();
        }
        self.begun = true;
        if self.spaced { new.to_owned() } else { format!(" {new}") }
    }

    /// Whether what is held begins with what was said from `start` on.
    fn compare(&self, start: usize, ended: bool) -> Match {
        let said = self.said.get(start..).unwrap_or(&[]);
        let mut expected = said.iter();
        let mut end = 0;
        let mut chars = self.held.char_indices().filter(|(_, c)| c.is_alphanumeric());
        while expected.len() > 0 {
            let Some((at, c)) = chars.next() else {
                return match (ended, start) {
                    (false, _) => Match::Open,
                    // It began again and got less far.
                    (true, 0) => Match::Until(self.held.len()),
                    (true, _) => Match::None,
                };
            };
            if !c.to_lowercase().all(|c| expected.next() == Some(&c)) {
                return Match::None;
            }
            end = at + c.len_utf8();
        }
        match self.held.get(end..).and_then(|rest| rest.chars().next()) {
            // “no” is not the beginning of “nothing”; more letters may come.
            None if !ended => Match::Open,
            Some(c) if c.is_alphanumeric() && !is_ideograph(c) => Match::None,
            _ => Match::Until(end),
        }
    }
}

const fn is_stop(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '—') || is_full_stop(c)
}

/// Chinese, Japanese and Korean characters and punctuation: no spaces stand between them.
pub(super) const fn is_ideograph(c: char) -> bool {
    matches!(c as u32, 0x2E80..=0x9FFF | 0xAC00..=0xD7AF | 0xF900..=0xFAFF | 0xFF00..=0xFF60 | 0x2_0000..=0x3_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn continued(said: &str, continuation: &str) -> String {
        let mut overlap = Overlap::new(said);
        let mut new = String::new();
        for c in continuation.chars() {
            new += &overlap.push(c.encode_utf8(&mut [0; 4]));
        }
        new + &overlap.finish()
    }

    #[test]
    fn what_was_said_is_taken_away() {
        let said = "Your order is ready. It costs ";
        for (continuation, new) in [
            ("ten dollars.", "ten dollars."),
            (" ten dollars.", "ten dollars."),
            ("It costs ten dollars.", "ten dollars."),
            ("Your order is ready. It costs ten dollars.", "ten dollars."),
            ("your order is ready, it costs: ten dollars.", "ten dollars."),
            ("costs ten dollars.", "ten dollars."),
            ("It costsomething", "It costsomething"),
            ("It is ten dollars.", "It is ten dollars."),
            ("Your order is ready. It costs", ""),
            ("Your order is", ""),
            ("", ""),
        ] {
            assert_eq!(continued(said, continuation), new, "{continuation}");
        }
        assert_eq!(continued("您好。", "您好。请问"), "请问");
        assert_eq!(continued("Hello.", "Hello. Bye."), " Bye.");
        assert_eq!(continued("", "Hello"), "Hello");
    }

    proptest! {
        #[test]
        fn a_restart_and_a_continuation_say_the_same(
            words in proptest::collection::vec("[a-c]{1,2}[.,]?", 1..12), cut in 0usize..12, back in 0usize..12,
        ) {
            let cut = cut.min(words.len());
            let said: String = words.iter().take(cut).map(|word| format!("{word} ")).collect();
            let restarted = words.join(" ");
            let whole = said.clone() + &continued(&said, &restarted);
            prop_assert_eq!(whole.trim(), restarted.trim());
            // Going on some words back says nothing twice, if the words show where that was.
            let from = cut - back.min(cut);
            let unique: Vec<String> = (0..words.len()).map(|n| format!("w{n}")).collect();
            let said: String = unique.iter().take(cut).map(|word| format!("{word} ")).collect();
            let rest = unique.get(from..).unwrap_or(&[]).join(" ");
            let whole = said.clone() + &continued(&said, &rest);
            prop_assert_eq!(whole.trim(), unique.join(" "));
        }
    }
}
