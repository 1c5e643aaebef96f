//! Units, and sides of what is measured.

use super::Context;
use super::number::Number;
use super::short::followed_by_name;
use crate::cursor::Cursor;
use crate::tongue::{Form, Unit};

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
    // "5 in" may be five in something.
    if unit.0 == "in" && cursor.peek().is_some_and(char::is_whitespace) {
        return None;
    }
    // "500 W. 5th Ave.": a direction.
    let mut stop = after;
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
    let whole = |sign: &str| context.tongue.units.iter().any(|unit| unit.0 == sign);
    let above = context.tongue.units.iter().find(|unit| unit.0 == letters)?;
    // What is a unit as a whole has a name of its own.
    let mut rest = ahead;
    let below = rest.letters();
    let together = format!("{letters}/{below}");
    let below = context.tongue.units.iter().find(|unit| unit.0 == below && !whole(&together))?;
    (rest.at_word_end() && start.peek().is_some_and(char::is_alphabetic)).then(|| *cursor = rest)?;
    Some(format!("{} {} {}", above.2, context.tongue.words.per, below.1))
}

/// 3 x 4, 3×4×5
pub(super) fn dimension(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut words = String::new();
    loop {
        let mut ahead = *cursor;
        ahead.space();
        let Some(_) = ahead.eat_any(&['x', '×', 'X']) else { break };
        ahead.space();
        if !ahead.at_digit() || words.len() > 200 {
            break;
        }
        let Some(side) = Number::read(&mut ahead, context) else { break };
        words = format!("{words} {} {}", context.tongue.words.by, side.words(context, Form::Masculine));
        *cursor = ahead;
    }
    if words.is_empty() {
        return None;
    }
    if let Some((_, _, many, _)) = unit(cursor, context) {
        words = format!("{words} {many}");
    }
    Some(words)
}
