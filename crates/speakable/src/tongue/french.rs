//! French: numbers, dates and times.

use super::french_words::{CODES, CURRENCIES, NO_STOP, SCALES, SHORTS, UNITS, WORDS};
use super::{Date, Form, Time, Tongue, entry, thousands};
use crate::cursor::Place;

pub(crate) static FRENCH: Tongue = Tongue {
    words: WORDS,
    cardinal,
    ordinal,
    year: |n| cardinal(n, Form::Count),
    date,
    time,
    fraction,
    phone_group,
    months: [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    months_short: [
        &["janv"],
        &["févr", "fév"],
        &[],
        &["avr"],
        &[],
        &[],
        &["juil"],
        &[],
        &["sept"],
        &["oct"],
        &["nov"],
        &["déc"],
    ],
    days: ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"],
    days_short: [&["lun"], &["mar"], &["mer"], &["jeu"], &["ven"], &["sam"], &["dim"]],
    ordinal_endings: &[
        ("ème", Form::Count),
        ("eme", Form::Count),
        ("ième", Form::Count),
        ("ère", Form::Feminine),
        ("nde", Form::Feminine),
        ("er", Form::Masculine),
        ("re", Form::Feminine),
        ("nd", Form::Masculine),
        ("e", Form::Count),
    ],
    of: &[],
    currencies: CURRENCIES,
    units: UNITS,
    scales: SCALES,
    shorts: SHORTS,
    no_stop: NO_STOP,
    codes: CODES,
    date_words: &["le", "du", "au", "dès"],
    form_before,
    year_like: |_| false,
    clock: &["heures", "heure", "min", "mn"],
    digits: ["zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"],
    blank_groups: true,
};

const ONES: [&str; 20] = [
    "zéro", "un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix", "onze", "douze",
    "treize", "quatorze", "quinze", "seize", "dix-sept", "dix-huit", "dix-neuf",
];
const TENS: [&str; 10] = [
    "",
    "",
    "vingt",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
    "soixante",
    "quatre-vingt",
    "quatre-vingt",
];

/// `last`: nothing but a noun follows, so that "vingts" and "cents" have their s.
fn below_hundred(n: u64, last: bool) -> String {
    match n {
        0..20 => entry(&ONES, n).to_owned(),
        80 => if last { "quatre-vingts" } else { "quatre-vingt" }.to_owned(),
        71 => "soixante et onze".to_owned(),
        n => {
            let ten = entry(&TENS, n / 10);
            let low = if matches!(n / 10, 7 | 9) { n % 10 + 10 } else { n % 10 };
            match low {
                0 => ten.to_owned(),
                1 if n < 80 => format!("{ten} et un"),
                low => format!("{ten}-{}", entry(&ONES, low)),
            }
        }
    }
}

fn below_thousand(n: u64, last: bool) -> String {
    let hundreds = match (n / 100, n % 100) {
        (0, _) => String::new(),
        (1, _) => "cent".to_owned(),
        (high, 0) => format!("{} cent{}", entry(&ONES, high), if last { "s" } else { "" }),
        (high, _) => format!("{} cent", entry(&ONES, high)),
    };
    match n % 100 {
        0 => hundreds,
        low => format!("{hundreds} {}", below_hundred(low, last)).trim_start().to_owned(),
    }
}

fn cardinal(n: u64, form: Form) -> String {
    if n == 0 {
        return "zéro".to_owned();
    }
    let mut words = Vec::new();
    for (power, group) in thousands(n) {
        let name = match power {
            0 => {
                words.push(below_thousand(group, true));
                continue;
            }
            1 if group == 1 => {
                words.push("mille".to_owned());
                continue;
            }
            1 => {
                words.push(format!("{} mille", below_thousand(group, false)));
                continue;
            }
            2 => "million",
            3 => "milliard",
            4 => "billion",
            _ => "billiard",
        };
        words.push(format!("{} {name}{}", below_thousand(group, true), if group > 1 { "s" } else { "" }));
    }
    let mut words = words.join(" ");
    if form == Form::Feminine && n % 10 == 1 && n % 100 != 11 && n % 100 != 71 && n % 100 != 91 {
        words.push('e');
    }
    words
}

fn ordinal(n: u64, form: Form) -> String {
    match (n, form) {
        (1, Form::Feminine) => return "première".to_owned(),
        (1, _) => return "premier".to_owned(),
        (2, Form::Feminine) => return "deuxième".to_owned(),
        (2, Form::Masculine) => return "second".to_owned(),
        _ => {}
    }
    let words = cardinal(n, Form::Count);
    let stem = match words.chars().next_back() {
        Some('e') => words.strip_suffix('e').unwrap_or(&words).to_owned(),
        Some('f') => format!("{}v", words.strip_suffix('f').unwrap_or(&words)),
        Some('q') => format!("{words}u"),
        Some('s') if words.ends_with("vingts") || words.ends_with("cents") => {
            words.strip_suffix('s').unwrap_or(&words).to_owned()
        }
        _ => words,
    };
    format!("{stem}ième")
}

fn date(date: &Date, _place: &Place<'_>) -> String {
    let month = FRENCH.months.get(date.month).copied().unwrap_or_default();
    let in_year = date.year.map_or(String::new(), |n| format!(" {}", cardinal(n, Form::Count)));
    let day = if date.day == 1 { "premier".to_owned() } else { cardinal(date.day, Form::Count) };
    format!("{day} {month}{in_year}")
}

fn time(time: &Time, _place: &Place<'_>) -> String {
    let hour = match (time.hour, time.half) {
        (12, Some(false)) => 0,
        (hour @ 1..=11, Some(true)) => hour + 12,
        (hour, _) => hour,
    };
    let seconds = time.second.map_or(String::new(), |n| {
        format!(" et {} seconde{}", cardinal(n, Form::Feminine), if n == 1 { "" } else { "s" })
    });
    let minutes = match time.minute {
        None | Some(0) => String::new(),
        Some(minute) => format!(" {}", cardinal(minute, Form::Feminine)),
    };
    if matches!(hour, 0 | 24) && minutes.is_empty() && seconds.is_empty() {
        return "minuit".to_owned();
    }
    let hours = if hour > 1 { "heures" } else { "heure" };
    format!("{} {hours}{minutes}{seconds}", cardinal(hour, Form::Feminine))
}

/// Two digits are a number: "zéro un, vingt-trois". Three are one after a nought: "zéro huit cents".
fn phone_group(group: &str) -> String {
    let bare = group.trim_start_matches('0');
    let noughts = vec!["zéro"; group.len() - bare.len()].join(" ");
    let rest = match bare.parse::<u64>() {
        Ok(n) if bare.len() <= 3 => cardinal(n, Form::Count),
        _ => FRENCH.spell_digits(bare),
    };
    format!("{noughts} {rest}").trim().to_owned()
}

fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        2 if above == 1 => return Some("un demi".to_owned()),
        3 => "tiers",
        4 if above == 1 => "quart",
        4 if above == 3 => "quarts",
        8 if above == 1 => "huitième",
        8 => "huitièmes",
        _ => return None,
    };
    (above < below).then(|| format!("{} {name}", cardinal(above, Form::Count)))
}

