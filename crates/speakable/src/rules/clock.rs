//! Times of day.

use super::Context;
use super::amount::range;
use super::short::followed_by_name;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, FRENCH, GERMAN, SPANISH, Time};

/// 15:30, 3pm, 15h30, 15.30 Uhr
pub(super) fn time(context: Context<'_, '_>) -> Option<Match> {
    if let Some(lasted) = lasted(context) {
        return Some(lasted);
    }
    let mut cursor = context.place.cursor;
    let found = parse(&mut cursor, context)?;
    let mut words = (context.tongue.time)(&found, context.place);
    let taken = cursor.taken_since(&context.place.cursor);
    if taken.ends_with('.') {
        // "p.m." has eaten the sentence's stop.
        let stop = cursor.at_sentence_end() || followed_by_name(cursor);
        if stop && !words.ends_with('.') {
            words.push('.');
        }
    } else if taken.ends_with('h') && !words.ends_with('.') {
        // "a las 8:00 h. del lunes"
        let mut stop = cursor;
        if stop.eat(".") && !stop.at_sentence_end() && !followed_by_name(stop) {
            cursor = stop;
        }
    } else if words.ends_with('.') {
        // The full stop of the sentence is in "p.m." already.
        let mut ahead = cursor;
        if ahead.eat(".") && ahead.at_word_end() {
            cursor = ahead;
        }
    }
    let mut to = range(&mut cursor, context).to_owned();
    let mut ahead = cursor;
    if to.is_empty() && ahead.eat_one(&[" - ", " – ", " — "]).is_some() && ahead.at_digit() {
        cursor = ahead;
        to = format!(" {} ", context.tongue.words.to);
    }
    Some(Match::words(cursor.read(), words + &to))
}

/// "He ran it in 21:34.": no time of day.
fn lasted(context: Context<'_, '_>) -> Option<Match> {
    (context.is(&ENGLISH) && context.place.follows(&["in"], 1)).then_some(())?;
    let mut cursor = context.place.cursor;
    let (minutes, seconds) = (cursor.digits(), cursor.eat(":").then(|| cursor.digits())?);
    let mut after = cursor;
    after.space();
    let of_day = after.eat_any(&['a', 'p', 'A', 'P']).is_some() && after.eat_any(&['m', 'M', '.']).is_some();
    let fits = (1..=3).contains(&minutes.len()) && seconds.len() == 2 && cursor.at_word_end();
    (fits && !of_day && cursor.peek() != Some(':')).then_some(())?;
    let (minutes, seconds) = (minutes.parse().ok()?, seconds.parse().ok().filter(|n| *n < 60)?);
    let count = |n| context.tongue.count(n);
    let words = match seconds {
        0 => count(minutes),
        1..=9 => format!("{} oh {}", count(minutes), count(seconds)),
        _ => format!("{} {}", count(minutes), count(seconds)),
    };
    Some(Match::words(cursor.read(), words))
}

