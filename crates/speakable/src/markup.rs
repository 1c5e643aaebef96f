//! Markdown, HTML and emoji: what is for the eye alone.

use super::{Match, Place, Said};

/// What stands here for the eye alone, if anything does.
pub(super) fn rule(place: Place<'_>) -> Option<Match> {
    let rest = place.rest();
    let first = rest.chars().next()?;
    if first == '\n' || first == '\r' {
        return Some(line_break(place));
    }
    if place.begins_line()
        && let Some(found) = line_start(rest)
    {
        return Some(found);
    }
    match first {
        '*' | '_' | '~' | '`' => emphasis(place, first),
        '[' => link(rest, 0),
        '!' if rest.get(1..2) == Some("[") => link(rest, 1),
        '<' => tag(rest),
        '&' => entity(rest),
        '|' => {
            let last = rest.lines().next().unwrap_or_default().trim_matches(['|', ' ']).is_empty();
            Some(Match::words(1, if last { "" } else { ", " }))
        }
        '\\' => rest.chars().nth(1).filter(char::is_ascii_punctuation).map(|_| Match::nothing(1)),
        first if is_pictograph(first) => Some(Match::nothing(first.len_utf8())),
        _ => None,
    }
}

/// Lines are run together; where the next one is an item of its own, with a pause between.
fn line_break(place: Place<'_>) -> Match {
    let rest = place.rest();
    let length = rest.len() - rest.trim_start().len();
    let next = rest.get(length..).unwrap_or_default();
    let blank = rest.get(..length).unwrap_or_default().matches('\n').count() > 1;
    let line = place.before().rsplit('\n').next().unwrap_or_default().trim_start();
    let apart = blank || line.starts_with('#') || line_start(next).is_some();
    let pause = if next.is_empty() {
        ""
    } else if apart {
        ". "
    } else {
        " "
    };
    Match::words(length, pause)
}

/// Marks that make a line a heading, an item, a quotation, a rule or a fence.
fn line_start(rest: &str) -> Option<Match> {
    let line = rest.lines().next().unwrap_or_default();
    let bare = line.trim();
    if bare.starts_with("```") || bare.starts_with("~~~") {
        return Some(Match::nothing(line.len()));
    }
    let drawn = |c: char| matches!(c, '-' | '*' | '_' | '=' | '|' | ':' | ' ' | '+');
    if bare.len() >= 3 && bare.chars().all(drawn) {
        return Some(Match::nothing(line.len()));
    }
    if let Some(cells) = line.strip_prefix('|') {
        return Some(Match::nothing(line.len() - cells.trim_start().len()));
    }
    let hashes = line.len() - line.trim_start_matches('#').len();
    for mark in ["- [ ] ", "- [x] ", "- ", "* ", "+ ", "• ", "> "] {
        if line.starts_with(mark) {
            return Some(Match::nothing(mark.len()));
        }
    }
    if (1..=6).contains(&hashes) && line.get(hashes..).is_some_and(|text| text.starts_with(' ')) {
        return Some(Match::nothing(hashes + 1));
    }
    None
}

/// Asterisks and their like, but not as a sign between numbers, nor inside a name.
fn emphasis(place: Place<'_>, mark: char) -> Option<Match> {
    let rest = place.rest();
    let run = rest.len() - rest.trim_start_matches(mark).len();
    let next = rest.get(run..).and_then(|after| after.chars().next());
    let alone = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    match mark {
        '*' if run == 1 && alone(place.previous()) && alone(next) && place.at > 0 && next.is_some() => None,
        '*' if run == 1 && [place.previous(), next].iter().all(|c| c.is_some_and(|c| c.is_ascii_digit())) => {
            None
        }
        '_' if inner(place.previous()) && inner(next) => None,
        '~' if run == 1 => None,
        _ => Some(Match::nothing(run)),
    }
}

/// `[text](address)`, or an image's: the text is said, the address isn't.
fn link(rest: &str, open: usize) -> Option<Match> {
    let text_end = open + rest.get(open..)?.find(']')?;
    let address = rest.get(text_end + 1..)?;
    let inner = open + 1..text_end;
    let close = match address.chars().next() {
        Some('(') => address.find(')')?,
        Some('[') => address.find(']')?,
        _ => return None,
    };
    let one_line = !rest.get(..text_end + 1 + close)?.contains('\n');
    one_line.then(|| Match { length: text_end + 2 + close, said: Said::Inner(inner) })
}

/// Longer things in angle brackets are no tags.
const LONGEST_TAG: usize = 60;

fn tag(rest: &str) -> Option<Match> {
    let inner = rest.get(1..rest.find('>')?)?;
    let address = inner.contains("://") || inner.contains('@');
    if address {
        // An autolink: the brackets go, the address is spoken.
        return Some(Match { length: inner.len() + 2, said: Said::Inner(1..1 + inner.len()) });
    }
    let name = inner.trim_start_matches('/');
    let is_tag = inner.len() <= LONGEST_TAG && name.starts_with(|c: char| c.is_ascii_alphabetic());
    is_tag.then(|| Match::words(inner.len() + 2, if name.starts_with("br") { " " } else { "" }))
}

fn entity(rest: &str) -> Option<Match> {
    if rest.starts_with("&amp;") {
        return Some(Match { length: 5, said: Said::Inner(0..1) });
    }
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " ")]
        .into_iter()
        .find(|(written, _)| rest.starts_with(written))
        .map(|(written, said)| Match::words(written.len(), said))
}

/// Emoji and dingbats (Unicode 17, emoji-data.txt, without digits and letters), and what joins and varies them.
fn is_pictograph(c: char) -> bool {
    matches!(u32::from(c),
        0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B05..=0x2B07 | 0x2B1B..=0x2B1C | 0x2B50 | 0x2B55 | 0x231A..=0x231B
        | 0x23E9..=0x23FA | 0x25AA..=0x25AB | 0x25B6 | 0x25C0 | 0x25FB..=0x25FE | 0x20E3 | 0x200D | 0xFE00..=0xFE0F
        | 0xE0020..=0xE007F | 0x2122 | 0xA9 | 0xAE | 0x200B | 0xFEFF | 0x3030 | 0x3297 | 0x3299)
}
