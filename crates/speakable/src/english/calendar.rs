//! Dates and times of day.

use super::Cursor;
use super::amount::range;
use super::numerals::{cardinal, ordinal, year};
use crate::Match;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// A date, in figures or with its month's name.
pub(super) fn date(cursor: Cursor<'_>, day_first: bool) -> Option<Match> {
    in_figures(cursor, day_first)
        .or_else(|| day_then_month(cursor))
        .or_else(|| month_then_day(cursor))
        .or_else(|| weekday(cursor))
}

fn day_and_month(month: usize, day: u64, in_year: Option<u64>) -> Option<String> {
    let name = MONTHS.get(month.checked_sub(1)?)?;
    (1..=31).contains(&day).then_some(())?;
    let year = in_year.map_or(String::new(), |n| format!(", {}", year(n)));
    Some(format!("{name} {}{year}", ordinal(day)))
}

/// 2026-11-21, 11/21/2026, 21.11.2026
fn in_figures(mut cursor: Cursor<'_>, day_first: bool) -> Option<Match> {
    let first = cursor.digits();
    let mark = cursor.eat_any(&['-', '/', '.'])?;
    let second = cursor.digits();
    (cursor.eat_any(&[mark]) == Some(mark)).then_some(())?;
    let third = cursor.digits();
    (!second.is_empty() && second.len() <= 2 && cursor.at_word_end()).then_some(())?;
    // Its time goes on its own: 2026-11-21T15:30.
    let (a, b, c): (u64, u64, u64) = (first.parse().ok()?, second.parse().ok()?, third.parse().ok()?);
    let (in_year, month, day) = match (first.len(), third.len(), mark) {
        (4, 1..=2, '-' | '/') => (a, b, c),
        (1..=2, 4, '.') | (1..=2, 2, '.') if third.len() == 4 => (c, b, a),
        (1..=2, 4 | 2, '/' | '-') => {
            let whole = if third.len() == 2 { 2_000 + c } else { c };
            let swapped = if day_first { b <= 12 } else { a > 12 };
            if swapped { (whole, b, a) } else { (whole, a, b) }
        }
        _ => return None,
    };
    Some(Match::words(cursor.read(), day_and_month(usize::try_from(month).ok()?, day, Some(in_year))?))
}

/// The month of this name or abbreviation; takes an abbreviation's full stop.
fn month(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut ahead = *cursor;
    let word = ahead.letters();
    let is = |name: &&str| {
        *name == word
            || (word.len() == 3 && name.starts_with(word))
            || (word == "Sept" && name.starts_with(word))
    };
    let index = MONTHS.iter().position(is)?;
    if MONTHS.get(index).is_some_and(|name| *name != word) {
        ahead.eat(".");
    }
    *cursor = ahead;
    Some(index + 1)
}

/// A day's number with or without its ending.
fn day(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut ahead = *cursor;
    let digits = ahead.digits();
    let day = digits.parse().ok().filter(|day| (1..=31).contains(day) && digits.len() <= 2)?;
    for ending in ["st", "nd", "rd", "th"] {
        if ahead.eat(ending) {
            break;
        }
    }
    // "May 5:30", "May 5.5", "May 3%": something else.
    let mut after = ahead;
    let goes_on =
        after.eat_any(&[':', '.', ',', '/']).is_some() && after.peek().is_some_and(|c| c.is_ascii_digit());
    (ahead.at_word_end() && !goes_on && ahead.peek() != Some('%')).then(|| *cursor = ahead)?;
    Some(day)
}

fn year_after(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut ahead = *cursor;
    ahead.eat(",");
    ahead.space().then_some(())?;
    let digits = ahead.digits();
    let found = digits.parse().ok().filter(|n| (1_000..=2_999).contains(n) && digits.len() == 4)?;
    ahead.at_word_end().then(|| *cursor = ahead)?;
    Some(found)
}

