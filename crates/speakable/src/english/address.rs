//! Telephone numbers, e-mail and web addresses.

use super::Cursor;
use super::numerals::{digits, grouped_digits};
use crate::Match;

/// Ends of names that are taken for addresses without a scheme before them.
const DOMAINS: [&str; 26] = [
    "com", "org", "net", "edu", "gov", "mil", "io", "ai", "app", "dev", "info", "biz", "shop", "store",
    "online", "co", "uk", "de", "eu", "ca", "fr", "nl", "us", "me", "au", "nz",
];
/// Paths that are longer aren't said: nobody can write them down.
const LONGEST_PATH: usize = 40;

/// An e-mail or web address.
pub(super) fn web(cursor: Cursor<'_>) -> Option<Match> {
    let rest = cursor.rest();
    let end =
        rest.find(|c: char| c.is_whitespace() || "<>\"'()[]{},;|*`“”’".contains(c)).unwrap_or(rest.len());
    let token = rest.get(..end)?.trim_end_matches(['.', '!', '?', ':', '_', '…']);
    let bare =
        ["https://", "http://", "ftp://", "mailto:"].iter().find_map(|scheme| token.strip_prefix(scheme));
    let address = bare.unwrap_or(token);
    if let Some((name, host)) = address.split_once('@') {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
        let whole = !name.is_empty() && name.chars().all(fits) && host.contains('.') && is_host(host);
        return whole.then(|| Match::words(token.len(), format!("{} at {}", spell(name), say_host(host))));
    }
    let host_end = address.find(['/', '?', '#', ':']).unwrap_or(address.len());
    let (host, path) = address.split_at_checked(host_end)?;
    let www = host.strip_prefix("www.");
    let name = www.unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let known = DOMAINS.contains(&last)
        && name.len() > last.len() + 2
        && !name.starts_with(|c: char| c.is_ascii_digit() && name.len() < 5);
    if !is_host(name) || !(bare.is_some() || www.is_some() || known) {
        return None;
    }
    let mut words = say_host(name);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') && path.len() <= LONGEST_PATH {
        for part in path.split('/').filter(|part| !part.is_empty()) {
            words.push_str(" slash ");
            words.push_str(&spell(part));
        }
    }
    Some(Match::words(token.len(), words))
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

fn say_host(host: &str) -> String {
    let labels: Vec<&str> = host.split('.').collect();
    let say = |(at, label): (usize, &&str)| {
        // "U K", but "co" and "com" are said as words.
        if at > 0 && at + 1 == labels.len() && label.len() == 2 && *label != "co" && *label != "me" {
            let letters: Vec<String> = label.chars().map(|c| c.to_ascii_uppercase().to_string()).collect();
            return letters.join(" ");
        }
        spell(label)
    };
    labels.iter().enumerate().map(say).collect::<Vec<_>>().join(" dot ")
}

/// A part of an address: its words as they are, signs and digits by their names.
fn spell(part: &str) -> String {
    let mut words = String::new();
    for c in part.chars() {
        let name = match c {
            '.' => " dot ".to_owned(),
            '-' => " dash ".to_owned(),
            '_' => " underscore ".to_owned(),
            '+' => " plus ".to_owned(),
            '%' => " percent ".to_owned(),
            '0'..='9' => format!(" {} ", digits(c.encode_utf8(&mut [0; 4]))),
            c => c.to_string(),
        };
        if words.ends_with(' ') {
            words.push_str(name.trim_start());
        } else {
            words.push_str(&name);
        }
    }
    words.trim().to_owned()
}

/// A telephone or card number: groups of digits as they are written, digit by digit.
pub(super) fn phone(mut cursor: Cursor<'_>) -> Option<Match> {
    let plus = cursor.eat("+");
    let mut groups: Vec<&str> = Vec::new();
    let mut bracketed = false;
    let mut ahead = cursor;
    loop {
        let bracket = ahead.eat("(");
        let group = ahead.digits();
        if group.is_empty() || (bracket && !ahead.eat(")")) {
            break;
        }
        bracketed |= bracket;
        groups.push(group);
        cursor = ahead;
        let mark = ahead.eat_any(&[' ', '-', '.', '/', '\u{a0}']);
        // "(415) - 555": rare; "415 (ext": no group.
        if mark.is_none()
            && !(bracket && ahead.peek().is_some_and(|c| c.is_ascii_digit()))
            && ahead.peek() != Some('(')
        {
            break;
        }
    }
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let total: usize = lengths.iter().sum();
    let known = match lengths.as_slice() {
        [_] => plus,
        [3, 4] | [3, 3, 4] | [1, 3, 3, 4] => true,
        [4, 4, 4, .., 1..=4] => true,
        _ => plus || bracketed,
    };
    if !known || !(7..=19).contains(&total) || !cursor.at_word_end() {
        return None;
    }
    let said = match groups.as_slice() {
        [one] => grouped_digits(one),
        groups => groups.iter().map(|group| digits(group)).collect::<Vec<_>>().join(", "),
    };
    Some(Match::words(cursor.read(), if plus { format!("plus {said}") } else { said }))
}
