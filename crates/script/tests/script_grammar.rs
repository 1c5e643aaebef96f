//! The recogniser's grammar of the shipped agents: everything that callers are known to say is in it, and the agent
//! understands it. The grammar is read here by a small JSGF parser of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use offhook_script::{Dialog, Script, shipped};
use offhook_stage_api::ReplyReason;

const DICTIONARY: &str = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict";

fn dialog(name: &str) -> Dialog {
    Dialog::new(Arc::new(Script::from_toml(shipped(name).unwrap()).unwrap()))
}

/// What JSGF is made of.
#[derive(Debug)]
enum Part {
    Word(String),
    Rule(String),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    Maybe(Box<Self>),
    Many(Box<Self>),
}

struct Grammar {
    rules: BTreeMap<String, Part>,
}

impl Grammar {
    fn parse(text: &str) -> Self {
        let body = text.strip_prefix("#JSGF V1.0;\ngrammar agent;\n").unwrap();
        let mut rules = BTreeMap::new();
        for line in body.split(";\n").filter(|line| !line.is_empty()) {
            let (name, right) = line.strip_prefix("public ").unwrap_or(line).split_once(" = ").unwrap();
            let spaced = ["(", ")", "[", "]", "|", "*"]
                .iter()
                .fold(right.to_owned(), |text, sign| text.replace(sign, &format!(" {sign} ")));
            let mut tokens = spaced.split_whitespace().peekable();
            let part = Self::either(&mut tokens);
            assert_eq!(tokens.next(), None, "rule {name} goes on after its end");
            assert!(rules.insert(name.to_owned(), part).is_none(), "rule {name} is there twice");
        }
        Self { rules }
    }

    fn either<'a>(tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Part {
        let mut ways = vec![Self::sequence(tokens)];
        while tokens.next_if_eq(&"|").is_some() {
            ways.push(Self::sequence(tokens));
        }
        Part::Either(ways)
    }

    fn sequence<'a>(tokens: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>) -> Part {
        let mut parts: Vec<Part> = Vec::new();
        while let Some(token) = tokens.next_if(|token| !matches!(*token, ")" | "]" | "|")) {
            let part = match token {
                "(" => {
                    let inner = Self::either(tokens);
                    assert_eq!(tokens.next(), Some(")"));
                    inner
                }
                "[" => {
                    let inner = Self::either(tokens);
                    assert_eq!(tokens.next(), Some("]"));
                    Part::Maybe(Box::new(inner))
                }
                "*" => Part::Many(Box::new(parts.pop().unwrap())),
                rule if rule.starts_with('<') => Part::Rule(rule.to_owned()),
                word => Part::Word(word.to_owned()),
            };
            parts.push(part);
        }
        assert!(!parts.is_empty(), "JSGF has no empty alternatives");
        Part::Sequence(parts)
    }

    /// Where `part` may end if it begins at `at`.
    fn ends(&self, part: &Part, words: &[&str], at: usize) -> BTreeSet<usize> {
        match part {
            Part::Word(word) => {
                words.get(at).filter(|said| *said == word).map(|_| at + 1).into_iter().collect()
            }
            Part::Rule(name) if name == "<VOID>" => BTreeSet::new(),
            Part::Rule(name) => self.ends(&self.rules[name], words, at),
            Part::Either(ways) => ways.iter().flat_map(|way| self.ends(way, words, at)).collect(),
            Part::Maybe(inner) => self.ends(inner, words, at).into_iter().chain([at]).collect(),
            Part::Sequence(parts) => parts.iter().fold(BTreeSet::from([at]), |starts, part| {
                starts.into_iter().flat_map(|at| self.ends(part, words, at)).collect()
            }),
            Part::Many(inner) => {
                let (mut all, mut new) = (BTreeSet::from([at]), vec![at]);
                while let Some(at) = new.pop() {
                    new.extend(self.ends(inner, words, at).into_iter().filter(|end| all.insert(*end)));
                }
                all
            }
        }
    }

    fn accepts(&self, sentence: &str) -> bool {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        self.ends(&self.rules["<sentence>"], &words, 0).contains(&words.len())
    }

    fn words(&self) -> BTreeSet<&str> {
        fn walk<'a>(part: &'a Part, words: &mut BTreeSet<&'a str>) {
            match part {
                Part::Word(word) => {
                    words.insert(word);
                }
                Part::Rule(_) => {}
                Part::Sequence(parts) | Part::Either(parts) => {
                    parts.iter().for_each(|part| walk(part, words))
                }
                Part::Maybe(inner) | Part::Many(inner) => walk(inner, words),
            }
        }
        let mut words = BTreeSet::new();
        self.rules.values().for_each(|part| walk(part, &mut words));
        words
    }
}

const COMMON: &[&str] = &[
    "yes",
    "no",
    "yes please",
    "no thanks",
    "that's right",
    "no that's wrong",
    "what are your opening hours",
    "talk to an agent",
    "repeat that please",
    "start over",
    "goodbye",
    "help",
    "where are you located",
];

