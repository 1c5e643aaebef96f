//! Conversations with the shipped agents, turn by turn.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use offhook_script::{Dialog, SHIPPED, Script, shipped};
use offhook_stage_api::{Content, Delivery, Digits, Entry, ReplyReason};
use proptest::prelude::*;

fn script(name: &str) -> Arc<Script> {
    Arc::new(Script::from_toml(shipped(name).unwrap()).unwrap())
}

/// Both sides of a conversation in which the caller says these lines.
fn conversation(name: &str, lines: &[&str]) -> String {
    let mut dialog = Dialog::new(script(name));
    let mut text = String::new();
    let reasons = lines.iter().map(|line| ReplyReason::Caller { text: (*line).to_owned(), confidence: None });
    for reason in std::iter::once(ReplyReason::Greeting).chain(reasons) {
        if let ReplyReason::Caller { text: said, .. } = &reason {
            text.push_str(&format!("caller: {said}\n"));
        }
        let (answer, next) = dialog.respond(&reason);
        let tools: String = answer.tools.iter().map(|tool| format!(" [{}]", tool.name)).collect();
        text.push_str(&format!("agent:  {}{tools}\n", answer.text));
        dialog = next;
    }
    text
}

#[test]
fn shipped_agents_are_valid() {
    for (name, file) in SHIPPED {
        let script = Script::from_toml(file).unwrap();
        assert_eq!(&script.agent.name, name);
    }
}

#[test]
fn the_documented_example_is_valid() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/agents.md")).unwrap();
    let page = page.split_once("## Agents by script").unwrap().1;
    let example = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let script = Script::from_toml(example).unwrap();
    assert_eq!(script.slots.len(), 2);
    let typo = example.replace("greeting =", "greating =");
    let error = Script::from_toml(&typo).unwrap_err().to_string();
    assert!(error.contains("did you mean `greeting`?"), "{error}");
}

#[test]
fn an_order_with_digression_and_correction() {
    insta::assert_snapshot!(conversation(
        "pizza",
        &[
            "two large pepperoni pizzas",
            "what are your opening hours",
            "and a bottle of water",
            "no thanks",
            "for delivery",
            "no that's wrong",
            "remove the bottle of water",
            "yes please",
        ]
    ));
}

#[test]
fn sizes_are_asked_for_and_extras_kept() {
    insta::assert_snapshot!(conversation(
        "pizza",
        &[
            "can i have a large pizza with olives and onions",
            "a medium hawaiian pizza and two cokes",
            "no onions please",
            "give me one cheese pizza and a salad",
            "small",
            "i want a small pepperoni pizza with extra cheese",
            "add two orders of garlic bread",
            "no",
            "i will pick it up",
            "yes",
        ]
    ));
}

#[test]
fn what_is_not_understood_is_asked_again() {
    insta::assert_snapshot!(conversation(
        "pizza",
        &[
            "",
            "",
            "my flight was delayed by two hours",
            "the weather is nice today",
            "repeat that please",
            "goodbye",
        ]
    ));
}

#[test]
fn a_booking_in_one_breath_and_its_correction() {
    insta::assert_snapshot!(conversation(
        "booking",
        &["a table for four at seven thirty on friday", "make it eight instead of seven", "yes",]
    ));
}

#[test]
fn a_booking_piece_by_piece() {
    insta::assert_snapshot!(conversation(
        "booking",
        &[
            "i would like to book a table for six people",
            "on the twenty first of march",
            "six forty five please",
            "there will be ten of us",
            "can i reserve a table for three on sunday at noon",
            "a table for five on tuesday at half past seven",
            "next saturday at six fifteen",
            "tomorrow at eight o'clock",
            "cancel my reservation for thursday",
        ]
    ));
}

/// A conversation that has come to its read-back.
fn read_back() -> (Dialog, String) {
    let mut dialog = Dialog::new(script("pizza"));
    let mut text = String::new();
    for line in ["two large pepperoni pizzas", "no thanks", "for delivery"] {
        let (answer, next) = dialog.respond(&caller(line));
        (text, dialog) = (answer.text, next);
    }
    (dialog, text)
}

fn caller(text: &str) -> ReplyReason {
    ReplyReason::Caller { text: text.to_owned(), confidence: None }
}

fn cut(heard: &str, said: &str) -> Vec<Entry> {
    let heard = Content::Agent { text: heard.to_owned(), delivery: Delivery::Interrupted };
    [heard, words(said)].map(|content| Entry::at(content, 0)).into()
}

fn words(text: &str) -> Content {
    Content::Caller { text: text.to_owned() }
}

fn keys(keys: &str) -> Content {
    Content::Digits { digits: Digits::new(keys) }
}

fn entries(contents: impl IntoIterator<Item = Content>) -> Vec<Entry> {
    contents.into_iter().zip(1..).map(|(content, at)| Entry::at(content, at)).collect()
}

fn asked() -> Content {
    Content::Agent { text: "Asked.".into(), delivery: Delivery::Heard }
}

