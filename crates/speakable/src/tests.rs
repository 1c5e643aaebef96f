#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

#[test]
fn what_was_heard_is_told_as_it_was_written() {
    let text = "Pay **$5.20** now";
    let speakable = Speakable::new(text, "en");
    assert_eq!(speakable.spoken, "Pay five dollars and twenty cents now");
    let written = |word: &str| {
        let at = speakable.spoken.find(word).unwrap();
        text.get(speakable.written(at..at + word.len())).unwrap()
    };
    assert_eq!(written("Pay"), "Pay");
    assert_eq!(written("dollars"), "$5.20");
    assert_eq!(written("now"), "now");
}

fn check(text: &str, language: &str) {
    let found = Speakable::new(text, language);
    let (mut spoken, mut written) = (0, 0);
    for (from, to) in &found.spans {
        assert_eq!((from.start, to.start), (spoken, written), "{text:?}: {:?}", found.spans);
        assert!(from.end >= from.start && to.end >= to.start);
        assert!(found.spoken.get(from.clone()).is_some() && text.get(to.clone()).is_some());
        (spoken, written) = (from.end, to.end);
    }
    assert_eq!((spoken, written), (found.spoken.len(), text.len()), "{text:?}");
    let whole = found.written(0..found.spoken.len());
    assert!(text.get(whole).is_some());
}

proptest! {
    #[test]
    fn nothing_panics_and_spans_cover_both_texts(text in "\\PC{0,80}", german in any::<bool>()) {
        check(&text, if german { "de" } else { "en-GB" });
    }

    #[test]
    fn nor_with_what_the_rules_look_for(
        text in "(\\*|_|#|`|\\[a\\]\\(b\\)|\\||\n|<b>|\\$|€|%|[0-9]{1,5}|[.,:/ ()+-]|am|p\\.m\\.|Nov|May|St\\.|Dr\\.|km|@|a\\.com|https://|😀|é){0,25}",
    ) {
        check(&text, "en");
    }

    #[test]
    fn plain_words_stay(words in prop::collection::vec("[a-z]{4,9}", 1..12), comma in any::<bool>()) {
        let text = words.join(if comma { ", " } else { " " }) + "?";
        let found = Speakable::new(&text, "en-US");
        prop_assert_eq!(&found.spoken, &text);
        prop_assert!(found.is_verbatim());
        prop_assert_eq!(speakable(&found.spoken, "en-US"), text);
    }
}

/// What models, callers and attackers make of a text.
fn hostile() -> Vec<String> {
    let many = |text: &str, length: usize| text.repeat(length / text.len());
    let units = [
        "x",
        "1",
        "1/",
        "$1.",
        "1.",
        "1,",
        "1:",
        "1-",
        "(1)",
        "+1 ",
        "Hi.",
        "a@",
        "a@b.com ",
        "http://a.b/",
        "<",
        "<a",
        "[",
        "[a](",
        "*",
        "_",
        "`",
        "|",
        "\n",
        "\n- ",
        "\n\n# ",
        "```\n",
        "~~~x\n",
        "&amp;",
        "&",
        "  ",
        "- ",
        "May ",
        "May 3 ",
        "Mr. ",
        "12:30 ",
        "3pm-",
        "½",
        "😀",
        "\u{301}",
        "\u{200b}",
        "€",
        "1 ",
        "1 000 ",
        "000-",
        "DE89 ",
        "A1",
        "aB1",
        "é",
        "中",
        "<think>",
        "</think>",
        "<!--",
        "p.m.",
        "\u{1d400}",
        "1'",
        "5' ",
        "1x",
        "3. ",
        "der 3. ",
        "z. B. ",
        "$",
        "--",
        "?!",
        "…",
        "\\",
        "\\n",
    ];
    units.iter().map(|unit| many(unit, 12_000)).chain([many("1/", 18_000), many("x", 100_000)]).collect()
}

#[test]
fn the_work_grows_with_the_text() {
    // Counted in characters looked at, so that it doesn't depend on the machine.
    for text in hostile() {
        for language in ["en-US", "de-DE", "es-ES", "fr-FR", "it"] {
            let half = text
                .get(..text.len() / 2 - (0..4).find(|n| text.is_char_boundary(text.len() / 2 - n)).unwrap())
                .unwrap();
            let (steps, before) =
                (Speakable::counted(&text, language).1, Speakable::counted(half, language).1);
            let start = text.chars().take(10).collect::<String>();
            assert!(
                steps <= 800 * text.len() as u64,
                "{language} {start:?}: {steps} steps for {}",
                text.len()
            );
            assert!(
                steps <= before * 9 / 4 + 10_000,
                "{language} {start:?}: {before} steps for half, {steps} for all"
            );
        }
    }
}

#[test]
fn a_stream_costs_little_more_than_the_whole() {
    for text in hostile() {
        let text: String = text.chars().take(4_000).collect();
        let mut scan = scan::Scan::new(language::Language::new("en-US"));
        let tokens: Vec<char> = text.chars().collect();
        for token in tokens.chunks(4) {
            scan.push(&token.iter().collect::<String>());
            scan.take(0);
            scan.forget();
        }
        scan.finish();
        let start = text.chars().take(10).collect::<String>();
        assert!(
            scan.steps() <= 4_000 * text.len() as u64,
            "{start:?}: {} steps for {}",
            scan.steps(),
            text.len()
        );
    }
}

