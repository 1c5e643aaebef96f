//! Emoticons, and what an actor should do rather than say: "[laughs]", "*smiles warmly*".

use crate::cursor::{Cursor, Match, Place};

/// The longest first, of those that begin alike.
const EMOTICONS: [&str; 21] = [
    ":-)", ":)", ":-D", ":D", ";-)", ";)", ":-(", ":(", ":-P", ":P", ":-p", ":p", ":'(", ":-/", "<3", "=)",
    "xD", "XD", "^_^", ":-O", ":O",
];
/// Words that begin a direction (lower case).
const DIRECTIONS: [&str; 40] = [
    "laughs",
    "laughing",
    "laughter",
    "chuckles",
    "chuckling",
    "giggles",
    "sighs",
    "sighing",
    "pause",
    "pauses",
    "pausing",
    "smiles",
    "smiling",
    "whispers",
    "whispering",
    "gasps",
    "coughs",
    "clears",
    "nods",
    "grins",
    "winks",
    "music",
    "beep",
    "silence",
    "applause",
    "breathes",
    "inhales",
    "exhales",
    "warmly",
    "cheerfully",
    "softly",
    "excitedly",
    "thinking",
    "typing",
    "ríe",
    "risas",
    "lacht",
    "seufzt",
    "rires",
    "soupire",
];
/// Longer ones are text.
const LONGEST: usize = 48;

/// A face made of signs.
pub(super) fn emoticon(place: &Place<'_>) -> Option<Match> {
    let begins = place.previous().is_none_or(char::is_whitespace);
    EMOTICONS.iter().filter(|_| begins).find_map(|face| {
        let mut cursor = place.cursor;
        let ends = cursor.eat(face)
            && cursor.peek().is_none_or(|c| c.is_whitespace() || matches!(c, '.' | ',' | '!' | '?'));
        // "<3 min" is a comparison.
        let counts = *face == "<3" && {
            let mut ahead = cursor;
            ahead.space() && ahead.peek().is_some_and(char::is_alphabetic)
        };
        (ends && !counts).then(|| Match::nothing(face.len()))
    })
}

/// A direction in brackets or asterisks.
pub(super) fn direction(mut cursor: Cursor<'_>) -> Option<Match> {
    let close = match cursor.next()? {
        '[' => ']',
        '(' => ')',
        '*' => '*',
        _ => return None,
    };
    let mut first = cursor;
    let word = first.letters();
    let known = first.peek().is_none_or(|c| matches!(c, ' ' | ',' | ']' | ')' | '*'));
    if !known || !DIRECTIONS.contains(&word.to_lowercase().as_str()) {
        return None;
    }
    let inner = cursor.take_while(|c| c != close && c != '\n' && !c.is_ascii_digit());
    let whole =
        inner.len() <= LONGEST && cursor.next() == Some(close) && !matches!(cursor.peek(), Some('(' | '['));
    whole.then(|| Match::nothing(cursor.read()))
}
