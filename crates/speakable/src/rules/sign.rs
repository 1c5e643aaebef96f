//! Signs between words and numbers.

use super::Context;
use super::amount::range;
use super::half::half_of;
use crate::cursor::{Cursor, Match, Place};
use crate::tongue::{ENGLISH, FRENCH, GERMAN, SPANISH};

/// " - " and its like between words: a pause, in every language.
pub(super) fn dash(place: &Place<'_>, first: char) -> Option<Match> {
    let mut cursor = place.cursor;
    if first != ' ' {
        return None;
    }
    cursor.next();
    let marks = cursor.take_while(|c| matches!(c, '-' | '–' | '—'));
    let spaced = cursor.peek() == Some(' ');
    let between = !marks.is_empty() && marks.chars().count() <= 3 && spaced;
    // "3 - 4" is a sum or a range.
    let mut after = cursor;
    after.next();
    let sum = after.at_digit() && place.previous().is_some_and(|c| c.is_ascii_digit());
    (between && !sum).then(|| Match::words(cursor.read(), ", "))
}

/// ½ and its like: letters in Unicode.
pub(super) fn vulgar(context: Context<'_, '_>) -> Option<Match> {
    let words = &context.tongue.words;
    let first = context.place.cursor.peek()?;
    let mut after = context.place.cursor;
    after.next();
    if first == '½'
        && let Some(said) = half_of(&mut after, context)
    {
        return Some(Match::words(after.read(), said));
    }
    let script = |c: char| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().position(|known| known == c);
    let mut scripts = context.place.cursor;
    let written = scripts.take_while(|c| script(c).is_some());
    let digits: Vec<usize> = written.chars().filter_map(script).collect();
    if !digits.is_empty() && !matches!(digits.as_slice(), [2 | 3]) {
        let n = digits.iter().take(9).fold(0_u64, |n, digit| n * 10 + *digit as u64);
        return Some(Match::words(
            written.len(),
            format!(" {} {} ", power(context), context.tongue.count(n)),
        ));
    }
    if let Some(below) = "₀₁₂₃₄₅₆₇₈₉".chars().position(|known| known == first) {
        return Some(Match::words(first.len_utf8(), format!(" {} ", context.tongue.count(below as u64))));
    }
    let said = match first {
        '½' => words.half,
        '¼' => words.quarter,
        '¾' => words.quarters,
        '⅓' => return (context.tongue.fraction)(1, 3).map(|said| Match::words(first.len_utf8(), said)),
        '⅔' => return (context.tongue.fraction)(2, 3).map(|said| Match::words(first.len_utf8(), said)),
        '²' => return Some(Match::words(2, format!(" {} ", words.squared))),
        '³' => return Some(Match::words(2, format!(" {} ", words.cubed))),
        _ => return None,
    };
    Some(Match::words(first.len_utf8(), said))
}

fn power(context: Context<'_, '_>) -> &'static str {
    match context {
        c if c.is(&ENGLISH) => "to the power of",
        c if c.is(&GERMAN) => "hoch",
        c if c.is(&SPANISH) => "elevado a",
        _ => "puissance",
    }
}

/// "5 > 3": compared with what stands before.
fn compared(less: bool, context: Context<'_, '_>) -> &'static str {
    match (less, context) {
        (true, c) if c.is(&ENGLISH) => "is less than",
        (false, c) if c.is(&ENGLISH) => "is greater than",
        (true, c) if c.is(&GERMAN) => "ist kleiner als",
        (false, c) if c.is(&GERMAN) => "ist größer als",
        (true, c) if c.is(&SPANISH) => "es menor que",
        (false, c) if c.is(&SPANISH) => "es mayor que",
        (true, _) => "est inférieur à",
        (false, _) => "est supérieur à",
    }
}

/// "10 - 15 minutes": of something, and more than the number before: a range, no sum.
fn spaced_range(mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    let before = context.place.near().trim_end();
    let digits = before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let first = before.get(before.len() - digits..).and_then(|digits| digits.parse::<u64>().ok());
    cursor.space();
    let second = cursor.digits().parse::<u64>().ok();
    let of_something = matches!(cursor.peek(), Some('%' | '€' | '$' | '£' | '°')) || {
        let mut ahead = cursor;
        ahead.space() && ahead.peek().is_some_and(|c| c.is_alphabetic() || matches!(c, '%' | '€'))
    };
    first.zip(second).is_some_and(|(first, second)| first < second) && of_something
}

