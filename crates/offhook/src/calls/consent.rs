//! Whether the caller has agreed to what is about to be done: by their own words or keys, not by what a model says of them.

use super::live_call::LiveCall;

/// Words that agree.
const YES: [&str; 22] = [
    "yes",
    "yeah",
    "yep",
    "yup",
    "sure",
    "ok",
    "okay",
    "correct",
    "right",
    "absolutely",
    "definitely",
    "agreed",
    "confirm",
    "confirmed",
    "please",
    "sí",
    "si",
    "oui",
    "ja",
    "genau",
    "sim",
    "claro",
];
/// Words that don't, whatever else was said.
const NO: [&str; 14] = [
    "no", "not", "nope", "don't", "dont", "never", "stop", "wait", "cancel", "wrong", "nein", "nicht", "non",
    "não",
];

/// Whether what a caller said last is a yes.
pub(super) fn is_yes(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = || text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).filter(|word| !word.is_empty());
    let go_ahead = text.contains("go ahead") || text.contains("do it");
    (go_ahead || words().any(|word| YES.contains(&word))) && !words().any(|word| NO.contains(&word))
}

impl LiveCall {
    /// Whether the caller's latest words are a yes, or the key 1 that they pressed since.
    pub(super) fn has_agreed(&self) -> bool {
        let record = self.record();
        if let Some(agreed) = record.agreed_by_key {
            return agreed;
        }
        record
            .transcript
            .iter()
            .rev()
            .find(|line| line.who == "caller")
            .is_some_and(|line| is_yes(&line.text))
    }
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_plain_yes_is_one() {
        for yes in ["Yes.", "Yeah, that's right", "Okay, go ahead.", "please do", "Sí, claro"] {
            assert!(is_yes(yes), "{yes}");
        }
        for no in ["", "No.", "Yes, but not today", "don't do it", "What does it cost?", "Wait, okay?"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
