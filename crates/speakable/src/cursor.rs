//! Reads a text piece by piece, in a window of bounded size, and counts what it looks at.

use std::cell::Cell;

/// Rules see so many bytes of the text ahead of them. It bounds the work per position, and so the work per text.
pub(crate) const WINDOW: usize = 192;
/// Rules see so many bytes of the text behind them.
pub(crate) const BEHIND: usize = 64;

/// What reading costs, and whether it met the end of a text that may go on.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    steps: Cell<u64>,
    starved: Cell<bool>,
}

impl Meter {
    pub(crate) fn step(&self, count: usize) {
        self.steps.set(self.steps.get() + count as u64);
    }

    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Whether a rule wanted more text than there is; forgets it.
    pub(crate) fn take_starved(&self) -> bool {
        self.starved.replace(false)
    }
}

/// The text that is left. A copy is a way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    whole: usize,
    /// The text may go on where the window ends.
    open: bool,
    /// The text goes on where the window ends.
    cut: bool,
    meter: &'a Meter,
}

impl<'a> Cursor<'a> {
    /// Reads `text` from `at`. `open`: more of it may come.
    pub(crate) fn new(text: &'a str, at: usize, open: bool, meter: &'a Meter) -> Self {
        let end = text.floor_char_boundary_at(at.saturating_add(WINDOW));
        let rest = text.get(at..end).unwrap_or_default();
        Self { rest, whole: rest.len(), open: open && end == text.len(), cut: end < text.len(), meter }
    }

    /// What the window shows. Looking at its end isn't noticed: only for text that was read before.
    pub(crate) fn taken_since(&self, start: &Self) -> &'a str {
        start.rest.get(..start.rest.len() - self.rest.len()).unwrap_or_default()
    }

    /// How many bytes were read.
    pub(crate) const fn read(&self) -> usize {
        self.whole - self.rest.len()
    }

    pub(crate) fn peek(&self) -> Option<char> {
        self.meter.step(1);
        let next = self.rest.chars().next();
        if next.is_none() && self.open {
            self.meter.starved.set(true);
        }
        next
    }

    /// Reads the next character.
    pub(crate) fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        Some(next)
    }

    /// Reads what fits.
    pub(crate) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let start = *self;
        while self.peek().is_some_and(&fits) {
            self.next();
        }
        self.taken_since(&start)
    }

    pub(crate) fn digits(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_digit())
    }

    pub(crate) fn letters(&mut self) -> &'a str {
        self.take_while(char::is_alphabetic)
    }

    /// Passes over so many bytes that were read before.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// Reads this text, if it is next.
    pub(crate) fn eat(&mut self, text: &str) -> bool {
        self.meter.step(1);
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.meter.step(text.len());
                self.rest = rest;
                true
            }
            None => {
                if self.open && self.rest.len() < text.len() && text.starts_with(self.rest) {
                    self.meter.starved.set(true);
                }
                false
            }
        }
    }

    /// Reads the first of these texts that is next, with its place in the list.
    pub(crate) fn eat_one<'b>(&mut self, texts: &[&'b str]) -> Option<&'b str> {
        texts.iter().copied().find(|text| self.eat(text))
    }

    /// Reads one of these characters.
    pub(crate) fn eat_any(&mut self, chars: &[char]) -> Option<char> {
        let next = self.peek().filter(|c| chars.contains(c))?;
        self.next();
        Some(next)
    }

    /// Reads a space, if there is one: a plain one, or one that doesn't break.
    pub(crate) fn space(&mut self) -> bool {
        self.eat_any(&[' ', '\u{a0}', '\u{202f}', '\u{2009}']).is_some()
    }

    /// No letter or digit comes next.
    pub(crate) fn at_word_end(&self) -> bool {
        !self.peek().is_some_and(char::is_alphanumeric)
    }

    /// The window ends here, and the text doesn't.
    pub(crate) const fn is_cut(&self) -> bool {
        self.cut && self.rest.is_empty()
    }

    /// A digit comes next.
    pub(crate) fn at_digit(&self) -> bool {
        self.peek().is_some_and(|c| c.is_ascii_digit())
    }

    /// Nothing but blanks and closing marks come before the end of the line or text.
    pub(crate) fn at_sentence_end(mut self) -> bool {
        self.take_while(|c| matches!(c, ' ' | '"' | '”' | '»' | ')' | '*' | '_'));
        self.peek().is_none_or(|c| c == '\n')
    }
}

/// `str::floor_char_boundary`, which newer compilers have.
pub(crate) trait Boundary {
    /// The character boundary at or before this byte.
    fn floor_char_boundary_at(&self, at: usize) -> usize;
}

impl Boundary for str {
    fn floor_char_boundary_at(&self, at: usize) -> usize {
        if at >= self.len() {
            return self.len();
        }
        (0..=at).rev().find(|at| self.is_char_boundary(*at)).unwrap_or(0)
    }
}

/// Where a rule looks: what stands before, and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) before: &'a str,
    pub(crate) cursor: Cursor<'a>,
    /// Nothing but blanks stands before it on its line.
    pub(crate) begins_line: bool,
}

impl<'a> Place<'a> {
    /// The character before, if any.
    pub(crate) fn previous(&self) -> Option<char> {
        self.before.chars().next_back()
    }

    /// What stands before, as far as rules look back.
    pub(crate) fn near(&self) -> &'a str {
        let from = self.before.floor_char_boundary_at(self.before.len().saturating_sub(BEHIND));
        self.before.get(from..).unwrap_or_default()
    }

    /// The `nth` word before (0 is the last), without marks, as it is written; only from the same sentence.
    pub(crate) fn word_before(&self, nth: usize) -> &'a str {
        let sentence = self.near().rsplit(['!', '?', '\n', ';']).next().unwrap_or_default();
        let mut words = sentence.split(|c: char| c.is_whitespace() || c == '\'' || c == '’').rev();
        let words = words.by_ref().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
        words.filter(|word| !word.is_empty()).nth(nth).unwrap_or_default()
    }

    /// One of the last words before is one of these (lower case), `most` words back at most.
    pub(crate) fn follows(&self, words: &[&str], most: usize) -> bool {
        (0..most).any(|nth| {
            let word = self.word_before(nth);
            !word.is_empty() && words.contains(&word.to_lowercase().as_str())
        })
    }
}

/// What a rule makes of the text before it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Match {
    /// How many bytes of the written text it covers.
    pub(crate) length: usize,
    pub(crate) said: Said,
}

/// What is said for a match.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// This.
    Words(String),
    /// What these bytes of the match are spoken as; the rest of it is left out.
    Inner(std::ops::Range<usize>),
    /// Nothing, and the line goes on as if it began here.
    LineMark,
    /// Nothing, up to and with this mark, however far away it is.
    Hidden(&'static str),
    /// What was said so far wasn't meant for ears.
    Retract,
}

impl Match {
    pub(crate) fn words(length: usize, words: impl Into<String>) -> Self {
        Self { length, said: Said::Words(words.into()) }
    }

    pub(crate) fn nothing(length: usize) -> Self {
        Self::words(length, "")
    }
}