/// A sign that has a word.
pub(super) fn sign(context: Context<'_, '_>) -> Option<Match> {
    let place = context.place;
    let words = &context.tongue.words;
    let mut cursor = place.cursor;
    let first = cursor.next()?;
    let previous = place.previous();
    let number = cursor.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£' | '.'));
    let spaced = cursor.peek().is_none_or(char::is_whitespace);
    let begins = previous
        .is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '~' | '≈' | '≥' | '≤' | '<' | '>' | '^'));
    let before_digit = place.before.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '½');
    let after = |word: &str| Some(Match::words(first.len_utf8(), format!(" {word} ")));
    match first {
        '-' | '−' | '–' if number && begins && cursor.peek() != Some('.') => after(words.minus),
        '-' | '−' | '–' if spaced && before_digit && previous.is_some_and(char::is_whitespace) => {
            let mut ahead = cursor;
            ahead.space();
            if !ahead.at_digit() {
                None
            } else if spaced_range(cursor, context) {
                after(words.to)
            } else {
                after(words.minus)
            }
        }
        '–' if before_digit && number => {
            let mut start = place.cursor;
            let said = range(&mut start, context);
            Some(Match::words(start.read(), said))
        }
        '+' if previous.is_some_and(|c| c.is_ascii_digit()) && !number => {
            let closed = matches!(cursor.peek(), Some(')' | ']' | ',' | '.' | ';'));
            let blank = if closed { "" } else { " " };
            Some(Match::words(1, format!(" {}{blank}", words.plus)))
        }
        '+' => after(words.plus),
        '=' if cursor.peek() == Some('=') || cursor.peek() == Some('>') => Some(Match::words(2, " ")),
        '=' => after(words.equals),
        '×' => after(words.times),
        '*' if keyed(place) => after(key_name(first, context)),
        '#' if keyed(place) && !cursor.at_digit() => after(key_name(first, context)),
        '*' if before_digit => after(words.times),
        '÷' => after(words.divided),
        '~' if before_digit && number => after(words.to),
        '≈' if number || before_number(cursor) => after(words.about),
        '~' if number => after(words.about),
        '∞' => after(if context.is(&GERMAN) {
            "unendlich"
        } else if context.is(&SPANISH) {
            "infinito"
        } else if context.is(&FRENCH) {
            "infini"
        } else {
            "infinity"
        }),
        '√' if context.is(&ENGLISH) => after("square root of"),
        '√' if context.is(&GERMAN) => after("Wurzel aus"),
        '√' if context.is(&SPANISH) => after("raíz de"),
        '√' => after("racine de"),
        ':' if context.is(&GERMAN) && before_digit && spaced && before_number(cursor) => after(words.divided),
        '/' if before_digit && previous == Some(' ') && before_number(cursor) => after(words.divided),
        '§' if cursor.eat("§") => {
            let plural = match context {
                c if c.is(&GERMAN) => "Paragrafen",
                c if c.is(&SPANISH) => "artículos",
                c if c.is(&FRENCH) => "paragraphes",
                _ => "sections",
            };
            Some(Match::words(cursor.read(), format!(" {plural} ")))
        }
        '*' | ':' | '_'
            if context.is(&GERMAN) && previous.is_some_and(char::is_lowercase) && gendered(cursor) =>
        {
            Some(Match::nothing(1))
        }
        '/' if context.is(&GERMAN) && previous.is_some_and(char::is_lowercase) && gendered(cursor) => {
            Some(Match::words(1, " "))
        }
        '@' if context.is(&SPANISH) && previous.is_some_and(char::is_alphabetic) && ends_gendered(cursor) => {
            Some(Match::words(1, "o"))
        }
        '(' | '·' | '.' if context.is(&FRENCH) && previous.is_some_and(char::is_alphabetic) => {
            let length = ["(e)", "(ne)", "(s)", "·e·", "·e", ".e."].iter().find(|ending| {
                let mut ahead = place.cursor;
                let found = ahead.eat(ending);
                let mut end = ahead;
                found && (ahead.at_word_end() && !ending.ends_with('.') || end.eat("s") && end.at_word_end())
            });
            length.map(|ending| Match::nothing(ending.len()))
        }
        // "Ihre Wahl mit der #-Taste"
        '#' | '*' if context.is(&GERMAN) && cursor.eat("-Taste") => {
            Some(Match::words(cursor.read(), format!("{}-Taste", key_name(first, context))))
        }
        // "your order number is #4711"
        '#' if cursor.at_digit() && place.follows(&["number"], 2) => Some(Match::nothing(1)),
        '#' if cursor.at_digit() => after(words.number),
        // "Your tracking # is"
        '#' if context.is(&ENGLISH) && spaced && previous.is_some_and(char::is_whitespace) => {
            after(words.number)
        }
        // "the '90s"
        '\'' | '’' if context.is(&ENGLISH) && number && previous.is_none_or(char::is_whitespace) => {
            let mut ahead = cursor;
            (ahead.digits().len() == 2 && ahead.eat_one(&["'", "’"]).is_none())
                .then(|| Match::nothing(first.len_utf8()))
        }
        '#' if cursor.peek().is_some_and(char::is_alphabetic) => {
            // "k9#mQ"
            let inside = previous.is_some_and(char::is_alphanumeric);
            Some(Match::words(1, if inside { " " } else { "" }))
        }
        '<' | '>' => {
            let or_equal = cursor.eat("=");
            let ahead_number = {
                let mut ahead = cursor;
                ahead.space();
                ahead.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£' | '.'))
            };
            let said = match (first, or_equal) {
                (_, false) if before_digit && ahead_number && previous == Some(' ') => {
                    compared(first == '<', context)
                }
                _ if !ahead_number => return Some(Match::words(cursor.read(), " ")),
                ('<', true) => words.at_most,
                ('<', false) => words.less,
                (_, true) => words.at_least,
                (_, false) => words.more,
            };
            Some(Match::words(cursor.read(), format!(" {said} ")))
        }
        '≤' => after(words.at_most),
        '≥' => after(words.at_least),
        '≠' => after(words.not_equal),
        '±' => after(words.plus_minus),
        '§' => after(words.section),
        '№' => after(words.number),
        '&' if cursor.eat("lt;") => Some(Match::words(cursor.read(), format!(" {} ", words.less))),
        '&' if cursor.eat("gt;") => Some(Match::words(cursor.read(), format!(" {} ", words.more))),
        '&' => after(words.and),
        '@' => after(words.at),
        '%' => after(words.percent),
        '°' => after(words.degrees),
        '→' | '⇒' | '➜' => Some(Match::words(first.len_utf8(), ", ")),
        '^' if (cursor.at_digit() && !single_power(cursor)) || cursor.peek() == Some('-') => {
            after(power(context))
        }
        '^' if cursor.eat("2") && cursor.at_word_end() => {
            Some(Match::words(2, format!(" {} ", words.squared)))
        }
        '^' if cursor.eat("3") && cursor.at_word_end() => Some(Match::words(2, format!(" {} ", words.cubed))),
        '/' => slash(context),
        '$' | '€' | '£' | '¥' => {
            let currency =
                context.tongue.currencies.iter().find(|c| c.signs.contains(&first.to_string().as_str()))?;
            after(currency.many)
        }
        '.' if cursor.at_digit() && previous.is_none_or(|c| c.is_whitespace() || c == '$') => {
            after(words.point)
        }
        // ".docx"
        '.' if previous.is_some_and(char::is_whitespace) && cursor.peek().is_some_and(char::is_lowercase) => {
            after(words.dot)
        }
        // "p.m.", "U.S.": letters keep their stops.
        '.' if place.before.chars().rev().nth(1).is_none_or(|c| !c.is_alphanumeric())
            && previous.is_some_and(char::is_alphabetic) =>
        {
            None
        }
        '.' if cursor.peek().is_some_and(char::is_alphanumeric)
            && previous.is_some_and(char::is_alphanumeric) =>
        {
            // "config.toml", "Node.js": a name. Two sentences without a blank have a capital.
            let name = cursor.peek().is_some_and(|c| c.is_lowercase() || c.is_ascii_digit());
            if name { after(words.dot) } else { Some(Match::words(1, ". ")) }
        }
        '-' | '‑' if previous.is_some_and(|c| c.is_ascii_digit()) && cursor.at_digit() => {
            Some(Match::words(first.len_utf8(), ", "))
        }
        '‑' => Some(Match::words(first.len_utf8(), "-")),
        ',' | ':' if previous.is_some_and(|c| c.is_ascii_digit()) && cursor.at_digit() => {
            Some(Match::words(1, ", "))
        }
        _ => None,
    }
}

