//! What the agent answers: a pure function from state and words to answer and next state.
//!
//! Because answers may be speculative, [`Dialog::respond`] changes nothing: it gives the answer and the state that
//! follows if the answer is heard.

use std::sync::Arc;

use offhook_call::stage::{AnswerKind, Expectation, ReplyReason, ToolCall};

use super::grammar::grammar;
use super::parse::{Change, Ordered, Value, changes, yes_no};
use super::schema::{Action, Item, Script, SlotKind, placeholders};
use super::words::{spell, tokens};

/// Where the conversation stands.
#[derive(Clone, Debug)]
pub struct Dialog {
    script: Arc<Script>,
    grammar: Arc<str>,
    values: Vec<Option<Value>>,
    /// Slots of items whose "anything else?" was answered with no.
    closed: Vec<bool>,
    open: Open,
    misses: usize,
    unheard: usize,
    turns: usize,
    last: String,
}

/// The open question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Nothing,
    Slot(usize),
    More(usize),
    /// Which size?
    Size(usize),
    Confirm,
    /// What should be changed?
    Correct,
    Over,
}

/// What the agent says and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The words.
    pub text: String,
    /// Tools, to be used once the answer is heard.
    pub tools: Vec<ToolCall>,
    /// What the caller is expected to say next.
    pub expectation: Expectation,
}

impl Dialog {
    /// A conversation that hasn't begun.
    #[must_use]
    pub fn new(script: Arc<Script>) -> Self {
        let count = script.slots.len();
        Self {
            grammar: grammar(&script).into(),
            values: vec![None; count],
            closed: vec![false; count],
            open: Open::Nothing,
            misses: 0,
            unheard: 0,
            turns: 0,
            last: String::new(),
            script,
        }
    }

    /// The recogniser's grammar.
    #[must_use]
    pub fn grammar(&self) -> &str {
        &self.grammar
    }

    /// The answer, and the state that follows if it is heard.
    #[must_use]
    pub fn respond(&self, reason: &ReplyReason) -> (Answer, Self) {
        let mut next = self.clone();
        next.turns += 1;
        let mut tools = Vec::new();
        let text = match reason {
            ReplyReason::Greeting => {
                let greeting = next.script.texts.greeting.clone();
                next.open_first(greeting)
            }
            ReplyReason::Caller { text, .. } => next.hear(text, &mut tools),
            ReplyReason::Digits(digits) => {
                let said = match digits.reveal() {
                    "1" => "yes",
                    "2" => "no",
                    _ => "",
                };
                next.hear(said, &mut tools)
            }
            ReplyReason::Tool => next.question(),
        };
        let text = next.fill(&text);
        next.last.clone_from(&text);
        let expectation = next.expectation();
        (Answer { text, tools, expectation }, next)
    }

    fn expectation(&self) -> Expectation {
        let script = &self.script;
        let answer = match self.open {
            Open::Confirm | Open::More(_) => AnswerKind::YesNo,
            Open::Size(_) => AnswerKind::Choice,
            Open::Slot(slot) if script.slots.get(slot).is_some_and(|slot| slot.kind == SlotKind::Choice) => {
                AnswerKind::Choice
            }
            _ => AnswerKind::Open,
        };
        let names = script.slots.iter().flat_map(|slot| {
            let items = slot.items.iter().flat_map(|item| std::iter::once(&item.name).chain(&item.extras));
            slot.values.iter().flatten().chain(items).cloned().collect::<Vec<_>>()
        });
        Expectation {
            grammar: Some(self.grammar.to_string()),
            pronunciations: script
                .pronunciations
                .iter()
                .map(|(word, phones)| (word.clone(), phones.clone()))
                .collect(),
            keyterms: names.collect(),
            language: Some(script.agent.language.clone()),
            answer,
        }
    }

    fn open_first(&mut self, greeting: String) -> String {
        self.open = self.next_open();
        // A greeting that asks already needs no second question.
        if greeting.trim_end().ends_with('?') || self.open == Open::Confirm {
            if self.open == Open::Confirm {
                self.open = Open::Nothing;
            }
            greeting
        } else {
            join(&greeting, &self.question())
        }
    }

