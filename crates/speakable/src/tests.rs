#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn say(text: &str) -> String {
    speakable(text, "en-US")
}

#[test]
fn english_is_written_out() {
    let cases = [
        ("That is $5.20, please.", "That is five dollars and twenty cents, please."),
        ("It's $1.", "It's one dollar."),
        ("$0.99 or €3.5 or £1.01", "ninety-nine cents or three point five euros or one pound and one penny"),
        ("We raised $5M and 2 million users.", "We raised five million dollars and two million users."),
        ("5 EUR, 10€ or 1,250 USD", "five euros, ten euros or one thousand two hundred fifty dollars"),
        ("About 5% or 2.5 %.", "About five percent or two point five percent."),
        ("The 1st, 2nd and 21st floor.", "The first, second and twenty-first floor."),
        (
            "In 1999 and 2026, in the 1990s and 80s.",
            "In nineteen ninety-nine and twenty twenty-six, in the nineteen nineties and eighties.",
        ),
        (
            "12345 people, 1,234,567 more",
            "twelve thousand three hundred forty-five people, one million two hundred thirty-four thousand five hundred sixty-seven more",
        ),
        ("Order 12345678.", "Order one two three, four five six, seven eight."),
        ("Pi is 3.14, it's -5 degrees.", "Pi is three point one four, it's minus five degrees."),
        ("Call 555-0123.", "Call five five five, zero one two three."),
        (
            "Call +1 (415) 555-2671 now.",
            "Call plus one, four one five, five five five, two six seven one now.",
        ),
        ("(415) 555-2671", "four one five, five five five, two six seven one"),
        ("+442079460958", "plus four four two, zero seven nine, four six zero, nine five eight"),
        ("On 2026-11-21 at 15:30.", "On November twenty-first, twenty twenty-six at three thirty p.m."),
        ("Nov 21, 2026", "November twenty-first, twenty twenty-six"),
        ("Friday, November 3 at 3:05 PM.", "Friday, November third at three oh five p.m."),
        ("See you Fri, Nov 3rd.", "See you Friday, November third."),
        (
            "11/21/2026 or 21/11/2026",
            "November twenty-first, twenty twenty-six or November twenty-first, twenty twenty-six",
        ),
        ("the 21st of November", "the twenty-first of November"),
        ("We open 9:00-17:00, 9am–5pm.", "We open nine o'clock to five p.m., nine a.m. to five p.m."),
        ("At 3pm. Then home.", "At three p.m. Then home."),
        (
            "It takes 2-3 days, 5 km and 1 kg.",
            "It takes two to three days, five kilometers and one kilogram.",
        ),
        ("20°C, 5GB, 30min", "twenty degrees Celsius, five gigabytes, thirty minutes"),
        ("Mail john.doe42@example.co.uk.", "Mail john dot doe four two at example dot co dot U K."),
        ("See https://www.example.com/help-me?x=1.", "See example dot com slash help dash me."),
        ("Visit example.io today.", "Visit example dot I O today."),
        ("Dr. Smith, 5 Elm St.", "Doctor Smith, five Elm Street."),
        (
            "St. Mary & Mr. Jones, e.g. today, etc.",
            "Saint Mary and Mister Jones, for example today, et cetera.",
        ),
        ("Your code is QX7K9P.", "Your code is Q X seven K nine P."),
        ("COVID-19 and 4G and MP3", "COVID-nineteen and 4G and MP3"),
        (
            "Half is 1/2, 3/4, 24/7, 2½.",
            "Half is one half, three quarters, twenty-four seven, two and one half.",
        ),
        ("You're #1!", "You're number one!"),
        ("3 * 4 = 12, 3 + 4", "three times four equals twelve, three plus four"),
        ("Version 1.2.3 is out", "Version one point two point three is out"),
        ("Yes - of course.", "Yes, of course."),
        ("v1.2 of Node.js", "v1.2 of Node.js"),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter(|(text, expected)| say(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  is     {}\n  not    {expected}", say(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn markup_and_pictures_are_left_out() {
    let cases = [
        ("**Hello** there, *friend*!", "Hello there, friend!"),
        ("# Your order\n- two pizzas\n- a salad", "Your order. two pizzas. a salad"),
        ("Read [our terms](https://example.com/terms) first.", "Read our terms first."),
        ("Say `hello world` now ~~not~~", "Say hello world now not"),
        ("Great! 😀👍🏽 Bye ❤️", "Great! Bye"),
        ("a<br>b <b>bold</b> Tom &amp; I", "a b bold Tom and I"),
        ("| a | b |\n|---|---|\n| c | d |", "a, b. c, d"),
        ("some_name stays, _this_ not", "some_name stays, this not"),
        ("one\ntwo", "one two"),
        ("```python", ""),
        ("> quoted **$5**", "quoted five dollars"),
    ];
    let wrong: Vec<String> = cases
        .into_iter()
        .filter(|(text, expected)| say(text) != *expected)
        .map(|(text, expected)| format!("{text}\n  is     {}\n  not    {expected}", say(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn other_languages_keep_their_numbers() {
    assert_eq!(speakable("**Das** kostet 5,20 € 😀", "de-DE"), "Das kostet 5,20 €");
    assert_eq!(speakable("03/04/2026", "en-GB"), "April third, twenty twenty-six");
    assert_eq!(speakable("03/04/2026", "en-US"), "March fourth, twenty twenty-six");
}

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
    fn plain_words_stay(words in prop::collection::vec("[a-z]{2,9}", 1..12), comma in any::<bool>()) {
        let text = words.join(if comma { ", " } else { " " }) + "?";
        let found = Speakable::new(&text, "en-US");
        prop_assert_eq!(&found.spoken, &text);
        prop_assert!(found.is_verbatim());
        prop_assert_eq!(speakable(&found.spoken, "en-US"), text);
    }
}
