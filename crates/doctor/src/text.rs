//! A document that is none yet: what stands where XML should begin, and what keeps it from being read.

use crate::causes::{self, Cause};
use crate::tree::text_place;

/// What stands where XML should begin.
pub(crate) fn before_xml(text: &str) -> Option<(&'static Cause, String)> {
    let bare = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let lower: String = bare.chars().take(20).collect::<String>().to_ascii_lowercase();
    if bare.is_empty() {
        return Some((&causes::EMPTY_BODY, "the document is blank".to_owned()));
    }
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        let title =
            text.split("<title>").nth(1).and_then(|rest| rest.split('<').next()).unwrap_or("no title");
        return Some((&causes::HTML_PAGE, format!("a web page came: “{}”", title.trim())));
    }
    if lower.starts_with("&lt;") {
        let start: String = bare.chars().take(40).collect();
        return Some((&causes::ESCAPED, format!("the document begins with {start}")));
    }
    if bare.starts_with(['{', '[', '"']) {
        let start: String = bare.chars().take(40).collect();
        return Some((&causes::JSON_INSTEAD, format!("the document begins with {start}")));
    }
    if let Some((before, _)) = bare.split_once("<?xml").filter(|(before, _)| !before.trim().is_empty()) {
        let start: String = before.trim().chars().take(40).collect();
        return Some((
            &causes::BEFORE_PROLOG,
            format!("line 1, column 1: `{start}` stands before the document"),
        ));
    }
    if bare.len() < text.len() && (text.starts_with('\u{feff}') || bare.starts_with("<?xml")) {
        let what = if text.starts_with('\u{feff}') { "a byte-order mark" } else { "white space" };
        return Some((
            &causes::BEFORE_PROLOG,
            format!("line 1, column 1: {what} stands before the document"),
        ));
    }
    None
}

/// An `&` that begins no entity.
pub(crate) fn bare_ampersand(text: &str) -> Option<String> {
    let known = |rest: &str| {
        let Some((name, _)) = rest.split_once(';') else { return false };
        matches!(name, "amp" | "lt" | "gt" | "quot" | "apos")
            || (name.starts_with('#')
                && name.len() > 1
                && name.chars().skip(1).all(|c| c.is_ascii_alphanumeric()))
    };
    let (at, _) = text.match_indices('&').find(|(at, _)| !text.get(at + 1..).is_some_and(known))?;
    let near = text.get(at..).unwrap_or("");
    let near: String = near.chars().take_while(|c| !matches!(c, '<' | '"' | '\n')).take(24).collect();
    Some(format!("{}: `{near}` has an `&` that begins no entity", text_place(text, at)))
}
