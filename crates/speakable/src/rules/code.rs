//! Codes, and figures within words.

use super::Context;
use crate::cursor::Match;
use crate::tongue::{ENGLISH, Form};

/// Longer ones can't be followed by ear.
const LONGEST: usize = 40;

/// Capitals and digits mixed, "QX7K-9P": spelled. Longer runs of letters ("COVID-19") are words.
pub(super) fn code(context: Context<'_, '_>) -> Option<Match> {
    if let Some(account) = account(context) {
        return Some(account);
    }
    if let Some(named) = postcode(context).or_else(|| road(context)) {
        return Some(named);
    }
    let mut cursor = context.place.cursor;
    let taken = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '-');
    let token = taken.trim_end_matches('-');
    let count = |fits: fn(&char) -> bool| token.chars().filter(fits).count();
    let (digits, capitals, small) =
        (count(char::is_ascii_digit), count(char::is_ascii_uppercase), count(char::is_ascii_lowercase));
    let letters = capitals + small;
    let mixed = token.len() >= 10 && small == 0 && digits >= 4 && capitals >= 4;
    let short_runs = mixed || token.split(|c: char| !c.is_ascii_alphabetic()).all(|run| run.len() <= 3);
    let switches = token
        .as_bytes()
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit())
        .count();
    let named = context.place.follows(context.tongue.codes, 3);
    let one_case = small == 0 || (capitals == 0 && (named || switches >= 3 && token.len() >= 6));
    let long = token.len() >= if named { 3 } else { 5 };
    // "12x8x6": sides.
    let sides = token.split('x').all(|side| !side.is_empty() && side.bytes().all(|c| c.is_ascii_digit()));
    let fits =
        !sides && long && token.len() <= LONGEST && short_runs && one_case && letters >= 1 && digits >= 1;
    if !fits || (digits < 2 && !named) || cursor.peek().is_some_and(char::is_alphanumeric) {
        return None;
    }
    Some(Match::words(token.len(), spell(token, context)))
}

/// "00:1A:2B:3C:4D:5E"
pub(super) fn hardware(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let mut pairs = Vec::new();
    let mut mark = None;
    loop {
        let pair = cursor.take_while(|c| c.is_ascii_hexdigit());
        (pair.len() == 2).then_some(())?;
        pairs.push(spell(pair, context));
        if pairs.len() == 6 {
            break;
        }
        let next = cursor.eat_any(&[':', '-'])?;
        (*mark.get_or_insert(next) == next).then_some(())?;
    }
    let letters = cursor.taken_since(&context.place.cursor).bytes().any(|c| c.is_ascii_alphabetic());
    // Six pairs of figures may be times.
    (cursor.at_word_end() && (letters || context.place.follows(&["mac"], 3)))
        .then(|| Match::words(cursor.read(), pairs.join(", ")))
}

/// "I-405S", "US-101", "F-150": a road, a car.
fn road(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let letters = cursor.take_while(|c| c.is_ascii_uppercase());
    let short = letters.len() == 1 || matches!(letters, "US" | "SR");
    let named = context.place.follows(context.tongue.codes, 3);
    (context.is(&ENGLISH) && short && !named && cursor.eat("-")).then_some(())?;
    let figures = cursor.digits();
    let way = cursor.eat_any(&['N', 'S', 'E', 'W']);
    (figures.len() == 3 && !figures.starts_with('0') && cursor.at_word_end() && cursor.peek() != Some('-'))
        .then_some(())?;
    let (first, rest) = figures.split_at(1);
    let count = |digits: &str| digits.parse().map_or(String::new(), |n| context.tongue.count(n));
    let rest = match rest.as_bytes() {
        b"00" => "hundred".to_owned(),
        [b'0', _] => format!("oh {}", count(rest)),
        _ => count(rest),
    };
    let way = way.map_or(String::new(), |way| format!(" {way}"));
    Some(Match::words(cursor.read(), format!("{letters} {} {rest}{way}", count(first))))
}

/// "SW1A 2AA", "K1A 0B6"
fn postcode(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let outer = cursor.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let kinds =
        |text: &str| text.chars().map(|c| if c.is_ascii_digit() { '9' } else { 'A' }).collect::<String>();
    // What follows is looked at only where it matters: a stream's first word may be a capital.
    let outer_kinds = kinds(outer);
    (["A9", "A99", "AA9", "AA99", "A9A", "AA9A"].contains(&outer_kinds.as_str()) && cursor.space())
        .then_some(())?;
    let inner = cursor.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let fits = kinds(inner) == "9AA" || (outer_kinds == "A9A" && kinds(inner) == "9A9");
    (cursor.at_word_end() && fits)
        .then(|| Match::words(cursor.read(), format!("{}, {}", spell(outer, context), spell(inner, context))))
}

/// "DE89 3704 0044 0532 0130 00"
fn account(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let first = cursor.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let head = first.len() == 4
        && first.bytes().take(2).all(|c| c.is_ascii_uppercase())
        && first.bytes().skip(2).all(|c| c.is_ascii_digit());
    if !head {
        return None;
    }
    let mut groups = vec![first];
    loop {
        let mut ahead = cursor;
        if !ahead.space() || groups.len() >= 9 {
            break;
        }
        let group = ahead.take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
        let whole = (1..=4).contains(&group.len()) && ahead.at_word_end();
        let bank = groups.len() == 1 && group.len() == 4 && {
            let mut next = ahead;
            next.space() && next.at_digit()
        };
        if !whole || !(bank || group.contains(|c: char| c.is_ascii_digit())) {
            break;
        }
        groups.push(group);
        cursor = ahead;
    }
    let said = groups.iter().map(|group| spell(group, context)).collect::<Vec<_>>().join(", ");
    (groups.len() >= 4).then(|| Match::words(cursor.read(), said))
}

/// Letter by letter, digit by digit, with pauses where there are dashes.
fn spell(token: &str, context: Context<'_, '_>) -> String {
    let mut words = String::new();
    for c in token.chars() {
        match c {
            '-' => words.push(','),
            c if c.is_ascii_digit() => {
                words.push(' ');
                words.push_str(&context.tongue.spell_digits(c.encode_utf8(&mut [0; 4])));
            }
            c => {
                words.push(' ');
                words.push(c.to_ascii_uppercase());
            }
        }
    }
    words.trim_start().to_owned()
}

/// "MP3", "COVID-19", "v1.2": the figures of a name.
pub(super) fn within_word(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let tongue = context.tongue;
    let mut words = String::new();
    loop {
        let digits = cursor.digits();
        let said = match digits.parse::<u64>() {
            Ok(n) if digits.len() <= 4 && !(digits.len() > 1 && digits.starts_with('0')) => {
                (tongue.cardinal)(n, Form::Count)
            }
            _ => tongue.spell_digits(digits.get(..LONGEST).unwrap_or(digits)),
        };
        words.push_str(&said);
        let mut ahead = cursor;
        if !(ahead.eat(".") && ahead.at_digit()) || words.len() > 200 {
            break;
        }
        words.push_str(&format!(" {} ", tongue.words.point_of_version()));
        cursor = ahead;
    }
    let after = if cursor.peek().is_some_and(char::is_alphabetic) { " " } else { "" };
    Some(Match::words(cursor.read(), format!(" {words}{after}")))
}
