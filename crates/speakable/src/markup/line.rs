//! What lines mean: headings, items, rows, rules.

use crate::cursor::{Cursor, Match, Place, Said};

/// Lines are run together; where one of two is an item of its own, with a pause between.
pub(crate) fn line_break(place: &Place<'_>, marked: bool) -> Match {
    let mut cursor = place.cursor;
    let gap = cursor.take_while(char::is_whitespace);
    let apart = marked || gap.matches('\n').count() > 1 || line_start(cursor).is_some();
    let pause = if cursor.peek().is_none() {
        ""
    } else if apart {
        ". "
    } else {
        " "
    };
    Match::words(gap.len(), pause)
}

/// Marks that make a line a heading, an item, a quotation, a row or a rule.
pub(super) fn line_start(cursor: Cursor<'_>) -> Option<Match> {
    let mark = |length| Some(Match { length, said: Said::LineMark });
    let first = cursor.peek()?;
    if !(first.is_ascii_punctuation()
        || matches!(first, '•' | '◦' | '▪' | '‣' | '–' | '·')
        || is_drawn(first))
    {
        return None;
    }
    let mut ahead = cursor;
    let drawn =
        ahead.take_while(|c| is_drawn(c) || matches!(c, '-' | '*' | '_' | '=' | '|' | ':' | ' ' | '+'));
    let marks = drawn.chars().filter(|c| *c != ' ').count();
    if marks >= 3 && ahead.peek().is_none_or(|c| c == '\n') {
        return mark(ahead.read());
    }
    let mut ahead = cursor;
    if ahead.eat_any(&['|', '│', '┃', '║']).is_some() {
        ahead.take_while(|c| c == ' ');
        return mark(ahead.read());
    }
    for bullet in ["- [ ] ", "- [x] ", "- ", "* ", "+ ", "• ", "◦ ", "▪ ", "‣ ", "– ", "· ", "> ", "•"]
    {
        let mut ahead = cursor;
        if ahead.eat(bullet) {
            return mark(bullet.len());
        }
    }
    let mut ahead = cursor;
    let hashes = ahead.take_while(|c| c == '#');
    ((1..=6).contains(&hashes.len()) && ahead.eat(" ")).then(|| mark(ahead.read()))?
}

/// Lines, corners and blocks that pictures are drawn of.
pub(super) fn is_drawn(c: char) -> bool {
    matches!(u32::from(c), 0x2500..=0x259F | 0x2014..=0x2015)
}

/// The border of two cells: a pause, unless the row begins or ends here.
pub(super) fn cell(place: &Place<'_>) -> Match {
    let mut cursor = place.cursor;
    cursor.take_while(|c| matches!(c, '|' | '│' | '┃' | '║' | ' '));
    let last = cursor.peek().is_none_or(|c| c == '\n' || c == '\r');
    let first = place.cursor.peek().map_or(1, char::len_utf8);
    Match::words(first, if last { "" } else { ", " })
}
