//! What is taken out of documents before anything is written.

use serde::Deserialize;
use serde_json::Value;

use crate::document::Document;

/// What stands in its place.
const MARK: &str = "[redacted]";

/// `[store.redact]`: what is taken out of documents before they are written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redaction {
    /// Numbers of payment cards: 13 to 19 digits whose check digit is right, spoken as words too. Default true.
    pub card_numbers: bool,
    /// Every run of so many digits or more; 0 leaves them. Default 0.
    pub digits: usize,
    /// Parameters of calls, fields of outcomes, by name. Default none.
    pub fields: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        Self { card_numbers: true, digits: 0, fields: Vec::new() }
    }
}

impl Redaction {
    /// Takes it out.
    pub fn apply(&self, document: &mut Document) {
        for turn in &mut document.turns {
            self.text(&mut turn.text);
            turn.planned.iter_mut().for_each(|text| self.text(text));
        }
        for error in &mut document.errors {
            self.text(&mut error.message);
        }
        document.goal.iter_mut().for_each(|text| self.text(text));
        for event in &mut document.events {
            event.more.iter_mut().for_each(|(name, value)| self.value(name, value));
        }
        for (name, value) in &mut document.parameters {
            if self.is_declared(name) { *value = MARK.to_owned() } else { self.text(value) }
        }
        if let Some(outcome) = &mut document.outcome {
            self.text(&mut outcome.evidence);
            outcome.fields.iter_mut().for_each(|(name, value)| self.value(name, value));
        }
    }

    /// Takes it out of any JSON. Ids of Twilio's stay, and so do the parties' numbers at the top, which calls are known by.
    pub fn json(&self, value: &mut Value) {
        let Value::Object(all) = value else { return self.value("", value) };
        for (name, value) in all.iter_mut().filter(|(name, _)| !matches!(name.as_str(), "from" | "to")) {
            self.value(name, value);
        }
    }

    fn is_declared(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.eq_ignore_ascii_case(name))
    }

    fn value(&self, name: &str, value: &mut Value) {
        if self.is_declared(name) {
            *value = MARK.into();
            return;
        }
        match value {
            Value::String(text) if is_id(text) => {}
            Value::String(text) => self.text(text),
            Value::Array(all) => all.iter_mut().for_each(|value| self.value("", value)),
            Value::Object(all) => all.iter_mut().for_each(|(name, value)| self.value(name, value)),
            Value::Number(number) => {
                let text = number.to_string();
                // Times in milliseconds since 1970 have 13 digits; cards of today have more.
                if self.card_numbers && text.len() > SHORTEST_CARD && !self.hidden(&text).is_empty() {
                    *value = MARK.into();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn text(&self, text: &mut String) {
        for (from, until) in self.hidden(text).into_iter().rev() {
            text.replace_range(from..until, MARK);
        }
    }

    /// The spans that are taken out, in order.
    fn hidden(&self, text: &str) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        for run in runs(text) {
            let secret = self.digits > 0 && run.digits.len() >= self.digits;
            if secret || self.card_numbers && has_card(&run.digits) {
                spans.push((run.from, run.until));
            }
        }
        spans
    }
}

/// Two letters and 32 hexadecimal digits.
fn is_id(text: &str) -> bool {
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split_at_checked(2)
        .is_some_and(|(kind, rest)| kind.bytes().all(|b| b.is_ascii_uppercase()) && hex(rest))
}

const SHORTEST_CARD: usize = 13;
const LONGEST_CARD: usize = 19;

/// Digits behind each other, with nothing but separators between them.
#[derive(Debug, Default)]
struct Run {
    from: usize,
    until: usize,
    digits: Vec<u8>,
}

/// A digit's English name.
fn named(word: &str) -> Option<u8> {
    const NAMES: [(&str, u8); 12] = [
        ("zero", 0),
        ("oh", 0),
        ("o", 0),
        ("one", 1),
        ("two", 2),
        ("three", 3),
        ("four", 4),
        ("five", 5),
        ("six", 6),
        ("seven", 7),
        ("eight", 8),
        ("nine", 9),
    ];
    NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)).map(|(_, digit)| *digit)
}

