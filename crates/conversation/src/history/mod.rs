//! The conversation so far, live: at any moment what was said and heard up to then, in order.
//!
//! What is being said stands in it from its first sound on; how much of it was heard is asked of the line when the history is
//! rendered. It grows with the call, and a model's price and delay grow with it: past a limit its older part is shortened into a
//! summary.

mod roll_up;

use offhook_stage_api::{CallTime, Content, Delivery, Digits, Entry, ToolCall, ToolResult, UtteranceId};

use crate::config::HistoryConfig;
use crate::deadline::ms;
use crate::line::Line;
use crate::turn::TurnNumber;

/// Whose an entry is, while it may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    /// The caller's turn: its words may be corrected.
    Turn(TurnNumber),
    /// An utterance that is being said.
    Saying(UtteranceId),
}

#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    open: Option<Open>,
}

/// The entries, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct History {
    most_chars: usize,
    slots: Vec<Slot>,
}

impl History {
    /// Begins with what was said before, if anything was.
    pub(crate) fn new(config: &HistoryConfig) -> Self {
        let slots = config.before.iter().map(|entry| Slot { entry: entry.clone(), open: None }).collect();
        let mut history = Self { most_chars: config.most_chars, slots };
        history.shorten();
        history
    }

    /// The caller's turn is over: these are its words. A turn that goes on is given again, whole.
    pub(crate) fn caller(&mut self, turn: TurnNumber, text: &str, span: (CallTime, CallTime)) {
        let content = Content::Caller { text: text.to_owned() };
        match self.find(Open::Turn(turn)) {
            Some(place) if text.trim().is_empty() => {
                self.slots.remove(place);
            }
            Some(place) => {
                if let Some(slot) = self.slots.get_mut(place) {
                    slot.entry.content = content;
                    slot.entry.ended_ms = ms(span.1);
                }
            }
            None if text.trim().is_empty() => {}
            None => self.push(content, span, Some(Open::Turn(turn))),
        }
    }

    /// The words of a turn that is over and may still change.
    pub(crate) fn words_of(&self, turn: TurnNumber) -> Option<&str> {
        self.slots.get(self.find(Open::Turn(turn))?)?.entry.words()
    }

    /// The turn goes on: it is no entry yet.
    pub(crate) fn withdraw(&mut self, turn: TurnNumber) {
        if let Some(place) = self.find(Open::Turn(turn)) {
            self.slots.remove(place);
        }
    }

    /// The first sound of an utterance went out.
    pub(crate) fn began(&mut self, id: UtteranceId, now: CallTime) {
        let content = Content::Agent { text: String::new(), delivery: Delivery::Saying };
        self.push(content, (now, now), Some(Open::Saying(id)));
    }

    /// An utterance is over; this was heard of it.
    pub(crate) fn ended(&mut self, id: UtteranceId, heard: &str, whole: bool, now: CallTime) {
        let Some(place) = self.find(Open::Saying(id)) else { return };
        if heard.trim().is_empty() {
            self.slots.remove(place);
            return;
        }
        if let Some(slot) = self.slots.get_mut(place) {
            let delivery = if whole { Delivery::Heard } else { Delivery::Interrupted };
            slot.entry.content = Content::Agent { text: heard.trim().to_owned(), delivery };
            slot.entry.ended_ms = ms(now).max(slot.entry.began_ms);
            slot.open = None;
        }
        self.shorten();
    }

    pub(crate) fn tool_call(&mut self, call: ToolCall, now: CallTime) {
        self.push(Content::ToolCall(call), (now, now), None);
    }

    pub(crate) fn tool_result(&mut self, result: ToolResult, now: CallTime) {
        self.push(Content::ToolResult(result), (now, now), None);
    }

    pub(crate) fn digits(&mut self, digits: Digits, span: (CallTime, CallTime)) {
        self.push(Content::Digits { digits }, span, None);
    }

    pub(crate) fn transfer_failed(&mut self, to: String, why: String, now: CallTime) {
        self.push(Content::TransferFailed { to, why }, (now, now), None);
    }

    /// Everything up to `now`. `unanswered` is a turn of the caller's that isn't over yet.
    pub(crate) fn render(
        &self,
        line: &dyn Line,
        texts: impl Fn(UtteranceId) -> Option<String>,
        unanswered: Option<(&str, (CallTime, CallTime))>,
        now: CallTime,
    ) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::with_capacity(self.slots.len() + 1);
        for slot in &self.slots {
            let Some(Open::Saying(id)) = slot.open else {
                entries.push(slot.entry.clone());
                continue;
            };
            // All that was given to the voice: what the caller doesn't hear of it after all, a later request doesn't have.
            let text = texts(id).unwrap_or_else(|| line.heard(id, now).text);
            if !text.trim().is_empty() {
                let content = Content::Agent { text: text.trim().to_owned(), delivery: Delivery::Saying };
                entries.push(Entry { content, began_ms: slot.entry.began_ms, ended_ms: ms(now) });
            }
        }
        if let Some((text, (began, ended))) = unanswered.filter(|(text, _)| !text.trim().is_empty()) {
            let content = Content::Caller { text: text.to_owned() };
            entries.push(Entry { content, began_ms: ms(began), ended_ms: ms(ended.max(began)) });
        }
        entries
    }

    /// What the agent said last, as far as it was heard.
    pub(crate) fn last_of_agent(&self) -> Option<&str> {
        self.slots.iter().rev().find_map(|slot| match &slot.entry.content {
            Content::Agent { text, .. } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
    }

    /// As they stand, without what is being said.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let said = self.slots.iter().filter(|slot| !matches!(slot.open, Some(Open::Saying(_))));
        said.map(|slot| slot.entry.clone()).collect()
    }

    fn find(&self, open: Open) -> Option<usize> {
        self.slots.iter().rposition(|slot| slot.open == Some(open))
    }

    fn push(&mut self, content: Content, (began, ended): (CallTime, CallTime), open: Option<Open>) {
        let entry = Entry { content, began_ms: ms(began), ended_ms: ms(ended.max(began)) };
        self.slots.push(Slot { entry, open });
        self.shorten();
    }

    fn shorten(&mut self) {
        let open = |slot: &Slot| matches!(slot.open, Some(Open::Saying(_)));
        let movable = self.slots.iter().take_while(|slot| !open(slot)).count();
        let entries = self.slots.iter().map(|slot| &slot.entry);
        if let Some((count, summary)) = roll_up::roll_up(entries, movable, self.most_chars) {
            self.slots.splice(..count, [Slot { entry: summary, open: None }]);
        }
    }
}
