//! Single characters: pictures, controls, look-alikes, signs that no voice has a word for.

use crate::cursor::{Match, Place};

/// What is done with a character that no rule took: `None` says it as it is. `read`: the language's signs have words, so
/// that what is left has none.
pub(crate) fn glyph(place: &Place<'_>, read: bool) -> Option<Match> {
    let first = place.cursor.peek()?;
    let nothing = Some(Match::nothing(first.len_utf8()));
    if first.is_ascii_alphanumeric() || first == ' ' {
        return None;
    }
    if is_pictograph(first) || is_unseen(first) || super::line::is_drawn(first) && !matches!(first, '—' | '―')
    {
        return nothing;
    }
    if let Some(plain) = plain(first) {
        return Some(Match::words(first.len_utf8(), plain));
    }
    match first {
        '—' | '―' => Some(Match::words(first.len_utf8(), ", ")),
        '.' | '!' | '?' | ',' | ';' | ':' | '…' => repeated(place, first),
        '\'' | '’' | '‘' | '"' | '“' | '”' | '„' | '«' | '»' | '‹' | '›' | '(' | ')' | '¿' | '¡' | '-'
        | '–' => drawn(place, first),
        '[' | ']' | '{' | '}' => Some(Match::words(1, " ")),
        c if c.is_alphanumeric() => None,
        c if c.is_whitespace() => None,
        // Marks on letters, and punctuation of scripts that have their own.
        c if is_combining(c) => (combining_before(place) > 2).then(|| Match::nothing(c.len_utf8())),
        c if matches!(u32::from(c), 0x3000..=0x303F | 0xFF00..=0xFF65 | 0x0600..=0x06FF | 0x0900..=0x0DFF) => {
            None
        }
        c if read || !c.is_ascii() && !is_money(c) => Some(Match::words(first.len_utf8(), " ")),
        c => drawn(place, c),
    }
}

/// `!!!` is one, `....` three at most.
fn repeated(place: &Place<'_>, first: char) -> Option<Match> {
    let again = place.before.chars().rev().take(3).take_while(|c| *c == first).count();
    let marks = place.before.chars().next_back().is_some_and(|c| matches!(c, '!' | '?' | ',' | ';' | ':'));
    let most = if first == '.' { 3 } else { 1 };
    (again >= most || (marks && first != '.' && again == 0)).then(|| Match::nothing(first.len_utf8()))
}

/// Four and more of a sign are a line.
fn drawn(place: &Place<'_>, first: char) -> Option<Match> {
    let mut cursor = place.cursor;
    let run = cursor.take_while(|c| c == first);
    (run.chars().count() > 3).then(|| Match::nothing(run.len()))
}

const fn is_money(c: char) -> bool {
    matches!(c, '€' | '£' | '¥' | '₹' | '₽' | '₩' | '₺' | '°' | '§' | '±' | '×' | '÷')
}

/// Letters in other dress: bold, italic, full-width, in circles.
fn plain(c: char) -> Option<String> {
    let at = u32::from(c);
    let one = |c: u32| char::from_u32(c).map(String::from);
    match at {
        0x1D400..=0x1D6A3 => {
            let letter = (at - 0x1D400) % 52;
            one(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        0x1D7CE..=0x1D7FF => one(0x30 + (at - 0x1D7CE) % 10),
        0xFF10..=0xFF19 | 0xFF21..=0xFF3A | 0xFF41..=0xFF5A => one(at - 0xFEE0),
        0x24B6..=0x24CF => one(0x41 + at - 0x24B6),
        0x24D0..=0x24E9 => one(0x61 + at - 0x24D0),
        0xFB00 => Some("ff".to_owned()),
        0xFB01 => Some("fi".to_owned()),
        0xFB02 => Some("fl".to_owned()),
        _ => None,
    }
}

fn is_combining(c: char) -> bool {
    matches!(u32::from(c), 0x0300..=0x036F | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF)
        || (!c.is_ascii()
            && !c.is_alphanumeric()
            && matches!(u32::from(c), 0x0483..=0x0489 | 0x0591..=0x05C7 | 0x0E31..=0x0E4E))
}

fn combining_before(place: &Place<'_>) -> usize {
    place.before.chars().rev().take(3).take_while(|c| is_combining(*c)).count()
}

/// Controls, marks of direction, joiners, private use: nothing to see, nothing to say.
fn is_unseen(c: char) -> bool {
    (c.is_control() && !c.is_whitespace())
        || matches!(u32::from(c),
            0x00AD | 0x061C | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF9..=0xFFFD
            | 0xE000..=0xF8FF | 0xE0000..=0x10FFFF | 0xFE00..=0xFE0F)
}

/// Emoji and dingbats (Unicode 17, emoji-data.txt, without digits and letters), what joins and varies them, and ornaments.
fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FBFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x231A..=0x23FF | 0x25A0..=0x25FF | 0x20E3
        | 0x2300..=0x2307 | 0x2400..=0x243F | 0x00A9 | 0x00AE | 0x2122)
}
