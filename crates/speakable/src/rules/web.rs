//! E-mail and web addresses.

use crate::cursor::{Match, Place};
use crate::tongue::Tongue;

/// Ends of names that are taken for addresses without a scheme before them.
const DOMAINS: [&str; 36] = [
    "com", "org", "net", "edu", "gov", "mil", "io", "ai", "app", "dev", "info", "biz", "shop", "store",
    "online", "co", "uk", "de", "eu", "ca", "fr", "nl", "us", "me", "au", "nz", "es", "mx", "at", "ch", "it",
    "be", "pl", "tv", "ar", "cloud",
];
/// Paths that are longer aren't said: nobody can write them down.
const LONGEST_PATH: usize = 40;

/// The address that begins here: its whole text, what is before the "@", the host, the path.
struct Address<'a> {
    length: usize,
    name: Option<&'a str>,
    host: &'a str,
    path: &'a str,
}

fn parse<'a>(place: &Place<'a>) -> Option<Address<'a>> {
    let mut cursor = place.cursor;
    let scheme = cursor.eat_one(&["https://", "http://", "ftp://", "mailto:", "HTTPS://", "HTTP://"]);
    let token = cursor.take_while(|c| !c.is_whitespace() && !"<>\"'()[]{},;|*`“”’»".contains(c));
    let token = token.trim_end_matches(['.', '!', '?', ':', '_', '…', '/', '-']);
    let length = scheme.map_or(0, str::len) + token.len();
    if let Some((name, host)) = token.split_once('@').filter(|(name, _)| !name.contains('/')) {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._%+-".contains(c);
        let whole = !name.is_empty() && name.chars().all(fits) && host.contains('.') && is_host(host);
        return whole.then_some(Address { length, name: Some(name), host, path: "" });
    }
    let host_end = token.find(['/', '?', '#', ':']).unwrap_or(token.len());
    let (host, path) = token.split_at_checked(host_end)?;
    let www = host.strip_prefix("www.").or_else(|| host.strip_prefix("WWW."));
    let name = www.unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or_default();
    let known = DOMAINS.contains(&last.to_ascii_lowercase().as_str())
        && name.len() > last.len() + 2
        // "end.it", "3.de": rather a sentence without its blank.
        && (last.len() > 2 || last == "co" || name.contains('-') || !path.is_empty() || is_lower(name))
        && !name.starts_with(|c: char| c.is_ascii_digit() && name.len() < 5);
    (is_host(name) && (scheme.is_some() || www.is_some() || known)).then_some(Address {
        length,
        name: None,
        host: name,
        path,
    })
}

fn is_lower(name: &str) -> bool {
    !name.contains(|c: char| c.is_ascii_uppercase())
}

fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .split('.')
            .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'))
}

/// An e-mail or web address in words.
pub(super) fn address(place: &Place<'_>, tongue: &Tongue) -> Option<Match> {
    let Address { length, name, host, path } = parse(place)?;
    let mut words = say_host(host, tongue);
    if let Some(name) = name {
        return Some(Match::words(length, format!("{} {} {words}", spell(name, tongue), tongue.words.at)));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.starts_with('/') && path.len() <= LONGEST_PATH {
        for part in path.split('/').filter(|part| !part.is_empty()) {
            words = format!("{words} {} {}", tongue.words.slash, spell(part, tongue));
        }
    }
    Some(Match::words(length, words))
}

/// An address in a language that isn't known: its host as it is written, which every voice has a way to say.
pub(super) fn bare(place: &Place<'_>) -> Option<Match> {
    let Address { length, name, host, path } = parse(place)?;
    let plain = name.is_some() || place.cursor.peek().is_some_and(|c| host.starts_with(c)) && path.is_empty();
    (!plain).then(|| Match::words(length, host))
}

fn say_host(host: &str, tongue: &Tongue) -> String {
    let labels: Vec<&str> = host.split('.').collect();
    let say = |(at, label): (usize, &&str)| {
        // "U K", but "co" and "com" are said as words.
        let word = matches!(*label, "co" | "me") || (*label == "es" && tongue.words.dot == "punto");
        if at > 0 && at + 1 == labels.len() && label.len() == 2 && !word {
            let letters: Vec<String> = label.chars().map(|c| c.to_ascii_uppercase().to_string()).collect();
            return letters.join(" ");
        }
        spell(label, tongue)
    };
    let said: Vec<String> = labels.iter().enumerate().map(say).collect();
    said.join(&format!(" {} ", tongue.words.dot))
}

/// A part of an address: its words as they are, signs and digits by their names.
fn spell(part: &str, tongue: &Tongue) -> String {
    let mut words = String::new();
    for c in part.chars() {
        let name = match c {
            '.' => tongue.words.dot,
            '-' => tongue.words.dash,
            '_' => tongue.words.underscore,
            '+' => tongue.words.plus,
            '%' => tongue.words.percent,
            '0'..='9' => &tongue.spell_digits(c.encode_utf8(&mut [0; 4])),
            c if c.is_alphanumeric() => {
                words.push(c);
                continue;
            }
            _ => "",
        };
        if !words.is_empty() && !words.ends_with(' ') {
            words.push(' ');
        }
        words.push_str(name);
        words.push(' ');
    }
    words.trim().to_owned()
}
