//! Units, and sides of what is measured.

use super::Context;
use super::number::Number;
use super::short::{followed_by_name, followed_by_street};
use crate::cursor::Cursor;
use crate::tongue::{ENGLISH, FRENCH, Form, GERMAN, SPANISH, Unit};

/// The longest sign that fits, at once or after a space.
pub(super) fn unit(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<&'static Unit> {
    let mut ahead = *cursor;
    ahead.space();
    let first = ahead.peek()?;
    let mut best: Option<(&Unit, Cursor<'_>)> = None;
    for unit in context.tongue.units.iter().filter(|unit| unit.0.starts_with(first)) {
        let mut after = ahead;
        let longer = best.is_none_or(|(best, _)| best.0.len() < unit.0.len());
        if longer
            && after.eat(unit.0)
            && after.at_word_end()
            && !after.peek().is_some_and(|c| matches!(c, '/' | '²' | '\'' | '’'))
        {
            best = Some((unit, after));
        }
    }
    let (unit, mut after) = best?;
    // "I-10 W", "size 8.5W"
    let road = context.place.previous() == Some('-') || context.place.follows(&["size", "sizes"], 1);
    if road && unit.0.len() == 1 && unit.0.starts_with(char::is_uppercase) {
        return None;
    }
    // "5 in" may be five in something.
    if unit.0 == "in" && cursor.peek().is_some_and(char::is_whitespace) {
        return None;
    }
    // "500 W. 5th Ave.", "48 W 25th St": a direction.
    let mut stop = after;
    if matches!(unit.0, "W" | "E" | "S" | "N") && context.is(&ENGLISH) && followed_by_street(after) {
        return None;
    }
    if unit.0.len() == 1 && unit.0.starts_with(char::is_uppercase) && stop.eat(".") && !stop.at_sentence_end()
    {
        return None;
    }
    // "5 m." at the end of a sentence keeps its stop; "5 min." in its midst doesn't.
    let mut stop = after;
    if !unit.0.ends_with('.')
        && stop.eat(".")
        && unit.0.len() > 1
        && !stop.at_sentence_end()
        && !followed_by_name(stop)
    {
        after = stop;
    }
    // "$5/mo." at the end: the stop is the sentence's.
    if unit.0.ends_with('.') && after.at_sentence_end() {
        after = ahead;
        after.skip(unit.0.len() - 1);
    }
    *cursor = after;
    Some(unit)
}

/// "50 mg/ml"
pub(super) fn unit_per_unit(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    ahead.space();
    let start = ahead;
    let letters = ahead.letters();
    ahead.eat("/").then_some(())?;
    if let Some(said) = over_a_distance(letters, ahead, cursor, context) {
        return Some(said);
    }
    let whole = |sign: &str| context.tongue.units.iter().any(|unit| unit.0 == sign);
    let above = context.tongue.units.iter().find(|unit| unit.0 == letters)?;
    // What is a unit as a whole has a name of its own.
    let mut rest = ahead;
    let below = rest.letters();
    let together = format!("{letters}/{below}");
    let unit = context.tongue.units.iter().find(|unit| unit.0 == below);
    let below = match unit {
        Some(unit) => (!whole(&together)).then_some(unit.1)?,
        None => super::money::PERIODS.into_iter().find(|period| *period == below)?,
    };
    (rest.at_word_end() && start.peek().is_some_and(char::is_alphabetic)).then(|| *cursor = rest)?;
    Some(format!("{} {} {below}", above.2, context.tongue.words.per))
}

/// "5,8 l/100 km"
fn over_a_distance<'a>(
    letters: &str,
    mut ahead: Cursor<'a>,
    cursor: &mut Cursor<'a>,
    context: Context<'_, '_>,
) -> Option<String> {
    (letters.eq_ignore_ascii_case("l") && ahead.eat("100")).then_some(())?;
    ahead.space();
    (ahead.eat("km") && ahead.at_word_end()).then(|| *cursor = ahead)?;
    let said = match context {
        c if c.is(&GERMAN) => "Liter auf hundert Kilometer",
        c if c.is(&SPANISH) => "litros a los cien kilómetros",
        c if c.is(&FRENCH) => "litres aux cent kilomètres",
        _ => "liters per hundred kilometers",
    };
    Some(said.to_owned())
}

/// 3 x 4, 3×4×5
pub(super) fn dimension(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut sides = Vec::new();
    let (mut inches, mut apart) = (false, true);
    loop {
        let mut ahead = *cursor;
        // 10"x8"
        let marked = ahead.eat_any(&['"', '″', '”']).is_some();
        let spaced = ahead.space();
        let Some(_) = ahead.eat_any(&['x', '×', 'X']) else { break };
        ahead.space();
        if !ahead.at_digit() || sides.len() > 8 {
            break;
        }
        let Some(side) = Number::read(&mut ahead, context) else { break };
        sides.push(side.words(context, Form::Masculine));
        inches |= marked;
        apart &= spaced;
        *cursor = ahead;
    }
    // "3 x 4 = 12", "7 × 8 is 56" are products; "a 2×4 is 1.5 inches thick" is none.
    let mut after = *cursor;
    after.space();
    let equal = after.eat_one(&["is ", "equals ", "ist ", "es ", "son ", "est ", "font "]).is_some();
    let product = after.eat("=") || (equal && apart && after.at_digit());
    let between = if product { context.tongue.words.times } else { context.tongue.words.by };
    let mut words: String = sides.iter().map(|side| format!(" {between} {side}")).collect();
    if inches && context.is(&ENGLISH) && cursor.eat_any(&['"', '″', '”']).is_some() {
        return Some(words + " inches");
    }
    if words.is_empty() {
        return None;
    }
    if let Some((_, _, many, _)) = unit(cursor, context) {
        words = format!("{words} {many}");
    }
    Some(words)
}