    fn hear(&mut self, text: &str, tools: &mut Vec<ToolCall>) -> String {
        if text.trim().is_empty() {
            let text = pick(&self.script.texts.unheard, self.unheard);
            self.unheard += 1;
            return if self.unheard > 1 { join(&text, &self.question()) } else { text };
        }
        self.unheard = 0;
        if let Some(answer) = self.hear_intent(text, tools) {
            self.misses = 0;
            return answer;
        }
        let said = yes_no(text);
        let asked = match self.open {
            Open::Slot(slot) | Open::More(slot) | Open::Size(slot) => Some(slot),
            _ => None,
        };
        let found = changes(&self.script, text, asked);
        let changed = self.apply(&found);
        if changed {
            self.misses = 0;
            return self.go_on(true);
        }
        match (self.open, said) {
            (Open::Confirm, Some(true)) => {
                self.open = Open::Over;
                tools.push(end_call());
                self.script.texts.done.clone()
            }
            (Open::Confirm, Some(false)) => {
                self.open = Open::Correct;
                self.script.texts.correct.clone()
            }
            (Open::More(slot), Some(false)) => {
                if let Some(closed) = self.closed.get_mut(slot) {
                    *closed = true;
                }
                self.misses = 0;
                self.go_on(false)
            }
            (Open::More(_) | Open::Correct, Some(true)) => "What would you like?".to_owned(),
            (Open::Correct, Some(false)) => self.go_on(false),
            _ => self.miss(),
        }
    }

    fn hear_intent(&mut self, text: &str, tools: &mut Vec<ToolCall>) -> Option<String> {
        let said = format!(" {} ", tokens(text).join(" "));
        let script = Arc::clone(&self.script);
        let intent = script.intents.iter().find(|intent| {
            intent.phrases.iter().any(|phrase| said.contains(&format!(" {} ", tokens(phrase).join(" "))))
        })?;
        Some(match intent.action {
            Action::Answer => join(&intent.say, &self.question()),
            Action::Repeat => self.last.clone(),
            Action::Restart => {
                self.values.fill(None);
                self.closed.fill(false);
                self.open = self.next_open();
                join(&self.script.texts.restart, &self.question())
            }
            Action::Goodbye => {
                self.open = Open::Over;
                tools.push(end_call());
                if intent.say.is_empty() { self.script.texts.goodbye.clone() } else { intent.say.clone() }
            }
            Action::Transfer => {
                let to = intent.number.clone().unwrap_or_default();
                let arguments = serde_json::json!({ "to": to });
                tools.push(ToolCall { id: String::new(), name: "transfer_call".to_owned(), arguments });
                intent.say.clone()
            }
        })
    }

    fn miss(&mut self) -> String {
        let text = pick(&self.script.texts.fallback, self.misses);
        self.misses += 1;
        let keys = matches!(self.open, Open::Confirm | Open::More(_)) && self.misses > 1;
        let hint = if keys { "Press one for yes, or two for no." } else { "" };
        join(&join(&text, &self.question()), hint)
    }

    /// Takes over what was said. True if anything changed.
    fn apply(&mut self, found: &[(usize, Change)]) -> bool {
        let before = self.values.clone();
        let mut added = false;
        for (slot, change) in found {
            let Some(value) = self.values.get_mut(*slot) else { continue };
            let sized = |ordered: &&mut Ordered| {
                let item = self.script.slots.get(*slot).and_then(|slot| slot.items.get(ordered.item));
                ordered.size.is_none() && item.is_some_and(|item| !item.sizes.is_empty())
            };
            match change {
                Change::Set(text) => *value = Some(Value::Text(text.clone())),
                Change::Add(ordered) => {
                    let Some(items) = items_of(value) else { continue };
                    // The same thing again right away is a repetition of it, said to make it clear.
                    if items.last() != Some(ordered) {
                        items.push(ordered.clone());
                    }
                    added = true;
                    if let Some(closed) = self.closed.get_mut(*slot) {
                        *closed = self.open == Open::Correct || self.open == Open::Confirm;
                    }
                }
                Change::Remove(item) => {
                    if let Some(items) = items_of(value) {
                        items.retain(|ordered| ordered.item != *item);
                    }
                }
                Change::Without(extra) => {
                    for ordered in items_of(value).into_iter().flatten() {
                        ordered.extras.retain(|known| !known.contains(extra.as_str()));
                    }
                }
                Change::Size(size) => {
                    if let Some(ordered) = items_of(value).into_iter().flatten().find(sized) {
                        ordered.size = Some(size.clone());
                    }
                }
            }
            if matches!(value, Some(Value::Items(items)) if items.is_empty()) {
                *value = None;
            }
        }
        added || self.values != before
    }

    fn next_open(&self) -> Open {
        for (index, slot) in self.script.slots.iter().enumerate() {
            match self.values.get(index).and_then(Option::as_ref) {
                None => return Open::Slot(index),
                Some(Value::Items(items)) => {
                    let lacks = |ordered: &Ordered| {
                        ordered.size.is_none()
                            && slot.items.get(ordered.item).is_some_and(|item| !item.sizes.is_empty())
                    };
                    if items.iter().any(lacks) {
                        return Open::Size(index);
                    }
                    if slot.more.is_some() && self.closed.get(index) == Some(&false) {
                        return Open::More(index);
                    }
                }
                Some(Value::Text(_)) => {}
            }
        }
        if self.script.slots.is_empty() { Open::Nothing } else { Open::Confirm }
    }

