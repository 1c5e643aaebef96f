//! From written to spoken text: what a language model writes isn't always what a voice should say.
//!
//! Markup and emoji are left out in every language. In English, numbers, money, dates, times, addresses, units and
//! abbreviations are written out, so that every voice says them alike and none spells out "dollar sign". It is done to whole
//! sentences, and without any memory of earlier ones.
//!
//! [`Speakable`] keeps which spoken words stand for which written ones, so that what was heard can be told as it was
//! written.
#![forbid(unsafe_code)]

mod english;
mod markup;

use std::ops::Range;

/// A text as it is spoken, and where each part of it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speakable {
    /// What to say.
    pub spoken: String,
    /// Spoken byte ranges and the written ones that they stand for. In order, without gaps, covering both texts; either may
    /// be empty. Ranges of the same text are equal byte for byte; others belong together as a whole.
    pub spans: Vec<(Range<usize>, Range<usize>)>,
}

/// What to say for `text`, in the language of this BCP 47 tag.
#[must_use]
pub fn speakable(text: &str, language: &str) -> String {
    Speakable::new(text, language).spoken
}

impl Speakable {
    /// Makes a text speakable. `language` is a BCP 47 tag; without one, English is assumed.
    #[must_use]
    pub fn new(text: &str, language: &str) -> Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        let english = primary.is_empty() || primary.eq_ignore_ascii_case("en");
        // British, Irish, Australian, Indian English: every one that names its country, but the American.
        let day_first = english && language.len() > 2 && !is_american(language);
        let mut scan = Scan { text, english, day_first, out: Self::default() };
        scan.range(0..text.len());
        scan.out.finish(text)
    }

    /// Whether it is spoken as it was written.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        matches!(self.spans.as_slice(), [] | [(_, _)])
            && self.spans.iter().all(|(spoken, written)| spoken == written)
    }

    /// The written text that a part of the spoken one stands for: whole where it was written out.
    #[must_use]
    pub fn written(&self, spoken: Range<usize>) -> Range<usize> {
        let mut found: Option<Range<usize>> = None;
        for (from, to) in &self.spans {
            if from.is_empty() || from.end <= spoken.start || from.start >= spoken.end {
                continue;
            }
            let part = if from.len() == to.len() {
                let start = to.start + spoken.start.saturating_sub(from.start);
                start..to.end - from.end.saturating_sub(spoken.end)
            } else {
                to.clone()
            };
            found = Some(found.map_or(part.clone(), |found| found.start..part.end));
        }
        found.unwrap_or_default()
    }

    fn push(&mut self, spoken: &str, written: Range<usize>) {
        let from = self.spoken.len();
        self.spoken.push_str(spoken);
        self.spans.push((from..self.spoken.len(), written));
    }

    /// Joins neighbours that are the same in both texts, and others that can't be told apart.
    fn finish(mut self, text: &str) -> Self {
        let end = self.spoken.trim_end().len();
        self.spoken.truncate(end);
        let mut joined: Vec<(Range<usize>, Range<usize>)> = Vec::with_capacity(self.spans.len());
        for (spoken, written) in self.spans {
            let spoken = spoken.start.min(end)..spoken.end.min(end);
            if spoken.is_empty() && written.is_empty() {
                continue;
            }
            let same = |spoken: &Range<usize>, written: &Range<usize>| {
                !spoken.is_empty() && self.spoken.get(spoken.clone()) == text.get(written.clone())
            };
            match joined.last_mut() {
                Some((before, from)) if same(before, from) && same(&spoken, &written) => {
                    before.end = spoken.end;
                    from.end = written.end;
                }
                Some((before, from)) if before.start == before.end && spoken.start == spoken.end => {
                    from.end = written.end
                }
                _ => joined.push((spoken, written)),
            }
        }
        Self { spoken: self.spoken, spans: joined }
    }
}

fn is_american(language: &str) -> bool {
    language.split(['-', '_']).any(|part| part.eq_ignore_ascii_case("us"))
}

/// What a rule makes of the text before it.
struct Match {
    /// How many bytes of the written text it covers.
    length: usize,
    /// What is said for them.
    said: Said,
}

