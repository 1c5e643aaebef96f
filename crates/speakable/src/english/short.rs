//! Abbreviations, codes and signs.

use super::Cursor;
use super::numerals::digits;
use crate::{Match, Place};

/// Written with a full stop, and what is said. Case counts.
const ALWAYS: [(&str, &str); 30] = [
    ("Mr.", "Mister"),
    ("Mrs.", "Missus"),
    ("Ms.", "Miz"),
    ("Prof.", "Professor"),
    ("Jr.", "Junior"),
    ("Sr.", "Senior"),
    ("Inc.", "Incorporated"),
    ("Ltd.", "Limited"),
    ("Corp.", "Corporation"),
    ("Ave.", "Avenue"),
    ("Blvd.", "Boulevard"),
    ("Rd.", "Road"),
    ("Apt.", "Apartment"),
    ("Dept.", "Department"),
    ("dept.", "department"),
    ("Appt.", "Appointment"),
    ("appt.", "appointment"),
    ("Ext.", "Extension"),
    ("ext.", "extension"),
    ("Tel.", "Telephone"),
    ("e.g.", "for example"),
    ("E.g.", "For example"),
    ("i.e.", "that is"),
    ("I.e.", "That is"),
    ("etc.", "et cetera"),
    ("vs.", "versus"),
    ("approx.", "approximately"),
    ("incl.", "including"),
    ("w/o", "without"),
    ("w/", "with"),
];

/// What is said for an abbreviation that begins here. Its full stop stays if it also ends the sentence.
pub(super) fn abbreviation(place: Place<'_>, cursor: Cursor<'_>) -> Option<Match> {
    let rest = cursor.rest();
    if let Some((written, said)) = ALWAYS.iter().find(|(written, _)| rest.starts_with(written)) {
        return Some(keep_stop(rest, written, said));
    }
    let next_word =
        |length: usize| rest.get(length..).and_then(|after| after.strip_prefix(' ')?.chars().next());
    let after_name = place.before().trim_end().chars().next_back().is_some_and(char::is_alphanumeric);
    let before_name = next_word(3).is_some_and(char::is_uppercase);
    if rest.starts_with("Dr.") {
        // "Dr. Smith lives on Elm Dr."
        return Some(if before_name { Match::words(3, "Doctor") } else { keep_stop(rest, "Dr.", "Drive") });
    }
    if rest.starts_with("St.") {
        let street = !before_name || (after_name && previous_word_is_name(place));
        return Some(if street { keep_stop(rest, "St.", "Street") } else { Match::words(3, "Saint") });
    }
    let before_number = |length| next_word(length).is_some_and(|c| c.is_ascii_digit());
    (rest.starts_with("No.") && before_number(3)).then(|| Match::words(3, "Number"))
}

/// The word before begins with a capital, as a street's name does.
fn previous_word_is_name(place: Place<'_>) -> bool {
    place
        .before()
        .split_whitespace()
        .next_back()
        .and_then(|word| word.chars().next())
        .is_some_and(char::is_uppercase)
}

fn keep_stop(rest: &str, written: &str, said: &str) -> Match {
    let after = rest.get(written.len()..).unwrap_or_default();
    let at_end = written.ends_with('.') && after.trim().is_empty();
    Match::words(written.len(), if at_end { format!("{said}.") } else { said.to_owned() })
}

/// Capitals and digits mixed, "QX7K-9P": spelled. Longer runs of letters ("COVID-19") are words.
pub(super) fn code(mut cursor: Cursor<'_>) -> Option<Match> {
    let token =
        cursor.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-').trim_end_matches('-');
    let end = cursor.rest().chars().next();
    let is = |count: usize, fits: fn(char) -> bool| token.chars().filter(|c| fits(*c)).count() >= count;
    let runs_short = token.split(|c: char| !c.is_ascii_uppercase()).all(|run| run.len() <= 3);
    let whole = !end.is_some_and(char::is_alphanumeric);
    if token.len() < 5
        || !whole
        || !runs_short
        || !is(2, |c| c.is_ascii_digit())
        || !is(1, |c| c.is_ascii_uppercase())
    {
        return None;
    }
    let mut words = String::new();
    for c in token.chars() {
        match c {
            '-' => words.push(','),
            c if c.is_ascii_digit() => {
                words.push(' ');
                words.push_str(&digits(c.encode_utf8(&mut [0; 4])));
            }
            c => {
                words.push(' ');
                words.push(c);
            }
        }
    }
    Some(Match::words(token.len(), words.trim_start()))
}

/// Signs between words.
pub(super) fn symbol(place: Place<'_>, mut cursor: Cursor<'_>) -> Option<Match> {
    let first = cursor.peek()?;
    let alone = place.previous().is_none_or(char::is_whitespace);
    cursor.eat(first.encode_utf8(&mut [0; 4]));
    let words = match first {
        '&' if alone => "and",
        '&' => " and ",
        '@' if alone => "at",
        '%' => " percent",
        '°' => " degrees",
        '→' if alone => "to",
        '→' => " to ",
        ' ' if cursor.rest().starts_with("- ") || cursor.rest().starts_with("-- ") => {
            cursor.take_while(|c| matches!(c, '-' | ' '));
            ", "
        }
        _ => return None,
    };
    Some(Match::words(cursor.read(), words))
}
