//! Abbreviations.

use super::Context;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, GERMAN, When};

/// A word that begins with a capital comes next.
pub(super) fn followed_by_name(mut cursor: Cursor<'_>) -> bool {
    cursor.space() && cursor.peek().is_some_and(char::is_uppercase)
}

/// What is said for an abbreviation that begins here. Its full stop stays if it also ends the sentence.
pub(super) fn abbreviation(context: Context<'_, '_>) -> Option<Match> {
    let place = context.place;
    let first = place.cursor.peek()?;
    if place.previous().is_some_and(|c| c.is_alphanumeric() || c == '.') {
        return None;
    }
    let composed = if context.is(&GERMAN) {
        ending(context)
    } else if context.is(&ENGLISH) {
        direction(context).or_else(|| super::state::name(context))
    } else {
        None
    };
    if composed.is_some() {
        return composed;
    }
    for (written, said, when) in context.tongue.shorts.iter().filter(|short| short.0.starts_with(first)) {
        let mut cursor = place.cursor;
        if !cursor.eat(written) || (written.ends_with(char::is_alphabetic) && !cursor.at_word_end()) {
            continue;
        }
        let name = followed_by_name(cursor) && !(written.starts_with("Dr") && by_direction(cursor));
        let before_number = {
            let mut ahead = cursor;
            ahead.space();
            ahead.at_digit() || roman(ahead, context)
        };
        // "5 Elm St. Springfield": a street, as a number stands before its name.
        let street = context.is(&ENGLISH) && *written == "St." && has_number_before(context);
        let fits = match when {
            When::Always => true,
            When::BeforeName => name && !street,
            When::NotBeforeName => !name || street,
            When::BeforeNumber => before_number,
            When::AtEnd => cursor.at_sentence_end() || matches!(cursor.peek(), Some(')' | ',' | ';')),
            When::AfterNumber => place.word_before(0).ends_with(|c: char| c.is_ascii_digit()),
        };
        if !fits {
            continue;
        }
        let closes = written.ends_with('.')
            && cursor.peek() != Some(')')
            && (cursor.at_sentence_end()
                || (name && matches!(*written, "etc." | "usw." | "p.m." | "Inc." | "Ltd.")));
        return Some(Match::words(
            written.len(),
            if closes { format!("{said}.") } else { (*said).to_owned() },
        ));
    }
    None
}

/// "Hauptstr. 5", "Bestellnr. 4711"
fn ending(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let word = cursor.letters();
    let (stem, end) = [("str", "straße"), ("nr", "nummer")].into_iter().find_map(|(short, long)| {
        word.strip_suffix(short).filter(|stem| !stem.is_empty()).map(|stem| (stem, long))
    })?;
    cursor.eat(".").then(|| Match::words(cursor.read(), format!("{stem}{end}")))
}

/// "7 Oak Dr NE": no doctor of that name.
fn by_direction(mut cursor: Cursor<'_>) -> bool {
    cursor.space();
    let way = cursor.letters();
    let mut end = cursor;
    end.eat(".");
    let apart = end.at_sentence_end() || matches!(cursor.peek(), Some(',' | ';'));
    matches!(way, "NE" | "NW" | "SE" | "SW") || (apart && matches!(way, "N" | "S" | "E" | "W"))
}

/// A street comes next: " 25th", " Main St".
pub(super) fn followed_by_street(mut cursor: Cursor<'_>) -> bool {
    const STREETS: [&str; 18] = [
        "St",
        "Street",
        "Ave",
        "Avenue",
        "Blvd",
        "Boulevard",
        "Rd",
        "Road",
        "Dr",
        "Drive",
        "Ln",
        "Lane",
        "Ct",
        "Court",
        "Pl",
        "Place",
        "Pkwy",
        "Hwy",
    ];
    if !cursor.space() {
        return false;
    }
    if !cursor.digits().is_empty() {
        return cursor.eat_one(&["st", "nd", "rd", "th"]).is_some() && cursor.at_word_end();
    }
    for nth in 0..3 {
        let word = cursor.letters();
        if nth > 0 && STREETS.contains(&word) {
            return true;
        }
        if !word.starts_with(char::is_uppercase) || !cursor.space() {
            return false;
        }
    }
    false
}

/// "123 N. Main St."
fn direction(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let said = match cursor.eat_any(&['N', 'S', 'E', 'W'])? {
        'N' => "North",
        'S' => "South",
        'E' => "East",
        _ => "West",
    };
    let house = context.place.word_before(0).bytes().all(|c| c.is_ascii_digit());
    let before = context.place.before.trim_end().ends_with(|c: char| c.is_ascii_digit());
    let named = if cursor.eat(".") {
        followed_by_name(cursor) || followed_by_street(cursor)
    } else {
        followed_by_street(cursor)
    };
    (house && before && named).then(|| Match::words(cursor.read(), said))
}

/// "cap. II"
fn roman(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    let figures = cursor.take_while(|c| matches!(c, 'I' | 'V' | 'X' | 'L'));
    // "no. I think so"
    let least = if context.is(&ENGLISH) { 2 } else { 1 };
    figures.len() >= least && cursor.at_word_end()
}

fn has_number_before(context: Context<'_, '_>) -> bool {
    (1..4).any(|nth| context.place.word_before(nth).starts_with(|c: char| c.is_ascii_digit()))
}