enum Said {
    /// This.
    Words(String),
    /// What these bytes of the match, counted from its start, are spoken as; the rest of it is left out.
    Inner(Range<usize>),
}

impl Match {
    fn words(length: usize, words: impl Into<String>) -> Self {
        Self { length, said: Said::Words(words.into()) }
    }

    fn nothing(length: usize) -> Self {
        Self::words(length, "")
    }
}

/// Where a rule looks: the whole text, and a place in it.
#[derive(Clone, Copy)]
struct Place<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    /// Whether 3/4 is the third of April.
    day_first: bool,
}

impl<'a> Place<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..self.end).unwrap_or_default()
    }

    fn before(&self) -> &'a str {
        self.text.get(..self.at).unwrap_or_default()
    }

    /// The character before, if any.
    fn previous(&self) -> Option<char> {
        self.before().chars().next_back()
    }

    /// Nothing but blanks stands before it on its line.
    fn begins_line(&self) -> bool {
        self.before().rsplit('\n').next().unwrap_or_default().trim().is_empty()
    }
}

struct Scan<'a> {
    text: &'a str,
    english: bool,
    day_first: bool,
    out: Speakable,
}

impl Scan<'_> {
    fn range(&mut self, range: Range<usize>) {
        let Range { start: mut at, end } = range;
        while at < end {
            let place = Place { text: self.text, at, end, day_first: self.day_first };
            let Some(next) = place.rest().chars().next() else { return };
            let found = markup::rule(place).or_else(|| self.english.then(|| english::rule(place)).flatten());
            let length = match found {
                Some(Match { length, said }) if length > 0 => {
                    match said {
                        Said::Words(words) => self.say(&words, at..at + length),
                        Said::Inner(inner) => {
                            self.out.push("", at..at + inner.start);
                            self.range(at + inner.start..at + inner.end);
                            self.out.push("", at + inner.end..at + length);
                        }
                    }
                    length
                }
                _ => {
                    self.copy(next, at);
                    next.len_utf8()
                }
            };
            at += length;
        }
    }

    fn copy(&mut self, c: char, at: usize) {
        let written = at..at + c.len_utf8();
        if !c.is_whitespace() {
            self.out.push(c.encode_utf8(&mut [0; 4]), written);
        } else if self.out.spoken.is_empty() || self.out.spoken.ends_with(' ') {
            self.out.push("", written);
        } else {
            self.out.push(" ", written);
        }
    }

    /// Words of a rule, kept apart from what stands before.
    fn say(&mut self, words: &str, written: Range<usize>) {
        let begins = words.chars().next();
        let glued = self.out.spoken.chars().next_back().is_some_and(char::is_alphanumeric)
            && begins.is_some_and(char::is_alphanumeric)
            && self
                .text
                .get(..written.start)
                .and_then(|before| before.chars().next_back())
                .is_some_and(|c| !c.is_alphanumeric());
        let pause = begins == Some(',') || begins == Some('.');
        if pause && self.out.spoken.ends_with(' ') {
            self.out.spoken.pop();
            if let Some((last, _)) = self.out.spans.iter_mut().rfind(|(spoken, _)| !spoken.is_empty()) {
                last.end -= 1;
            }
            let end = self.out.spoken.len();
            for (empty, _) in self.out.spans.iter_mut().rev().take_while(|(spoken, _)| spoken.start > end) {
                *empty = end..end;
            }
        }
        if pause
            && (self.out.spoken.is_empty() || self.out.spoken.ends_with([',', '.', '!', '?', ':', ';', ' ']))
        {
            // A pause after a pause is none.
            let blank = if self.out.spoken.is_empty() || self.out.spoken.ends_with(' ') { "" } else { " " };
            return self.out.push(blank, written);
        }
        if glued {
            self.out.push(" ", written.start..written.start);
        }
        let doubled = self.out.spoken.ends_with(' ') || self.out.spoken.is_empty();
        let words = if doubled { words.trim_start() } else { words };
        self.out.push(words, written);
    }
}

#[cfg(test)]
mod tests;
