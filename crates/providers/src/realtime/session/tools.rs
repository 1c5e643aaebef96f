//! The model's tools and their results.

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Party, ToolResult, Turn};

use super::{CALLS, Called, Knows, Session};
use crate::llm::Message;

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
            return; // the next request's turns tell it
        }
        let (text, failed) = match &result.outcome {
            Ok(text) => (text.clone(), false),
            Err(why) => (why.clone(), true),
        };
        let called = self.called.iter_mut().find(|called| !called.answered && result.answers(&called.id));
        let message = match called {
            Some(called) => {
                called.answered = true;
                Message::Result { id: called.id.clone(), name: called.name.clone(), text, failed }
            }
            None => Message::User(format!("[{}: {text}]", result.name)),
        };
        self.write(&message);
    }

    /// Tools that the call gave up, because the caller interrupted, have only left a line among the turns.
    pub(super) fn answer_given_up(&mut self, turns: &[Turn]) {
        let mut given_up = Vec::new();
        for called in self.called.iter_mut().filter(|called| !called.answered) {
            let of_it = |turn: &&Turn| {
                turn.who == Party::Tool
                    && turn.text.strip_prefix(called.name.as_str()).is_some_and(|rest| {
                        rest.starts_with('(') || rest.starts_with(": ") || rest.starts_with(" failed: ")
                    })
            };
            let Some(turn) = turns.iter().rev().find(of_it) else { continue };
            if let Some((_, text)) = turn.text.split_once(" failed: ") {
                called.answered = true;
                let (id, name, text) = (called.id.clone(), called.name.clone(), text.to_owned());
                given_up.push(Message::Result { id, name, text, failed: true });
            }
        }
        for message in given_up {
            self.write(&message);
        }
    }
}
