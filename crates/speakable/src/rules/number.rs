//! Numbers as they are written, and as they are said.

use super::Context;
use crate::cursor::Cursor;
use crate::tongue::{FRENCH, Form, SPANISH};

/// More figures aren't a number that somebody can grasp: they are said one by one.
const MOST_FIGURES: usize = 15;
/// More of them aren't said at all.
const MOST_DIGITS: usize = 40;

/// A number as written.
#[derive(Clone, Debug)]
pub(super) struct Number<'a> {
    /// Its figures before the decimals, without marks between.
    pub(super) whole: String,
    pub(super) fraction: Option<&'a str>,
    /// There were marks between its figures.
    pub(super) grouped: bool,
}

const BLANKS: [char; 3] = ['\u{a0}', '\u{202f}', '\u{2009}'];

impl<'a> Number<'a> {
    pub(super) fn read(cursor: &mut Cursor<'a>, context: Context<'_, '_>) -> Option<Self> {
        let first = cursor.digits();
        if first.is_empty() {
            // ".50"
            cursor.eat(".").then_some(())?;
            let fraction = Some(cursor.digits()).filter(|digits| !digits.is_empty());
            return fraction.map(|_| Self { whole: "0".to_owned(), fraction, grouped: false });
        }
        let mut number = Self { whole: first.to_owned(), fraction: None, grouped: false };
        let decimal = context.language.decimal;
        if first.len() <= 3 && !first.starts_with('0') {
            number.groups(cursor, context);
        }
        // "12,- €"
        let mut ahead = *cursor;
        if ahead.eat_one(&[",--", ",-", ",–", ".-", ".–"]).is_some()
            && !ahead.at_digit()
            && ahead.at_word_end()
        {
            let mut end = ahead;
            end.space();
            if matches!(end.peek(), None | Some('€' | '\n' | '.' | ','))
                || end.peek().is_some_and(|c| c.is_ascii_uppercase())
            {
                *cursor = ahead;
                return Some(number);
            }
        }
        let mut ahead = *cursor;
        let marks: &[char] = match ahead.peek() {
            _ if !number.grouped => &['.', ','],
            _ if decimal == '.' => &['.', ','],
            _ => &[',', '.'],
        };
        if let Some(mark) = ahead.eat_any(marks) {
            let digits = ahead.digits();
            let again = ahead.peek() == Some(mark) && {
                let mut after = ahead;
                after.next();
                after.at_digit()
            };
            // "1,234" in German is a decimal, in English it was a group; "1,2,3" is a list.
            let listed = context.place.previous() == Some(mark)
                && context.place.before.chars().rev().nth(1).is_some_and(|c| c.is_ascii_digit());
            if !digits.is_empty() && !again && !listed {
                number.fraction = Some(digits);
                *cursor = ahead;
            }
        }
        Some(number)
    }

    fn groups(&mut self, cursor: &mut Cursor<'a>, context: Context<'_, '_>) {
        let mut mark = None;
        loop {
            let mut ahead = *cursor;
            let next = ahead.next();
            let fits = match (next, mark) {
                (Some(c), Some(mark)) => c == mark,
                (Some('.' | ',' | '\'' | '’'), None) => true,
                (Some(' '), None) => context.tongue.blank_groups,
                (Some(c), None) => BLANKS.contains(&c),
                (None, _) => false,
            };
            if !fits {
                break;
            }
            let digits = ahead.digits();
            let decimal = next == Some(context.language.decimal);
            // Twelve lakh: 12,00,000.
            let lakh = digits.len() == 2 && next == Some(',') && !decimal && {
                let mut after = ahead;
                after.eat(",") && matches!(after.digits().len(), 2 | 3)
            };
            if digits.len() != 3 && !lakh {
                break;
            }
            if decimal && mark.is_none() {
                // "1.234" is a decimal; "1.234.567" and "1.234,56" aren't.
                let mut after = ahead;
                let more = after.eat_any(&['.', ',']).is_some() && !after.digits().is_empty();
                if !more {
                    break;
                }
            }
            mark = next;
            self.whole.push_str(digits);
            self.grouped = true;
            *cursor = ahead;
        }
    }

    pub(super) fn value(&self) -> Option<u64> {
        self.whole.parse().ok().filter(|_| self.whole.len() <= 18)
    }

    pub(super) fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.is_none()
    }

    /// Whether it takes the word for one thing.
    pub(super) fn is_singular(&self, context: Context<'_, '_>) -> bool {
        if context.is(&FRENCH) {
            return matches!(self.whole.as_str(), "0" | "1");
        }
        self.is_one()
    }

    /// In words, or figure by figure when it is too long or begins with a nought.
    pub(super) fn words(&self, context: Context<'_, '_>, form: Form) -> String {
        let tongue = context.tongue;
        let form = if self.fraction.is_some() { Form::Count } else { form };
        let bare = &self.whole;
        let spelled = (bare.len() > 1 && bare.starts_with('0'))
            || (!self.grouped && self.fraction.is_none() && bare.len() >= 7 && !bare.ends_with("0000"))
            || bare.len() > MOST_FIGURES;
        let mut words = match self.value() {
            Some(n) if !spelled => (tongue.cardinal)(n, form),
            _ => tongue.grouped_digits(bare.get(..MOST_DIGITS).unwrap_or(bare)),
        };
        if let Some(fraction) = self.fraction {
            let dialect = context.is(&SPANISH) && context.language.decimal == '.';
            let point = if dialect { "punto" } else { tongue.words.point };
            let short = (context.is(&SPANISH) || context.is(&FRENCH)) && fraction.len() <= 2;
            let figures = match fraction.parse::<u64>() {
                Ok(n) if short && !fraction.starts_with('0') => tongue.count(n),
                _ => tongue.spell_digits(fraction.get(..MOST_DIGITS).unwrap_or(fraction)),
            };
            words = format!("{words} {point} {figures}");
        }
        words
    }
}
