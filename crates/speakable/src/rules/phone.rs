//! Telephone numbers, card numbers, and other digits in groups.

use super::Context;
use crate::cursor::{Cursor, Match};
use crate::tongue::{ENGLISH, FRENCH, GERMAN, SPANISH};

/// Longer ones are nobody's number.
const MOST_DIGITS: usize = 24;

/// Groups as they are written.
struct Groups<'a> {
    groups: Vec<&'a str>,
    marks: Vec<char>,
    bracketed: bool,
}

fn read<'a>(cursor: &mut Cursor<'a>) -> Groups<'a> {
    let mut found = Groups { groups: Vec::new(), marks: Vec::new(), bracketed: false };
    let mut ahead = *cursor;
    let mut mark = None;
    loop {
        let bracket = ahead.eat("(");
        let group = ahead.digits();
        if group.is_empty() || (bracket && !ahead.eat(")")) {
            break;
        }
        if let Some(mark) = mark {
            found.marks.push(mark);
        }
        found.bracketed |= bracket;
        found.groups.push(group);
        *cursor = ahead;
        let space = ahead.space();
        mark = ahead.eat_any(&['-', '.', '/', '–', '‑']).or(space.then_some(' '));
        if mark.is_some_and(|mark| mark != ' ') && space != ahead.space() {
            break;
        }
        let bracketed = bracket || ahead.peek() == Some('(');
        if mark.is_none() && !bracketed {
            break;
        }
        mark = mark.or(Some(' '));
    }
    found
}

/// Digits in groups: said digit by digit, with a pause between groups.
pub(super) fn phone(context: Context<'_, '_>) -> Option<Match> {
    let mut cursor = context.place.cursor;
    let plus = cursor.eat("+");
    let mut found = read(&mut cursor);
    if let Some(said) = vanity(&found, cursor, plus, context) {
        return Some(said);
    }
    if plus && found.groups.get(1) == Some(&"0") && found.bracketed {
        // "+49 (0)30": dialled only without the country's code.
        found.groups.remove(1);
    }
    // "74.0060°"
    if !cursor.at_word_end() || matches!(cursor.peek(), Some('°' | '%')) {
        return None;
    }
    let total: usize = found.groups.iter().map(|group| group.len()).sum();
    let coded = is_coded(&found, total, cursor, context);
    let number = coded || ((plus || found.bracketed) && total >= 7);
    if total > MOST_DIGITS || !(number || is_digits(&found, total, context)) {
        return None;
    }
    let single = found.groups.iter().all(|group| group.len() == 1);
    let spelled = || found.groups.iter().map(|group| context.tongue.spell_digits(group)).collect::<Vec<_>>();
    let mut words = if coded && context.is(&FRENCH) {
        spelled().join(if single { " " } else { ", " })
    } else {
        say(&found.groups, plus, context)
    };
    if let Some(extension) = extension(&mut cursor, context) {
        words = format!("{words}, {} {extension}", context.tongue.words.extension);
    }
    Some(Match::words(cursor.read(), words))
}

/// "code is 904-122", "order #4471-22"
fn is_coded(found: &Groups<'_>, total: usize, mut cursor: Cursor<'_>, context: Context<'_, '_>) -> bool {
    let marks = |fits: &[char]| !found.marks.is_empty() && found.marks.iter().all(|mark| fits.contains(mark));
    let place = context.place;
    let numbered = ["nr", "no", "nº", "n", "n°", "number", "nummer", "número", "numéro", "núm"];
    let coded = place.previous() == Some('#')
        || place.follows(&numbered, 1)
        || place.follows(context.tongue.codes, 3);
    let dashed = marks(&['-', '‑', '–', '.', '/']) && total >= 4;
    let blank = marks(&[' ']) && total >= 4 && place.follows(context.tongue.codes, 2);
    let counts = cursor.space() && cursor.peek().is_some_and(char::is_lowercase) && total < 6;
    coded && (dashed || blank) && !counts
}

/// "1-800-FLOWERS"
fn vanity(found: &Groups<'_>, mut cursor: Cursor<'_>, plus: bool, context: Context<'_, '_>) -> Option<Match> {
    let free = |group: &str| group.len() == 3 && matches!(group.get(..1), Some("8" | "9"));
    let fits = match found.groups.as_slice() {
        [one, area] => *one == "1" && free(area),
        [area] => free(area) && !plus,
        _ => false,
    };
    cursor.eat_any(&['-', '.']).filter(|_| fits)?;
    cursor.peek().filter(char::is_ascii_uppercase)?;
    let mut letters = cursor;
    let word = letters.take_while(|c| c.is_ascii_uppercase() || c == '-');
    (word.len() >= 4).then(|| Match::words(cursor.read(), say(&found.groups, plus, context) + ", "))
}