/// What callers say to the pizza agent, and what it says back before "is that right?". Lines before the last are only
/// there to have something to change.
const ORDERS: &[(&[&str], &str)] = &[
    (&["two large pepperoni pizzas"], "two large pepperoni pizzas"),
    (&["one small cheese pizza"], "one small cheese pizza"),
    (&["i would like a large mushroom pizza please"], "one large mushroom pizza"),
    (&["can i get three medium veggie pizzas"], "three medium veggie pizzas"),
    (&["a medium hawaiian pizza and two cokes"], "one medium hawaiian pizza and two cokes"),
    (
        &["i want a small pepperoni pizza with extra cheese"],
        "one small pizza with pepperoni and extra cheese",
    ),
    (&["make it four large sausage pizzas"], "four large sausage pizzas"),
    (&["a small cheese pizza", "make it four large sausage pizzas"], "four large sausage pizzas"),
    (&["two large pepperoni pizzas", "make it three"], "three large pepperoni pizzas"),
    (&["two large pepperoni pizzas", "make it small"], "two small pepperoni pizzas"),
    (&["a salad", "and a bottle of water"], "one salad and one bottle of water"),
    (&["add two orders of garlic bread"], "two orders of garlic bread"),
    (&["can i have a large pizza with olives and onions"], "one large pizza with olives and onions"),
    (&["can i have a large pizza with olives and onions", "no onions please"], "one large pizza with olives"),
    (&["give me one large cheese pizza and a salad"], "one large cheese pizza and one salad"),
    (&["give me one large cheese pizza and a salad", "remove the salad"], "one large cheese pizza"),
    (&["two small mushroom pizzas and three lemonades"], "two small mushroom pizzas and three lemonades"),
];

/// What callers say to the booking agent, what they answer to its questions, and what it reads back.
const BOOKINGS: &[(&[&str], &str)] = &[
    (&["a table for four at seven thirty on friday"], "for four, on Friday, at seven thirty"),
    (&["a table for two tonight", "at eight"], "for two, tonight, at eight"),
    (
        &["i would like to book a table for six people", "tomorrow at eight o'clock"],
        "for six, tomorrow, at eight o'clock",
    ),
    (&["next saturday at six fifteen", "two"], "for two, next Saturday, at six fifteen"),
    (&["can i reserve a table for three on sunday at noon"], "for three, on Sunday, at noon"),
    (&["a table for five on tuesday at half past seven"], "for five, on Tuesday, at half past seven"),
    (
        &["a table for four at seven on friday", "make it eight instead of seven"],
        "for four, on Friday, at eight",
    ),
    (
        &["there will be ten of us", "on the twenty first of march", "six forty five please"],
        "for ten, on the twenty first of March, at six forty five",
    ),
];

fn said_at_last(mut dialog: Dialog, lines: &[&str]) -> String {
    let mut text = String::new();
    let lines = lines.iter().map(|line| ReplyReason::Caller { text: (*line).to_owned(), confidence: None });
    for reason in std::iter::once(ReplyReason::Greeting).chain(lines) {
        let (answer, next) = dialog.respond(&reason);
        (text, dialog) = (answer.text, next);
    }
    text
}

#[test]
fn what_callers_say_is_in_the_grammar() {
    for (name, only) in [
        ("pizza", &["cancel my order", "for delivery", "i will pick it up"][..]),
        ("booking", &["cancel my reservation", "is there a parking lot close to the restaurant"][..]),
    ] {
        let grammar = Grammar::parse(dialog(name).grammar());
        let cases = if name == "pizza" { ORDERS } else { BOOKINGS };
        for phrase in COMMON.iter().chain(only).chain(cases.iter().flat_map(|(lines, _)| *lines)) {
            assert!(grammar.accepts(phrase), "{name} can't hear “{phrase}”");
        }
        for noise in ["the weather is nice today", "two two large", "", "a table of cheese"] {
            assert!(!grammar.accepts(noise), "{name} takes “{noise}”");
        }
    }
}

#[test]
fn what_callers_order_is_read_back() {
    for (lines, order) in ORDERS {
        let lines = [*lines, &["no thanks", "for delivery"]].concat();
        assert_eq!(
            said_at_last(dialog("pizza"), &lines),
            format!("So that's {order}, for delivery. Is that right?")
        );
    }
}

#[test]
fn what_callers_book_is_read_back() {
    for (lines, booking) in BOOKINGS {
        assert_eq!(
            said_at_last(dialog("booking"), lines),
            format!("That's a table {booking}. Shall I book it?")
        );
    }
}

#[test]
fn the_dictionary_has_every_word() {
    // Present where the embedded recogniser is.
    let Ok(dictionary) = std::fs::read_to_string(DICTIONARY) else { return };
    let known: BTreeSet<&str> =
        dictionary.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in ["pizza", "booking"] {
        let dialog = dialog(name);
        let declared = dialog.respond(&ReplyReason::Greeting).0.expectation.pronunciations;
        let grammar = Grammar::parse(dialog.grammar());
        for word in grammar.words() {
            // The recogniser makes plurals of words that it knows itself.
            let singular = word.strip_suffix('s').unwrap_or(word);
            let declared = declared.iter().any(|(declared, _)| declared == word);
            assert!(known.contains(word) || known.contains(singular) || declared, "{name}: {word}");
        }
    }
}
