//! German: numbers, dates and times.

use super::german_words::{CODES, CURRENCIES, NO_STOP, SCALES, SHORTS, UNITS, WORDS};
use super::{Date, Form, Time, Tongue, entry, thousands};
use crate::cursor::Place;

pub(crate) static GERMAN: Tongue = Tongue {
    words: WORDS,
    cardinal,
    ordinal: |n, _| ordinal(n) + "e",
    year,
    date,
    time,
    fraction,
    phone_group: |group| GERMAN.spell_digits(group),
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    months_short: [
        &["Jan", "Jänner"],
        &["Feb", "Febr"],
        &["Mär", "Mrz"],
        &["Apr"],
        &[],
        &["Jun"],
        &["Jul"],
        &["Aug"],
        &["Sept", "Sep"],
        &["Okt"],
        &["Nov"],
        &["Dez"],
    ],
    days: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    days_short: [&["Mo"], &["Di"], &["Mi"], &["Do"], &["Fr"], &["Sa"], &["So"]],
    ordinal_endings: &[],
    of: &[],
    currencies: CURRENCIES,
    units: UNITS,
    scales: SCALES,
    shorts: SHORTS,
    no_stop: NO_STOP,
    codes: CODES,
    date_words: &["am", "vom", "bis", "zum", "ab", "seit"],
    form_before,
    year_like: |n| (1_100..=1_999).contains(&n),
    clock: &["Uhr"],
    digits: ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    blank_groups: true,
};

const ONES: [&str; 20] = [
    "null",
    "ein",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
];
const TENS: [&str; 10] =
    ["", "", "zwanzig", "dreißig", "vierzig", "fünfzig", "sechzig", "siebzig", "achtzig", "neunzig"];

/// What a number adds to a word: "ein" for 1.
fn below_thousand(n: u64) -> String {
    let hundreds = match n / 100 {
        0 => String::new(),
        high => format!("{}hundert", entry(&ONES, high)),
    };
    let low = match n % 100 {
        0 => String::new(),
        low @ 1..20 => entry(&ONES, low).to_owned(),
        low if low.is_multiple_of(10) => entry(&TENS, low / 10).to_owned(),
        low => format!("{}und{}", entry(&ONES, low % 10), entry(&TENS, low / 10)),
    };
    hundreds + &low
}

fn cardinal(n: u64, form: Form) -> String {
    if n == 0 {
        return "null".to_owned();
    }
    let mut words = String::new();
    let mut small = String::new();
    for (power, group) in thousands(n) {
        let (one, many) = match power {
            0 | 1 => {
                small.push_str(&below_thousand(group));
                small.push_str(if power == 1 { "tausend" } else { "" });
                continue;
            }
            2 => ("Million", "Millionen"),
            3 => ("Milliarde", "Milliarden"),
            4 => ("Billion", "Billionen"),
            _ => ("Billiarde", "Billiarden"),
        };
        let words_of = if group == 1 {
            format!("eine {one} ")
        } else {
            format!("{} {many} ", cardinal(group, Form::Count))
        };
        words.push_str(&words_of);
    }
    if n % 100 == 1 {
        small.push_str(match form {
            Form::Count => "s",
            Form::Feminine if n == 1 => "e",
            Form::Feminine | Form::Masculine => "",
        });
    }
    format!("{words}{small}").trim_end().to_owned()
}

/// 3 → "dritt"; endings follow the case.
fn ordinal(n: u64) -> String {
    let stem = match n % 100 {
        1 => "erst",
        3 => "dritt",
        7 => "siebt",
        8 => "acht",
        low => {
            return cardinal(n, Form::Masculine) + if (1..20).contains(&low) { "t" } else { "st" };
        }
    };
    let high = n - n % 100;
    if high == 0 { stem.to_owned() } else { cardinal(high, Form::Masculine) + stem }
}

