//! What was said, heard and keyed, in order, against the history in each request; keyed digits reach the model exactly once.

use std::collections::{BTreeMap, BTreeSet};

use offhook_conversation::{CallEvent, UtteranceKind, contains_words};
use offhook_stage_api::{
    Content, Delivery, LlmEvent, ReplyId, ReplyReason, ReplyRequest, ToolCall, ToolResult, UtteranceId,
    tools::TRANSFER,
};

/// Numbers reach the model within this, where nothing holds that up for longer.
const DELIVERED_WITHIN: u64 = 12_000_000;

#[derive(Clone, Debug, PartialEq)]
enum Noted {
    Caller { turn: u32, text: String },
    Saying(UtteranceId),
    Said { text: String, whole: bool },
    Digits,
}

#[derive(Default)]
pub(super) struct History {
    noted: Vec<Noted>,
    turns: u32,
    /// The turn that is over and may be reopened, and the one before.
    open: Option<u32>,
    closed: Option<u32>,
    /// The reply whose first sound just went out, before it is committed.
    begun: Option<UtteranceId>,
    /// What utterances say that aren't replies.
    phrases: BTreeMap<UtteranceId, String>,
    replies: BTreeMap<UtteranceId, ReplyId>,
    written: BTreeMap<ReplyId, String>,
    speculated: BTreeSet<ReplyId>,
    hearing: String,
    /// All keys that were pressed, but terminators; and when the last was.
    keyed: String,
    keyed_at: u64,
    digits: usize,
    digits_at: u64,
    /// How many numbers the last request had, and which digits.
    delivered: (usize, String),
    /// What the recogniser was sure of, and when.
    finals: Vec<(String, u64)>,
    /// Turns that got no answer.
    given_up: Vec<String>,
    asked: BTreeMap<String, ToolCall>,
    results: BTreeMap<String, ToolResult>,
}

impl History {
    pub(super) fn on_event(&mut self, event: &CallEvent, now: u64) {
        match event {
            CallEvent::TurnEnded(turn) => {
                self.turns += 1;
                self.open = None;
                if !turn.text.trim().is_empty() {
                    self.open = Some(self.turns);
                    self.noted.push(Noted::Caller { turn: self.turns, text: turn.text.clone() });
                }
            }
            CallEvent::TurnReopened => {
                if let Some(open) = self.open.take() {
                    self.noted.retain(|noted| !matches!(noted, Noted::Caller { turn, .. } if *turn == open));
                }
            }
            CallEvent::Trouble { message } => {
                let rest = |prefix| message.strip_prefix(prefix)?.strip_suffix('”');
                let late = "the final transcript came after the answer: the caller's turn is now “";
                if let Some(text) = rest(late) {
                    self.correct(self.closed, text);
                }
                if let Some(text) = rest("words came after the end of the caller's turn, which is now “") {
                    self.correct(self.open, text);
                }
            }
            CallEvent::TurnDropped { text, .. } => self.given_up.push(text.clone()),
            CallEvent::Hearing { text } => self.hearing.clone_from(text),
            CallEvent::Speculated { reply } => {
                self.speculated.insert(*reply);
            }
            CallEvent::Speaking { utterance, what, text } => {
                if !matches!(what, UtteranceKind::Keys | UtteranceKind::Echo) {
                    self.noted.push(Noted::Saying(*utterance));
                    self.phrases.insert(*utterance, text.clone());
                    self.begun = Some(*utterance);
                }
                return;
            }
            CallEvent::Said { utterance, heard, interrupted, .. } => {
                let place = self.noted.iter().position(|noted| *noted == Noted::Saying(*utterance));
                if let Some(place) = place {
                    if heard.trim().is_empty() {
                        self.noted.remove(place);
                    } else {
                        self.noted[place] =
                            Noted::Said { text: heard.trim().to_owned(), whole: !interrupted };
                    }
                }
            }
            CallEvent::Digits { .. } => {
                self.noted.push(Noted::Digits);
                self.digits += 1;
                self.digits_at = now;
            }
            _ => {}
        }
        self.begun = None;
    }

    fn correct(&mut self, which: Option<u32>, corrected: &str) {
        for noted in &mut self.noted {
            if let Noted::Caller { turn, text } = noted
                && Some(*turn) == which
            {
                corrected.clone_into(text);
                return;
            }
        }
        self.turns += 1;
        if which == self.closed {
            self.closed = Some(self.turns);
        } else {
            self.open = Some(self.turns);
        }
        self.noted.push(Noted::Caller { turn: self.turns, text: corrected.to_owned() });
    }

    /// The turn is answered: from now on it can be corrected, but not reopened.
    pub(super) fn turn_closed(&mut self) {
        self.closed = self.open.take();
    }

    pub(super) fn on_key(&mut self, key: char, now: u64) {
        if key != '#' {
            self.keyed.push(key);
        }
        self.keyed_at = now;
    }

    pub(super) fn begin_input(&mut self) {
        self.begun = None;
    }

    /// Text of a reply that the model still writes.
    pub(super) fn on_llm_event(&mut self, event: &LlmEvent) {
        if let LlmEvent::Text { reply, delta } = event {
            self.written.entry(*reply).or_default().push_str(delta);
        }
    }

    /// A reply became true: by the utterance that just began, if by any.
    pub(super) fn committed(&mut self, reply: ReplyId) -> Option<UtteranceId> {
        let utterance = self.begun.take()?;
        self.replies.insert(utterance, reply);
        Some(utterance)
    }

    pub(super) fn on_tool(&mut self, call: &ToolCall) {
        if call.name != TRANSFER {
            self.asked.insert(call.id.clone(), call.clone());
        }
    }