fn runs(text: &str) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut run = Run::default();
    let mut at = 0;
    // Pieces of letters, pieces of digits, and single other characters.
    while let Some(first) = text[at..].chars().next() {
        let class = |c: char| (c.is_ascii_digit(), c.is_alphabetic());
        let length = match class(first) {
            (false, false) => first.len_utf8(),
            kind => text[at..].find(|c| class(c) != kind).unwrap_or(text.len() - at),
        };
        let piece = &text[at..at + length];
        let mut digits = Vec::new();
        if first.is_ascii_digit() {
            digits.extend(piece.bytes().map(|byte| byte - b'0'));
        } else if let Some(digit) = named(piece) {
            digits.push(digit);
        }
        if digits.is_empty() {
            let separates = matches!(first, ' ' | '-' | '.' | ',' | '/' | '\u{a0}');
            if !separates && !run.digits.is_empty() {
                runs.push(std::mem::take(&mut run));
            }
        } else {
            if run.digits.is_empty() {
                run.from = at;
            }
            run.until = at + length;
            run.digits.append(&mut digits);
        }
        at += length;
    }
    if !run.digits.is_empty() {
        runs.push(run);
    }
    runs
}

/// Whether a card's number is in these digits: its last digit checks the others (ISO/IEC 7812-1, Luhn).
fn has_card(digits: &[u8]) -> bool {
    let fits = |digits: &[u8]| {
        let sum: u32 = digits
            .iter()
            .rev()
            .enumerate()
            .map(|(place, digit)| {
                let value = u32::from(*digit) << (place % 2);
                if value > 9 { value - 9 } else { value }
            })
            .sum();
        sum.is_multiple_of(10)
    };
    // Networks' numbers begin with 2 to 6. A month or a security code may stand right behind.
    let begins = |digit: u8| (2..=6).contains(&digit);
    (SHORTEST_CARD..=LONGEST_CARD).any(|length| {
        digits.windows(length).any(|window| window.first().is_some_and(|d| begins(*d)) && fits(window))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(redaction: &Redaction, text: &str) -> String {
        let mut text = text.to_owned();
        redaction.text(&mut text);
        text
    }

    #[test]
    fn records_keep_their_ids_and_times() {
        let redact = Redaction { digits: 4, fields: vec!["pin".into()], ..Redaction::default() };
        let sid = format!("CA{}", "1234567890".repeat(4).split_at(32).0);
        let mut record = serde_json::json!({
            "call": sid, "from": "+14155550100", "at_ms": 1_796_045_760_007u64, "fields": { "pin": 12, "card": 4_111_111_111_111_111u64 },
            "events": [{ "t_ms": 10, "text": "my pin is 4 7 1 1, card 4111 1111 1111 1111" }],
        });
        redact.json(&mut record);
        assert_eq!((&record["call"], &record["from"]), (&sid.into(), &"+14155550100".into()));
        assert_eq!(record["at_ms"], 1_796_045_760_007u64);
        assert_eq!(record["fields"], serde_json::json!({ "pin": MARK, "card": MARK }));
        assert_eq!(record["events"][0]["text"], format!("my pin is {MARK}, card {MARK}"));
    }

    #[test]
    fn cards_go_and_other_numbers_stay() {
        let cards = Redaction::default();
        for (text, rest) in [
            ("it is 4111 1111 1111 1111 thanks", "it is [redacted] thanks"),
            ("5555-5555-5555-4444.", "[redacted]."),
            (
                "card four one one one one one one one one one one one one one one one ok",
                "card [redacted] ok",
            ),
            ("call me at 415 555 0100", "call me at 415 555 0100"),
            ("two pizzas at eight", "two pizzas at eight"),
            ("parcel 1000 1111 1111 1112", "parcel 1000 1111 1111 1112"),
        ] {
            assert_eq!(redacted(&cards, text), rest);
        }
    }

    #[test]
    fn runs_of_digits_and_declared_fields_go() {
        let redaction = Redaction { digits: 4, fields: vec!["pin".into()], ..Redaction::default() };
        assert_eq!(redacted(&redaction, "pin 12 34, table 12"), "pin [redacted], table 12");
        let mut document = Document::default();
        document.parameters.insert("PIN".into(), "x".into());
        document.outcome = Some(crate::Outcome {
            fields: [("pin".to_owned(), 7.into()), ("card".to_owned(), 4_111_111_111_111_111u64.into())]
                .into(),
            ..crate::Outcome::default()
        });
        redaction.apply(&mut document);
        assert_eq!(document.parameters["PIN"], MARK);
        let fields = document.outcome.unwrap().fields;
        assert!(fields["pin"] == MARK && fields["card"] == MARK);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC*") {
            let _ = redacted(&Redaction { digits: 1, ..Redaction::default() }, &text);
        }
    }
}
