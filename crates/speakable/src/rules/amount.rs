//! Numbers with what belongs to them: years, codes, versions, ranges.

use super::Context;
use super::fraction::{parts, with_part};
use super::measure::{dimension, unit, unit_per_unit};
use super::money::{money_after, per, per_period, scale};
use super::number::Number;
use super::ordinal::ordinal_or_decade;
use super::short::followed_by_name;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, FRENCH, Form, GERMAN, SPANISH};

/// A number with all that belongs to it.
pub(super) fn amount(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    if let Some(said) = version(cursor, context) {
        return Some(said);
    }
    let number = Number::read(&mut cursor, context)?;
    let words = match money_after(&number, &mut cursor, context) {
        Some(words) => words + &per(&mut cursor, context),
        None => {
            let said = counted(&number, &mut cursor, context)?;
            said + &per_period(&mut cursor, context)
        }
    };
    let words = words + range(&mut cursor, context);
    Some(Match::words(cursor.read(), words))
}

fn counted(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let words = &context.tongue.words;
    // 10"x8"
    if matches!(cursor.peek(), Some('"' | '″' | '”'))
        && let Some(sides) = dimension(cursor, context)
    {
        return Some(number.words(context, Form::Masculine) + &sides);
    }
    if let Some(said) = ordinal_or_decade(number, cursor, context).or_else(|| parts(number, cursor, context))
    {
        return Some(said);
    }
    if let Some(said) = with_part(number, cursor, context) {
        return Some(said);
    }
    let mut ahead = *cursor;
    // "221B", "4B": a letter of a house. Money alone has billions so short.
    let scaled = scale(&mut ahead, context).filter(|scale| !matches!(scale.0, "B" | "T" | "m"));
    // "He ran the 5K."
    let run = matches!(number.whole.as_str(), "5" | "10" | "15") && number.fraction.is_none();
    let run = run && context.place.follows(&["the", "a", "his", "her", "my", "our", "your", "their"], 1);
    let scaled = scaled.filter(|scale| !(run && context.is(&ENGLISH) && matches!(scale.0, "K" | "k")));
    if let Some((_, scale_one, scale_many, _)) = scaled {
        *cursor = ahead;
        let single = number.is_singular(context);
        let feminine = context.is(&GERMAN) && *scale_one != "tausend";
        let form = if feminine { Form::Feminine } else { Form::Masculine };
        return Some(format!(
            "{} {}",
            number.words(context, form),
            if single { scale_one } else { scale_many }
        ));
    }
    let mut ahead = *cursor;
    ahead.space();
    for (sign, name) in [('%', words.percent), ('‰', words.per_mille)] {
        let mut after = ahead;
        if after.eat_any(&[sign]).is_some() {
            *cursor = after;
            let count = number.words(context, Form::Masculine);
            let count = if context.is(&SPANISH) { number.words(context, Form::Count) } else { count };
            return Some(format!("{count} {name}"));
        }
    }
    if let Some(sides) = dimension(cursor, context) {
        return Some(number.words(context, Form::Masculine) + &sides);
    }
    if let Some(said) = unit_per_unit(cursor, context) {
        return Some(format!("{} {said}", number.words(context, Form::Masculine)));
    }
    if let Some((sign, one, many, form)) = unit(cursor, context) {
        // "1h 5m"
        let after_hours = *sign == "m" && context.is(&ENGLISH) && is_hours(context.place.word_before(0));
        let (one, many) = if after_hours { (&"minute", &"minutes") } else { (one, many) };
        let name = if number.is_singular(context) { one } else { many };
        if let Some(said) = height(number, sign, context) {
            return Some(said);
        }
        // "um 16 h"
        let name = match *sign {
            "h" if context.is(&GERMAN) && context.place.follows(&["um", "ab", "gegen"], 1) => &"Uhr",
            "p" if context.is(&ENGLISH) => return Some(format!("{} P", lines(number, context))),
            _ => name,
        };
        return Some(format!("{} {name}", number.words(context, *form)));
    }
    plain(number, cursor, context)
}

/// A number that counts nothing known: a year, a code, a number of things.
fn plain(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let tongue = context.tongue;
    let bare = number.fraction.is_none() && !number.grouped;
    let figures = number.whole.len();
    if bare
        && context.is(&ENGLISH)
        && let Some(said) = military(&number.whole, cursor, context)
    {
        return Some(said);
    }
    if bare && counts_things(*cursor) {
        return Some(number.words(context, noun_form(number, *cursor, context)));
    }
    if bare && figures == 3 && is_emergency(&number.whole, context) {
        return Some(tongue.spell_digits(&number.whole));
    }
    if bare && is_code(figures, cursor, context) {
        return Some(if figures > 4 {
            tongue.grouped_digits(&number.whole)
        } else {
            tongue.spell_digits(&number.whole)
        });
    }
    match number.value() {
        Some(n) if bare && figures == 4 && (tongue.year_like)(n) => return Some((tongue.year)(n)),
        _ => {}
    }
    if context.is(&GERMAN) && bare {
        let mut ahead = *cursor;
        ahead.eat("-");
        let joined = ahead.eat_one(&[
            "er",
            "fach",
            "mal",
            "jährig",
            "stündig",
            "tägig",
            "köpfig",
            "stellig",
            "prozentig",
        ]);
        if let Some(ending) = joined {
            let rest = ahead.letters();
            *cursor = ahead;
            return Some(format!("{}{ending}{rest}", (tongue.cardinal)(number.value()?, Form::Masculine)));
        }
    }
    // "4G", "1080p": figures of a name.
    if cursor.peek().is_some_and(char::is_alphabetic) {
        let said =
            if figures > 4 { tongue.spell_digits(&number.whole) } else { number.words(context, Form::Count) };
        return Some(said + " ");
    }
    Some(number.words(context, noun_form(number, *cursor, context)))
}

