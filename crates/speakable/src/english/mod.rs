//! English: what is written short and said long.

mod address;
mod amount;
mod calendar;
mod cursor;
mod number_words;
mod numerals;
mod short;

use super::{Match, Place};
use cursor::Cursor;

/// What is said for the text that begins here, if it isn't said as it is written.
pub(super) fn rule(place: Place<'_>) -> Option<Match> {
    let first = place.rest().chars().next()?;
    // Within a word nothing begins.
    if place.previous().is_some_and(|c| c.is_alphanumeric() || c == '_')
        && first.is_alphanumeric()
        && !is_part(first)
    {
        return None;
    }
    // Nor within a number that was left as it is: "v1.2".
    let mut before = place.before().chars().rev();
    if first.is_ascii_digit()
        && before.next().is_some_and(|c| matches!(c, '.' | ','))
        && before.next().is_some_and(char::is_alphanumeric)
    {
        return None;
    }
    let cursor = Cursor::new(place.rest());
    match first {
        '0'..='9' => address::web(cursor)
            .or_else(|| address::phone(cursor))
            .or_else(|| calendar::date(cursor, place.day_first))
            .or_else(|| calendar::time(cursor))
            .or_else(|| amount::amount(place, cursor))
            .or_else(|| short::code(cursor)),
        '+' | '(' => address::phone(cursor).or_else(|| amount::sign(place, cursor)),
        '$' | '€' | '£' | '¥' | '₹' => amount::amount(place, cursor),
        'a'..='z' | 'A'..='Z' => address::web(cursor)
            .or_else(|| calendar::date(cursor, place.day_first))
            .or_else(|| amount::amount(place, cursor))
            .or_else(|| short::abbreviation(place, cursor))
            .or_else(|| short::code(cursor)),
        _ => amount::sign(place, cursor).or_else(|| short::symbol(place, cursor)),
    }
}

/// ½ and its like count as letters in Unicode; here they don't.
fn is_part(c: char) -> bool {
    matches!(c, '½' | '¼' | '¾')
}
