//! Markdown, HTML, thoughts, tables and pictures: what is for the eye alone, in every language.

mod glyph;
mod hidden;
mod inline;
mod line;
mod stage;

use crate::cursor::{Match, Place};

pub(crate) use glyph::glyph;
pub(crate) use hidden::{Hidden, Retracted};
pub(crate) use line::line_break;

use hidden::opening;

/// What stands here for the eye alone, if anything does.
pub(crate) fn rule(place: &Place<'_>) -> Option<Match> {
    let first = place.cursor.peek()?;
    if let Some(hidden) = opening(place.cursor, place.begins_line) {
        return Some(hidden);
    }
    if place.begins_line
        && let Some(found) = line::line_start(place.cursor)
    {
        return Some(found);
    }
    if matches!(first, ':' | ';' | '<' | '=' | 'x' | 'X' | '^')
        && let Some(face) = stage::emoticon(place)
    {
        return Some(face);
    }
    if matches!(first, '[' | '(' | '*')
        && let Some(direction) = stage::direction(place.cursor)
    {
        return Some(direction);
    }
    match first {
        '*' | '_' | '~' | '`' => inline::emphasis(place, first),
        '[' => inline::link(place.cursor, 0),
        '!' => inline::link(place.cursor, 1),
        '<' => inline::tag(place.cursor),
        '&' => inline::entity(place.cursor),
        '|' | '│' | '┃' | '║' => Some(line::cell(place)),
        '\\' => inline::escape(place.cursor),
        _ => None,
    }
}
