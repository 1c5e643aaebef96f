//! Days of the week, written short.

use super::Context;
use super::calendar::month;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, FRENCH, GERMAN, Tongue};

/// "Fri, Nov 3"; "Mon-Fri"
pub(super) fn weekday(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let day = short_day(&mut cursor, context.tongue)?;
    let stopped = cursor.eat(".");
    let mut ahead = cursor;
    let spaced = ahead.space();
    if ahead.eat_any(&['-', '–']).is_some() && spaced == ahead.space() {
        let last = short_day(&mut ahead, context.tongue)?;
        ahead.eat(".");
        let words = format!("{day} {} {last}", context.tongue.words.to);
        return Some(Match::words(ahead.read(), words));
    }
    let mut ahead = cursor;
    // "Mon/Wed/Fri"
    if ahead.eat("/") && short_day(&mut ahead, context.tongue).is_some() && !stopped {
        cursor.eat("/");
        return Some(Match::words(cursor.read(), format!("{day}, ")));
    }
    // "10 PM Fri & Sat"
    let before = context.place.word_before(0).to_lowercase();
    let led =
        ["on", "and", "next", "this", "every", "closed", "until", "through", "from", "to", "till", "by"];
    let led = led.contains(&before.as_str())
        || context.place.near().trim_end().ends_with('&')
        || ["am", "pm", "a.m", "p.m", "m"].contains(&before.as_str());
    let mut next = cursor;
    next.space();
    let ends = cursor.at_sentence_end() || matches!(next.peek(), Some('&' | ',' | ';' | ')' | '.'));
    if context.is(&ENGLISH) && led && ends && cursor.at_word_end() {
        let stop = if stopped && cursor.at_sentence_end() { "." } else { "" };
        return Some(Match::words(cursor.read(), format!("{day}{stop}")));
    }
    let mut ahead = cursor;
    let comma = ahead.eat(",");
    ahead.space().then_some(())?;
    let mut named = ahead;
    let dated = month(&mut named, context.tongue).is_some();
    let mut figures = ahead;
    let digits = figures.digits();
    // "mar 3" may be a Tuesday, "Sun 5" a sun: a mark or a date's figures make it a day.
    let clear = comma
        || stopped
        || (digits.len() <= 2 && matches!(figures.peek(), Some('.' | '/' | ':' | 'h' | ' ')))
        || (context.is(&ENGLISH) && matches!(figures.peek(), Some('-' | '–' | 'a' | 'p')));
    let opens = context.is(&GERMAN)
        && matches!(figures.peek(), Some('-' | '–'))
        && !matches!(day, "Sonntag" | "Donnerstag");
    let clear = clear || opens;
    let german =
        context.is(&GERMAN) && !(comma || stopped || opens) && !matches!(figures.peek(), Some('.' | ':'));
    let figures = !digits.is_empty() && clear && !german;
    // "du lun. au ven."
    let mut next = cursor;
    next.space();
    let bare = stopped && !comma && next.peek().is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
    (dated || figures || bare).then(|| Match::words(cursor.read(), day))
}

fn short_day(cursor: &mut Cursor<'_>, tongue: &Tongue) -> Option<&'static str> {
    let mut ahead = *cursor;
    let word = ahead.letters();
    let french = std::ptr::eq(tongue, &raw const FRENCH);
    let found = tongue.days_short.iter().position(|names| {
        names.iter().any(|name| {
            *name == word
                || (!french
                    && word.len() > 2
                    && name.eq_ignore_ascii_case(word)
                    && word.starts_with(char::is_uppercase))
        })
    })?;
    *cursor = ahead;
    tongue.days.get(found).copied()
}