    fn go_on(&mut self, acknowledge: bool) -> String {
        self.open = self.next_open();
        let question = self.question();
        if acknowledge && self.open != Open::Confirm && !self.script.texts.acknowledge.is_empty() {
            let acknowledge = pick_round(&self.script.texts.acknowledge, self.turns);
            return join(&acknowledge, &question);
        }
        question
    }

    /// The open question, in words.
    fn question(&self) -> String {
        let slot = |index: usize| self.script.slots.get(index);
        match self.open {
            Open::Slot(index) => slot(index).map(|slot| slot.ask.clone()).unwrap_or_default(),
            Open::More(index) => slot(index).and_then(|slot| slot.more.clone()).unwrap_or_default(),
            Open::Size(index) => self.size_question(index),
            Open::Confirm => self.script.texts.confirm.clone(),
            Open::Correct => self.script.texts.correct.clone(),
            Open::Nothing | Open::Over => String::new(),
        }
    }

    fn size_question(&self, index: usize) -> String {
        let Some(Some(Value::Items(items))) = self.values.get(index) else { return String::new() };
        let Some(slot) = self.script.slots.get(index) else { return String::new() };
        let lacking = items.iter().find_map(|ordered| {
            let item = slot.items.get(ordered.item)?;
            (ordered.size.is_none() && !item.sizes.is_empty()).then_some(item)
        });
        lacking
            .map(|item| format!("What size of {}: {}?", item.name, either(&item.sizes)))
            .unwrap_or_default()
    }

    /// Puts values into a text.
    fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for name in placeholders(text) {
            let value = match self.script.slots.iter().position(|slot| slot.name == name) {
                Some(index) => self.value_text(index),
                None => self.summary(),
            };
            filled = filled.replace(&format!("{{{name}}}"), &value);
        }
        filled
    }

    fn summary(&self) -> String {
        let parts = self
            .script
            .slots
            .iter()
            .enumerate()
            .filter(|(index, _)| self.values.get(*index).is_some_and(Option::is_some));
        let parts: Vec<String> =
            parts.map(|(index, slot)| slot.summary.replace("{}", &self.value_text(index))).collect();
        parts.join(", ")
    }

    fn value_text(&self, index: usize) -> String {
        match self.values.get(index).and_then(Option::as_ref) {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Items(items)) => {
                let Some(slot) = self.script.slots.get(index) else { return String::new() };
                let named: Vec<String> = items
                    .iter()
                    .filter_map(|ordered| Some(name(ordered, slot.items.get(ordered.item)?)))
                    .collect();
                all_of(&named)
            }
        }
    }
}

/// The list in a slot of items; a new one if there was none.
fn items_of(value: &mut Option<Value>) -> Option<&mut Vec<Ordered>> {
    match value.get_or_insert_with(|| Value::Items(Vec::new())) {
        Value::Items(items) => Some(items),
        Value::Text(_) => None,
    }
}

fn name(ordered: &Ordered, item: &Item) -> String {
    let mut words = vec![if ordered.count == 1 { "one".to_owned() } else { spell(ordered.count) }];
    words.extend(ordered.size.clone());
    let (before, after) = ordered.extras.split_at(ordered.extras.len().min(1));
    // One extra stands before the name, several behind it.
    if after.is_empty() {
        words.extend(before.iter().filter(|extra| !extra.starts_with("extra ")).cloned());
    }
    words.push(if ordered.count == 1 { item.name.clone() } else { item.plural.clone() });
    let behind: Vec<String> = if after.is_empty() {
        before.iter().filter(|extra| extra.starts_with("extra ")).cloned().collect()
    } else {
        ordered.extras.clone()
    };
    if !behind.is_empty() {
        words.push(format!("with {}", all_of(&behind)));
    }
    words.join(" ")
}

fn all_of(parts: &[String]) -> String {
    listed(parts, "and")
}

fn either(parts: &[String]) -> String {
    listed(parts, "or")
}

fn listed(parts: &[String], word: &str) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] => format!("{} {word} {last}", all.join(", ")),
    }
}

fn join(a: &str, b: &str) -> String {
    match (a.trim(), b.trim()) {
        ("", b) => b.to_owned(),
        (a, "") => a.to_owned(),
        (a, b) => format!("{a} {b}"),
    }
}

/// One after the other, the last one again and again.
fn pick(texts: &[String], index: usize) -> String {
    texts.get(index.min(texts.len().saturating_sub(1))).cloned().unwrap_or_default()
}

fn pick_round(texts: &[String], index: usize) -> String {
    texts.get(index % texts.len().max(1)).cloned().unwrap_or_default()
}

fn end_call() -> ToolCall {
    ToolCall { id: String::new(), name: "end_call".to_owned(), arguments: serde_json::Value::Null }
}
