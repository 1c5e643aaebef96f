//! Spanish: numbers, dates and times.

use super::spanish_words::{CODES, CURRENCIES, NO_STOP, SCALES, SHORTS, UNITS, WORDS};
use super::{Date, Form, Time, Tongue, entry, thousands};
use crate::cursor::Place;

pub(crate) static SPANISH: Tongue = Tongue {
    words: WORDS,
    cardinal,
    ordinal,
    year: |n| cardinal(n, Form::Count),
    date,
    time,
    fraction,
    phone_group: |group| SPANISH.spell_digits(group),
    months: [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    months_short: [
        &["ene"],
        &["feb"],
        &[],
        &["abr"],
        &[],
        &["jun"],
        &["jul"],
        &["ago"],
        &["sept", "sep", "setiembre"],
        &["oct"],
        &["nov"],
        &["dic"],
    ],
    days: ["lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"],
    days_short: [&["lun"], &["mar"], &["mié"], &["jue"], &["vie"], &["sáb"], &["dom"]],
    ordinal_endings: &[
        (".er", Form::Masculine),
        (".º", Form::Count),
        (".ª", Form::Feminine),
        (".o", Form::Count),
        (".a", Form::Feminine),
        ("er", Form::Masculine),
        ("º", Form::Count),
        ("ª", Form::Feminine),
        ("°", Form::Count),
        ("ro", Form::Count),
        ("do", Form::Count),
        ("to", Form::Count),
        ("ra", Form::Feminine),
        ("da", Form::Feminine),
        ("ta", Form::Feminine),
    ],
    of: &["de ", "del "],
    currencies: CURRENCIES,
    units: UNITS,
    scales: SCALES,
    shorts: SHORTS,
    no_stop: NO_STOP,
    codes: CODES,
    date_words: &["el", "del", "al", "hasta", "desde", "día"],
    form_before,
    year_like: |_| false,
    clock: &["horas", "hrs.", "hrs", "h"],
    digits: ["cero", "uno", "dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve"],
    blank_groups: true,
};

const ONES: [&str; 30] = [
    "cero",
    "uno",
    "dos",
    "tres",
    "cuatro",
    "cinco",
    "seis",
    "siete",
    "ocho",
    "nueve",
    "diez",
    "once",
    "doce",
    "trece",
    "catorce",
    "quince",
    "dieciséis",
    "diecisiete",
    "dieciocho",
    "diecinueve",
    "veinte",
    "veintiuno",
    "veintidós",
    "veintitrés",
    "veinticuatro",
    "veinticinco",
    "veintiséis",
    "veintisiete",
    "veintiocho",
    "veintinueve",
];
const TENS: [&str; 10] =
    ["", "", "", "treinta", "cuarenta", "cincuenta", "sesenta", "setenta", "ochenta", "noventa"];
const HUNDREDS: [&str; 10] = [
    "",
    "ciento",
    "doscientos",
    "trescientos",
    "cuatrocientos",
    "quinientos",
    "seiscientos",
    "setecientos",
    "ochocientos",
    "novecientos",
];

fn below_thousand(n: u64, form: Form) -> String {
    if n == 100 {
        return "cien".to_owned();
    }
    let mut words = entry(&HUNDREDS, n / 100).to_owned();
    if form == Form::Feminine && words.ends_with("os") {
        words.truncate(words.len() - 2);
        words.push_str("as");
    }
    let low = n % 100;
    if low == 0 {
        return words;
    }
    if !words.is_empty() {
        words.push(' ');
    }
    match (low, form) {
        (21, Form::Masculine) => words.push_str("veintiún"),
        (21, Form::Feminine) => words.push_str("veintiuna"),
        (low, _) => {
            let one = match form {
                Form::Count => "uno",
                Form::Masculine => "un",
                Form::Feminine => "una",
            };
            if low < 30 {
                words.push_str(if low == 1 { one } else { entry(&ONES, low) });
            } else {
                words.push_str(entry(&TENS, low / 10));
                if low % 10 > 0 {
                    words.push_str(" y ");
                    words.push_str(if low % 10 == 1 { one } else { entry(&ONES, low % 10) });
                }
            }
        }
    }
    words
}

fn cardinal(n: u64, form: Form) -> String {
    if n == 0 {
        return "cero".to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    // Spanish counts in millions: 10^9 is "mil millones".
    let (millions, rest) = (n / 1_000_000, n % 1_000_000);
    if millions >= 1_000_000 {
        let billions = millions / 1_000_000;
        words.push(format!(
            "{} {}",
            cardinal(billions, Form::Masculine),
            if billions == 1 { "billón" } else { "billones" }
        ));
    }
    match millions % 1_000_000 {
        0 => {}
        1 if n < 1_000_000_000_000 => words.push("un millón".to_owned()),
        few => words.push(format!("{} millones", cardinal(few, Form::Masculine))),
    }
    for (power, group) in thousands(rest) {
        words.push(match (power, group) {
            (1, 1) => "mil".to_owned(),
            (1, group) => {
                let form = if form == Form::Feminine { form } else { Form::Masculine };
                format!("{} mil", below_thousand(group, form))
            }
            (_, group) => below_thousand(group, form),
        });
    }
    words.join(" ")
}

const ORDINALS: [&str; 21] = [
    "",
    "primero",
    "segundo",
    "tercero",
    "cuarto",
    "quinto",
    "sexto",
    "séptimo",
    "octavo",
    "noveno",
    "décimo",
    "undécimo",
    "duodécimo",
    "decimotercero",
    "decimocuarto",
    "decimoquinto",
    "decimosexto",
    "decimoséptimo",
    "decimoctavo",
    "decimonoveno",
    "vigésimo",
];

/// 3 → "tercero", "tercer", "tercera"; large ones are said as cardinals, as people do.
fn ordinal(n: u64, form: Form) -> String {
    let mut word = entry(&ORDINALS, n).to_owned();
    if word.is_empty() {
        return cardinal(n, form);
    }
    match form {
        Form::Feminine => {
            word.pop();
            word.push('a');
        }
        Form::Masculine if matches!(n, 1 | 3 | 13) => {
            word.pop();
        }
        Form::Masculine | Form::Count => {}
    }
    word
}

fn date(date: &Date, place: &Place<'_>) -> String {
    let month = SPANISH.months.get(date.month).copied().unwrap_or_default();
    let in_year = date.year.map_or(String::new(), |n| format!(" de {}", cardinal(n, Form::Count)));
    let mut written = place.cursor;
    let day = match date.day {
        1 if written.eat("1") && written.eat_one(&[".º", "º", "°", ".er"]).is_some() => {
            "primero".to_owned()
        }
        1 => "uno".to_owned(),
        day => cardinal(day, Form::Count),
    };
    format!("{day} de {month}{in_year}")
}

fn time(time: &Time, _place: &Place<'_>) -> String {
    let half = match (time.half, time.hour) {
        (Some(false), 1..=5) => " de la madrugada",
        (Some(false), _) => " de la mañana",
        (Some(true), 12) => " del mediodía",
        (Some(true), 1..=7) => " de la tarde",
        (Some(true), _) => " de la noche",
        (None, _) => "",
    };
    let seconds = time.second.map_or(String::new(), |n| {
        format!(" y {} segundo{}", cardinal(n, Form::Masculine), if n == 1 { "" } else { "s" })
    });
    let hour = cardinal(time.hour, Form::Feminine);
    let minutes = match time.minute {
        None | Some(0) if time.hour > 12 || time.hour == 0 => {
            return format!("{hour} hora{}{seconds}", if time.hour == 1 { "" } else { "s" });
        }
        None | Some(0) => String::new(),
        Some(15) if (1..=12).contains(&time.hour) => " y cuarto".to_owned(),
        Some(30) if (1..=12).contains(&time.hour) => " y media".to_owned(),
        Some(minute @ 1..=30) if (1..=12).contains(&time.hour) => {
            format!(" y {}", cardinal(minute, Form::Count))
        }
        Some(minute @ 1..=9) => format!(" cero {}", cardinal(minute, Form::Count)),
        Some(minute) => format!(" {}", cardinal(minute, Form::Count)),
    };
    format!("{hour}{minutes}{seconds}{half}")
}

fn fraction(above: u64, below: u64) -> Option<String> {
    let name = match below {
        2 if above == 1 => return Some("un medio".to_owned()),
        3 => "tercio",
        4 if above == 1 || above == 3 => "cuarto",
        8 => "octavo",
        _ => return None,
    };
    let many = if above == 1 { "" } else { "s" };
    (above < below).then(|| format!("{} {name}{many}", cardinal(above, Form::Masculine)))
}

fn form_before(noun: &str) -> Form {
    let noun = noun.to_lowercase();
    if noun.is_empty() {
        return Form::Count;
    }
    let masculine = [
        "día",
        "días",
        "problema",
        "problemas",
        "programa",
        "programas",
        "sistema",
        "sistemas",
        "mapa",
        "mapas",
        "tema",
        "temas",
    ];
    let small = [
        "y", "o", "a", "de", "en", "que", "por", "para", "con", "es", "no", "si", "e", "del", "al", "la",
        "las", "ahora",
    ];
    if small.contains(&noun.as_str()) {
        return Form::Count;
    }
    let feminine = [
        "a", "as", "ción", "ciones", "sión", "siones", "dad", "dades", "noche", "noches", "tarde", "tardes",
        "clase", "clases", "vez", "veces", "calle",
    ];
    if masculine.contains(&noun.as_str()) {
        return Form::Masculine;
    }
    if feminine.iter().any(|end| noun.ends_with(end)) { Form::Feminine } else { Form::Masculine }
}