#[test]
fn keys_and_words_of_one_turn_are_both_heard() {
    // "Press one for pickup": the third question of this script.
    let mut dialog = Dialog::new(script("pizza"));
    for line in ["two large pepperoni pizzas", "no thanks"] {
        dialog = dialog.respond(&caller(line)).1;
    }
    let (by_key, _) = dialog.respond(&ReplyReason::Digits(Digits::new("1")));
    assert!(by_key.text.ends_with("Is that right?"), "{}", by_key.text);
    for (history, reason) in [
        (entries([asked(), keys("1"), words("that is it")]), ReplyReason::Digits(Digits::new("1"))),
        (entries([asked(), words("let me see"), keys("1")]), ReplyReason::Digits(Digits::new("1"))),
        (entries([asked(), keys("1"), words("that is it")]), caller("that is it")),
        // Said over a filler: the request tells why it was made.
        (entries([keys("1"), asked(), words("that is it")]), ReplyReason::Digits(Digits::new("1"))),
    ] {
        let (answer, _) = dialog.answer(&history, &reason);
        assert_eq!(answer.text, by_key.text, "{history:?}");
    }
    let (both, next) =
        dialog.answer(&entries([asked(), keys("1"), words("and a salad")]), &caller("and a salad"));
    assert!(
        both.text.contains("salad") && next.known().iter().any(|(name, _)| name == "how"),
        "{}",
        both.text
    );
}

#[test]
fn an_answer_of_which_nothing_was_heard_was_given_all_the_same() {
    let dialog = Dialog::new(script("pizza"));
    let history = entries([asked(), words("two large pepperoni pizzas")]);
    let (_, dialog) = dialog.answer(&history, &caller("two large pepperoni pizzas"));
    let history = entries([asked(), words("two large pepperoni pizzas"), words("and a salad")]);
    let (_, dialog) = dialog.answer(&history, &caller("and a salad"));
    assert_eq!(dialog.known()[0].1, "two large pepperoni pizzas and one salad");
}

#[test]
fn a_yes_to_half_a_read_back_is_no_agreement() {
    let (dialog, text) = read_back();
    let (early, next) = dialog.as_heard(&cut("So that's two", "yes")).respond(&caller("yes"));
    assert_eq!((early.text.as_str(), early.tools.len()), (text.as_str(), 0), "it is read back again");
    let (again, _) = next.as_heard(&cut("So that's two large", "yes")).respond(&caller("yes"));
    assert_eq!(again.tools.len(), 1, "a caller who insists isn't asked a third time");
    let heard = "So that's two large pepperoni pizzas, for delivery. Is";
    let (heard, _) = dialog.as_heard(&cut(heard, "yes")).respond(&caller("yes"));
    assert_eq!(heard.tools.len(), 1, "only the question was cut off");
}

#[test]
fn a_yes_with_a_but_is_no_agreement() {
    for line in ["yes but wait", "right no that's wrong", "not yet"] {
        let (answer, _) = read_back().0.respond(&caller(line));
        assert!(answer.tools.is_empty(), "{line}: {}", answer.text);
    }
}

#[test]
fn keys_answer_and_are_offered() {
    let mut dialog = Dialog::new(script("pizza"));
    let mut said = Vec::new();
    let key = |keys: &str| ReplyReason::Digits(Digits::new(keys));
    let lines = [caller("one cheese pizza"), key("3"), key("2"), key("7"), key("*"), key("1"), key("1")];
    for reason in lines {
        let (answer, next) = dialog.respond(&reason);
        said.push(answer.text);
        dialog = next;
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    Alright. What size of pizza: small, medium or large?
    Got it. Anything else?
    Is that for delivery or for pickup?
    Sorry, I didn't get that. Is that for delivery or for pickup?
    I'm sorry, I still didn't understand. Please say it in a few words, like: one large cheese pizza. Is that for delivery or for pickup? Press one for delivery or two for pickup.
    So that's one large cheese pizza, for delivery. Is that right?
    Great, your order will be ready in twenty minutes. Thank you, and goodbye!
    ");
}

#[test]
fn repeat_says_what_was_asked_not_that_it_was_not_understood() {
    let mut dialog = Dialog::new(script("booking"));
    for line in ["a table for two", "the weather is nice", ""] {
        dialog = dialog.respond(&caller(line)).1;
    }
    assert_eq!(dialog.respond(&caller("repeat that please")).0.text, "Certainly. For which day?");
}

#[test]
fn what_would_break_a_call_is_refused() {
    let page = include_str!("../agents/pizza.toml");
    for (right, wrong, reason) in [
        ("phrases = [\"start over\"]", "phrases = [\"...\"]", "has no word that a caller could say"),
        ("phrases = [\"start over\"]", "phrases = []", "has no `phrases`"),
        ("name = \"how\"", "name = \"order\"", "two slots named `order`"),
        ("name = \"how\"", "name = \"summary\"", "can't be named `summary`"),
        ("So that's {summary}", "So that's {sumary}", "there is no such slot"),
        ("action = \"restart\"", "action = \"transfer\"\nsay = \"One moment.\"", "has no `number`"),
        ("action = \"restart\"", "", "has nothing to `say`"),
        ("more = \"Anything else?\"", "more = \" \"", "hear silence"),
    ] {
        assert!(page.contains(right), "{right}");
        let error = Script::from_toml(&page.replacen(right, wrong, 1)).unwrap_err().to_string();
        assert!(error.contains(reason), "{wrong}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn there_is_always_an_answer(
        agent in proptest::sample::select(vec!["pizza", "booking"]),
        lines in proptest::collection::vec("[a-z' ]{0,30}|(two|large|pizza|no|yes|with|onions|remove|the|at|for|seven|instead|of| ){0,12}", 1..8),
    ) {
        let mut dialog = Dialog::new(script(agent));
        for text in lines {
            let (answer, next) = dialog.respond(&ReplyReason::Caller { text, confidence: None });
            prop_assert!(!answer.text.trim().is_empty());
            dialog = next;
        }
    }
}