/// Whether these groups are no numbers of their own.
fn is_digits(found: &Groups<'_>, total: usize, context: Context<'_, '_>) -> bool {
    let lengths: Vec<usize> = found.groups.iter().map(|group| group.len()).collect();
    let first = found.groups.first().copied().unwrap_or_default();
    let mark = found.marks.first().copied();
    let same = found.marks.iter().all(|m| Some(*m) == mark);
    let nought = first.starts_with('0');
    let threes =
        lengths.iter().skip(1).all(|length| *length == 3) && lengths.first().is_some_and(|l| *l <= 3);
    match lengths.as_slice() {
        [] => false,
        // A French number has ten.
        [10] => first.starts_with('0'),
        [_] => false,
        [5, 4] if mark == Some('-') && context.is(&ENGLISH) => true,
        [3, 4] => matches!(mark, Some('-' | '.')) || context.is(&ENGLISH),
        // "12-3456789"
        [2, 7] if mark == Some('-') => true,
        [_, _] => nought && total >= 6 && mark != Some('.') && (mark != Some('/') || total >= 8),
        [4, 4, 4, .., 1..=4] | [4, 6, 4..=5] => true,
        // "12/24-12/26": two days.
        [1 | 2, 1 | 2, 1 | 2, 1 | 2] if found.marks.first() == Some(&'/') => false,
        _ if !same && total >= 7 => true,
        _ => match mark {
            Some('-' | '‑' | '–') => lengths.iter().all(|length| *length <= 6),
            Some('.') => {
                lengths.ends_with(&[3, 3, 4])
                    || (nought && lengths.iter().all(|length| *length == 2) && lengths.len() > 3)
            }
            Some('/') => total >= 8 && nought,
            _ if threes && !nought => {
                let spanish = context.is(&SPANISH) && total == 9 && first.starts_with(['6', '7', '8', '9']);
                let rounded = found.groups.last() == Some(&"000");
                total >= 7 && !rounded && (spanish || context.is(&ENGLISH))
            }
            _ => {
                let pairs = lengths.iter().all(|length| *length <= 4);
                total >= 7 && pairs && (lengths.len() >= 3)
            }
        },
    }
}

fn say(groups: &[&str], plus: bool, context: Context<'_, '_>) -> String {
    let tongue = context.tongue;
    let french = context.is(&FRENCH);
    let american = groups.iter().map(|group| group.len()).collect::<Vec<_>>().ends_with(&[3, 3, 4]);
    let pairs = |text: &str| -> Vec<String> {
        let bytes: Vec<char> = text.chars().collect();
        bytes.chunks(2).map(|pair| (tongue.phone_group)(&pair.iter().collect::<String>())).collect()
    };
    let mut said: Vec<String> = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let country = plus && at == 0 && groups.len() > 1 && group.len() <= 3 && !context.is(&ENGLISH);
        if country {
            said.push(group.parse().map_or_else(|_| tongue.spell_digits(group), |n| tongue.count(n)));
        } else if french && groups.len() == 1 && group.len() == 10 {
            said.extend(pairs(group));
        } else if groups.len() == 1 {
            said.push(tongue.grouped_digits(group));
        } else if !french || group.len() == 1 || american {
            said.push(tongue.spell_digits(group));
        } else {
            said.push((tongue.phone_group)(group));
        }
    }
    // "4-1-5": single figures make one group.
    let joint = if groups.len() > 2 && groups.iter().all(|group| group.len() == 1) { " " } else { ", " };
    let said = said.join(joint);
    if plus { format!("{} {said}", tongue.words.plus) } else { said }
}

/// "ext. 12", "x12"
fn extension(cursor: &mut Cursor<'_>, context: Context<'_, '_>) -> Option<String> {
    if context.is(&GERMAN) {
        return None;
    }
    let mut ahead = *cursor;
    ahead.eat(",");
    ahead.space();
    ahead.eat_one(&["extension ", "ext. ", "ext.", "ext ", "Ext. ", "x", "poste ", "extensión "])?;
    let digits = ahead.digits();
    (!digits.is_empty() && digits.len() <= 6 && ahead.at_word_end()).then(|| *cursor = ahead)?;
    Some(context.tongue.spell_digits(digits))
}
