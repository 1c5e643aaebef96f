//! Goes through a written text once, also while it still arrives.
//!
//! At each place the rules are asked; one that would have to know how the text goes on, while more of it may come, makes the
//! scan wait. So nothing is held back but what a rule may still need, and the outcome doesn't depend on how a text is cut.

use std::ops::Range;

use crate::cursor::{BEHIND, Boundary, Cursor, Match, Meter, Place, Said, WINDOW};
use crate::language::Language;
use crate::text::{Output, Speakable};
use crate::{markup, rules};

/// A run without blanks that is longer is no text that somebody could say: no number, price or word is. Scripts that are
/// written without blanks don't count.
const LONGEST_RUN: usize = 120;
/// In such a run, words that are longer are left out too.
const LONGEST_WORD: usize = 30;
/// A longer word is left out: the longest that people write have some fifty letters.
const LONGEST_LETTERS: usize = 60;

/// What is done with a run that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// It isn't too long.
    Sane,
    /// Its words are said, and nothing else of it.
    Words,
    /// It is left out.
    Nothing,
}

/// One pass over a text.
#[derive(Debug)]
pub(crate) struct Scan {
    language: Language,
    text: String,
    /// Where `text` begins in the whole text; what lies before was forgotten.
    offset: usize,
    at: usize,
    /// No more text will come.
    ended: bool,
    out: Output,
    meter: Meter,
    /// Nothing but blanks and marks was on the line so far.
    begins_line: bool,
    /// The line is a heading, an item, a row: what follows it is apart.
    marked_line: bool,
    hidden: Option<&'static str>,
    run: Run,
    /// Parts of the whole text that aren't said: the last comes first.
    skips: Vec<Range<usize>>,
    /// Where a sign is a sign, and no mark: what `&amp;` stands for.
    unmarked: Option<usize>,
}

impl Scan {
    pub(crate) fn new(language: Language) -> Self {
        Self {
            language,
            text: String::new(),
            offset: 0,
            at: 0,
            ended: false,
            out: Output::default(),
            meter: Meter::default(),
            begins_line: true,
            marked_line: false,
            hidden: None,
            run: Run::Sane,
            skips: Vec::new(),
            unmarked: None,
        }
    }

