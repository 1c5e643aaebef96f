//! Numbers and what is counted: money, shares, units, fractions, ranges.

use super::Context;
use super::number::Number;
use super::short::followed_by_name;
use crate::cursor::{Cursor, Match};
use crate::tongue::{Currency, ENGLISH, FRENCH, Form, GERMAN, PESOS, SPANISH, Scale, Unit};

/// A number behind a currency's sign.
pub(super) fn prefixed(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let currency = currency(&mut cursor, context)?;
    cursor.space();
    let number = Number::read(&mut cursor, context)?;
    let scaled = scale(&mut cursor, context);
    // "$20 USD"
    let mut named = cursor;
    let code = named.space() && named.peek().is_some_and(|c| c.is_ascii_uppercase());
    let currency = match self::currency(&mut named, context).filter(|_| code && named.at_word_end()) {
        Some(exact) => {
            cursor = named;
            exact
        }
        None => currency,
    };
    // "$5-10": one currency for both.
    let mut ahead = cursor;
    let joined = range(&mut ahead, context);
    if !joined.is_empty() && ahead.at_digit() && scaled.is_none() {
        let second = Number::read(&mut ahead, context)?;
        let scaled = scale(&mut ahead, context);
        let words =
            number.words(context, currency.form) + joined + &money(&second, &currency, scaled, context)?;
        return Some(Match::words(ahead.read(), words));
    }
    let words = money(&number, &currency, scaled, context)?;
    let words = words + &per(&mut cursor, context) + range(&mut cursor, context);
    Some(Match::words(cursor.read(), words))
}