fn form_before(noun: &str) -> Form {
    let noun = noun.to_lowercase();
    let feminine = [
        "tion",
        "tions",
        "sion",
        "sions",
        "ée",
        "ées",
        "ure",
        "ures",
        "ette",
        "ettes",
        "ance",
        "ances",
        "ence",
        "ences",
        "té",
        "tés",
        "ine",
        "ines",
        "erie",
        "asse",
        "asses",
        "esse",
        "ouche",
        "nne",
        "nnes",
        "fille",
        "filles",
        "femme",
        "femmes",
        "boisson",
        "boissons",
        "salade",
        "salades",
        "bière",
        "bières",
        "glace",
        "glaces",
        "maison",
        "ville",
        "villes",
        "adresse",
        "adresses",
        "commande",
        "commandes",
        "question",
        "questions",
        "part",
        "parts",
        "heure",
        "heures",
        "minute",
        "minutes",
        "seconde",
        "secondes",
        "personne",
        "personnes",
        "chambre",
        "chambres",
        "table",
        "tables",
        "place",
        "places",
        "page",
        "pages",
        "pizza",
        "pizzas",
        "fois",
        "nuit",
        "nuits",
        "semaine",
        "semaines",
        "année",
        "années",
        "bouteille",
        "bouteilles",
        "livre sterling",
        "option",
        "carte",
        "cartes",
        "ligne",
        "lignes",
        "porte",
        "portes",
        "pièce",
        "pièces",
        "rue",
        "rues",
    ];
    if noun.is_empty() {
        return Form::Count;
    }
    let masculine =
        ["invité", "côté", "été", "député", "comité", "traité", "employé", "abonné", "musée", "lycée"];
    if masculine.contains(&noun.trim_end_matches('s')) {
        return Form::Masculine;
    }
    if feminine.iter().any(|end| noun.ends_with(end)) { Form::Feminine } else { Form::Masculine }
}
