//! Numbers and names that are dictated piece by piece.

/// Digits in a text, spoken or written.
pub(super) fn count_digits(text: &str) -> usize {
    digits_by_word(text).sum()
}

/// Digits at the end of a text, of which nothing else comes between.
pub(super) fn dictated(text: &str) -> usize {
    digits_by_word(text).collect::<Vec<_>>().into_iter().rev().take_while(|count| *count > 0).sum()
}

fn digits_by_word(text: &str) -> impl Iterator<Item = usize> {
    const WORDS: &[&str] =
        &["zero", "oh", "o", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let words =
        text.split(|c: char| c.is_whitespace() || c == '-' || c == ',').filter(|word| !word.is_empty());
    words.map(|word| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let written = word.chars().filter(char::is_ascii_digit).count();
        if written > 0 { written } else { usize::from(WORDS.contains(&word.as_str())) }
    })
}

/// Words that announce a number to be dictated.
const ANNOUNCE: &[&str] = &[
    "account",
    "card",
    "cell",
    "code",
    "digits",
    "extension",
    "id",
    "mobile",
    "number",
    "phone",
    "pin",
    "policy",
    "postcode",
    "reference",
    "serial",
    "telephone",
    "zip",
];

/// Whether the words before the digits announce a number.
pub(super) fn announces_number(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|word| ANNOUNCE.contains(&word.to_lowercase().as_str()))
}

/// Words of the radio alphabet that are hardly anything else.
const RADIO: &[&str] = &[
    "alpha", "alfa", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet",
    "juliett", "kilo", "lima", "mike", "november", "oscar", "papa", "quebec", "romeo", "sierra", "tango",
    "uniform", "victor", "whiskey", "x-ray", "xray", "yankee", "zulu",
];

/// Whether a text is nothing but letters, words of the radio alphabet and digits, as names and codes are spelled: at least two of them,
/// or one that is no usual word.
pub(super) fn is_spelled(text: &str) -> bool {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|word| !word.is_empty())
        .collect();
    let letter = |word: &str| word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let piece = |word: &String| {
        letter(word) || RADIO.contains(&word.as_str()) || digits_by_word(word).sum::<usize>() > 0
    };
    match words.as_slice() {
        [] => false,
        [only] => matches!(only.as_str(), "alpha" | "alfa" | "bravo" | "foxtrot" | "tango" | "zulu"),
        [first, second] if letter(first) != letter(second) && (letter(first) || letter(second)) => {
            RADIO.contains(&first.as_str()) || RADIO.contains(&second.as_str())
        }
        // Three groups of digits are a number, which has its own rules.
        _ => {
            let digits: usize = words.iter().map(|word| digits_by_word(word).sum::<usize>()).sum();
            words.iter().all(piece) && digits <= 2
        }
    }
}
