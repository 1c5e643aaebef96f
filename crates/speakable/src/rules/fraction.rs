//! Parts of one.

use super::Context;
use super::half::{half_more, half_of};
use super::measure::unit;
use super::number::Number;
use crate::cursor::Cursor;
use crate::tongue::{ENGLISH, FRENCH, Form, GERMAN, SPANISH};

/// 2½; 5'10"
pub(super) fn with_part(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let words = &context.tongue.words;
    let mut ahead = *cursor;
    if let Some(said) = inches(number, cursor, context).or_else(|| feet(number, cursor, context)) {
        return Some(said);
    }
    let foot = context.is(&ENGLISH) && ahead.eat_any(&['\'', '′', '’']).is_some();
    ahead.space();
    if foot && ahead.at_digit() {
        let inches = ahead.digits().parse().ok().filter(|n| *n < 12)?;
        ahead.eat_any(&['"', '″', '”']);
        ahead.at_word_end().then(|| *cursor = ahead)?;
        return Some(format!("{} foot {}", number.words(context, Form::Count), context.tongue.count(inches)));
    }
    // "1 ½"
    let mut spaced = *cursor;
    if spaced.space() && matches!(spaced.peek(), Some('½' | '¼' | '¾')) {
        *cursor = spaced;
    }
    let (name, parts) = match cursor.peek()? {
        '½' => (words.half, (1, 2)),
        '¼' => (words.quarter, (1, 4)),
        '¾' => (words.quarters, (3, 4)),
        _ => return None,
    };
    cursor.next();
    if let Some(said) = half_more(number, parts, cursor, context) {
        return Some(said);
    }
    Some(mixed(number, name, parts, context) + &of_unit(cursor, context, true))
}

/// `12"`, where it isn't the end of a quotation.
fn inches(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    let mark = ahead.eat_any(&['"', '″']).filter(|_| context.is(&ENGLISH))?;
    let before: Vec<char> = context.place.near().chars().collect();
    let quotes = before.iter().enumerate().filter(|(at, c)| {
        let digit = at.checked_sub(1).and_then(|at| before.get(at)).is_some_and(char::is_ascii_digit);
        **c == '"' && !digit
    });
    let quoted = mark == '"' && !quotes.count().is_multiple_of(2);
    (!quoted && ahead.at_word_end()).then(|| *cursor = ahead)?;
    let sized = sized(ahead);
    let attributive = !sized && ahead.space() && ahead.peek().is_some_and(char::is_lowercase);
    let name = if attributive || number.is_one() { "inch" } else { "inches" };
    Some(format!("{} {name}", number.words(context, Form::Count)))
}

/// `6' deep`: no quotation ends there.
fn feet(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    (context.is(&ENGLISH) && ahead.eat_any(&['\'', '’']).is_some() && sized(ahead)).then_some(())?;
    *cursor = ahead;
    let name = if number.is_one() { "foot" } else { "feet" };
    Some(format!("{} {name}", number.words(context, Form::Count)))
}

/// A word comes next that says which way it was measured.
fn sized(mut cursor: Cursor<'_>) -> bool {
    cursor.space()
        && ["deep", "wide", "tall", "long", "high", "across", "thick", "by"].contains(&cursor.letters())
}

/// The unit behind a number with a part, with a blank before it.
fn of_unit(cursor: &mut Cursor<'_>, context: Context<'_, '_>, many: bool) -> String {
    if context.is(&ENGLISH) && cursor.eat_any(&['"', '″']).is_some() {
        return if many { " inches" } else { " inch" }.to_owned();
    }
    unit(cursor, context).map_or(String::new(), |unit| format!(" {}", if many { unit.2 } else { unit.1 }))
}

/// 3/4, 24/7, 1 1/2
pub(super) fn parts(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let tongue = context.tongue;
    if number.fraction.is_some() {
        // "4.7/5 stars"
        let mut ahead = *cursor;
        let most = ahead.eat("/").then(|| ahead.digits()).filter(|most| (1..=3).contains(&most.len()))?;
        let most = most.parse().ok().filter(|_| ahead.at_word_end() && ahead.peek() != Some('/'))?;
        *cursor = ahead;
        let count = number.words(context, Form::Count);
        return Some(format!("{count} {} {}", tongue.words.out_of, tongue.count(most)));
    }
    let mut ahead = *cursor;
    // "1 1/2"
    if ahead.space() && ahead.at_digit() {
        let above = ahead.digits();
        if above.len() == 1 && ahead.eat("/") && number.whole.len() <= 3 {
            let below = ahead.digits();
            let (above, below) = (above.parse().ok()?, below.parse().ok()?);
            let name = (tongue.fraction)(above, below)
                .filter(|_| ahead.at_word_end() && ahead.peek() != Some('/'))?;
            *cursor = ahead;
            if let Some(said) = half_more(number, (above, below), cursor, context) {
                return Some(said);
            }
            return Some(mixed(number, &name, (above, below), context) + &of_unit(cursor, context, true));
        }
        return None;
    }
    let mut ahead = *cursor;
    let below =
        ahead.eat("/").then(|| ahead.digits()).filter(|below| !below.is_empty() && below.len() <= 4)?;
    (ahead.at_word_end() && ahead.peek() != Some('/')).then_some(())?;
    let (n, below_n) = (number.value()?, below.parse::<u64>().ok()?);
    *cursor = ahead;
    let shares = n > 50 && n % 10 == 0 && n + below_n == 100;
    if shares || matches!((n, below_n), (24, 7) | (9, 11) | (50, 50) | (20, 20)) {
        return Some(format!("{} {}", tongue.count(n), tongue.count(below_n)));
    }
    // "2026/0031"; "2025/26".
    if below.starts_with('0') || (n >= 1_000 && below.len() > 2) {
        let said = [tongue.spell_digits(&number.whole), tongue.spell_digits(below)];
        return Some(said.join(&format!(" {} ", tongue.words.slash)));
    }
    if (1_900..2_100).contains(&n) && below_n == (n + 1) % 100 {
        return Some(format!("{} {}", (tongue.year)(n), tongue.count(below_n)));
    }
    if (n, below_n) == (1, 2)
        && let Some(said) = half_of(cursor, context)
    {
        return Some(said);
    }
    if let Some(name) = (tongue.fraction)(n, below_n).filter(|_| n < below_n) {
        return Some(name + &of_unit(cursor, context, false));
    }
    if n > below_n {
        let over = if context.is(&ENGLISH) && n >= 60 && below_n >= 30 { "over" } else { tongue.words.slash };
        return Some(format!("{} {over} {}", number.words(context, Form::Count), tongue.count(below_n)));
    }
    let count = number.words(context, Form::Count);
    Some(format!("{count} {} {}", tongue.words.out_of, tongue.count(below_n)))
}

/// "two and one half", "zweieinhalb", "dos y medio".
pub(super) fn mixed(number: &Number<'_>, name: &str, parts: (u64, u64), context: Context<'_, '_>) -> String {
    let whole = number.words(context, Form::Masculine);
    match parts {
        (1, 2) if context.is(&GERMAN) => format!("{whole}einhalb"),
        (1, 2) if context.is(&SPANISH) => format!("{} y medio", number.words(context, Form::Count)),
        (1, 2) if context.is(&FRENCH) => format!("{whole} et demi"),
        (1, 2) if context.is(&ENGLISH) => format!("{whole} and a half"),
        _ if context.is(&GERMAN) => format!("{whole} {name}"),
        _ => format!("{whole} {} {name}", context.tongue.words.and),
    }
}
