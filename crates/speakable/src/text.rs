//! A spoken text, and where each part of it comes from.

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

impl Speakable {
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
        let first = self.spans.partition_point(|(from, _)| from.end <= spoken.start);
        for (from, to) in self.spans.get(first..).unwrap_or_default() {
            if from.start >= spoken.end {
                break;
            }
            if from.start == from.end {
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
}

impl Speakable {
    /// Adds what follows it. `written` is how long the text is that it stands for so far.
    pub fn append(&mut self, next: &Self, written: usize) {
        let spoken = self.spoken.len();
        self.spoken.push_str(&next.spoken);
        let behind = |range: &Range<usize>, by: usize| range.start + by..range.end + by;
        self.spans.extend(next.spans.iter().map(|(from, to)| (behind(from, spoken), behind(to, written))));
    }

    /// How much of the written text was said when the spoken one was said up to this byte: what stands for nothing said
    /// goes with what is before it.
    #[must_use]
    pub fn written_until(&self, spoken: usize) -> usize {
        let until = self.spans.partition_point(|(from, _)| from.start < spoken || from.end <= spoken);
        match until.checked_sub(1).and_then(|last| self.spans.get(last)) {
            None => 0,
            Some((from, to)) if from.end > spoken && from.len() == to.len() => to.end - (from.end - spoken),
            Some((_, to)) => to.end,
        }
    }
}

/// Collects spoken text.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: Speakable,
    /// Whether the last span is the same in both texts.
    verbatim: bool,
    /// A blank that is said if more follows: its written range.
    blank: Option<Range<usize>>,
    /// Something that isn't said stood at that blank.
    hides: bool,
    /// The last character that was said, also of what was taken away.
    last: Option<char>,
    /// A letter or digit was said.
    spoke: bool,
}

impl Output {
    /// A letter or digit was said.
    pub(crate) const fn spoke(&self) -> bool {
        self.spoke
    }

    fn push(&mut self, spoken: &str, written: Range<usize>, verbatim: bool) {
        let from = self.text.spoken.len();
        self.text.spoken.push_str(spoken);
        self.last = spoken.chars().next_back().or(self.last);
        self.spoke |= spoken.chars().any(char::is_alphanumeric);
        let to = self.text.spoken.len();
        match self.text.spans.last_mut() {
            Some((before, range))
                if (self.verbatim && verbatim) || (before.start == before.end && spoken.is_empty()) =>
            {
                before.end = to;
                range.end = written.end;
            }
            _ if spoken.is_empty() && written.start == written.end => {}
            _ => {
                self.text.spans.push((from..to, written));
                self.verbatim = verbatim;
            }
        }
    }

    fn flush_blank(&mut self, say: bool, text: &str, offset: usize) {
        let Some(written) = self.blank.take() else { return };
        self.hides = false;
        let say = say && self.last.is_some_and(|c| c != ' ');
        let local = written.start.saturating_sub(offset)..written.end.saturating_sub(offset);
        let same = say && text.get(local) == Some(" ");
        self.push(if say { " " } else { "" }, written, same);
    }

    /// A character as it is written. `text` begins at `offset` of the whole text.
    pub(crate) fn copy(&mut self, c: char, at: usize, text: &str, offset: usize) {
        // A blank before a mark was left by what isn't said: "Great 😀." French sets one before ! and ? of its own.
        let mark = matches!(c, ',' | '.') || (self.hides && matches!(c, '!' | '?' | ';' | ':'));
        self.flush_blank(!mark, text, offset);
        self.push(c.encode_utf8(&mut [0; 4]), at..at + c.len_utf8(), true);
    }

    /// Whitespace.
    pub(crate) fn blank(&mut self, written: Range<usize>) {
        match &mut self.blank {
            Some(blank) => blank.end = written.end,
            None => self.blank = Some(written),
        }
    }

    /// Words of a rule. `apart`: what they stand for wasn't joined to the word before.
    pub(crate) fn say(&mut self, words: &str, written: Range<usize>, apart: bool, text: &str, offset: usize) {
        let begins = words.chars().next();
        if words.is_empty() {
            if let Some(blank) = &mut self.blank {
                // What is left out between two blanks leaves one.
                blank.end = written.end;
                self.hides = true;
                return;
            }
            return self.push("", written, false);
        }
        if matches!(begins, Some(',' | '.')) {
            self.flush_blank(false, text, offset);
            let mute =
                self.last.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, ')' | '"' | '”' | '»' | '\''));
            let words = if mute { "" } else { words.trim_end() };
            self.push(words, written.clone(), false);
            return self.blank(written.end..written.end);
        }
        if words.trim().is_empty() {
            return self.blank(written);
        }
        let spaced = words.starts_with(' ');
        let glued = self.blank.is_none()
            && apart
            && self.last.is_some_and(char::is_alphanumeric)
            && begins.is_some_and(char::is_alphanumeric);
        let opened = self.last.is_some_and(|c| matches!(c, '(' | '“' | '¿' | '¡'));
        if (glued || spaced) && !opened && self.blank.is_none() {
            self.blank(written.start..written.start);
        }
        self.flush_blank(true, text, offset);
        self.push(words.trim(), written.clone(), false);
        if words.ends_with(' ') {
            self.blank(written.end..written.end);
        }
    }

    /// Forgets what was said and not yet taken away.
    pub(crate) fn retract(&mut self) {
        let end = self.blank.take().map(|blank| blank.end);
        let end = end.or_else(|| self.text.spans.last().map(|(_, written)| written.end));
        let start = self.text.spans.first().map(|(_, written)| written.start);
        self.text.spoken.clear();
        self.text.spans.clear();
        self.verbatim = false;
        if let (Some(start), Some(end)) = (start.or(end), end) {
            self.text.spans.push((0..0, start.min(end)..end));
        }
        (self.last, self.spoke) = (None, false);
    }

    /// Takes what was said, with ranges that begin at the written text's byte `from`.
    pub(crate) fn take(&mut self, from: usize) -> Speakable {
        let mut text = std::mem::take(&mut self.text);
        self.verbatim = false;
        for (_, written) in &mut text.spans {
            *written = written.start.saturating_sub(from)..written.end.saturating_sub(from);
        }
        text
    }

    /// The last blank isn't said.
    pub(crate) fn finish(&mut self) {
        self.flush_blank(false, "", 0);
    }

    /// Where the written text that was dealt with ends, without a blank that waits.
    pub(crate) fn covered(&self, at: usize) -> usize {
        self.blank.as_ref().map_or(at, |blank| blank.start)
    }
}