    /// Takes more text, and goes on as far as can be.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.go();
    }

    /// Takes the whole text.
    pub(crate) fn push_all(&mut self, text: &str) {
        self.text.push_str(text);
        self.finish();
    }

    /// Says nothing before this mark.
    pub(crate) const fn hide(&mut self, mark: &'static str) {
        self.hidden = Some(mark);
    }

    /// A scan of another text in the same language.
    pub(crate) fn again(&self) -> Self {
        Self::new(self.language)
    }

    /// Goes to the end.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
        self.go();
        self.out.finish();
    }

    /// Goes to the end of what has come.
    pub(crate) fn flush(&mut self) {
        self.ended = true;
        self.go();
        self.ended = false;
    }

    /// How many characters were looked at.
    pub(crate) fn steps(&self) -> u64 {
        self.meter.steps()
    }

    /// What can be said, and how much of the written text it stands for from byte `from` on.
    pub(crate) fn take(&mut self, from: usize) -> (Speakable, usize) {
        let covered = self.out.covered(self.offset + self.at);
        (self.out.take(from), covered)
    }

    pub(crate) const fn spoke(&self) -> bool {
        self.out.spoke()
    }

    /// Forgets text that no rule looks back to, when there is much of it. Returns the written part.
    pub(crate) fn forget(&mut self) {
        let behind = self.text.floor_char_boundary_at(self.at.saturating_sub(BEHIND));
        if behind > 4 * WINDOW && behind * 2 > self.text.len() {
            self.text.drain(..behind);
            self.offset += behind;
            self.at -= behind;
        }
    }

    fn go(&mut self) {
        self.meter.take_starved();
        while self.at < self.text.len() {
            if let Some(skip) = self.skips.last().filter(|skip| skip.start <= self.offset + self.at).cloned()
            {
                self.skips.pop();
                self.leave_out(skip.end.saturating_sub(self.offset).max(self.at));
            } else if let Some(mark) = self.hidden {
                if !self.pass_hidden(mark) {
                    return;
                }
            } else {
                let Some(step) = self.step() else { return };
                self.apply(step);
            }
        }
    }

    fn leave_out(&mut self, to: usize) {
        let written = self.offset + self.at..self.offset + to;
        self.out.say("", written, false, &self.text, self.offset);
        self.at = to;
    }

    /// Leaves out what lies before `mark`, and the mark. `false`: more text is needed.
    fn pass_hidden(&mut self, mark: &'static str) -> bool {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let found = rest.find(mark);
        self.meter.step(found.unwrap_or(rest.len()));
        if let Some(found) = found {
            self.leave_out(self.at + found + mark.len());
            self.hidden = None;
            // A fence stands on a line of its own.
            self.begins_line = mark.starts_with('\n');
            self.marked_line = self.begins_line;
            return true;
        }
        let keep = if self.ended { 0 } else { mark.len() - 1 };
        let to = self.text.floor_char_boundary_at(self.text.len().saturating_sub(keep));
        self.leave_out(to.max(self.at));
        self.at == self.text.len()
    }

    fn place(&self) -> Place<'_> {
        Place {
            before: self.text.get(..self.at).unwrap_or_default(),
            cursor: Cursor::new(&self.text, self.at, !self.ended, &self.meter),
            begins_line: self.begins_line,
        }
    }

    /// What is to be done here; nothing if more text is needed to know.
    fn step(&self) -> Option<Step> {
        let place = self.place();
        let previous = place.previous();
        let first = place.cursor.peek()?;
        let begins = previous.is_none_or(char::is_whitespace);
        let mut run = self.run;
        if first.is_whitespace() {
            run = Run::Sane;
        } else if begins || previous.is_some_and(is_dense) {
            run = if is_long(place.cursor) { Run::Words } else { Run::Sane };
        }
        let found = match run {
            Run::Sane => self.rule(&place, first, previous),
            Run::Words if begins && let Some(address) = rules::web(&place) => {
                run = Run::Nothing;
                Some(address)
            }
            Run::Words => return self.whole(words_of_run(&place, first), first, run),
            Run::Nothing => Some(Match::nothing(first.len_utf8())),
        };
        self.whole(found, first, run)
    }

    fn whole(&self, found: Option<Match>, first: char, run: Run) -> Option<Step> {
        (!self.meter.take_starved()).then(|| Step {
            found: found.filter(|found| found.length > 0),
            first,
            run,
        })
    }

    fn rule(&self, place: &Place<'_>, first: char, previous: Option<char>) -> Option<Match> {
        if first.is_alphabetic() && previous.is_some_and(char::is_alphabetic) {
            return if first.is_ascii() { None } else { markup::glyph(place, true) };
        }
        if first == '\n' || first == '\r' {
            return Some(markup::line_break(place, self.marked_line));
        }
        let marked = self.unmarked != Some(self.offset + self.at);
        (if marked { markup::rule(place) } else { None })
            .or_else(|| rules::rule(place, &self.language))
            .or_else(|| markup::glyph(place, self.language.tongue.is_some()))
            .or_else(|| {
                let mut cursor = place.cursor;
                let letters = cursor.letters();
                let long =
                    letters.chars().count() > LONGEST_LETTERS && !first.is_ascii_digit() && !is_dense(first);
                long.then(|| Match::nothing(letters.len()))
            })
    }

    fn apply(&mut self, step: Step) {
        let Step { found, first, run } = step;
        self.run = run;
        let start = self.offset + self.at;
        let Some(Match { mut length, said }) = found else {
            if first.is_whitespace() {
                self.out.blank(start..start + first.len_utf8());
            } else {
                self.begins_line = false;
                // Marks before the first word aren't for the ear.
                let mute =
                    !self.out.spoke() && matches!(first, ',' | '.' | '!' | '?' | ';' | ':' | '…' | '-' | '–');
                if mute {
                    self.out.say("", start..start + first.len_utf8(), false, "", 0);
                } else {
                    self.out.copy(first, start, &self.text, self.offset);
                }
            }
            self.at += first.len_utf8();
            return;
        };
        if let Some(skip) = self.skips.last() {
            length = length.min(skip.start.saturating_sub(start)).max(first.len_utf8());
        }
        match said {
            Said::Words(words) => {
                let previous = self.text.get(..self.at).and_then(|before| before.chars().next_back());
                let apart = previous.is_some_and(|c| !c.is_alphanumeric());
                self.out.say(&words, start..start + length, apart, &self.text, self.offset);
                if first == '\n' || first == '\r' {
                    (self.begins_line, self.marked_line) = (true, false);
                } else if !words.trim().is_empty() {
                    self.begins_line = false;
                }
            }
            Said::Inner(inner) => {
                self.skips.push(start + inner.end..start + length);
                self.unmarked = (inner.start == 0).then_some(start);
                self.leave_out(self.at + inner.start);
                self.begins_line = false;
                return;
            }
            Said::LineMark => {
                self.out.say("", start..start + length, false, &self.text, self.offset);
                self.marked_line = true;
            }
            Said::Hidden(mark) => {
                self.out.say("", start..start + length, false, &self.text, self.offset);
                self.hidden = Some(mark);
            }
            Said::Retract => {
                self.out.say("", start..start + length, false, &self.text, self.offset);
                self.out.retract();
                self.begins_line = true;
            }
        }
        self.at += length;
    }
}

struct Step {
    found: Option<Match>,
    first: char,
    run: Run,
}

/// Scripts that are written without blanks between words.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x2E80..=0xD7FF | 0xF900..=0xFAFF | 0xFF00..=0xFFEF | 0x20000..=0x3FFFF)
}

/// No blank comes for a long while.
fn is_long(mut cursor: Cursor<'_>) -> bool {
    for _ in 0..LONGEST_RUN {
        match cursor.next() {
            Some(c) if !c.is_whitespace() && !is_dense(c) => {}
            None => return cursor.is_cut(),
            Some(_) => return false,
        }
    }
    true
}

/// What of a run that is too long is said here: a word between marks of a sentence.
fn words_of_run(place: &Place<'_>, first: char) -> Option<Match> {
    let joint = |c: char| c.is_whitespace() || ".,;:!?—–-'’\"()…".contains(c);
    if !first.is_alphabetic() {
        let pause = matches!(first, '.' | ',' | '!' | '?' | ';' | ':' | '…');
        let after_word = place.previous().is_some_and(char::is_alphabetic);
        let mut cursor = place.cursor;
        cursor.next();
        let before_digit = cursor.at_digit();
        let said = match first {
            _ if !after_word || before_digit => "",
            '\'' | '’' | '-' => return None,
            '.' | '!' | '?' | '…' => ". ",
            _ if pause => ", ",
            _ => " ",
        };
        return Some(Match::words(first.len_utf8(), said));
    }
    let mut cursor = place.cursor;
    let letters = cursor.letters();
    let one_case = letters.chars().skip(1).all(char::is_lowercase) || letters.chars().all(char::is_uppercase);
    let fits = place.previous().is_none_or(joint) && cursor.peek().is_none_or(joint);
    let said = fits && one_case && letters.chars().count() <= LONGEST_WORD;
    Some(Match::words(letters.len(), if said { letters } else { "" }))
}
