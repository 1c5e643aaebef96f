//! ElevenLabs' `multi-stream-input`: many texts on one socket, each in a context.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::eleven_input::idle;
use super::elevenlabs::{Voice, decode, patience, policy};
use super::{is_sentence, is_speakable};
use crate::http::Refusal;
use crate::route::Query;
use crate::socket::{Outbox, Protocol};
use crate::state::State;

/// Contexts open at once.
const CONTEXTS: usize = 5;
/// Without `auto_mode`, so many characters are waited for.
const ENOUGH: usize = 120;

#[derive(Debug)]
struct Context {
    tag: u64,
    text: String,
    last: Duration,
    /// When its `isFinal` goes out, once it is closed. It counts as open until then.
    ends: Option<Duration>,
}

/// A socket.
#[derive(Debug)]
pub(crate) struct Multi {
    voice: Voice,
    auto: bool,
    patience: Duration,
    tags: u64,
    contexts: BTreeMap<String, Context>,
    closing: bool,
}

impl Multi {
    pub(crate) fn open(query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        Ok(Self {
            voice: Voice::open(query, state)?,
            auto: query.is("auto_mode", "true"),
            patience: patience(query)?,
            tags: 0,
            contexts: BTreeMap::new(),
            closing: false,
        })
    }

    /// Opens a context if there is room.
    fn context(&mut self, id: &str, out: &mut Outbox) -> bool {
        if self.contexts.contains_key(id) {
            return true;
        }
        if self.contexts.len() >= CONTEXTS {
            let message = format!("Maximum simultaneous contexts exceeded ({CONTEXTS}).");
            policy(out, &message, "max_active_contexts_exceeded");
            self.closing = true;
            return false;
        }
        self.tags += 1;
        let context = Context { tag: self.tags, text: String::new(), last: out.now(), ends: None };
        self.contexts.insert(id.to_owned(), context);
        true
    }

    fn speak(&mut self, id: &str, message: &Value, out: &mut Outbox) {
        let known = self.contexts.contains_key(id);
        let text = message["text"].as_str().unwrap_or("");
        if known && !message["voice_settings"].is_null() {
            policy(
                out,
                "voice_settings can only be set in the first message of a context.",
                "invalid_message",
            );
            return;
        }
        // Flushing or closing a context that was never opened opens it: a phantom that counts.
        let Some(context) = self.context(id, out).then(|| self.contexts.get_mut(id)).flatten() else {
            return;
        };
        if context.ends.is_some() {
            return; // what comes after the close is not spoken
        }
        context.last = out.now();
        context.text.push_str(text);
        let enough = match self.auto {
            true => is_sentence(&context.text),
            false => context.text.chars().count() >= ENOUGH,
        };
        let tag = context.tag;
        if message["flush"] == true || enough {
            let text = std::mem::take(&mut context.text);
            if is_speakable(&text) {
                self.voice.speak(text.trim_end(), Some(id), tag, out);
            }
        }
        if message["close_context"] == true {
            self.finish(id, out);
        }
    }

    /// Closes a context: what is being made still comes, what was not flushed doesn't.
    fn finish(&mut self, id: &str, out: &mut Outbox) {
        let Some(context) = self.contexts.get_mut(id).filter(|context| context.ends.is_none()) else {
            return;
        };
        let end = out.busy_until(context.tag).unwrap_or(out.now());
        context.ends = Some(end);
        out.last_at(end, context.tag, self.voice.named(json!({"isFinal": true}), Some(id)));
    }

    fn let_go(&mut self, now: Duration) {
        self.contexts.retain(|_, context| context.ends.is_none_or(|ends| ends > now));
    }
}

impl Protocol for Multi {
    fn text(&mut self, text: &str, out: &mut Outbox) {
        self.let_go(out.now());
        let Some(message) = decode(text, out) else { return };
        if self.closing {
            return;
        }
        if message["close_socket"] == true {
            let ids: Vec<String> = self.contexts.keys().cloned().collect();
            ids.iter().for_each(|id| self.finish(id, out));
            let end = self.contexts.values().filter_map(|context| context.ends).max();
            out.close_at(end.unwrap_or(out.now()), 1000, "");
            self.closing = true;
            return;
        }
        let id = message["context_id"].as_str().unwrap_or("default").to_owned();
        let keep_alive =
            message["text"] == "" && message["flush"] != true && message["close_context"] != true;
        if keep_alive && !self.contexts.contains_key(&id) {
            policy(out, "The first message of a context must have text.", "invalid_message");
            self.closing = true;
            return;
        }
        self.speak(&id, &message, out);
        self.let_go(out.now());
    }

    fn binary(&mut self, _bytes: &Bytes, out: &mut Outbox) {
        policy(out, "The message is not a JSON object.", "invalid_message");
    }

    fn deadline(&self) -> Option<Duration> {
        let open = self.contexts.values().filter(|context| context.ends.is_none());
        open.map(|context| context.last + self.patience).min().filter(|_| !self.closing)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.closing = true;
        idle(self.patience, out);
    }

    fn failure(&self) -> (Value, u16) {
        (json!({"message": "Something went wrong.", "error": "internal_server_error", "code": 1011}), 1011)
    }
}