/// "/month", "/kg" behind an amount.
fn per(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> String {
    let mut ahead = *cursor;
    if !ahead.eat("/") || !ahead.peek().is_some_and(char::is_alphabetic) {
        return String::new();
    }
    let name = unit(&mut ahead, context).map_or("", |(_, one, ..)| one);
    *cursor = ahead;
    format!(" {} {name}", context.tongue.words.per)
}

/// A number with all that belongs to it.
pub(super) fn amount(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    if let Some(version) = version(cursor, context) {
        return Some(version);
    }
    let number = Number::read(&mut cursor, context)?;
    let words = match money_after(&number, &mut cursor, context) {
        Some(words) => words + &per(&mut cursor, context),
        None => counted(&number, &mut cursor, context)?,
    };
    let words = words + range(&mut cursor, context);
    Some(Match::words(cursor.read(), words))
}

fn currency(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<Currency> {
    let first = cursor.peek()?;
    for currency in context.tongue.currencies {
        for sign in currency.signs.iter().filter(|sign| sign.starts_with(first)) {
            let mut ahead = *cursor;
            let letters = sign.ends_with(char::is_alphabetic);
            if ahead.eat(sign) && (!letters || ahead.peek().is_none_or(|c| !c.is_alphabetic())) {
                *cursor = ahead;
                let pesos = *sign == "$" && context.language.pesos;
                return Some(if pesos { PESOS } else { *currency });
            }
        }
    }
    None
}

fn scale(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<&'static Scale> {
    let first = cursor.peek()?;
    context.tongue.scales.iter().find(|(sign, ..)| {
        let mut ahead = *cursor;
        let blank = first == '\u{a0}' || first == '\u{202f}';
        let found = match sign.strip_prefix(' ') {
            Some(word) if blank || first == ' ' => ahead.space() && ahead.eat(word),
            Some(_) => false,
            None => ahead.eat(sign),
        };
        (found && ahead.at_word_end()).then(|| *cursor = ahead).is_some()
    })
}

fn money_after(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let mut ahead = *cursor;
    let scaled = scale(&mut ahead, context);
    ahead.space();
    let mut joined = ahead;
    if scaled.is_some() {
        let _of = joined.eat_one(&["de ", "d'", "d’"]);
    }
    let currency = currency(&mut joined, context)?;
    // "5 $3 coupons": the sign belongs to what follows.
    joined.at_word_end().then(|| *cursor = joined)?;
    money(number, &currency, scaled, context)
}

fn money(
    number: &Number<'_>,
    currency: &Currency,
    scaled: Option<&'static Scale>,
    context: Context<'_, '_>,
) -> Option<String> {
    let Currency { one, many, cent, cents, form, .. } = *currency;
    let words = &context.tongue.words;
    if let Some((_, scale_one, scale_many, joint)) = scaled {
        let single = number.is_singular(context) || (context.is(&FRENCH) && number.whole == "1");
        let scale = if single { scale_one } else { scale_many };
        let vowel = many.starts_with(['a', 'e', 'i', 'o', 'u', 'y']);
        let joint = if context.is(&FRENCH) && *joint == " de " && vowel { " d'" } else { joint };
        let mut form = Form::Masculine;
        if context.is(&GERMAN) && *scale_one != "tausend" {
            form = Form::Feminine;
        }
        let count = match number.value() {
            Some(n) if number.fraction.is_none() => (context.tongue.cardinal)(n, form),
            _ => number.words(context, Form::Count),
        };
        return Some(format!("{count} {scale}{joint}{many}"));
    }
    let parts = match number.fraction {
        Some(fraction) if fraction.len() == 2 && !cent.is_empty() => fraction.parse::<u64>().ok(),
        Some(fraction) if fraction.len() == 1 && !cent.is_empty() && context.is(&FRENCH) => {
            fraction.parse::<u64>().ok().map(|n| n * 10)
        }
        _ => None,
    };
    // However long: a price isn't a number to be dictated.
    let whole = number.value();
    let (Some(parts), Some(whole)) = (parts, whole) else {
        let name = if number.is_singular(context) { one } else { many };
        let million = context.is(&FRENCH) || context.is(&SPANISH);
        let round = million && whole.is_some_and(|n| n >= 1_000_000 && n.is_multiple_of(1_000_000));
        let joint = match (round, name.starts_with('e')) {
            (true, true) if context.is(&FRENCH) => " d'",
            (true, _) => " de ",
            _ => " ",
        };
        let count = match whole {
            Some(n) if number.fraction.is_none() && number.whole.len() <= 15 => {
                (context.tongue.cardinal)(n, form)
            }
            _ => number.words(context, form),
        };
        return Some(format!("{count}{joint}{name}"));
    };
    let singular = whole == 1 || (context.is(&FRENCH) && whole == 0);
    let wholes = format!("{} {}", (context.tongue.cardinal)(whole, form), if singular { one } else { many });
    let hundredths = format!(
        "{} {}",
        (context.tongue.cardinal)(parts, Form::Masculine),
        if parts == 1 { cent } else { cents }
    );
    Some(match (whole, parts) {
        (_, 0) => wholes,
        (0, _) => hundredths,
        _ if words.money_cents => format!("{wholes} {} {hundredths}", words.money_and),
        _ => format!("{wholes} {}", context.tongue.count(parts)),
    })
}

fn counted(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let words = &context.tongue.words;
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
    if let Some((sign, one, many, form)) = unit(cursor, context) {
        let name = if number.is_singular(context) { one } else { many };
        let stop = if sign.ends_with('.') && cursor.at_sentence_end() { "." } else { "" };
        return Some(format!("{} {name}{stop}", number.words(context, *form)));
    }
    plain(number, cursor, context)
}

/// A number that counts nothing known: a year, a code, a number of things.
fn plain(number: &Number<'_>, cursor: &Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    let tongue = context.tongue;
    let bare = number.fraction.is_none() && !number.grouped;
    let figures = number.whole.len();
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
    // "4G", "1080p": figures of a name.
    if cursor.peek().is_some_and(char::is_alphabetic) {
        let said =
            if figures > 4 { tongue.spell_digits(&number.whole) } else { number.words(context, Form::Count) };
        return Some(said + " ");
    }
    Some(number.words(context, noun_form(number, *cursor, context)))
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
    if (figures >= 4 && place.follows(codes, 4)) || (figures == 3 && near) {
        return true;
    }
    let before = place.word_before(0);
    // "IL 62704"; "10115 Berlin".
    let state = context.is(&ENGLISH) && before.len() == 2 && before.bytes().all(|c| c.is_ascii_uppercase());
    let town =
        context.is(&GERMAN) && place.before.trim_end().ends_with([',', '\n']) && followed_by_name(*cursor);
    figures == 5 && (state || town)
}

/// The longest sign that fits, at once or after a space.
fn unit(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<&'static Unit> {
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
            && !after.peek().is_some_and(|c| c == '/' || c == '²')
        {
            best = Some((unit, after));
        }
    }
    let (unit, mut after) = best?;
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

/// 3 x 4, 3×4×5
fn dimension(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
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

/// 21st, 1990s, 3.º, 2e
fn ordinal_or_decade(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let n = number.value().filter(|_| number.fraction.is_none())?;
    let tongue = context.tongue;
    for (ending, form) in tongue.ordinal_endings {
        let mut ahead = *cursor;
        if ahead.eat(ending) && ahead.at_word_end() {
            *cursor = ahead;
            return Some((tongue.ordinal)(n, *form));
        }
    }
    if context.is(&GERMAN) {
        return german_ordinal(n, cursor, context);
    }
    let mut ahead = *cursor;
    let decade = context.is(&ENGLISH) && n.is_multiple_of(10) && matches!(number.whole.len(), 2 | 4);
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
    (n <= 999 && ahead.eat(".") && ahead.space()).then_some(())?;
    let mut word = ahead;
    let noun = word.letters();
    let before = context.place.word_before(0);
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
    Some(crate::tongue::ordinal_after(n, before))
}

/// 2½; 5'10"
fn with_part(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
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
    Some(mixed(number, name, parts, context))
}

/// 3/4, 24/7, 1 1/2
fn parts(number: &Number<'_>, cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    if number.fraction.is_some() {
        return None;
    }
    let tongue = context.tongue;
    let mut ahead = *cursor;
    // "1 1/2"
    if ahead.space() && ahead.at_digit() {
        let above = ahead.digits();
        if above.len() == 1 && ahead.eat("/") && !(number.whole.len() > 3) {
            let below = ahead.digits();
            let (above, below) = (above.parse().ok()?, below.parse().ok()?);
            let name = (tongue.fraction)(above, below)
                .filter(|_| ahead.at_word_end() && ahead.peek() != Some('/'))?;
            *cursor = ahead;
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

/// "9-5", "16:9": said with a "to". Takes the sign.
pub(super) fn range(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> &'static str {
    let mut ahead = *cursor;
    let spaced = ahead.space();
    let sign = ahead.eat_any(&['-', '–', '—', ':', '−', '‑']);
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