/// November 21, 2026
fn month_then_day(mut cursor: Cursor<'_>) -> Option<Match> {
    let written = cursor.rest();
    let month = month(&mut cursor)?;
    let abbreviated = MONTHS.get(month - 1).is_some_and(|name| !written.starts_with(name));
    let mut ahead = cursor;
    if ahead.space()
        && let Some(day) = day(&mut ahead)
    {
        let in_year = year_after(&mut ahead);
        return Some(Match::words(ahead.read(), day_and_month(month, day, in_year)?));
    }
    let in_year = year_after(&mut cursor).filter(|_| abbreviated)?;
    Some(Match::words(cursor.read(), format!("{} {}", MONTHS.get(month - 1)?, year(in_year))))
}

/// 21 November 2026, 21st of November
fn day_then_month(mut cursor: Cursor<'_>) -> Option<Match> {
    let day = day(&mut cursor)?;
    cursor.space().then_some(())?;
    cursor.eat("of ");
    let month = month(&mut cursor)?;
    cursor.at_word_end().then_some(())?;
    let in_year = year_after(&mut cursor).map_or(String::new(), |n| format!(", {}", year(n)));
    Some(Match::words(cursor.read(), format!("{} of {}{in_year}", ordinal(day), MONTHS.get(month - 1)?)))
}

/// "Fri, Nov 21", "Fri. 21": a day's abbreviation before a date.
fn weekday(mut cursor: Cursor<'_>) -> Option<Match> {
    let word = cursor.letters();
    let index = match word {
        "Mon" => 0,
        "Tue" | "Tues" => 1,
        "Wed" => 2,
        "Thu" | "Thur" | "Thurs" => 3,
        "Fri" => 4,
        "Sat" => 5,
        "Sun" => 6,
        _ => return None,
    };
    cursor.eat(".");
    let length = cursor.read();
    cursor.eat(",");
    cursor.space().then_some(())?;
    let dated = month(&mut cursor.clone()).is_some() || day(&mut cursor.clone()).is_some();
    dated.then(|| DAYS.get(index).map(|name| Match::words(length, *name)))?
}

/// 3:30 pm, 15:30, 3pm
pub(super) fn time(mut cursor: Cursor<'_>) -> Option<Match> {
    let hour_digits = cursor.digits();
    let hour: u64 = hour_digits.parse().ok().filter(|hour| *hour <= 23 && hour_digits.len() <= 2)?;
    let mut minute = None;
    let mut ahead = cursor;
    if ahead.eat(":") {
        let digits = ahead.digits();
        minute = Some(digits.parse::<u64>().ok().filter(|minute| *minute <= 59 && digits.len() == 2)?);
        cursor = ahead;
        if ahead.eat(":") && ahead.digits().len() == 2 {
            cursor = ahead; // nobody says a time's seconds
        }
    }
    let half = half_of_day(&mut cursor);
    if minute.is_none() && half.is_none() || !cursor.at_word_end() {
        return None;
    }
    let (hour, half) = match (hour, half) {
        (0, None) => (12, Some("a.m.")),
        (13..=23, None) => (hour - 12, Some("p.m.")),
        (0, half) => (12, half),
        (13..=23, half) => (hour - 12, half),
        (hour, half) => (hour, half),
    };
    let minutes = match minute {
        None => String::new(),
        Some(0) if half.is_some() => String::new(),
        Some(0) => " o'clock".to_owned(),
        Some(minute @ 1..=9) => format!(" oh {}", cardinal(minute)),
        Some(minute) => format!(" {}", cardinal(minute)),
    };
    let to = range(&mut cursor);
    // The full stop of the sentence is in "p.m." already.
    let mut ahead = cursor;
    if half.is_some() && ahead.eat(".") && ahead.at_word_end() {
        cursor = ahead;
    }
    let half = half.map_or(String::new(), |half| format!(" {half}"));
    Some(Match::words(cursor.read(), format!("{}{minutes}{half}{to}", cardinal(hour))))
}

/// "am", "p.m." and the like; the full stop of a sentence after it is taken too, as the words end with one.
fn half_of_day(cursor: &mut Cursor<'_>) -> Option<&'static str> {
    let mut ahead = *cursor;
    ahead.space();
    let half = match ahead.eat_any(&['a', 'A', 'p', 'P'])? {
        'a' | 'A' => "a.m.",
        _ => "p.m.",
    };
    ahead.eat(".");
    ahead.eat_any(&['m', 'M'])?;
    ahead.eat(".");
    ahead.at_word_end().then(|| *cursor = ahead)?;
    Some(half)
}
