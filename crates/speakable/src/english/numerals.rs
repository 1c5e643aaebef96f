//! Numbers in words.

use super::number_words::{ONES, TENS};

const SCALES: [(u64, &str); 5] = [
    (1_000_000_000_000_000, "quadrillion"),
    (1_000_000_000_000, "trillion"),
    (1_000_000_000, "billion"),
    (1_000_000, "million"),
    (1_000, "thousand"),
];

fn below_hundred(n: u64) -> String {
    let one = |n: u64| usize::try_from(n).ok().and_then(|n| ONES.get(n)).copied().unwrap_or_default();
    if n < 20 {
        return one(n).to_owned();
    }
    let ten = usize::try_from(n / 10 - 2).ok().and_then(|n| TENS.get(n)).copied().unwrap_or_default();
    if n.is_multiple_of(10) { ten.to_owned() } else { format!("{ten}-{}", one(n % 10)) }
}

/// 1234 → "one thousand two hundred thirty-four".
pub(super) fn cardinal(n: u64) -> String {
    let mut parts = Vec::new();
    let mut rest = n;
    for (scale, name) in SCALES {
        if rest >= scale {
            parts.push(format!("{} {name}", cardinal(rest / scale)));
            rest %= scale;
        }
    }
    if rest >= 100 {
        parts.push(format!("{} hundred", below_hundred(rest / 100)));
        rest %= 100;
    }
    if rest > 0 || parts.is_empty() {
        parts.push(below_hundred(rest));
    }
    parts.join(" ")
}

/// 21 → "twenty-first".
pub(super) fn ordinal(n: u64) -> String {
    let words = cardinal(n);
    let cut = words.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (before, last) = words.split_at(cut);
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
pub(super) fn year(n: u64) -> String {
    match (n / 100, n % 100) {
        (10 | 20, low @ 0..=9) => {
            cardinal(n - low) + &if low > 0 { format!(" {}", cardinal(low)) } else { String::new() }
        }
        (high @ 11..=99, 0) => format!("{} hundred", cardinal(high)),
        (high @ 11..=99, low @ 1..=9) => format!("{} oh {}", cardinal(high), cardinal(low)),
        (high @ 11..=99, low) => format!("{} {}", cardinal(high), cardinal(low)),
        _ => cardinal(n),
    }
}

/// Digit by digit: "4 1 5" → "four one five". What is no digit is left out.
pub(super) fn digits(text: &str) -> String {
    let words: Vec<&str> = text
        .chars()
        .filter_map(|c| c.to_digit(10))
        .filter_map(|digit| ONES.get(digit as usize).copied())
        .collect();
    words.join(" ")
}

/// A number as written, "1,234.50": in words, or digit by digit when it is too long or begins with a nought.
pub(super) fn decimal(whole: &str, fraction: Option<&str>) -> String {
    let bare: String = whole.chars().filter(char::is_ascii_digit).collect();
    let grouped = bare.len() != whole.len();
    let by_digits =
        (bare.len() > 1 && bare.starts_with('0')) || (!grouped && bare.len() >= 7) || bare.len() > 15;
    let mut words = match bare.parse() {
        Ok(n) if !by_digits => cardinal(n),
        _ => grouped_digits(&bare),
    };
    if let Some(fraction) = fraction {
        words.push_str(" point ");
        words.push_str(&digits(fraction));
    }
    words
}

/// Long numbers are said in groups of three, the last of up to four.
pub(super) fn grouped_digits(bare: &str) -> String {
    let mut groups = Vec::new();
    let mut rest = bare;
    while rest.len() > 4 {
        let (group, after) = rest.split_at_checked(3).unwrap_or((rest, ""));
        groups.push(digits(group));
        rest = after;
    }
    groups.push(digits(rest));
    groups.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_in_words() {
        assert_eq!(cardinal(0), "zero");
        assert_eq!(cardinal(1_000_016), "one million sixteen");
        assert_eq!(cardinal(342), "three hundred forty-two");
        assert_eq!(ordinal(30), "thirtieth");
        assert_eq!(ordinal(112), "one hundred twelfth");
        assert_eq!(year(2000), "two thousand");
        assert_eq!(year(2007), "two thousand seven");
        assert_eq!(year(1905), "nineteen oh five");
        assert_eq!(year(2026), "twenty twenty-six");
        assert_eq!(decimal("1,234", Some("50")), "one thousand two hundred thirty-four point five zero");
        assert_eq!(decimal("007", None), "zero zero seven");
        assert_eq!(decimal("41555512", None), "four one five, five five five, one two");
    }
}