/// 1999 → "neunzehnhundertneunundneunzig".
fn year(n: u64) -> String {
    if !(1_100..2_000).contains(&n) {
        return cardinal(n, Form::Count);
    }
    let low = n % 100;
    let rest = if low == 0 { String::new() } else { cardinal(low, Form::Count) };
    format!("{}hundert{rest}", cardinal(n / 100, Form::Count))
}

/// The ordinal with the ending that the word before wants.
pub(crate) fn ordinal_after(n: u64, before: &str) -> String {
    let ending = match before.to_lowercase().as_str() {
        "am" | "den" | "dem" | "vom" | "zum" | "im" | "beim" | "bis" | "ab" | "seit" | "des" | "jeden"
        | "montag" | "dienstag" | "mittwoch" | "donnerstag" | "freitag" | "samstag" | "sonnabend"
        | "sonntag" | "meinem" | "ihrem" | "zur" | "der-" | "diesen" | "diesem" => "en",
        "der" | "die" | "das" | "jede" => "e",
        _ => "er",
    };
    ordinal(n) + ending
}

fn date(date: &Date, place: &Place<'_>) -> String {
    let month = GERMAN.months.get(date.month).copied().unwrap_or_default();
    let in_year = date.year.map_or(String::new(), |n| format!(" {}", year(n)));
    let comma_before = place.before.trim_end().ends_with(',');
    // "vom 3.-5. Mai"
    let last = place.word_before(0);
    let in_span = !last.is_empty() && last.bytes().all(|c| c.is_ascii_digit());
    let before = place.word_before(usize::from(in_span));
    let named = GERMAN.days_short.iter().any(|names| names.contains(&before));
    let weekday = named || GERMAN.days.contains(&before);
    let day = if weekday && comma_before {
        let on = matches!(place.word_before(1), "am" | "Am" | "vom" | "zum");
        let article = if on { "dem" } else { "der" };
        format!("{article} {}", ordinal_after(date.day, article))
    } else {
        ordinal_after(date.day, before)
    };
    format!("{day} {month}{in_year}")
}

fn time(time: &Time, place: &Place<'_>) -> String {
    let hour = match (time.hour, time.half) {
        (12, Some(false)) => 0,
        (12, _) => 12,
        (hour, Some(true)) => hour + 12,
        (hour, _) => hour,
    };
    let minutes = match time.minute {
        None | Some(0) => String::new(),
        Some(minute) => format!(" {}", cardinal(minute, Form::Count)),
    };
    let seconds = time.second.map_or(String::new(), |n| {
        format!(" und {} Sekunde{}", cardinal(n, Form::Feminine), if n == 1 { "" } else { "n" })
    });
    let _ = place;
    format!("{} Uhr{minutes}{seconds}", cardinal(hour, Form::Masculine))
}

fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        2 if above == 1 => return Some("ein halb".to_owned()),
        2 => "Halbe",
        3 => "Drittel",
        4 if above == 1 || above == 3 => "Viertel",
        8 => "Achtel",
        16 => "Sechzehntel",
        _ => return None,
    };
    (above < below).then(|| format!("{} {name}", cardinal(above, Form::Masculine)))
}

/// "eine" before what sounds feminine.
fn form_before(noun: &str) -> Form {
    let noun = noun.to_lowercase();
    if noun.is_empty() {
        return Form::Count;
    }
    let feminine = ["ung", "heit", "keit", "schaft", "tion", "tät", "ik", "ur", "enz", "anz", "ei"];
    let known = ["person", "nacht", "wahl", "zahl", "stadt", "firma", "pizza", "cola", "nummer", "million"];
    let masculine =
        ["name", "käse", "kunde", "junge", "kollege", "buchstabe", "gebäude", "ende", "gemüse", "auge"];
    if known.contains(&noun.as_str()) || feminine.iter().any(|end| noun.ends_with(end)) {
        return Form::Feminine;
    }
    if noun.ends_with('e') && !masculine.iter().any(|end| noun.ends_with(end)) {
        return Form::Feminine;
    }
    Form::Masculine
}
