//! ElevenLabs' `stream-input`: one text per socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::elevenlabs::{Voice, decode, patience, policy};
use super::{is_sentence, is_speakable};
use crate::http::Refusal;
use crate::route::Query;
use crate::socket::{Outbox, Protocol};
use crate::state::State;

/// Characters that are waited for before the first, second, … generation, without `auto_mode`.
const SCHEDULE: [usize; 4] = [120, 160, 250, 290];

/// A socket.
#[derive(Debug)]
pub(crate) struct Single {
    voice: Voice,
    auto: bool,
    schedule: Vec<usize>,
    patience: Duration,
    last: Duration,
    begun: bool,
    ended: bool,
    text: String,
}

impl Single {
    pub(crate) fn open(query: &Query, state: &Arc<State>) -> Result<Self, Refusal> {
        Ok(Self {
            voice: Voice::open(query, state)?,
            auto: query.is("auto_mode", "true"),
            schedule: SCHEDULE.to_vec(),
            patience: patience(query)?,
            last: Duration::ZERO,
            begun: false,
            ended: false,
            text: String::new(),
        })
    }

    fn begin(&mut self, message: &Value, out: &mut Outbox) {
        if message["text"] != " " {
            policy(out, "The first message must be a single space.", "invalid_message");
            return;
        }
        self.begun = true;
        let wanted = message["generation_config"]["chunk_length_schedule"].as_array();
        if let Some(wanted) = wanted {
            let numbers: Vec<u64> = wanted.iter().filter_map(Value::as_u64).collect();
            if numbers.len() != wanted.len() || numbers.iter().any(|number| !(50..=500).contains(number)) {
                policy(out, "chunk_length_schedule must have numbers between 50 and 500.", "invalid_message");
                return;
            }
            self.schedule = numbers.into_iter().filter_map(|number| usize::try_from(number).ok()).collect();
        }
    }

    fn generate(&mut self, out: &mut Outbox) {
        let text = std::mem::take(&mut self.text);
        if is_speakable(&text) {
            if self.schedule.len() > 1 {
                self.schedule.remove(0);
            }
            self.voice.speak(text.trim_end(), None, 1, out);
        }
    }
}

impl Protocol for Single {
    fn text(&mut self, text: &str, out: &mut Outbox) {
        self.last = out.now();
        let Some(message) = decode(text, out) else { return };
        if self.ended {
            return;
        }
        if !self.begun {
            self.begin(&message, out);
            return;
        }
        if !message["voice_settings"].is_null() || !message["generation_config"].is_null() {
            policy(out, "Settings can only be set in the first message.", "invalid_message");
            return;
        }
        let Some(text) = message["text"].as_str() else {
            policy(out, "The message has no text.", "invalid_message");
            return;
        };
        self.text.push_str(text);
        let enough = match self.auto {
            true => is_sentence(&self.text),
            false => self.text.chars().count() >= self.schedule.first().copied().unwrap_or(0),
        };
        if text.is_empty() || message["flush"] == true || enough {
            self.generate(out);
        }
        if text.is_empty() {
            self.ended = true;
            let end = out.busy_until(1).unwrap_or(out.now());
            out.last_at(end, 1, self.voice.named(json!({"audio": null, "isFinal": true}), None));
            out.close_at(end, 1000, "");
        }
    }

    fn binary(&mut self, _bytes: &Bytes, out: &mut Outbox) {
        policy(out, "The message is not a JSON object.", "invalid_message");
    }

    fn deadline(&self) -> Option<Duration> {
        (!self.ended).then_some(self.last + self.patience)
    }

    fn expired(&mut self, out: &mut Outbox) {
        self.ended = true;
        idle(self.patience, out);
    }

    fn failure(&self) -> (Value, u16) {
        (json!({"message": "Something went wrong.", "error": "internal_server_error", "code": 1011}), 1011)
    }
}

/// Closes a socket on which nothing was said.
pub(super) fn idle(patience: Duration, out: &mut Outbox) {
    let message = format!(
        "Have not received a new text input within the timeout of {} seconds. Streaming input terminated. Please make sure to \
         send \"\" as a final message.",
        patience.as_secs()
    );
    policy(out, &message, "input_timeout_exceeded");
}
