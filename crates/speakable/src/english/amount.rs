//! Numbers and what is counted: money, shares, units, fractions, ranges.

use super::Cursor;
use super::numerals::{cardinal, decimal, digits, ordinal, year};
use crate::{Match, Place};

/// Sign, one whole, many, one hundredth, many hundredths.
const CURRENCIES: [(&str, &str, &str, &str, &str); 13] = [
    ("US$", "dollar", "dollars", "cent", "cents"),
    ("C$", "Canadian dollar", "Canadian dollars", "cent", "cents"),
    ("A$", "Australian dollar", "Australian dollars", "cent", "cents"),
    ("$", "dollar", "dollars", "cent", "cents"),
    ("€", "euro", "euros", "cent", "cents"),
    ("£", "pound", "pounds", "penny", "pence"),
    ("¥", "yen", "yen", "sen", "sen"),
    ("₹", "rupee", "rupees", "paisa", "paise"),
    ("USD", "dollar", "dollars", "cent", "cents"),
    ("EUR", "euro", "euros", "cent", "cents"),
    ("GBP", "pound", "pounds", "penny", "pence"),
    ("CHF", "franc", "francs", "centime", "centimes"),
    ("INR", "rupee", "rupees", "paisa", "paise"),
];
type Currency = (&'static str, &'static str, &'static str, &'static str, &'static str);

const SCALES: [(&str, &str); 10] = [
    (" thousand", "thousand"),
    (" million", "million"),
    (" billion", "billion"),
    (" trillion", "trillion"),
    ("bn", "billion"),
    ("k", "thousand"),
    ("K", "thousand"),
    ("M", "million"),
    ("B", "billion"),
    ("m", "million"),
];

/// Sign, one, many. Signs that are words of their own ("in", "A") aren't here.
const UNITS: [(&str, &str, &str); 51] = [
    ("%", "percent", "percent"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°", "degree", "degrees"),
    ("km/h", "kilometer per hour", "kilometers per hour"),
    ("kph", "kilometer per hour", "kilometers per hour"),
    ("mph", "mile per hour", "miles per hour"),
    ("km", "kilometer", "kilometers"),
    ("m²", "square meter", "square meters"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("mi", "mile", "miles"),
    ("ft", "foot", "feet"),
    ("sq ft", "square foot", "square feet"),
    ("yd", "yard", "yards"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("lbs", "pound", "pounds"),
    ("lb", "pound", "pounds"),
    ("oz", "ounce", "ounces"),
    ("ml", "milliliter", "milliliters"),
    ("mL", "milliliter", "milliliters"),
    ("L", "liter", "liters"),
    ("gal", "gallon", "gallons"),
    ("hrs", "hour", "hours"),
    ("hr", "hour", "hours"),
    ("h", "hour", "hours"),
    ("mins", "minute", "minutes"),
    ("min", "minute", "minutes"),
    ("secs", "second", "seconds"),
    ("sec", "second", "seconds"),
    ("ms", "millisecond", "milliseconds"),
    ("GHz", "gigahertz", "gigahertz"),
    ("MHz", "megahertz", "megahertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("Hz", "hertz", "hertz"),
    ("TB", "terabyte", "terabytes"),
    ("GB", "gigabyte", "gigabytes"),
    ("MB", "megabyte", "megabytes"),
    ("KB", "kilobyte", "kilobytes"),
    ("kB", "kilobyte", "kilobytes"),
    ("Mbps", "megabit per second", "megabits per second"),
    ("Gbps", "gigabit per second", "gigabits per second"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("kW", "kilowatt", "kilowatts"),
    ("mAh", "milliamp hour", "milliamp hours"),
    ("W", "watt", "watts"),
    ("V", "volt", "volts"),
    ("dB", "decibel", "decibels"),
];

/// A number with all that belongs to it.
pub(super) fn amount(place: Place<'_>, mut cursor: Cursor<'_>) -> Option<Match> {
    let sign = CURRENCIES.iter().find(|currency| cursor.eat(currency.0)).copied();
    if sign.is_some() {
        cursor.space();
    }
    let number = Number::read(&mut cursor)?;
    let words = match sign.or_else(|| currency_after(&mut cursor)) {
        Some(currency) => money(&number, currency, &mut cursor)?,
        None => counted(place, &number, &mut cursor)?,
    };
    let words = words + range(&mut cursor);
    Some(Match::words(cursor.read(), words))
}

/// A number as written.
struct Number<'a> {
    whole: &'a str,
    fraction: Option<&'a str>,
}

impl<'a> Number<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let start = *cursor;
        if cursor.digits().is_empty() {
            return None;
        }
        loop {
            let mut ahead = *cursor;
            if !ahead.eat(",") || ahead.digits().len() != 3 {
                break;
            }
            *cursor = ahead;
        }
        let whole = start.rest().get(..start.rest().len() - cursor.rest().len())?;
        let mut ahead = *cursor;
        let fraction = ahead.eat(".").then(|| ahead.digits()).filter(|digits| !digits.is_empty());
        if fraction.is_some() {
            *cursor = ahead;
        }
        Some(Self { whole, fraction })
    }

    fn words(&self) -> String {
        decimal(self.whole, self.fraction)
    }

    fn value(&self) -> Option<u64> {
        self.whole.replace(',', "").parse().ok()
    }

    fn is_one(&self) -> bool {
        self.whole == "1" && self.fraction.is_none()
    }
}

fn currency_after(cursor: &mut Cursor<'_>) -> Option<Currency> {
    let mut ahead = *cursor;
    ahead.space();
    let found = CURRENCIES.iter().find(|currency| ahead.eat(currency.0)).copied()?;
    // "5 $3 coupons": the sign belongs to what follows.
    (ahead.at_word_end()).then(|| *cursor = ahead)?;
    Some(found)
}

fn money(number: &Number<'_>, currency: Currency, cursor: &mut Cursor<'_>) -> Option<String> {
    let (_, one, many, cent, cents) = currency;
    let scale = SCALES.iter().find(|(sign, _)| {
        let mut ahead = *cursor;
        let found = ahead.eat(sign) && ahead.at_word_end();
        found.then(|| *cursor = ahead).is_some()
    });
    if let Some((_, scale)) = scale {
        return Some(format!("{} {scale} {many}", number.words()));
    }
    let parts = number
        .fraction
        .filter(|fraction| fraction.len() == 2)
        .and_then(|fraction| fraction.parse::<u64>().ok());
    let Some(parts) = parts else {
        return Some(format!("{} {}", number.words(), if number.is_one() { one } else { many }));
    };
    // However long: a price isn't a number to be dictated.
    let whole = number.value()?;
    let wholes = format!("{} {}", cardinal(whole), if whole == 1 { one } else { many });
    let hundredths = format!("{} {}", cardinal(parts), if parts == 1 { cent } else { cents });
    Some(match (whole, parts) {
        (_, 0) => wholes,
        (0, _) => hundredths,
        _ => format!("{wholes} and {hundredths}"),
    })
}

fn counted(place: Place<'_>, number: &Number<'_>, cursor: &mut Cursor<'_>) -> Option<String> {
    if number.fraction.is_some()
        && let Some(words) = version(number, cursor)
    {
        return Some(words);
    }
    if let Some(words) = ordinal_or_decade(number, cursor).or_else(|| parts(number, cursor)) {
        return Some(words);
    }
    if let Some((_, one, many)) = unit(cursor) {
        return Some(format!("{} {}", number.words(), if number.is_one() { one } else { many }));
    }
    // "4G", "3D": a name.
    if !cursor.at_word_end() {
        return None;
    }
    let is_year = number.fraction.is_none() && number.whole.len() == 4;
    match number.value() {
        Some(n @ 1_900..=2_099) if is_year && !follows_number_sign(place) => Some(year(n)),
        _ => Some(number.words()),
    }
}

fn follows_number_sign(place: Place<'_>) -> bool {
    place.before().ends_with('#') || place.before().ends_with("No. ")
}

/// The longest sign that fits, at once or after a space.
fn unit(cursor: &mut Cursor<'_>) -> Option<(&'static str, &'static str, &'static str)> {
    let mut ahead = *cursor;
    ahead.space();
    let fits = |sign: &str| {
        let mut after = ahead;
        after.eat(sign) && (after.at_word_end() || sign == "%")
    };
    let found = UNITS.iter().filter(|unit| fits(unit.0)).max_by_key(|unit| unit.0.len())?;
    ahead.eat(found.0);
    *cursor = ahead;
    Some(*found)
}

/// 1.2.3
fn version(number: &Number<'_>, cursor: &mut Cursor<'_>) -> Option<String> {
    let mut parts = vec![number.whole, number.fraction?];
    let mut ahead = *cursor;
    while ahead.eat(".") {
        let part = ahead.digits();
        if part.is_empty() {
            break;
        }
        parts.push(part);
        *cursor = ahead;
    }
    let joint = if parts.len() == 4 { " dot " } else { " point " };
    let say = |part: &&str| if part.len() > 3 { digits(part) } else { decimal(part, None) };
    (parts.len() > 2).then(|| parts.iter().map(say).collect::<Vec<_>>().join(joint))
}

/// 21st, 1990s
fn ordinal_or_decade(number: &Number<'_>, cursor: &mut Cursor<'_>) -> Option<String> {
    let n = number.value().filter(|_| number.fraction.is_none())?;
    let mut ahead = *cursor;
    let ending = ahead.letters();
    let words = match ending {
        "st" | "nd" | "rd" | "th" => ordinal(n),
        "s" if n.is_multiple_of(10) && matches!(number.whole.len(), 2 | 4) => {
            let words = if n >= 1_000 { year(n) } else { cardinal(n) };
            match words.strip_suffix('y') {
                Some(stem) => format!("{stem}ies"),
                None => format!("{words}s"),
            }
        }
        _ => return None,
    };
    ahead.at_word_end().then(|| *cursor = ahead)?;
    Some(words)
}

/// 3/4
fn parts(number: &Number<'_>, cursor: &mut Cursor<'_>) -> Option<String> {
    let mut ahead = *cursor;
    let below =
        ahead.eat("/").then(|| ahead.digits()).filter(|below| !below.is_empty() && below.len() <= 4)?;
    (ahead.at_word_end() && number.fraction.is_none() && ahead.peek() != Some('/'))
        .then(|| *cursor = ahead)?;
    let many = number.whole != "1";
    let name = match (number.whole, below) {
        ("24", "7") => return Some("twenty-four seven".to_owned()),
        ("1", "2") => "half",
        ("1" | "2", "3") => "third",
        ("1" | "3", "4") => "quarter",
        _ => return Some(format!("{} out of {}", number.words(), decimal(below, None))),
    };
    Some(format!("{} {name}{}", number.words(), if many { "s" } else { "" }))
}

/// "9-5", "16:9": said with a "to". Takes the sign.
pub(super) fn range(cursor: &mut Cursor<'_>) -> &'static str {
    let mut ahead = *cursor;
    let spaced = ahead.space();
    let sign = ahead.eat_any(&['-', '–', ':']);
    let evenly = spaced == ahead.space();
    let number = ahead.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£'));
    let is_range = match sign {
        Some('–') => evenly,
        Some('-' | ':') => evenly && !spaced,
        _ => false,
    };
    if is_range && number {
        *cursor = ahead;
        return " to ";
    }
    ""
}

/// Signs before and between numbers.
pub(super) fn sign(place: Place<'_>, mut cursor: Cursor<'_>) -> Option<Match> {
    let first = cursor.peek()?;
    cursor.eat(first.encode_utf8(&mut [0; 4]));
    let number = cursor.peek().is_some_and(|c| c.is_ascii_digit() || matches!(c, '$' | '€' | '£'));
    let begins = place.previous().is_none_or(|c| c.is_whitespace() || c == '(');
    let words = match first {
        '-' | '−' | '–' if number && begins => "minus ",
        '+' if number && begins => "plus ",
        '~' | '≈' if number => "about ",
        '#' if number => "number ",
        '<' if number || cursor.rest().starts_with(' ') => "less than ",
        '>' if number || cursor.rest().starts_with(' ') => "more than ",
        '½' => "one half",
        '¼' => "one quarter",
        '¾' => "three quarters",
        '×' => " times ",
        '*' | '=' | '+' if begins && cursor.space() && !place.rest().is_empty() => match first {
            '*' => "times ",
            '=' => "equals ",
            _ => "plus ",
        },
        _ => return None,
    };
    // "2½"
    let and = place.previous().is_some_and(|c| c.is_ascii_digit()) && matches!(first, '½' | '¼' | '¾');
    Some(Match::words(cursor.read(), if and { format!(" and {words}") } else { words.to_owned() }))
}
