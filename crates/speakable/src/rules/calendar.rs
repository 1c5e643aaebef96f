//! Dates.

use super::Context;
use super::clock;
use super::weekday;
use crate::cursor::{Cursor, Match, Said};
use crate::tongue::{Date, ENGLISH, Form, GERMAN, SPANISH, Tongue};

/// A date, in figures or with its month's name.
pub(super) fn date(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let found = if cursor.at_digit() {
        in_figures(context).or_else(|| day_then_month(context)).or_else(|| day_and_month(context))
    } else {
        month_then_day(context)
    };
    let Some(Match { length, said: Said::Words(words) }) = found else {
        return weekday::weekday(context);
    };
    // "Dec 24 - Jan 2"
    cursor.skip(length);
    let spaced = cursor.space();
    if cursor.eat_any(&['-', '–', '—']).is_none() || spaced != cursor.space() {
        return Some(Match::words(length, words));
    }
    let goes_on = cursor.at_digit() || month(&mut cursor.clone(), context.tongue).is_some();
    let more = goes_on && !words.ends_with(' ');
    Some(if more {
        Match::words(cursor.read(), format!("{} {} ", words.trim_end_matches('.'), context.tongue.words.to))
    } else {
        Match::words(length, words)
    })
}

fn say(date: &Date, cursor: &Cursor<'_>, context: Context<'_, '_>) -> Option<Match> {
    let fits = (1..=31).contains(&date.day) && date.month < 12;
    fits.then(|| Match::words(cursor.read(), (context.tongue.date)(date, context.place)))
}

/// A number of at most two figures.
fn small(cursor: &mut Cursor<'_>) -> Option<u64> {
    let digits = cursor.digits();
    if digits.len() > 2 { None } else { digits.parse().ok() }
}

/// 2026-11-21, 11/21/2026, 21.11.2026
fn in_figures(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let first = cursor.digits();
    let mark = cursor.eat_any(&['-', '/', '.'])?;
    let blank = mark == '.' && cursor.space();
    let second = cursor.digits();
    (cursor.eat_any(&[mark]) == Some(mark)).then_some(())?;
    if blank {
        cursor.space();
    }
    let third = cursor.digits();
    (first.len() <= 4 && matches!(second.len(), 1 | 2) && third.len() <= 4).then_some(())?;
    let number = |text: &str| text.parse::<u64>().ok();
    let (a, b) = (number(first)?, number(second)?);
    if third.is_empty() {
        // "am 3.4."
        let short = context.is(&GERMAN) && mark == '.' && first.len() <= 2 && (1..=12).contains(&b) && !blank;
        let date =
            Date { day: a, month: usize::try_from(b).ok()?.checked_sub(1)?, year: None, day_first: true };
        // The sentence's stop is the date's.
        let ends = cursor.at_sentence_end();
        let Match { length, said } = short.then(|| say(&date, &cursor, context))??;
        let Said::Words(words) = said else { return None };
        return Some(Match::words(length, if ends { words + "." } else { words }));
    }
    let c = number(third)?;
    let european = context.language.day_first;
    let (year, month, day, day_first) = match (first.len(), third.len(), mark) {
        (4, 1..=2, _) => (a, b, c, european),
        (1..=2, 4, '.') => (c, b, a, european),
        (1..=2, 2, '.') if !context.is(&ENGLISH) && b <= 12 => (2_000 + c, b, a, true),
        (1..=2, 4 | 2, '/' | '-') => {
            let whole = if third.len() == 2 { if c < 70 { 2_000 + c } else { 1_900 + c } } else { c };
            let swapped = if european { b <= 12 } else { a > 12 };
            if swapped { (whole, b, a, european) } else { (whole, a, b, european) }
        }
        _ => return None,
    };
    let month = usize::try_from(month).ok()?.checked_sub(1)?;
    let date = Date { day, month, year: Some(year), day_first };
    let mut ahead = cursor;
    if first.len() == 4 && ahead.eat("T") && ahead.at_digit() {
        // "2026-11-21T15:30:00Z"
        let found = clock::parse(&mut ahead, context)?;
        ahead.eat("Z");
        // An offset from Greenwich.
        let mut offset = ahead;
        if offset.eat_any(&['+', '-']).is_some() && offset.digits().len() == 2 {
            offset.eat(":");
            offset.digits();
            ahead = offset;
        }
        // The stop of "p.m." is the sentence's.
        let mut stop = ahead;
        if stop.eat(".") && stop.at_sentence_end() {
            ahead = stop;
        }
        let Match { said: Said::Words(words), .. } = say(&date, &cursor, context)? else {
            return None;
        };
        return Some(Match::words(
            ahead.read(),
            format!("{words}, {}", (context.tongue.time)(&found, context.place)),
        ));
    }
    let mut more = cursor;
    let longer = more.eat_any(&[mark]).is_some() && more.at_digit();
    (cursor.at_word_end() && !longer).then_some(())?;
    say(&date, &cursor, context)
}

