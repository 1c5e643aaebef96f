//! Errors in TOML files, for people.

/// The error's text, with line and column, and the nearest right key where one is unknown.
#[must_use]
pub fn toml_error(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let text = text.trim_end();
    match nearest_key(error.message()) {
        Some((wrong, right)) => format!("{text}\nhint: `{wrong}` is unknown; did you mean `{right}`?"),
        None => text.to_owned(),
    }
}

/// serde says: unknown field `x`, expected one of `a`, `b`.
fn nearest_key(message: &str) -> Option<(&str, &str)> {
    let mut names = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let wrong = names.next()?;
    let right = names.map(|right| (strsim::damerau_levenshtein(wrong, right), right)).min()?;
    (right.0 <= 1 + wrong.len() / 3).then_some((wrong, right.1))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        #[expect(dead_code, reason = "only read by serde")]
        listen: Option<String>,
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
        let error = toml::from_str::<Config>("\n\nlistn = \"x\"\n").unwrap_err();
        let text = super::toml_error(&error);
        assert!(text.contains("line 3") && text.ends_with("did you mean `listen`?"), "{text}");
    }
}