    pub(super) fn on_cancel_tool(&mut self, id: &str) {
        self.asked.remove(id);
    }

    pub(super) fn on_tool_result(&mut self, result: &ToolResult) {
        if self.asked.contains_key(&result.id) {
            self.results.entry(result.id.clone()).or_insert_with(|| result.clone());
        }
    }

    /// What the entries of words and digits are to be.
    fn expected(&self, request: &ReplyRequest) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for noted in &self.noted {
            all.push(match noted {
                Noted::Caller { text, .. } => format!("caller “{text}”"),
                Noted::Said { text, whole: true } => format!("agent “{text}”"),
                Noted::Said { text, whole: false } => format!("agent “{text}” interrupted"),
                Noted::Digits => "digits".to_owned(),
                Noted::Saying(id) => {
                    let written = self.replies.get(id).and_then(|reply| self.written.get(reply));
                    let text = written.or_else(|| self.phrases.get(id)).map_or("", |text| text.trim());
                    format!("agent “{text}” saying")
                }
            });
        }
        if self.speculated.contains(&request.reply) {
            all.push(format!("caller “{}”", self.hearing));
        }
        all
    }

    pub(super) fn check(&mut self, request: &ReplyRequest, mailbox: bool) -> Result<(), String> {
        let mut words = Vec::new();
        let mut digits = String::new();
        let mut numbers = 0;
        let mut calls = BTreeSet::new();
        let mut results = BTreeMap::new();
        for entry in &request.history {
            match &entry.content {
                Content::Caller { text } => words.push(format!("caller “{text}”")),
                Content::Agent { text, delivery } => words.push(match delivery {
                    Delivery::Heard => format!("agent “{text}”"),
                    Delivery::Interrupted => format!("agent “{text}” interrupted"),
                    Delivery::Saying => format!("agent “{text}” saying"),
                }),
                Content::Digits { digits: keys } => {
                    words.push("digits".to_owned());
                    numbers += 1;
                    digits.extend(keys.reveal().chars().filter(|key| *key != '#'));
                }
                Content::ToolCall(call) => {
                    if !calls.insert(call.id.clone()) {
                        return Err(format!("history: two tool calls have the id {}", call.id));
                    }
                }
                Content::ToolResult(result) => {
                    if !calls.contains(&result.id) {
                        return Err(format!("history: a result of {} stands before its call", result.id));
                    }
                    if results.insert(result.id.clone(), result.clone()).is_some() {
                        return Err(format!("history: two results of {}", result.id));
                    }
                }
                Content::TransferFailed { .. } | Content::Note { .. } | Content::Summary { .. } => {}
            }
        }
        let expected = self.expected(request);
        if words != expected {
            let (words, expected) = (words.join("\n  "), expected.join("\n  "));
            return Err(format!(
                "history of {} is not what was said and heard:\n  {words}\nbut was\n  {expected}",
                request.reply
            ));
        }
        if let ReplyReason::Caller { text, .. } = &request.reason {
            let said = |noted: &Noted| matches!(noted, Noted::Caller { text: said, .. } if said == text);
            let known = self.noted.iter().rev().any(said);
            if !self.speculated.contains(&request.reply) && !known && !text.is_empty() {
                return Err(format!("history: {} answers “{text}”, which isn't in it", request.reply));
            }
        }
        if let Some(lost) = self.asked.keys().find(|id| !calls.contains(*id)) {
            return Err(format!("history: the call {lost} isn't in it"));
        }
        for (id, result) in &self.results {
            if results.get(id).map(|known| &known.outcome) != Some(&result.outcome) {
                return Err(format!(
                    "history: the result of {id} isn't in it, or another: {:?}",
                    results.get(id)
                ));
            }
        }
        if !mailbox && !self.keyed.starts_with(&digits) {
            return Err(format!("digits: {digits} are in the history, but {} were keyed", self.keyed));
        }
        self.delivered = (numbers, digits);
        Ok(())
    }

    /// Nothing could be answered while the connection was gone.
    pub(super) fn on_back(&mut self, now: u64) {
        self.keyed_at = self.keyed_at.max(now);
        self.digits_at = self.digits_at.max(now);
        for (_, at) in &mut self.finals {
            *at = now;
        }
    }

    /// The recogniser's last word on what the caller said.
    pub(super) fn on_final(&mut self, text: &str, now: u64) {
        self.finals.push((text.to_owned(), now));
    }

    pub(super) fn close(&self, now: u64) -> Result<(), String> {
        let turns = self.noted.iter().filter_map(|noted| match noted {
            Noted::Caller { text, .. } => Some(text),
            _ => None,
        });
        let kept: Vec<&String> = turns.chain(&self.given_up).collect();
        for (text, _) in self.finals.iter().filter(|(_, at)| at + DELIVERED_WITHIN < now) {
            // It may go on in the next turn.
            let pairs = kept.windows(2).map(|pair| format!("{} {}", pair[0], pair[1]));
            if !kept.iter().any(|kept| contains_words(kept, text))
                && !pairs.into_iter().any(|kept| contains_words(&kept, text))
            {
                return Err(format!("words: “{text}” was said, but is in no turn: {kept:?}"));
            }
        }
        if self.delivered.0 < self.digits && self.digits_at + DELIVERED_WITHIN < now {
            return Err("digits: a number never reached the model".to_owned());
        }
        if self.delivered.1 != self.keyed && self.keyed_at + DELIVERED_WITHIN < now {
            return Err(format!(
                "digits: {} were keyed, but {} reached the model",
                self.keyed, self.delivered.1
            ));
        }
        Ok(())
    }
}
