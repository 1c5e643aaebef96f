//! Ordinals and decades.

use super::Context;
use super::number::Number;
use crate::cursor::Cursor;
use crate::tongue::{ENGLISH, GERMAN, SPANISH};

/// 21st, 1990s, 3.º, 2e
pub(super) fn ordinal_or_decade(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let n = number.value().filter(|_| number.fraction.is_none())?;
    let tongue = context.tongue;
    for (ending, form) in tongue.ordinal_endings {
        let mut ahead = *cursor;
        if ahead.eat(ending) && ahead.at_word_end() && !other_meaning(n, ending, context) {
            *cursor = ahead;
            return Some((tongue.ordinal)(n, *form));
        }
    }
    if context.is(&GERMAN) {
        return german_ordinal(n, cursor, context);
    }
    let mut ahead = *cursor;
    let before = context.place.word_before(0);
    let named =
        ["the", "early", "mid", "late", "his", "her", "their", "my", "your", "our", "and", "or", "to"];
    let quoted = matches!(context.place.previous(), Some('\'' | '’' | '-'));
    let short = number.whole.len() == 2 && (quoted || named.contains(&before.to_lowercase().as_str()));
    let decade = context.is(&ENGLISH) && n.is_multiple_of(10) && (short || number.whole.len() == 4);
    if !(decade && ahead.eat("s") && ahead.at_word_end()) {
        return None;
    }
    *cursor = ahead;
    let words = if n >= 1_000 { (tongue.year)(n) } else { tongue.count(n) };
    Some(match words.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{words}s"),
    })
}

/// "13st" is a weight, "mín. -3°" a temperature.
fn other_meaning(n: u64, ending: &str, context: Context<'_, '_>) -> bool {
    const DEGREES: [&str; 10] =
        ["máx", "mín", "máxima", "mínima", "máximas", "mínimas", "temperatura", "hace", "grados", "unos"];
    match ending {
        "st" => context.is(&ENGLISH) && (n % 10 != 1 || n % 100 == 11),
        "°" => {
            context.is(&SPANISH)
                && (matches!(context.place.previous(), Some('-' | '−')) || context.place.follows(&DEGREES, 1))
        }
        _ => false,
    }
}

/// "im 3. Stock", but not "Ich bin 30. Und du?".
fn german_ordinal(n: u64, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    const NOUNS: [&str; 24] = [
        "Stock",
        "Etage",
        "Geburtstag",
        "Klasse",
        "Platz",
        "Jahrhundert",
        "Mal",
        "Quartal",
        "Kapitel",
        "Reihe",
        "OG",
        "Obergeschoss",
        "Stockwerk",
        "Runde",
        "Halbjahr",
        "Woche",
        "Tag",
        "Person",
        "Versuch",
        "Jahrestag",
        "Januar",
        "Weltkrieg",
        "Juni",
        "bis",
    ];
    const CASES: [&str; 14] =
        ["am", "den", "dem", "vom", "zum", "im", "der", "die", "das", "des", "zur", "ein", "beim", "jeden"];
    let mut ahead = *cursor;
    let before = context.place.word_before(0);
    (n <= 999 && ahead.eat(".")).then_some(())?;
    // "vom 3.-5. Mai"
    let mut span = ahead;
    span.space();
    if span.eat_any(&['-', '–']).is_some() {
        span.space();
        let dash = span;
        if (1..=2).contains(&span.digits().len()) && span.eat(".") && n <= 31 {
            *cursor = dash;
            return Some(format!("{} bis ", crate::tongue::ordinal_after(n, before)));
        }
        return None;
    }
    // "am 1."
    if ahead.at_sentence_end()
        && ["am", "vom", "zum", "der", "dem", "den", "beim"].contains(&before)
        && n <= 31
    {
        return Some(crate::tongue::ordinal_after(n, before));
    }
    ahead.space().then_some(())?;
    // "die 2. 300 €"
    if ahead.at_digit() && ["die", "der", "das"].contains(&before) && n <= 31 {
        cursor.eat(".");
        return Some(crate::tongue::ordinal_after(n, before));
    }
    let mut word = ahead;
    let noun = word.letters();
    let cased = CASES.contains(&before.to_lowercase().as_str());
    let lower = noun.starts_with(char::is_lowercase) && cased;
    let follows_or = noun == "oder" || noun == "und";
    if !(NOUNS.contains(&noun) || lower || follows_or || (cased && !noun.is_empty())) {
        return None;
    }
    let mut stop = *cursor;
    stop.eat(".");
    *cursor = stop;
    let feminine = ["Etage", "Klasse", "Reihe", "Runde", "Woche", "Person"].contains(&noun);
    let dative = ["in", "an", "auf", "bei", "mit", "von", "nach", "aus", "zu", "seit", "ab"];
    let given = before == "der" && dative.contains(&context.place.word_before(1).to_lowercase().as_str());
    let before = match before {
        _ if given => "dem",
        _ if feminine && !cased => "die",
        before => before,
    };
    let neuter = ["OG", "Obergeschoss", "Stockwerk", "Mal", "Quartal", "Kapitel", "Jahrhundert", "Halbjahr"];
    let said = crate::tongue::ordinal_after(n, before);
    Some(match said.strip_suffix("er").filter(|_| neuter.contains(&noun)) {
        Some(stem) => format!("{stem}es"),
        None => said,
    })
}