/// Words before the keys of a telephone (lower case), in all languages.
const KEYED: [&str; 34] = [
    "press", "pressing", "dial", "hit", "key", "by", "then", "enter", "the", "or", "drücken", "taste", "mit",
    "dann", "wählen", "pulse", "marque", "tecla", "luego", "oprima", "presione", "appuyez", "sur", "touche",
    "puis", "tapez", "par", "de", "la", "die", "o", "ou", "oder", "u",
];

/// Of them, those after which all that is listed is keys.
const PRESSED: [&str; 11] = [
    "press", "pressing", "dial", "drücken", "pulse", "marque", "oprima", "presione", "appuyez", "touche",
    "tapez",
];

/// A key of a telephone: * or # on its own, or before digits.
pub(crate) fn keyed(place: &Place<'_>) -> bool {
    let mut cursor = place.cursor;
    cursor.next();
    let apart = cursor
        .peek()
        .is_none_or(|c| c.is_whitespace() || c.is_ascii_digit() || matches!(c, '.' | ',' | '!' | '?' | ')'));
    apart
        && place.previous().is_some_and(|c| c.is_whitespace() || c == '"')
        && (place.follows(&KEYED, 1) || place.follows(&PRESSED, 9))
}

fn key_name(key: char, context: Context<'_, '_>) -> &'static str {
    match (key, context) {
        ('*', c) if c.is(&ENGLISH) => "star",
        ('*', c) if c.is(&GERMAN) => "Stern",
        ('*', c) if c.is(&SPANISH) => "asterisco",
        ('*', _) => "étoile",
        (_, c) if c.is(&ENGLISH) => {
            if c.language.day_first {
                "hash"
            } else {
                "pound"
            }
        }
        (_, c) if c.is(&GERMAN) => "Raute",
        (_, c) if c.is(&SPANISH) => "almohadilla",
        _ => "dièse",
    }
}

