//! What the model can't hear: keyed numbers, and what the engine has to say to it. Each is written once.

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Content, Entry, ReplyRequest};

use super::Session;
use crate::llm::{Message, note_of};

/// A note that the server was given.
#[derive(Debug)]
pub(super) struct Told {
    entry: Entry,
    /// The reply that it was written for: if that never happens, the note goes with it.
    pub(super) reply: ReplyId,
}

const fn is_note(entry: &Entry) -> bool {
    matches!(entry.content, Content::Digits { .. } | Content::TransferFailed { .. } | Content::Note { .. })
}

impl Session {
    /// Whether the history has something that the model can't have heard.
    pub(super) fn has_news(&self, request: &ReplyRequest) -> bool {
        request.history.iter().any(|entry| is_note(entry) && !self.was_told(entry))
    }

    fn was_told(&self, entry: &Entry) -> bool {
        self.told.iter().any(|told| told.entry == *entry)
    }

    /// What is new of the history, to be written.
    pub(super) fn news(&self, request: &ReplyRequest) -> Vec<Message> {
        let new = request.history.iter().filter(|entry| is_note(entry) && !self.was_told(entry));
        new.filter_map(|entry| note_of(&entry.content)).map(Message::User).collect()
    }

    /// The server has all of this history.
    pub(super) fn tell(&mut self, request: &ReplyRequest) {
        self.told.retain(|told| request.history.contains(&told.entry));
        for entry in request.history.iter().filter(|entry| is_note(entry)) {
            if !self.was_told(entry) {
                self.told.push(Told { entry: entry.clone(), reply: request.reply });
            }
        }
    }
}
