//! The model's tools and their results.

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Content, Entry, ToolResult};

use super::{CALLS, Called, Knows, Session};
use crate::llm::{Message, note_of};

impl Session {
    pub(in crate::realtime) fn called(&mut self, reply: ReplyId, id: &str, name: &str) {
        if self.called.len() >= CALLS {
            self.called.remove(0);
        }
        let (id, name) = (id.to_owned(), name.to_owned());
        self.called.push(Called { id, name, reply, answered: false });
    }

    pub(super) fn tool_result(&mut self, result: &ToolResult) {
        if !self.connected || self.knows == Knows::Nothing {
            return; // the next request's history has it
        }
        if !self.answer(result) {
            self.write(&Message::User(note_of(&Content::ToolResult(result.clone())).unwrap_or_default()));
        }
    }

    /// Results that came while the server could not be told, or that were no command of their own.
    pub(super) fn answer_open_calls(&mut self, history: &[Entry]) {
        for entry in history {
            if let Content::ToolResult(result) = &entry.content {
                self.answer(result);
            }
        }
    }

    /// Gives a result to the call that waits for it. False if none does.
    fn answer(&mut self, result: &ToolResult) -> bool {
        let its =
            |called: &Called| !called.answered && called.name == result.name && result.answers(&called.id);
        // Of two calls with the same id the later one's has a suffix.
        let first = self.called.iter().position(|called| its(called) && called.id == result.id);
        let Some(called) =
            first.or_else(|| self.called.iter().rposition(its)).and_then(|place| self.called.get_mut(place))
        else {
            return false;
        };
        called.answered = true;
        let (text, failed) = match &result.outcome {
            Ok(text) => (text.clone(), false),
            Err(why) => (why.clone(), true),
        };
        let message = Message::Result { id: called.id.clone(), name: called.name.clone(), text, failed };
        self.write(&message);
        true
    }
}
