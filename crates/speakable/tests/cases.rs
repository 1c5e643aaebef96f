//! Texts from the field and how they are read: a table for each language, `tests/cases/*.toml`.
//!
//! A table's name is a language's tag, the tables in it are kinds of text, each line a text and what is said for it.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use offhook_speakable::{Cleaner, speakable};

type Table = BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>;

const TABLES: [(&str, &str); 8] = [
    ("read_back", include_str!("cases/read_back.toml")),
    ("field", include_str!("cases/field.toml")),
    ("calls", include_str!("cases/calls.toml")),
    ("cleaning", include_str!("cases/cleaning.toml")),
    ("english", include_str!("cases/english.toml")),
    ("german", include_str!("cases/german.toml")),
    ("spanish", include_str!("cases/spanish.toml")),
    ("french", include_str!("cases/french.toml")),
];

fn each(mut check: impl FnMut(&str, &str, &str)) -> usize {
    let mut count = 0;
    for (_, table) in TABLES {
        let table: Table = toml::from_str(table).unwrap();
        for (language, kinds) in table {
            for (written, spoken) in kinds.values().flatten() {
                check(&language, written, spoken);
                count += 1;
            }
        }
    }
    count
}

#[test]
fn texts_are_read_as_people_read_them() {
    let mut wrong = Vec::new();
    let count = each(|language, written, spoken| {
        let is = speakable(written, language);
        if is != spoken {
            wrong.push(format!("{language}  {written}\n  is     {is}\n  not    {spoken}"));
        }
    });
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 2_000, "{count}");
}

#[test]
fn what_is_spoken_is_spoken_as_it_is() {
    // A second pass changes nothing: a text that was cleaned twice, or that a model wrote in words, stays.
    let mut wrong = Vec::new();
    each(|language, _, spoken| {
        let again = speakable(spoken, language);
        if again != spoken {
            wrong.push(format!("{language}  {spoken}\n  again  {again}"));
        }
    });
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_figures_and_no_signs_are_left() {
    each(|language, written, _| {
        if language == "und" || language == "ja" || language == "it" {
            return;
        }
        let is = speakable(written, language);
        let odd = |c: &char| c.is_ascii_digit() || "#*_~`<>|\\^=+@$%&/[]{}€£".contains(*c);
        assert_eq!(is.chars().find(odd), None, "{language} {written}: {is}");
    });
}

#[test]
fn a_stream_is_read_as_the_whole() {
    each(|language, written, spoken| {
        // What came before a lone end of a thought is out when it comes.
        if written.contains("</think>") && !written.contains("<think>") {
            return;
        }
        for size in [1, 2, 3, 7] {
            let mut cleaner = Cleaner::new(language);
            let (mut said, mut stream) = (String::new(), String::new());
            let chars: Vec<char> = written.chars().collect();
            for token in chars.chunks(size) {
                let piece = cleaner.push(&token.iter().collect::<String>());
                said.push_str(&piece.text.spoken);
                stream.push_str(&piece.written);
            }
            let piece = cleaner.finish();
            said.push_str(&piece.text.spoken);
            stream.push_str(&piece.written);
            if spoken.is_empty() {
                assert!(!said.chars().any(char::is_alphanumeric), "{written}: {said}");
            } else {
                assert_eq!(said, *spoken, "{language} in pieces of {size}: {written}");
            }
            assert_eq!(stream, *written);
        }
    });
}