/// "1,80 m": one metre eighty.
fn height(number: &Number<'_>, sign: &str, context: Context<'_, '_>) -> Option<String> {
    let rest = number.fraction.filter(|rest| rest.len() == 2 && !rest.starts_with('0'))?;
    (sign == "m" && matches!(number.whole.as_str(), "1" | "2")).then_some(())?;
    let centimetres = context.tongue.count(rest.parse().ok()?);
    let one = number.whole == "1";
    Some(match context {
        c if c.is(&GERMAN) => format!("{} Meter {centimetres}", if one { "ein" } else { "zwei" }),
        c if c.is(&SPANISH) => format!("{} {centimetres}", if one { "un metro" } else { "dos metros" }),
        c if c.is(&FRENCH) => format!("{} {centimetres}", if one { "un mètre" } else { "deux mètres" }),
        _ => return None,
    })
}

/// "1080p": a picture's lines.
fn lines(number: &Number<'_>, context: Context<'_, '_>) -> String {
    let (high, low) = match number.value() {
        Some(n @ (1_080 | 1_440 | 2_160)) => (n / 100, n % 100),
        Some(n @ (480 | 720)) => (n / 100, n % 100),
        _ => return number.words(context, Form::Count),
    };
    format!("{} {}", context.tongue.count(high), context.tongue.count(low))
}

fn is_hours(word: &str) -> bool {
    word.strip_suffix('h')
        .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit()))
}

/// "at 1300 hours"
fn military(figures: &str, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    let clock = ahead.space() && ahead.eat_one(&["hours", "hrs"]).is_some() && ahead.at_word_end();
    let timed = context.place.follows(&["at", "by", "until", "from", "to", "around", "before", "after"], 1);
    let n: u64 = figures.parse().ok()?;
    let fits = figures.len() == 4 && clock && n.is_multiple_of(100) && n <= 2_400;
    (fits && (timed || figures.starts_with('0'))).then(|| *cursor = ahead)?;
    let oh = if n < 1_000 { "oh " } else { "" };
    Some(format!("{oh}{} hundred hours", context.tongue.count(n / 100)))
}

/// Things that are counted follow: no year and no code.
fn counts_things(mut cursor: Cursor<'_>) -> bool {
    const THINGS: [&str; 66] = [
        "units",
        "pieces",
        "items",
        "copies",
        "boxes",
        "bottles",
        "pairs",
        "sets",
        "people",
        "persons",
        "meals",
        "sheets",
        "packs",
        "bags",
        "customers",
        "users",
        "employees",
        "guests",
        "tickets",
        "points",
        "miles",
        "words",
        "votes",
        "rows",
        "records",
        "orders",
        "calls",
        "seats",
        "rooms",
        "dollars",
        "euros",
        "pounds",
        "calories",
        "steps",
        "times",
        "days",
        "hours",
        "minutes",
        "unidades",
        "piezas",
        "personas",
        "cajas",
        "botellas",
        "copias",
        "puntos",
        "millas",
        "palabras",
        "clientes",
        "empleados",
        "dólares",
        "Stück",
        "Personen",
        "Einheiten",
        "Kisten",
        "Flaschen",
        "Leute",
        "Punkte",
        "Kunden",
        "Mitarbeiter",
        "Exemplare",
        "Dollar",
        "unités",
        "pièces",
        "personnes",
        "bouteilles",
        "clients",
    ];
    cursor.space() && THINGS.contains(&cursor.letters())
}

/// Numbers that are dialled in need.
fn is_emergency(figures: &str, context: Context<'_, '_>) -> bool {
    if context.is(&ENGLISH) && matches!(figures, "911" | "988") {
        return !context.place.word_before(0).eq_ignore_ascii_case("Porsche");
    }
    let dialled: &[&str] = if context.is(&ENGLISH) {
        &["dial", "call", "text", "ring", "phone", "dialing", "calling"]
    } else if context.is(&GERMAN) {
        &["notruf", "wählen", "rufnummer", "unter", "nummer", "der", "die"]
    } else if context.is(&SPANISH) {
        &["al", "marque", "emergencias", "llame", "número"]
    } else {
        &[]
    };
    let known = [
        "911", "112", "110", "999", "111", "101", "411", "311", "211", "511", "611", "711", "811", "016",
        "061",
    ];
    known.contains(&figures) && context.place.follows(dialled, 2)
}