#[test]
fn what_nobody_can_say_is_left_out() {
    for text in hostile() {
        for language in ["en-US", "de-DE", "it"] {
            let spoken = speakable(&text, language);
            let start = text.chars().take(10).collect::<String>();
            let dense = start.starts_with('中');
            let longest = spoken.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
            assert!(dense || longest <= 120, "{language} {start:?}: a word of {longest}");
            assert!(spoken.len() <= 40 * text.len(), "{language} {start:?}: {}", spoken.len());
        }
    }
    for text in [
        "1/".repeat(9_000),
        "$1.".repeat(3_000),
        "1".repeat(30_000),
        "eyJhbGciOiJIUzI1NiJ9".repeat(20),
        "x".repeat(100_000),
    ] {
        assert_eq!(speakable(&format!("Here: {text} Bye."), "en-US"), "Here: Bye.");
    }
    let url = format!("See https://example.com/{} now.", "a1b2/".repeat(400));
    assert_eq!(speakable(&url, "en-US"), "See example dot com now.");
    let glued = "Fine.Yes,really.".repeat(20);
    assert!(
        speakable(&glued, "en-US").starts_with("Fine. Yes, really. Fine."),
        "{}",
        speakable(&glued, "en-US")
    );
}

#[test]
fn an_answer_without_a_word_is_none() {
    for text in [
        "👍",
        "...",
        "  \n ",
        "",
        "---",
        "**",
        "?!",
        "<think>Hm. Yes.</think>",
        "```sh\nls\n```",
        "│ │",
        "\u{200b}",
        "</think>",
    ] {
        assert!(!is_speakable(text, "en-US"), "{text:?}");
        assert_eq!(speakable(text, "en-US"), "", "{text:?}");
        assert!(!is_speakable(text, "it"), "{text:?}");
    }
    for text in ["Ok", "5", "👍 yes", "🇩🇪 é", "中"] {
        assert!(is_speakable(text, "en-US"), "{text:?}");
    }
}

#[test]
fn only_what_may_change_is_held_back() {
    let mut cleaner = Cleaner::new("en-US");
    let said: Vec<String> = ["Your", " total", " is", " $", "5", ".20", ",", " **thank", " you**", "."]
        .iter()
        .map(|token| cleaner.push(token).text.spoken)
        .collect();
    assert_eq!(
        said,
        ["", "Your", " total", " is", "", "", "", " five dollars and twenty cents,", " thank", ""]
    );
    assert_eq!(cleaner.finish().text.spoken, " you.");
    // The next stream begins afresh.
    assert_eq!(cleaner.push("Good bye. ").text.spoken, "Good bye.");
}

#[test]
fn a_thought_is_known_by_its_end() {
    let mut cleaner = Cleaner::after_thought("en-US");
    let mut said = String::new();
    for token in ["The user", " says hi.", "</thi", "nk>", "\nHello", " there."] {
        said.push_str(&cleaner.push(token).text.spoken);
    }
    said.push_str(&cleaner.finish().text.spoken);
    assert_eq!(said, "Hello there.");
    // What wasn't given out is taken back.
    let mut cleaner = Cleaner::new("en-US");
    assert_eq!(cleaner.push("hm</think>").text.spoken, "");
    assert_eq!(cleaner.push("Hello you").text.spoken, "Hello");
}

proptest! {
    #[test]
    fn a_stream_is_read_as_the_whole(
        tokens in prop::collection::vec("(\\*|_|#|`|\\[a\\]\\(b\\)|\\||\n|<b>|\\$|€|%|[0-9]{1,5}|[.,:/ ()+-]|am|p\\.m\\.|Nov|May|St\\.|z\\. B\\.|km|@|a\\.com|https://|😀|é| ){0,4}", 0..12),
        language in prop::sample::select(vec!["en-US", "de-DE", "es-ES", "fr-FR", "it"]),
    ) {
        let whole = tokens.concat();
        let mut cleaner = Cleaner::new(language);
        let (mut said, mut written) = (String::new(), String::new());
        let mut pieces: Vec<Piece> = tokens.iter().map(|token| cleaner.push(token)).collect();
        pieces.push(cleaner.finish());
        for piece in &pieces {
            let (mut at, mut from) = (0, 0);
            for (spoken, part) in &piece.text.spans {
                prop_assert_eq!((spoken.start, part.start), (at, from));
                (at, from) = (spoken.end, part.end);
            }
            prop_assert_eq!((at, from), (piece.text.spoken.len(), piece.written.len()), "{:?}", piece);
            said.push_str(&piece.text.spoken);
            written.push_str(&piece.written);
        }
        prop_assert_eq!(&written, &whole);
        if is_speakable(&whole, language) {
            prop_assert_eq!(said, speakable(&whole, language), "{:?}", whole);
        }
    }

    #[test]
    fn known_languages_leave_no_figures(text in "[ -~€£°½é\n]{0,60}", language in prop::sample::select(vec!["en-US", "de-DE", "es-ES", "fr-FR"])) {
        let spoken = speakable(&text, language);
        let odd = spoken.chars().find(|c| c.is_ascii_digit() || "#*~`<>|\\^=@$%&[]{}€£".contains(*c));
        prop_assert_eq!(odd, None, "{:?} -> {:?}", text, spoken);
    }
}

#[test]
fn a_stream_that_stops_gives_what_it_held_and_goes_on() {
    let mut cleaner = Cleaner::new("en-US");
    let mut piece = cleaner.push("It is in the town.");
    assert_eq!((piece.text.spoken.as_str(), cleaner.held()), ("It is in the", " town."));
    piece.append(&cleaner.flush());
    assert_eq!((piece.text.spoken.as_str(), cleaner.held()), ("It is in the town.", ""));
    piece.append(&cleaner.push(" It costs $5"));
    piece.append(&cleaner.finish());
    assert_eq!(piece.text.spoken, "It is in the town. It costs five dollars");
    assert_eq!(piece.written, "It is in the town. It costs $5");
    assert_eq!(piece.text.written_until("It is in the town. It costs five".len()), piece.written.len());
}