/// "on 11/21"
fn day_and_month(context: Context<'_, '_>) -> Option<Match> {
    let place = context.place;
    let before = place.word_before(0);
    let weekday = context.tongue.days.contains(&before)
        || context.tongue.days_short.iter().any(|names| before.len() > 1 && names.contains(&before));
    let mut cursor = place.cursor;
    let a = small(&mut cursor)?;
    cursor.eat("/").then_some(())?;
    let b = small(&mut cursor)?;
    // "exp 12/27"
    let expires = ["exp", "expires", "expiry", "expiration", "expiring", "thru"]
        .contains(&before.to_lowercase().as_str());
    if context.is(&ENGLISH) && expires && (1..=12).contains(&a) && b >= 20 && cursor.at_word_end() {
        let month = context.tongue.months.get(usize::try_from(a).ok()?.checked_sub(1)?).copied()?;
        return Some(Match::words(cursor.read(), format!("{month} {}", (context.tongue.year)(2_000 + b))));
    }
    // "12/24-12/26"
    let span = {
        let mut ahead = cursor;
        let dash = ahead.eat_any(&['-', '–']).is_some();
        let until = ahead;
        (dash
            && small(&mut ahead).is_some()
            && ahead.eat("/")
            && small(&mut ahead).is_some()
            && ahead.at_word_end()
            && ahead.peek() != Some('/'))
        .then_some(until)
    };
    let to =
        matches!(place.near().trim_end().chars().next_back(), Some('-' | '–')) && place.near().contains('/');
    // "12/5 at 7pm"
    let timed = {
        let mut ahead = cursor;
        context.is(&ENGLISH) && ahead.eat_one(&[" at ", " @ "]).is_some() && ahead.at_digit()
    };
    // "due 12/1, 12/15 and 12/29"
    let listed = {
        let joined = ["and", "or", "und", "oder", "y", "o", "et", "ou"].contains(&before);
        let comma = place.near().trim_end().ends_with(',');
        let before = place.word_before(usize::from(joined));
        (joined || comma) && before.contains('/') && place.follows(context.tongue.date_words, 8)
    };
    if !(weekday || to || timed || listed || span.is_some() || place.follows(context.tongue.date_words, 1)) {
        return None;
    }
    (cursor.at_word_end() && (span.is_some() || !matches!(cursor.peek(), Some('/' | '%' | '-'))))
        .then_some(())?;
    let day_first = context.language.day_first;
    let swapped = if day_first { b <= 12 } else { a > 12 };
    let (month, day) = if swapped { (b, a) } else { (a, b) };
    let date = Date { day, month: usize::try_from(month).ok()?.checked_sub(1)?, year: None, day_first };
    let Some(until) = span else { return say(&date, &cursor, context) };
    let Match { said: Said::Words(words), .. } = say(&date, &until, context)? else {
        return None;
    };
    Some(Match::words(until.read(), format!("{words} {} ", context.tongue.words.to)))
}

/// The month of this name or abbreviation; takes an abbreviation's full stop.
pub(super) fn month(cursor: &mut Cursor<'_>, tongue: &Tongue) -> Option<usize> {
    let mut ahead = *cursor;
    let word = ahead.letters();
    if word.is_empty() {
        return None;
    }
    let lower = |name: &str| {
        name.eq_ignore_ascii_case(word) || name == word || name.to_lowercase() == word.to_lowercase()
    };
    // "may" and "march" are words; "MAY" may be a month.
    let english = std::ptr::eq(tongue, &raw const ENGLISH);
    if english && word.starts_with(|c: char| c.is_lowercase()) {
        return None;
    }
    let full = tongue.months.iter().position(|name| lower(name));
    let found = full.or_else(|| {
        let short = tongue.months_short.iter().position(|names| names.iter().any(|name| lower(name)));
        short.inspect(|_| {
            ahead.eat(".");
        })
    });
    found.inspect(|_| *cursor = ahead)
}

