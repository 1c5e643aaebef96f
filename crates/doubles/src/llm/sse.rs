//! Server-sent events, paced as tokens come.

use std::time::Duration;

use serde_json::Value;

use crate::http::{Reply, Role};
use crate::latency::each;
use crate::quirk::Quirk;
use crate::state::State;

/// Builds a streamed answer: the first event after the time to the first token, the others at the model's rate.
pub(super) struct Events {
    pub(super) reply: Reply,
    first: Option<Duration>,
    token: Duration,
    /// Comments, empty data and carriage returns between the events.
    pub(super) noise: bool,
}

impl Events {
    pub(super) fn new(state: &State) -> Self {
        let pace = state.config.latency.llm;
        Self {
            reply: Reply { content_type: "text/event-stream; charset=utf-8", ..Reply::default() },
            first: Some(state.draw(pace.first)),
            token: each(pace.rate),
            noise: state.has(Quirk::SseNoise),
        }
    }

    /// An event that waits for nothing but the first token's time.
    pub(super) fn push(&mut self, name: Option<&str>, data: &Value) {
        self.put(name, data, Duration::ZERO, Role::Event);
    }

    /// An event with a token.
    pub(super) fn token(&mut self, name: Option<&str>, data: &Value) {
        self.put(name, data, self.token, Role::Event);
    }

    /// The event that ends the answer.
    pub(super) fn last(&mut self, name: Option<&str>, data: &Value) {
        self.put(name, data, Duration::ZERO, Role::Last);
    }

    fn put(&mut self, name: Option<&str>, data: &Value, after: Duration, role: Role) {
        let after = self.first.take().unwrap_or(after);
        let mut text = event(name, data);
        if self.noise {
            text = format!(": keep-alive\r\n\r\ndata:\r\n\r\n{}", text.replace('\n', "\r\n"));
        }
        self.reply.push(after, role, text);
    }
}

/// One event.
pub(super) fn event(name: Option<&str>, data: &Value) -> String {
    let name = name.map(|name| format!("event: {name}\n")).unwrap_or_default();
    format!("{name}data: {data}\n\n")
}
