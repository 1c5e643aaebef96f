//! What the agent answers: a pure function from state and words to answer and next state.
//!
//! Because answers may be speculative, [`Dialog::respond`] changes nothing: it gives the answer and the state that
//! follows if the answer is heard.

mod heard;
mod question;

use std::sync::Arc;

use offhook_stage_api::tools::END_CALL;
use offhook_stage_api::{Entry, Expectation, ReplyReason, ToolCall};

use question::Open;

use super::grammar::grammar;
use super::order::take_over;
use super::parse::{Change, Value, changes, yes_no};
use super::say::{all_of, join, name, pick, pick_round};
use super::schema::{Action, Part, Script, placeholders};
use super::words::tokens;

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
    /// What was said last, without what only told that nothing was understood.
    last: String,
    /// What was said last, all of it.
    said: String,
    /// The caller spoke before everything was read back: a "yes" can't mean all of it.
    cut_short: bool,
    /// It was read back a second time for that; not a third.
    read_again: bool,
    /// The caller said that everything is right.
    agreed: bool,
    /// The caller was to be handed over, and nobody took them.
    is_back: bool,
    /// What the latest answer was given to.
    answered: Vec<Entry>,
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
    /// It must be heard: only keys interrupt it.
    pub must_be_heard: bool,
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
            said: String::new(),
            cut_short: false,
            read_again: false,
            agreed: false,
            is_back: false,
            answered: Vec::new(),
            script,
        }
    }

    /// The recogniser's grammar.
    #[must_use]
    pub fn grammar(&self) -> &str {
        &self.grammar
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub const fn is_fresh(&self) -> bool {
        self.turns == 0
    }

    /// Whether the caller has said that everything is right.
    #[must_use]
    pub const fn agreed(&self) -> bool {
        self.agreed
    }

    /// What is known, by the slots' names, as the agent would say it.
    #[must_use]
    pub fn known(&self) -> Vec<(String, String)> {
        let slots = self.script.slots.iter().enumerate();
        let named = slots.map(|(index, slot)| (slot.name.clone(), self.value_text(index)));
        named.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// Whether there is anything to be settled at all.
    #[must_use]
    pub fn has_aim(&self) -> bool {
        !self.script.slots.is_empty()
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
            ReplyReason::Digits(digits) => match next.keyed(digits.reveal()) {
                Some(said) => next.hear(&said, &mut tools),
                None => next.miss(),
            },
            ReplyReason::Tool if self.is_back => join(&next.script.texts.transfer_failed, &next.question()),
            ReplyReason::Tool => next.question(),
        };
        let text = next.fill(&text);
        if (next.misses, next.unheard) <= (self.misses, self.unheard) || self.last.is_empty() {
            next.last.clone_from(&text);
        }
        next.said.clone_from(&text);
        next.cut_short = false;
        let expectation = next.expectation();
        let part = match reason {
            ReplyReason::Greeting => Some(Part::Greeting),
            _ if tools.iter().any(|tool| tool.name == END_CALL) => Some(Part::Goodbye),
            _ if next.open == Open::Confirm => Some(Part::Confirm),
            _ => None,
        };
        let must_be_heard = part.is_some_and(|part| next.script.agent.must_be_heard.contains(&part));
        (Answer { text, tools, expectation, must_be_heard }, next)
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
        if self.open == Open::Nothing {
            // The greeting was not ours: what it asked, we don't know.
            self.open = self.next_open();
        }
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
            (Open::Confirm, Some(true)) if self.cut_short && !self.read_again => {
                self.read_again = true;
                self.question()
            }
            (Open::Confirm, Some(true)) => {
                self.open = Open::Over;
                self.agreed = true;
                tools.push(ToolCall::end_call());
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
            Action::Repeat if self.last.is_empty() => self.miss(),
            Action::Repeat => self.last.clone(),
            Action::Restart => {
                self.values.fill(None);
                self.closed.fill(false);
                self.open = self.next_open();
                join(&self.script.texts.restart, &self.question())
            }
            Action::Goodbye => {
                self.open = Open::Over;
                tools.push(ToolCall::end_call());
                if intent.say.is_empty() { self.script.texts.goodbye.clone() } else { intent.say.clone() }
            }
            Action::Transfer => {
                let to = intent.number.clone().unwrap_or_default();
                tools.push(ToolCall::transfer(&to));
                intent.say.clone()
            }
        })
    }

    fn miss(&mut self) -> String {
        let text = pick(&self.script.texts.fallback, self.misses);
        self.misses += 1;
        let hint = if self.misses > 1 { self.key_hint() } else { String::new() };
        join(&join(&text, &self.question()), &hint)
    }

    /// Takes over what was said. True if anything changed.
    fn apply(&mut self, found: &[(usize, Change)]) -> bool {
        let before = self.values.clone();
        let mut added = false;
        for (slot, change) in found {
            let Some(value) = self.values.get_mut(*slot) else { continue };
            let Some(declared) = self.script.slots.get(*slot) else { continue };
            let renewed = take_over(value, change, &declared.items);
            added |= renewed;
            if let (true, Change::Add(_), Some(closed)) = (renewed, change, self.closed.get_mut(*slot)) {
                *closed = self.open == Open::Correct || self.open == Open::Confirm;
            }
        }
        added || self.values != before
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
