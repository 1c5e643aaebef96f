//! Conversations with the shipped agents, turn by turn.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use offhook_call::stage::ReplyReason;
use offhook_stages::script::{Dialog, SHIPPED, Script, shipped};
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
            prop_assert!(!answer.text.is_empty() || !answer.tools.is_empty());
            dialog = next;
        }
    }
}
