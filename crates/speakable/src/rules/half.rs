//! Halves, which agree with what they are of.

use super::Context;
use super::measure::unit;
use super::number::Number;
use crate::cursor::Cursor;
use crate::tongue::{FRENCH, Form, GERMAN, SPANISH};

/// Words without a capital that are nothing a half is of.
const NO_NOUNS: [&str; 14] =
    ["por", "para", "pour", "sur", "del", "más", "plus", "que", "con", "von", "der", "und", "avec", "est"];

/// What a half is of: a unit, or a noun without a capital (in German with one). Takes it.
fn noun(cursor: &mut Cursor<'_>, context: Context<'_, '_>, one: bool) -> Option<(String, Form)> {
    let mut ahead = *cursor;
    if let Some((_, single, many, form)) = unit(&mut ahead, context) {
        *cursor = ahead;
        return Some(((if one { *single } else { *many }).to_owned(), *form));
    }
    ahead.space().then_some(())?;
    let noun = ahead.letters();
    let capital = noun.starts_with(char::is_uppercase);
    let fits = noun.len() > 2 && !NO_NOUNS.contains(&noun) && capital == context.is(&GERMAN);
    fits.then(|| *cursor = ahead)?;
    let form = (context.tongue.form_before)(noun);
    let noun = if one && context.is(&SPANISH) { noun.strip_suffix('s').unwrap_or(noun) } else { noun };
    Some((noun.to_owned(), form))
}

/// "media hora", "une demi-heure", "eine halbe Stunde".
pub(super) fn half_of(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    if !(context.is(&SPANISH) || context.is(&FRENCH) || context.is(&GERMAN)) {
        return None;
    }
    let (noun, form) = noun(cursor, context, true)?;
    let feminine = form == Form::Feminine;
    Some(match (context.is(&SPANISH), context.is(&FRENCH), feminine) {
        (true, _, true) => format!("media {noun}"),
        (true, ..) => format!("medio {noun}"),
        (_, true, true) => format!("une demi-{noun}"),
        (_, true, _) => format!("un demi-{noun}"),
        (.., true) => format!("eine halbe {noun}"),
        _ if noun.ends_with("gramm") || noun == "Pfund" || noun == "Jahr" => format!("ein halbes {noun}"),
        _ => format!("ein halber {noun}"),
    })
}

/// The half stands behind its noun: "dos horas y media", "deux heures et demie".
pub(super) fn half_more(
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
    let (noun, form) = noun(cursor, context, number.is_singular(context))?;
    let half = if form == Form::Feminine { feminine } else { masculine };
    Some(format!("{} {noun} {and} {half}", number.words(context, form)))
}
