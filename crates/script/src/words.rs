//! Numbers, times and days as people say them, both ways.

use crate::number_words::{ONES, TENS};

/// Days as they are said.
pub(super) const DAYS: [&str; 10] = [
    "today",
    "tonight",
    "tomorrow",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const ORDINALS: [&str; 31] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
    "twenty first",
    "twenty second",
    "twenty third",
    "twenty fourth",
    "twenty fifth",
    "twenty sixth",
    "twenty seventh",
    "twenty eighth",
    "twenty ninth",
    "thirtieth",
    "thirty first",
];

/// Lower case, without punctuation, as recognisers write it.
pub(super) fn tokens(text: &str) -> Vec<String> {
    text.to_lowercase()
        .replace('’', "'")
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
        .map(|word| word.trim_matches('\'').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// A number at the start of these words: its value and how many words it takes.
pub(super) fn number(words: &[String]) -> Option<(u32, usize)> {
    let first = words.first()?;
    if let Ok(value) = first.parse::<u32>() {
        return (value < 1_000).then_some((value, 1));
    }
    if let Some(tens) = TENS.iter().position(|word| word == first) {
        let tens = (tens as u32 + 2) * 10;
        let unit = words.get(1).and_then(|word| ONES.iter().take(10).position(|one| one == word));
        return Some(match unit {
            Some(unit) if unit > 0 => (tens + unit as u32, 2),
            _ => (tens, 1),
        });
    }
    ONES.iter().position(|word| word == first).map(|value| (value as u32, 1))
}

/// A number as it is said, 0 to 99; others in digits.
pub(super) fn spell(value: u32) -> String {
    match value {
        0..=19 => ONES.get(value as usize).copied().unwrap_or("").to_owned(),
        20..=99 => {
            let tens = TENS.get((value / 10 - 2) as usize).copied().unwrap_or("");
            if value.is_multiple_of(10) { tens.to_owned() } else { format!("{tens} {}", spell(value % 10)) }
        }
        _ => value.to_string(),
    }
}

/// A time of day at the start of these words, as it is to be said, and how many words it takes.
pub(super) fn time(words: &[String]) -> Option<(String, usize)> {
    let at = |index: usize| words.get(index).map_or("", String::as_str);
    match at(0) {
        "noon" | "midday" => return Some(("noon".to_owned(), 1)),
        "half" if at(1) == "past" => {
            let (hour, used) = hour(words.get(2..)?)?;
            return Some((format!("half past {}", spell(hour)), 2 + used));
        }
        "quarter" if matches!(at(1), "past" | "to") => {
            let (hour, used) = hour(words.get(2..)?)?;
            return Some((format!("quarter {} {}", at(1), spell(hour)), 2 + used));
        }
        _ => {}
    }
    let (hour, used) = hour(words)?;
    let rest = words.get(used..).unwrap_or(&[]);
    match rest.first().map(String::as_str) {
        Some("o'clock") => return Some((format!("{} o'clock", spell(hour)), used + 1)),
        Some("pm" | "p.m" | "am") => return Some((spell(hour), used + 1)),
        _ => {}
    }
    match number(rest) {
        Some((minutes @ (5 | 10 | 15 | 20 | 25 | 30 | 35 | 40 | 45 | 50 | 55), more)) => {
            Some((format!("{} {}", spell(hour), spell(minutes)), used + more))
        }
        _ => Some((spell(hour), used)),
    }
}

fn hour(words: &[String]) -> Option<(u32, usize)> {
    let (hour, _) = number(words.get(..1)?)?;
    (1..=24).contains(&hour).then_some((hour, 1))
}

/// A day at the start of these words, as it is to be said, and how many words it takes.
pub(super) fn day(words: &[String]) -> Option<(String, usize)> {
    let at = |index: usize| words.get(index).map_or("", String::as_str);
    if let Some(day) = DAYS.iter().find(|day| **day == at(0)) {
        let said = if matches!(*day, "today" | "tonight" | "tomorrow") {
            (*day).to_owned()
        } else {
            format!("on {}", capital(day))
        };
        return Some((said, 1));
    }
    if matches!(at(0), "next" | "this")
        && let Some(day) = DAYS.iter().skip(3).find(|day| **day == at(1))
    {
        return Some((format!("{} {}", at(0), capital(day)), 2));
    }
    if at(0) == "the" {
        for length in [2, 1] {
            let spoken = words.get(1..1 + length).map(|words| words.join(" ")).unwrap_or_default();
            if ORDINALS.contains(&spoken.as_str()) {
                let month = MONTHS.iter().find(|month| at(1 + length) == "of" && **month == at(2 + length));
                return Some(match month {
                    Some(month) => (format!("on the {spoken} of {}", capital(month)), 3 + length),
                    None => (format!("on the {spoken}"), 1 + length),
                });
            }
        }
    }
    None
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// JSGF alternatives.
pub(super) fn rule_count() -> String {
    ONES.get(1..13).unwrap_or(&[]).join(" | ")
}

pub(super) fn rule_time() -> String {
    let hours = ONES.get(1..13).unwrap_or(&[]).join(" | ");
    format!(
        "[half past | quarter past | quarter to] ({hours}) [fifteen | thirty | forty five | ten | twenty | o'clock] | noon"
    )
}

pub(super) fn rule_day() -> String {
    let days = DAYS.join(" | ");
    let ordinals = ORDINALS.join(" | ");
    let months = MONTHS.join(" | ");
    format!("[next | this] ({days}) | the ({ordinals}) [of ({months})]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_days_are_read() {
        let read = |text: &str| tokens(text);
        assert_eq!(number(&read("twenty one people")), Some((21, 2)));
        assert_eq!(number(&read("seven")), Some((7, 1)));
        assert_eq!(time(&read("seven thirty on friday")), Some(("seven thirty".into(), 2)));
        assert_eq!(time(&read("half past seven")), Some(("half past seven".into(), 3)));
        assert_eq!(time(&read("eight o'clock")), Some(("eight o'clock".into(), 2)));
        assert_eq!(time(&read("six forty five please")), Some(("six forty five".into(), 3)));
        assert_eq!(day(&read("next saturday at")), Some(("next Saturday".into(), 2)));
        assert_eq!(day(&read("the twenty first of march")), Some(("on the twenty first of March".into(), 5)));
        assert_eq!(day(&read("pizza")), None);
        assert_eq!(spell(45), "forty five");
    }
}
