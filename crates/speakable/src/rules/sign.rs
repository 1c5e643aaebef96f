//! Signs between words and numbers.

use super::Context;
use super::amount::range;
use crate::cursor::{Match, Place};

/// " - " and its like between words: a pause, in every language.
pub(super) fn dash(place: &Place<'_>, first: char) -> Option<Match> {
    let mut cursor = place.cursor;
    if first != ' ' {
        return None;
    }
    cursor.next();
    let marks = cursor.take_while(|c| matches!(c, '-' | '–' | '—'));
    let spaced = cursor.peek() == Some(' ');
    let between = !marks.is_empty() && marks.chars().count() <= 3 && spaced;
    // "3 - 4" is a sum or a range.
    let mut after = cursor;
    after.next();
    let sum = after.at_digit() && place.previous().is_some_and(|c| c.is_ascii_digit());
    (between && !sum).then(|| Match::words(cursor.read(), ", "))
}

/// ½ and its like: letters in Unicode.
pub(super) fn vulgar(context: Context<'_, '_>) -> Option<Match> {
    let words = &context.tongue.words;
    let first = context.place.cursor.peek()?;
    let said = match first {
        '½' => words.half,
        '¼' => words.quarter,
        '¾' => words.quarters,
        '⅓' => return (context.tongue.fraction)(1, 3).map(|said| Match::words(first.len_utf8(), said)),
        '⅔' => return (context.tongue.fraction)(2, 3).map(|said| Match::words(first.len_utf8(), said)),
        '²' => return Some(Match::words(2, format!(" {} ", words.squared))),
        '³' => return Some(Match::words(2, format!(" {} ", words.cubed))),
        _ => return None,
    };
    Some(Match::words(first.len_utf8(), said))
}

/// A sign that has a word.
pub(super) fn sign(context: Context<'_, '_>) -> Option<Match> {
    let place = context.place;
    let words = &context.tongue.words;
    let mut cursor = place.cursor;
    let first = cursor.next()?;
    let previous = place.previous();
    let number = cursor.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£' | '.'));
    let spaced = cursor.peek().is_none_or(char::is_whitespace);
    let begins =
        previous.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '~' | '≈' | '≥' | '≤' | '<' | '>'));
    let before_digit = place.before.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '½');
    let after = |word: &str| Some(Match::words(first.len_utf8(), format!(" {word} ")));
    match first {
        '-' | '−' | '–' if number && begins && cursor.peek() != Some('.') => after(words.minus),
        '-' | '−' | '–' if spaced && before_digit && previous.is_some_and(char::is_whitespace) => {
            let mut ahead = cursor;
            ahead.space();
            if ahead.at_digit() { after(words.minus) } else { None }
        }
        '–' if before_digit && number => {
            let mut start = place.cursor;
            let said = range(&mut start, context);
            Some(Match::words(start.read(), said))
        }
        '+' if previous.is_some_and(|c| c.is_ascii_digit()) && !number => after(words.plus),
        '+' => after(words.plus),
        '=' if cursor.peek() == Some('=') || cursor.peek() == Some('>') => Some(Match::words(2, " ")),
        '=' => after(words.equals),
        '×' => after(words.times),
        '*' if before_digit => after(words.times),
        '÷' => after(words.divided),
        '~' | '≈' if number => after(words.about),
        '#' if cursor.at_digit() => after(words.number),
        '#' if cursor.peek().is_some_and(char::is_alphabetic) => Some(Match::nothing(1)),
        '<' | '>' => {
            let or_equal = cursor.eat("=");
            let ahead_number = {
                let mut ahead = cursor;
                ahead.space();
                ahead.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£'))
            };
            let said = match (first, or_equal) {
                _ if !ahead_number => return Some(Match::words(cursor.read(), " ")),
                ('<', true) => words.at_most,
                ('<', false) => words.less,
                (_, true) => words.at_least,
                (_, false) => words.more,
            };
            Some(Match::words(cursor.read(), format!(" {said} ")))
        }
        '≤' => after(words.at_most),
        '≥' => after(words.at_least),
        '≠' => after(words.not_equal),
        '±' => after(words.plus_minus),
        '§' => after(words.section),
        '&' if cursor.eat("lt;") => Some(Match::words(cursor.read(), format!(" {} ", words.less))),
        '&' if cursor.eat("gt;") => Some(Match::words(cursor.read(), format!(" {} ", words.more))),
        '&' => after(words.and),
        '@' => after(words.at),
        '%' => after(words.percent),
        '°' => after(words.degrees),
        '→' | '⇒' | '➜' => Some(Match::words(first.len_utf8(), ", ")),
        '^' if cursor.eat("2") && cursor.at_word_end() => {
            Some(Match::words(2, format!(" {} ", words.squared)))
        }
        '^' if cursor.eat("3") && cursor.at_word_end() => Some(Match::words(2, format!(" {} ", words.cubed))),
        '/' => slash(context),
        '$' | '€' | '£' | '¥' => {
            let currency =
                context.tongue.currencies.iter().find(|c| c.signs.contains(&first.to_string().as_str()))?;
            after(currency.many)
        }
        '.' if cursor.at_digit() && previous.is_none_or(|c| c.is_whitespace() || c == '$') => {
            after(words.point)
        }
        // "p.m.", "U.S.": letters keep their stops.
        '.' if place.before.chars().rev().nth(1).is_none_or(|c| !c.is_alphanumeric())
            && previous.is_some_and(char::is_alphabetic) =>
        {
            None
        }
        '.' if cursor.peek().is_some_and(char::is_alphanumeric)
            && previous.is_some_and(char::is_alphanumeric) =>
        {
            // "config.toml", "Node.js": a name. Two sentences without a blank have a capital.
            let name = cursor.peek().is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
            if name { after(words.dot) } else { Some(Match::words(1, ". ")) }
        }
        '-' | '‑' if previous.is_some_and(|c| c.is_ascii_digit()) && cursor.at_digit() => {
            Some(Match::words(first.len_utf8(), ", "))
        }
        '‑' => Some(Match::words(first.len_utf8(), "-")),
        ',' | ':' if previous.is_some_and(|c| c.is_ascii_digit()) && cursor.at_digit() => {
            Some(Match::words(1, ", "))
        }
        _ => None,
    }
}

/// Between words it offers a choice; elsewhere it is a blank.
fn slash(context: Context<'_, '_>) -> Option<Match> {
    let words = &context.tongue.words;
    let mut cursor = context.place.cursor;
    cursor.eat("/");
    // "/etc/hosts" offers no choice.
    let token = context.place.near().rsplit(char::is_whitespace).next().unwrap_or_default();
    let path = token.contains('/');
    let small = |c: Option<char>| c.is_some_and(char::is_lowercase);
    let before = context.place.word_before(0);
    let and = before.rsplit('/').next() == Some(words.and) || before.ends_with(words.and);
    let mut ahead = cursor;
    let choice = ahead.eat(words.or) && ahead.at_word_end();
    let choice = !choice && !and && !path && small(context.place.previous()) && small(cursor.peek());
    let said = if choice { format!(" {} ", words.or) } else { " ".to_owned() };
    Some(Match::words(1, said))
}