/// A year after a date, with what stands between.
fn year(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<u64> {
    let mut ahead = *cursor;
    ahead.eat(",");
    ahead.space().then_some(())?;
    let _of = ahead.eat_one(context.tongue.of);
    let digits = ahead.digits();
    let year = digits.parse().ok().filter(|year| digits.len() == 4 && (1_000..=2_999).contains(year))?;
    // "May 3, 2026 people"? Rather a year. "21 May 1500-2000"? A range.
    (ahead.at_word_end() && !matches!(ahead.peek(), Some(':' | '%'))).then_some(())?;
    *cursor = ahead;
    Some(year)
}

/// 21 November 2026, 3. Mai, 1er mai, 3 de mayo
fn day_then_month(context: Context<'_, '_>) -> Option<Match> {
    let tongue = context.tongue;
    let mut cursor = context.place.cursor;
    let day = small(&mut cursor)?;
    if context.is(&GERMAN) {
        cursor.eat(".");
    } else {
        let ending = tongue.ordinal_endings.iter().map(|(ending, _)| *ending).collect::<Vec<_>>();
        let _ending = cursor.eat_one(&ending);
    }
    cursor.space();
    let of = cursor.eat_one(tongue.of).is_some();
    let month = month(&mut cursor, tongue)?;
    // "5 mar" is five seas in no language here, but "3 sept" is.
    if context.is(&SPANISH) && !of && !cursor.at_word_end() {
        return None;
    }
    let year = year(&mut cursor, context);
    say(&Date { day, month, year, day_first: true }, &cursor, context)
}

/// November 21st, 2026; Jan. 2026
fn month_then_day(context: Context<'_, '_>) -> Option<Match> {
    let tongue = context.tongue;
    let mut cursor = context.place.cursor;
    let start = cursor;
    let index = month(&mut cursor, tongue)?;
    let written = cursor.taken_since(&start);
    let name = tongue.months.get(index).copied().unwrap_or_default();
    // "Jan–Mar"
    let mut ahead = cursor;
    if ahead.eat_any(&['-', '–']).is_some()
        && let Some(last) = month(&mut ahead, tongue)
        && ahead.at_word_end()
    {
        let last = tongue.months.get(last).copied().unwrap_or_default();
        return Some(Match::words(ahead.read(), format!("{name} {} {last}", tongue.words.to)));
    }
    let short = written.len() != name.len() || written.ends_with('.');
    let before_year = {
        let mut ahead = cursor;
        ahead.space() && ahead.digits().len() == 4 && ahead.at_word_end()
    };
    // "Dec. '25"
    let mut quoted = cursor;
    if context.is(&ENGLISH)
        && short
        && quoted.space()
        && quoted.eat_any(&['\'', '’']).is_some()
        && quoted.at_digit()
    {
        return Some(Match::words(cursor.read(), name));
    }
    if !context.is(&ENGLISH) || before_year {
        return (short && before_year).then(|| Match::words(cursor.read(), name));
    }
    cursor.space().then_some(())?;
    let day = small(&mut cursor).filter(|day| (1..=31).contains(day))?;
    let ended = ["st", "nd", "rd", "th"].iter().any(|ending| cursor.eat(ending));
    if !cursor.at_word_end() {
        return None;
    }
    // "May 5:30", "May 5.5", "May 3%", "March 10/12": something else.
    let mut after = cursor;
    if matches!(after.next(), Some('.' | ',' | '/')) && after.at_digit() {
        return None;
    }
    if !ended && matches!(cursor.peek(), Some(':' | '%' | '°' | '$')) {
        return None;
    }
    let mut to = cursor;
    if to.eat_any(&['-', '–']).is_some()
        && let Some(last) = small(&mut to).filter(|last| (day..=31).contains(last) && to.at_word_end())
    {
        let year = year(&mut to, context).map_or(String::new(), |n| format!(", {}", (tongue.year)(n)));
        let ordinal = |n| (tongue.ordinal)(n, Form::Count);
        let words = format!("{name} {} to {}{year}", ordinal(day), ordinal(last));
        return Some(Match::words(to.read(), words));
    }
    let year = year(&mut cursor, context);
    let more = if year.is_none() { more_days(day, &mut cursor) } else { String::new() };
    let Match { length, said: Said::Words(words) } =
        say(&Date { day, month: index, year, day_first: false }, &cursor, context)?
    else {
        return None;
    };
    Some(Match::words(length, words + &more))
}

/// "Jan 5, 12, and 19": the other days of the month.
fn more_days(mut day: u64, cursor: &mut Cursor<'_>) -> String {
    let mut words = String::new();
    for _ in 0..8 {
        let mut ahead = *cursor;
        let Some(joint) = ahead.eat_one(&[", and ", ", or ", " and ", " or ", " & ", ", "]) else { break };
        let Some(next) = small(&mut ahead).filter(|next| (day + 1..=31).contains(next)) else { break };
        let _ending = ahead.eat_one(&["st", "nd", "rd", "th"]);
        let last = ahead.at_sentence_end() || matches!(ahead.peek(), Some('.' | ';' | ')' | '!' | '?'));
        let goes_on =
            [", ", " and ", " or ", " & ", " at "].into_iter().any(|joint| ahead.clone().eat(joint));
        let mut after = ahead;
        if !(last || goes_on) || (after.eat_any(&['.', ',', '/', ':']).is_some() && after.at_digit()) {
            break;
        }
        // "Jan 5, 12 people and 3 dogs" counts people; "Jan 5 and 12, 2026" has a year.
        let joint = if joint == " & " { " and " } else { joint };
        words.push_str(&format!("{joint}{}", (ENGLISH.ordinal)(next, Form::Count)));
        (day, *cursor) = (next, ahead);
    }
    words
}
