//! Marks within a line.

use crate::cursor::{Cursor, Match, Place, Said};

/// Asterisks and their like, but not as a sign between numbers.
pub(super) fn emphasis(place: &Place<'_>, mark: char) -> Option<Match> {
    let mut cursor = place.cursor;
    let run = cursor.take_while(|c| c == mark).len();
    let next = cursor.peek();
    let alone = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    match mark {
        '*' if run == 1 && crate::rules::keyed(place) => None,
        '*' if run == 1 && alone(place.previous()) && alone(next) && !place.begins_line && next.is_some() => {
            None
        }
        '*' if run == 1 && digit(place.previous()) && digit(next) => None,
        // Digits keyed and masked: "**** 4242".
        '_' if inner(place.previous()) && inner(next) => Some(Match::words(run, " ")),
        '~' if run == 1 => None,
        _ => Some(Match::nothing(run)),
    }
}

/// `[text](address)`, or an image's: the text is said, the address isn't. `[1]` is a reference: not said.
pub(super) fn link(mut cursor: Cursor<'_>, open: usize) -> Option<Match> {
    if open == 1 {
        cursor.eat("!").then_some(())?;
    }
    cursor.eat("[").then_some(())?;
    let text = cursor.take_while(|c| c != ']' && c != '\n');
    cursor.eat("]").then_some(())?;
    let mut ahead = cursor;
    let close = match ahead.eat_any(&['(', '[']) {
        Some('(') => ")",
        Some(_) => "]",
        None => {
            let number = !text.is_empty() && text.len() <= 3 && text.bytes().all(|c| c.is_ascii_digit());
            let note = text.starts_with('^');
            return (open == 0 && (number || note)).then(|| Match::nothing(cursor.read()));
        }
    };
    // Addresses may hold a pair of brackets: "…/Rust_(language)".
    let mut depth = 0;
    while let Some(c) = ahead.peek() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if c == '\n' || if close == ")" { depth < 0 } else { c == ']' } {
            break;
        }
        ahead.next();
    }
    if !ahead.eat(close) {
        // An address that is longer than what rules see: the text is said, the rest is cleaned as it comes.
        return None;
    }
    let inner = open + 1..open + 1 + text.len();
    Some(Match { length: ahead.read(), said: Said::Inner(inner) })
}

/// Longer things in angle brackets are no tags.
const LONGEST_TAG: usize = 120;

/// An HTML or SSML tag is left out; an autolink loses its brackets.
pub(super) fn tag(mut cursor: Cursor<'_>) -> Option<Match> {
    cursor.eat("<").then_some(())?;
    if cursor.peek().is_none_or(|c| !c.is_ascii_alphabetic() && c != '/') {
        return None;
    }
    let inner = cursor.take_while(|c| c != '>' && c != '<' && c != '\n');
    cursor.eat(">").then_some(())?;
    if (inner.contains("://") && !inner.contains(' ')) || (inner.contains('@') && !inner.contains(' ')) {
        return Some(Match { length: inner.len() + 2, said: Said::Inner(1..1 + inner.len()) });
    }
    let name = inner.trim_start_matches('/');
    let is_tag = inner.len() <= LONGEST_TAG && name.starts_with(|c: char| c.is_ascii_alphabetic());
    let apart = ["br", "p", "/p", "li", "/li", "div", "/div", "tr", "/tr"]
        .contains(&inner.trim_end_matches([' ', '/']));
    is_tag.then(|| Match::words(inner.len() + 2, if apart { " " } else { "" }))
}

const ENTITIES: [(&str, &str); 9] = [
    ("&amp;", "&"),
    ("&quot;", "\""),
    ("&#39;", "'"),
    ("&apos;", "'"),
    ("&nbsp;", " "),
    ("&mdash;", ", "),
    ("&ndash;", ", "),
    ("&hellip;", "…"),
    ("&#x27;", "'"),
];

/// `&amp;` is said as what it stands for.
pub(super) fn entity(cursor: Cursor<'_>) -> Option<Match> {
    for (written, said) in ENTITIES {
        let mut ahead = cursor;
        if ahead.eat(written) {
            // The sign stays: it is read as any other.
            let inner = written == "&amp;";
            let said = if inner { Said::Inner(0..1) } else { Said::Words(said.to_owned()) };
            return Some(Match { length: written.len(), said });
        }
    }
    None
}

/// `\*`: the sign counts, not its meaning; `\n` that a model wrote for a line break.
pub(super) fn escape(mut cursor: Cursor<'_>) -> Option<Match> {
    cursor.next();
    match cursor.peek() {
        Some(c) if c.is_ascii_punctuation() => Some(Match::nothing(1)),
        Some('n' | 't') => {
            cursor.next();
            (!cursor.peek().is_some_and(|c| c.is_lowercase())).then(|| Match::words(2, " "))
        }
        _ => Some(Match::words(1, " ")),
    }
}