/// What the noun after it wants of a number, where it makes a difference.
fn noun_form(number: &Number<'_>, mut cursor: Cursor<'_>, context: Context<'_, '_>) -> Form {
    let Some(n) = number.value().filter(|_| number.fraction.is_none()) else { return Form::Count };
    let hundreds = context.is(&SPANISH) && (n % 1_000 >= 200 || n / 1_000 % 1_000 >= 200);
    if context.is(&ENGLISH) || !(n % 10 == 1 || hundreds) || (context.is(&GERMAN) && n != 1) {
        return Form::Count;
    }
    if !cursor.space() {
        return Form::Count;
    }
    let noun = cursor.letters();
    let german_noun = noun.starts_with(char::is_uppercase);
    let follows = !noun.is_empty() && (!context.is(&GERMAN) || german_noun);
    if follows { (context.tongue.form_before)(noun) } else { Form::Count }
}

/// Whether a number's figures are said one by one.
fn is_code(figures: usize, cursor: &Cursor<'_>, context: Context<'_, '_>) -> bool {
    let codes = context.tongue.codes;
    let place = context.place;
    let near = place.follows(codes, 2);
    // "**** 4242"
    let masked = figures == 4 && place.near().trim_end().ends_with(['*', '•', '·']);
    let masked = masked || (matches!(figures, 3 | 4) && ends_in(context));
    if masked || (figures >= 4 && place.follows(codes, 4)) || (figures == 3 && near) {
        return true;
    }
    let before = place.word_before(0);
    // "IL 62704"; "10115 Berlin".
    // "Text JOIN to 55512"
    let texted = matches!(figures, 5 | 6) && place.follows(&["text", "texto", "sms"], 4);
    let state = context.is(&ENGLISH) && before.len() == 2 && before.bytes().all(|c| c.is_ascii_uppercase());
    let begins = place.before.trim_end();
    let town = context.is(&GERMAN)
        && (begins.is_empty() || begins.ends_with([',', '\n']) || place.follows(&["in", "nach", "plz"], 1))
        && followed_by_name(*cursor);
    texted || (figures == 5 && (state || town))
}

/// "your card ends in 4417"; a lease that does so may end in a year.
fn ends_in(context: Context<'_, '_>) -> bool {
    const NAMED: [&str; 13] = [
        "card", "account", "number", "ssn", "phone", "vin", "karte", "konto", "iban", "tarjeta", "cuenta",
        "carte", "compte",
    ];
    let place = context.place;
    let ways: &[(&[&str], &[&str])] = &[
        (&["in", "with"], &["ends", "ending", "end"]),
        (&["auf", "mit"], &["endet", "endend", "enden", "endenden", "endende"]),
        (&["en"], &["termina", "terminada", "terminado", "acaba", "acabada"]),
        (&["par"], &["termine", "terminant", "finit", "finissant"]),
    ];
    let said = ways.iter().any(|(last, before)| place.follows(last, 1) && place.follows(before, 2));
    let mut cursor = place.cursor;
    let year = cursor.digits().parse().is_ok_and(|n| (context.tongue.year_like)(n));
    said && (!year || place.follows(&NAMED, 8))
}

/// 1.2.3, and addresses of machines.
fn version(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> Option<Match> {
    let mut parts = vec![cursor.digits()];
    loop {
        let mut ahead = cursor;
        if !ahead.eat(".") || !ahead.at_digit() || parts.len() > 8 {
            break;
        }
        parts.push(ahead.digits());
        cursor = ahead;
    }
    let grouped =
        parts.iter().skip(1).all(|part| part.len() == 3) && parts.first().is_some_and(|p| p.len() <= 3);
    if parts.len() < 3 || grouped || !cursor.at_word_end() {
        return None;
    }
    let tongue = context.tongue;
    let joint = if parts.len() == 4 || !context.is(&ENGLISH) { tongue.words.dot } else { tongue.words.point };
    let say = |part: &&str| match part.parse::<u64>() {
        Ok(n) if part.len() <= 3 && !(part.len() > 1 && part.starts_with('0')) => tongue.count(n),
        _ => tongue.spell_digits(part),
    };
    let words = parts.iter().map(say).collect::<Vec<_>>().join(&format!(" {joint} "));
    Some(Match::words(cursor.read(), words))
}

/// "9-5", "16:9": said with a "to". Takes the sign.
pub(super) fn range(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> &'static str {
    let mut ahead = *cursor;
    let spaced = ahead.space();
    let sign = ahead.eat_any(&['-', '–', '—', ':', '−', '‑', '~']);
    let evenly = spaced == ahead.space();
    let number = ahead.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£'));
    let ratio = sign == Some(':');
    let is_range = match sign {
        Some('–' | '—') => evenly,
        Some(_) => evenly && !spaced,
        None => false,
    };
    if !(is_range && number) {
        return "";
    }
    *cursor = ahead;
    match (ratio, context) {
        (_, c) if c.is(&ENGLISH) => " to ",
        (_, c) if c.is(&SPANISH) => " a ",
        (_, c) if c.is(&FRENCH) => " à ",
        (true, _) => " zu ",
        (false, _) => " bis ",
    }
}
