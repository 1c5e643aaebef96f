//! English: numbers, dates and times.

use super::english_words::{CODES, CURRENCIES, NO_STOP, SCALES, SHORTS, UNITS, WORDS};
use super::{Date, Form, Time, Tongue, entry, thousands};
use crate::cursor::Place;

pub(crate) static ENGLISH: Tongue = Tongue {
    words: WORDS,
    cardinal: |n, _| cardinal(n),
    ordinal: |n, _| ordinal(n),
    year,
    date,
    time,
    fraction,
    phone_group: |group| ENGLISH.spell_digits(group),
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    months_short: [
        &["Jan"],
        &["Feb"],
        &["Mar"],
        &["Apr"],
        &[],
        &["Jun"],
        &["Jul"],
        &["Aug"],
        &["Sept", "Sep"],
        &["Oct"],
        &["Nov"],
        &["Dec"],
    ],
    days: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    days_short: [
        &["Mon"],
        &["Tues", "Tue"],
        &["Wed"],
        &["Thurs", "Thur", "Thu"],
        &["Fri"],
        &["Sat"],
        &["Sun"],
    ],
    ordinal_endings: &[("st", Form::Count), ("nd", Form::Count), ("rd", Form::Count), ("th", Form::Count)],
    of: &["of "],
    currencies: CURRENCIES,
    units: UNITS,
    scales: SCALES,
    shorts: SHORTS,
    no_stop: NO_STOP,
    codes: CODES,
    date_words: &[
        "on",
        "by",
        "until",
        "from",
        "since",
        "before",
        "after",
        "through",
        "till",
        "due",
        "eta",
        "shipped",
        "delivered",
        "arriving",
        "ends",
        "ships",
        "arrives",
        "expires",
        "opens",
        "closes",
        "starts",
        "begins",
        "ordered",
        "placed",
    ],
    form_before: |_| Form::Count,
    year_like: |n| (1_100..=2_099).contains(&n) && n != 2_000 && !(n < 1_900 && n.is_multiple_of(1_000)),
    clock: &["o'clock", "hrs", "hours", "h"],
    digits: ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    blank_groups: false,
};

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const SCALE_NAMES: [&str; 6] = ["", " thousand", " million", " billion", " trillion", " quadrillion"];

fn below_hundred(n: u64) -> String {
    match n {
        0..20 => entry(&ONES, n).to_owned(),
        n if n.is_multiple_of(10) => entry(&TENS, n / 10).to_owned(),
        n => format!("{}-{}", entry(&TENS, n / 10), entry(&ONES, n % 10)),
    }
}

fn below_thousand(n: u64) -> String {
    match (n / 100, n % 100) {
        (0, low) => below_hundred(low),
        (high, 0) => format!("{} hundred", entry(&ONES, high)),
        (high, low) => format!("{} hundred {}", entry(&ONES, high), below_hundred(low)),
    }
}

/// 1234 → "one thousand two hundred thirty-four".
fn cardinal(n: u64) -> String {
    if n == 0 {
        return "zero".to_owned();
    }
    let group = |(power, group)| below_thousand(group) + entry(&SCALE_NAMES, u64::from(power));
    thousands(n).into_iter().map(group).collect::<Vec<_>>().join(" ")
}

/// 21 → "twenty-first".
fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let cut = words.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (before, last) = words.split_at_checked(cut).unwrap_or(("", &words));
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        other => match other.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{other}th"),
        },
    };
    format!("{before}{last}")
}

/// 1999 → "nineteen ninety-nine".
fn year(n: u64) -> String {
    match (n / 100, n % 100) {
        (10 | 20, 0..=9) => cardinal(n),
        (high @ 11..=99, 0) => format!("{} hundred", cardinal(high)),
        (high @ 11..=99, low @ 1..=9) => format!("{} oh {}", cardinal(high), cardinal(low)),
        (high @ 11..=99, low) => format!("{} {}", cardinal(high), cardinal(low)),
        _ => cardinal(n),
    }
}

fn date(date: &Date, place: &Place<'_>) -> String {
    let month = ENGLISH.months.get(date.month).copied().unwrap_or_default();
    let in_year = date.year.map_or(String::new(), |n| format!(", {}", year(n)));
    if date.day_first {
        let the = if place.word_before(0).eq_ignore_ascii_case("the") { "" } else { "the " };
        return format!("{the}{} of {month}{in_year}", ordinal(date.day));
    }
    format!("{month} {}{in_year}", ordinal(date.day))
}

fn time(time: &Time, _place: &Place<'_>) -> String {
    match (time.hour, time.minute.unwrap_or(0), time.half) {
        (0 | 24, 0, None) if time.second.is_none() => return "midnight".to_owned(),
        (12, 0, Some(true)) if time.minute.is_some() => return "twelve p.m.".to_owned(),
        _ => {}
    }
    let (hour, half) = match (time.hour, time.half) {
        (0 | 24, half) => (12, Some(half.unwrap_or(false))),
        (hour @ 13..=23, _) => (hour - 12, Some(true)),
        (hour, half) => (hour, half),
    };
    let minutes = match time.minute {
        None => String::new(),
        Some(0) if half.is_some() => String::new(),
        Some(0) => " o'clock".to_owned(),
        Some(minute @ 1..=9) => format!(" oh {}", cardinal(minute)),
        Some(minute) => format!(" {}", cardinal(minute)),
    };
    let seconds = time
        .second
        .map_or(String::new(), |n| format!(" and {} second{}", cardinal(n), if n == 1 { "" } else { "s" }));
    let half = half.map_or("", |after| if after { " p.m." } else { " a.m." });
    format!("{}{minutes}{seconds}{half}", cardinal(hour))
}

fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        2 if above == 1 => return Some("one half".to_owned()),
        2 => "halves".to_owned(),
        4 if above == 1 => "quarter".to_owned(),
        4 if above == 3 => "quarters".to_owned(),
        3 | 8 | 16 | 32 if above < below => {
            format!("{}{}", ordinal(below), if above == 1 { "" } else { "s" })
        }
        _ => return None,
    };
    (above < below).then(|| format!("{} {name}", cardinal(above)))
}