/// Reads a time.
pub(super) fn parse(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<Time> {
    let mut ahead = *cursor;
    let digits = ahead.digits();
    let hour: u64 = digits.parse().ok().filter(|hour| *hour <= 24 && digits.len() <= 2)?;
    let mut time = Time { hour, minute: None, second: None, half: None };
    let french_mark = |cursor: &mut Cursor<'_>| {
        let mut after = *cursor;
        after.space();
        (context.is(&FRENCH) && after.eat("h")).then(|| *cursor = after).is_some()
    };
    let colon = ahead.eat(":");
    let mut minutes = ahead;
    if colon || french_mark(&mut ahead) {
        minutes = ahead;
        if !colon {
            minutes.space();
        }
    } else if ahead.eat(".") {
        minutes = ahead;
    }
    let marked = colon || ahead.taken_since(cursor).ends_with('h');
    let dotted = ahead.taken_since(cursor).ends_with('.');
    let digits = minutes.digits();
    let minute = digits.parse::<u64>().ok().filter(|minute| *minute < 60 && digits.len() == 2);
    if let Some(minute) = minute {
        time.minute = Some(minute);
        let mut seconds = minutes;
        if colon && seconds.eat(":") {
            let digits = seconds.digits();
            let second = digits.parse::<u64>().ok().filter(|n| *n < 60 && digits.len() == 2)?;
            time.second = Some(second).filter(|n| *n > 0);
            minutes = seconds;
        }
        ahead = minutes;
    } else if colon || dotted || !marked {
        ahead = *cursor;
        ahead.digits();
        if colon || dotted {
            // "16:9", "3.5"
            return None;
        }
    }
    let mut half = half_of_day(&mut ahead, context);
    // "7:15a"
    if half.is_none() && colon && context.is(&ENGLISH) {
        let mut short = ahead;
        if let Some(letter) = short.eat_any(&['a', 'p']).filter(|_| short.at_word_end()) {
            (ahead, half) = (short, Some(letter == 'p'));
        }
    }
    time.half = half;
    let bare = !marked && !dotted;
    if half.is_some() {
        (hour >= 1 || marked).then_some(())?;
    } else if bare {
        return None;
    }
    let clock = clock_word(&mut ahead, context);
    if dotted && half.is_none() && !clock && !until_clock(ahead, context) && !british(ahead, context) {
        return None;
    }
    if time.hour == 24 && time.minute.unwrap_or(0) > 0 {
        return None;
    }
    let mut after = ahead;
    let more = after.eat_any(&['.', ',', ':']).is_some() && after.at_digit() && !marked;
    let roughly = {
        let mut ish = ahead;
        colon && context.is(&ENGLISH) && ish.eat("ish")
    };
    ((ahead.at_word_end() || roughly || (colon && ahead.peek() == Some('Z'))) && !more).then_some(())?;
    *cursor = ahead;
    Some(time)
}

/// "at 14.30"
fn british(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    let timed = context.is(&ENGLISH)
        && context.language.day_first
        && context.place.follows(&["at", "by", "until", "till", "from"], 1);
    if !timed || cursor.at_sentence_end() {
        return timed;
    }
    if matches!(cursor.peek(), Some(',' | '.' | '?' | '!')) {
        return true;
    }
    let next = if cursor.space() { cursor.letters() } else { "" };
    ["on", "today", "tomorrow", "tonight", "and", "or", "to", "until", "from", "in", "for", "with"]
        .contains(&next)
}

/// "8.00 bis 16.30 Uhr"
fn until_clock(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    if !context.is(&GERMAN) || cursor.eat_one(&[" bis ", " - ", " – ", "-", "–"]).is_none() {
        return false;
    }
    let hours = cursor.digits().len();
    if cursor.eat(".") {
        cursor.digits();
    }
    (1..=2).contains(&hours) && clock_word(&mut cursor, context)
}

/// "Uhr", "h", "horas": in the words already.
fn clock_word(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> bool {
    let mut ahead = *cursor;
    ahead.space();
    for word in context.tongue.clock {
        let mut after = ahead;
        if after.eat(word) && after.at_word_end() {
            if context.is(&ENGLISH) && *word == "h" && cursor.taken_since(&context.place.cursor).len() < 4 {
                continue;
            }
            *cursor = after;
            return true;
        }
    }
    false
}

/// "am", "p.m." and the like. `Some(true)` is after noon.
fn half_of_day(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<bool> {
    if context.is(&GERMAN) {
        return None;
    }
    let mut ahead = *cursor;
    ahead.space();
    let half = matches!(ahead.eat_any(&['a', 'A', 'p', 'P'])?, 'p' | 'P');
    let stopped = ahead.eat(".");
    if stopped && context.is(&SPANISH) {
        ahead.space();
    }
    ahead.eat_any(&['m', 'M'])?;
    if stopped {
        ahead.eat(".");
    }
    ahead.at_word_end().then(|| *cursor = ahead)?;
    Some(half)
}
