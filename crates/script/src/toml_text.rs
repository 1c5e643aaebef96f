//! Errors in TOML files, for people.

/// The error's text, with line and column, and the nearest right key where one is unknown.
#[must_use]
pub fn toml_error(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let text = short(text.trim_end());
    match nearest_key(error.message()) {
        Some((wrong, right)) => format!("{text}\nhint: `{wrong}` is unknown; did you mean `{right}`?"),
        None => text,
    }
}

/// Longest line of an error, in characters.
const LONGEST: usize = 200;

/// An error shows the line that it is in, and marks the place below it: where that is long, only what is around the place.
fn short(text: &str) -> String {
    if text.lines().all(|line| line.chars().nth(LONGEST).is_none()) {
        return text.to_owned();
    }
    let marked = text.lines().find_map(|line| line.find('^').filter(|_| line.trim_start().starts_with('|')));
    let from = marked.unwrap_or(0).saturating_sub(LONGEST / 2);
    let cut = |line: &str| -> String {
        match line.split_once('|') {
            // Columns are counted in characters here: with others than ASCII the mark may be beside its place.
            Some((gutter, rest)) if gutter.trim().chars().all(|c| c.is_ascii_digit()) => {
                format!("{gutter}|{}", rest.chars().skip(from).take(LONGEST).collect::<String>())
            }
            _ => line.chars().take(LONGEST).collect(),
        }
    };
    text.lines().map(cut).collect::<Vec<_>>().join("\n")
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
    fn of_an_endless_line_only_the_place_is_shown() {
        for (before, after) in [(1_000_000, 0), (0, 1_000_000), (500_000, 500_000)] {
            let text = format!("listen = {{ {} ! {} }}", "a = 1, ".repeat(before), " ".repeat(after));
            let error = toml::from_str::<Config>(&text).unwrap_err();
            let text = super::toml_error(&error);
            assert!(text.len() < 2_000, "{} octets", text.len());
            assert!(text.contains("TOML parse error at line 1, column") && text.contains('^'), "{text}");
        }
        let error = toml::from_str::<Config>(&format!("listen = [\"{}\"]", "é".repeat(100_000))).unwrap_err();
        assert!(super::toml_error(&error).len() < 2_000);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_right_one() {
        let error = toml::from_str::<Config>("\n\nlistn = \"x\"\n").unwrap_err();
        let text = super::toml_error(&error);
        assert!(text.contains("line 3") && text.ends_with("did you mean `listen`?"), "{text}");
    }
}