/// A square or a cube.
fn single_power(mut cursor: Cursor<'_>) -> bool {
    cursor.eat_any(&['2', '3']).is_some() && cursor.at_word_end()
}

/// A number comes next, perhaps after a space.
fn before_number(mut cursor: Cursor<'_>) -> bool {
    cursor.space();
    cursor.at_digit()
}

/// "Yes/No", "Y/N"
fn yes_or_no(before: &str, mut cursor: Cursor<'_>) -> bool {
    let yes = ["Yes", "Y", "Sí", "S", "Ja", "J", "Oui", "O"].contains(&before);
    yes && ["No", "N", "Nein", "Non", "no"].contains(&cursor.letters())
}

/// "Kund:innen"
fn gendered(mut cursor: Cursor<'_>) -> bool {
    cursor.eat("-");
    (cursor.eat("innen") || cursor.eat("in")) && cursor.at_word_end()
}

/// "niñ@s"
fn ends_gendered(mut cursor: Cursor<'_>) -> bool {
    cursor.eat("s");
    cursor.at_word_end()
}

/// Between words it offers a choice; elsewhere it is a blank.
fn slash(context: Context<'_, '_>) -> Option<Match> {
    let words = &context.tongue.words;
    let mut cursor = context.place.cursor;
    cursor.eat("/");
    // "/etc/hosts" offers no choice.
    let token = context.place.near().rsplit(char::is_whitespace).next().unwrap_or_default();
    let path = token.contains('/');
    let small = |c: Option<char>| c.is_some_and(char::is_lowercase);
    let before = context.place.word_before(0);
    let and = before.rsplit('/').next() == Some(words.and) || before.ends_with(words.and);
    let mut ahead = cursor;
    let choice = ahead.eat(words.or) && ahead.at_word_end();
    let choice = !choice && !and && !path && small(context.place.previous()) && small(cursor.peek());
    // "$500/$1,000"; "80/20" is read without it.
    if matches!(context.place.previous(), Some('0'..='9')) && matches!(cursor.peek(), Some('$' | '€' | '£'))
    {
        return Some(Match::words(1, ", "));
    }
    let choice = choice || (!path && yes_or_no(before, cursor));
    if context.place.previous() == Some(' ') && cursor.peek() == Some(' ') {
        return Some(Match::words(1, ", "));
    }
    let mut period = cursor;
    let period = super::money::PERIODS.contains(&period.letters()) && before.ends_with(['s', 'n', 'e']);
    let said = if period && !path {
        format!(" {} ", words.per)
    } else if choice {
        format!(" {} ", words.or)
    } else {
        " ".to_owned()
    };
    Some(Match::words(1, said))
}
