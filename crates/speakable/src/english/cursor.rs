//! Reads a text piece by piece; a copy is a way back.

/// The text that is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
    whole: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, whole: text.len() }
    }

    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }

    /// How many bytes were read.
    pub(super) fn read(&self) -> usize {
        self.whole - self.rest.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Reads what fits.
    pub(super) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn digits(&mut self) -> &'a str {
        self.take_while(|c| c.is_ascii_digit())
    }

    pub(super) fn letters(&mut self) -> &'a str {
        self.take_while(char::is_alphabetic)
    }

    /// Reads this text, if it is next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads one of these characters.
    pub(super) fn eat_any(&mut self, chars: &[char]) -> Option<char> {
        let next = self.peek().filter(|c| chars.contains(c))?;
        self.rest = self.rest.get(next.len_utf8()..).unwrap_or_default();
        Some(next)
    }

    /// Reads a space, if there is one: a plain one, or one that doesn't break.
    pub(super) fn space(&mut self) -> bool {
        self.eat_any(&[' ', '\u{a0}', '\u{202f}']).is_some()
    }

    /// No letter or digit comes next.
    pub(super) fn at_word_end(&self) -> bool {
        !self.peek().is_some_and(|c| c.is_alphanumeric() && !super::is_part(c))
    }
}
