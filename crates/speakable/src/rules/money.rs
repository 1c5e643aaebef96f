//! Prices.

use super::Context;
use super::amount::range;
use super::measure::unit;
use super::number::Number;
use crate::cursor::{Cursor, Match};
use crate::tongue::{Currency, ENGLISH, FRENCH, Form, GERMAN, PESOS, SPANISH, Scale};

/// A number behind a currency's sign.
pub(super) fn prefixed(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let currency = currency(&mut cursor, context)?;
    cursor.space();
    // "$-5"
    let mut ahead = cursor;
    let minus = ahead.eat_any(&['-', '−']).is_some() && ahead.at_digit();
    if minus {
        cursor = ahead;
    }
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
    let currency = if is_attributive(cursor, context) {
        // "a twenty dollar bill"
        Currency { many: currency.one, cents: currency.cent, ..currency }
    } else {
        currency
    };
    // "$5 dollars"
    let mut again = cursor;
    if again.space() && [currency.one, currency.many].contains(&again.letters()) && again.at_word_end() {
        cursor = again;
    }
    let words = money(&number, &currency, scaled, context)?;
    let mut words = words + &per(&mut cursor, context) + range(&mut cursor, context);
    // "$5 - $10"
    let mut ahead = cursor;
    if ahead.eat_one(&[" - ", " – "]).is_some() && self::currency(&mut ahead.clone(), context).is_some() {
        cursor = ahead;
        words = format!("{words} {} ", context.tongue.words.to);
    }
    let minus = if minus { format!("{} ", context.tongue.words.minus) } else { String::new() };
    let apart = if context.place.previous().is_some_and(char::is_alphabetic) { " " } else { "" };
    Some(Match::words(cursor.read(), format!("{apart}{minus}{words}")))
}

/// The amount says what sort of thing the noun behind it is.
fn is_attributive(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    const NOUNS: [&str; 44] = [
        "bill",
        "bills",
        "note",
        "notes",
        "coin",
        "coins",
        "gift",
        "fee",
        "fees",
        "deposit",
        "discount",
        "charge",
        "coupon",
        "coupons",
        "voucher",
        "vouchers",
        "ticket",
        "tickets",
        "card",
        "credit",
        "refund",
        "minimum",
        "tip",
        "fine",
        "payment",
        "copay",
        "reward",
        "bonus",
        "budget",
        "plan",
        "rebate",
        "surcharge",
        "increase",
        "subscription",
        "membership",
        "loan",
        "deductible",
        "limit",
        "penalty",
        "donation",
        "item",
        "items",
        "meal",
        "deal",
    ];
    const NO_NOUNS: [&str; 34] = [
        "and", "or", "for", "to", "in", "on", "at", "of", "off", "from", "with", "by", "if", "as", "but",
        "is", "was", "are", "per", "each", "total", "more", "less", "extra", "you", "we", "i", "that",
        "which", "when", "will", "would", "today", "a",
    ];
    if !context.is(&ENGLISH) || !cursor.space() {
        return false;
    }
    let noun = cursor.letters();
    let article = matches!(context.place.word_before(0).to_lowercase().as_str(), "a" | "an" | "another");
    NOUNS.contains(&noun) || (article && noun.starts_with(char::is_lowercase) && !NO_NOUNS.contains(&noun))
}

/// What an amount is for, where it is no unit.
pub(super) const PERIODS: [&str; 35] = [
    "yr", "mo", "wk", "hr", "day", "week", "month", "year", "hour", "night", "person", "visit", "minute",
    "Tag", "Woche", "Monat", "Jahr", "Stunde", "Nacht", "Person", "día", "semana", "mes", "año", "hora",
    "noche", "persona", "jour", "semaine", "mois", "an", "heure", "nuit", "personne", "Minute",
];

/// "8/day"
pub(super) fn per_period(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> String {
    let mut ahead = *cursor;
    let found = ahead.eat("/") && {
        let mut word = ahead;
        PERIODS.contains(&word.letters())
    };
    if found { per(cursor, context) } else { String::new() }
}

/// "/month", "/kg" behind an amount.
pub(super) fn per(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> String {
    let mut ahead = *cursor;
    if !ahead.eat("/") || !ahead.peek().is_some_and(char::is_alphabetic) {
        return String::new();
    }
    let name = unit(&mut ahead, context).map_or("", |(_, one, ..)| one);
    *cursor = ahead;
    format!(" {} {name}", context.tongue.words.per)
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

pub(super) fn scale(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<&'static Scale> {
    let first = cursor.peek()?;
    context.tongue.scales.iter().find(|(sign, ..)| {
        let mut ahead = *cursor;
        let blank = first == '\u{a0}' || first == '\u{202f}';
        let found = match sign.strip_prefix(' ') {
            Some(word) if blank || first == ' ' => ahead.space() && ahead.eat(word),
            Some(_) => false,
            None => ahead.eat(sign),
        };
        // "$20 M.N."
        let initials = ahead.peek() == Some('.') && {
            let mut after = ahead;
            after.next();
            after.peek().is_some_and(char::is_alphanumeric)
        };
        (found && ahead.at_word_end() && !initials).then(|| *cursor = ahead).is_some()
    })
}

pub(super) fn money_after(
    number: &Number<'_>,
    cursor: &mut Cursor<'_>,
    context: Context<'_, '_>,
) -> Option<String> {
    let mut ahead = *cursor;
    let scaled = scale(&mut ahead, context);
    ahead.space();
    let mut joined = ahead;
    if scaled.is_some() {
        let _of = joined.eat_one(&["de ", "d'", "d’"]);
    }
    // "20-€-Schein"
    let hyphened = joined.eat("-");
    let currency = currency(&mut joined, context)?;
    if hyphened {
        let whole = joined.eat("-") && joined.peek().is_some_and(char::is_alphabetic) && scaled.is_none();
        whole.then(|| *cursor = joined)?;
        return Some(format!("{}-{}-", number.words(context, Form::Masculine), currency.one));
    }
    // "12€50"
    let mut parts = joined;
    let cents = parts.digits();
    if cents.len() == 2 && number.fraction.is_none() && scaled.is_none() && parts.at_word_end() {
        let number = Number { whole: number.whole.clone(), fraction: Some(cents), grouped: number.grouped };
        *cursor = parts;
        return money(&number, &currency, None, context);
    }
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
