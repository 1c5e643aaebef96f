//! Parts of one.

use super::Context;
use super::measure::unit;
use super::number::Number;
use crate::cursor::Cursor;
use crate::tongue::{ENGLISH, FRENCH, Form, GERMAN, SPANISH};

/// 2½; 5'10"
pub(super) fn with_part(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let words = &context.tongue.words;
    let mut ahead = *cursor;
    if context.is(&ENGLISH) && ahead.eat_any(&['\'', '′', '’']).is_some() && ahead.at_digit() {
        let inches = ahead.digits().parse().ok().filter(|n| *n < 12)?;
        ahead.eat_any(&['"', '″', '”']);
        ahead.at_word_end().then(|| *cursor = ahead)?;
        return Some(format!("{} foot {}", number.words(context, Form::Count), context.tongue.count(inches)));
    }
    let (name, parts) = match cursor.peek()? {
        '½' => (words.half, (1, 2)),
        '¼' => (words.quarter, (1, 4)),
        '¾' => (words.quarters, (3, 4)),
        _ => return None,
    };
    cursor.next();
    if let Some(said) = half_more(number, parts, cursor, context) {
        return Some(said);
    }
    Some(mixed(number, name, parts, context))
}

/// 3/4, 24/7, 1 1/2
pub(super) fn parts(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    if number.fraction.is_some() {
        return None;
    }
    let tongue = context.tongue;
    let mut ahead = *cursor;
    // "1 1/2"
    if ahead.space() && ahead.at_digit() {
        let above = ahead.digits();
        if above.len() == 1 && ahead.eat("/") && number.whole.len() <= 3 {
            let below = ahead.digits();
            let (above, below) = (above.parse().ok()?, below.parse().ok()?);
            let name = (tongue.fraction)(above, below)
                .filter(|_| ahead.at_word_end() && ahead.peek() != Some('/'))?;
            *cursor = ahead;
            if let Some(said) = half_more(number, (above, below), cursor, context) {
                return Some(said);
            }
            return Some(mixed(number, &name, (above, below), context));
        }
        return None;
    }
    let mut ahead = *cursor;
    let below =
        ahead.eat("/").then(|| ahead.digits()).filter(|below| !below.is_empty() && below.len() <= 4)?;
    (ahead.at_word_end() && ahead.peek() != Some('/')).then_some(())?;
    let (n, below_n) = (number.value()?, below.parse::<u64>().ok()?);
    *cursor = ahead;
    if below_n == n || matches!((n, below_n), (24, 7) | (9, 11)) {
        return Some(format!("{} {}", tongue.count(n), tongue.count(below_n)));
    }
    if let Some(name) = (tongue.fraction)(n, below_n).filter(|_| n < below_n) {
        return Some(name);
    }
    let count = number.words(context, Form::Count);
    Some(format!("{count} {} {}", tongue.words.out_of, tongue.count(below_n)))
}

/// "two and one half", "zweieinhalb", "dos y medio".
pub(super) fn mixed(number: &Number<'_>, name: &str, parts: (u64, u64), context: Context<'_, '_>) -> String {
    let whole = number.words(context, Form::Masculine);
    match parts {
        (1, 2) if context.is(&GERMAN) => format!("{whole}einhalb"),
        (1, 2) if context.is(&SPANISH) => format!("{} y medio", number.words(context, Form::Count)),
        (1, 2) if context.is(&FRENCH) => format!("{whole} et demi"),
        (1, 2) if context.is(&ENGLISH) => format!("{whole} and a half"),
        _ if context.is(&GERMAN) => format!("{whole} {name}"),
        _ => format!("{whole} {} {name}", context.tongue.words.and),
    }
}

/// The half stands behind its noun: "dos horas y media", "deux heures et demie".
fn half_more(
    number: &Number<'_>,
    parts: (u64, u64),
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let (and, masculine, feminine) = match () {
        () if parts != (1, 2) => return None,
        () if context.is(&SPANISH) => ("y", "medio", "media"),
        () if context.is(&FRENCH) => ("et", "demi", "demie"),
        () => return None,
    };
    let mut ahead = *cursor;
    let (noun, form) = if let Some((_, one, many, form)) = unit(&mut ahead, context) {
        (if number.is_singular(context) { *one } else { *many }, *form)
    } else {
        ahead.space().then_some(())?;
        let noun = ahead.letters();
        (noun, (context.tongue.form_before)(noun))
    };
    let counted = noun.len() > 2 && !["por", "para", "pour", "sur", "del", "más", "plus", "que"].contains(&noun);
    (counted && noun.starts_with(char::is_lowercase)).then_some(())?;
    *cursor = ahead;
    let half = if form == Form::Feminine { feminine } else { masculine };
    Some(format!("{} {noun} {and} {half}", number.words(context, form)))
}
