//! Language models.

pub(crate) mod chat;
mod chat_check;
pub(crate) mod cohere;
mod families;
pub(crate) mod gemini;
mod gemini_check;
pub(crate) mod interactions;
pub(crate) mod messages;
mod messages_check;
pub(crate) mod responses;
mod responses_check;
mod services;
mod sse;

use std::time::Duration;

use serde_json::{Value, json};

use crate::http::Reply;
use crate::state::State;

/// The list of models.
pub(crate) fn models(state: &State) -> Reply {
    let known =
        if state.config.models.is_empty() { vec!["double".to_owned()] } else { state.config.models.clone() };
    let data: Vec<Value> = known
        .iter()
        .map(|id| json!({"id": id, "object": "model", "created": 1_795_190_400, "owned_by": "double"}))
        .collect();
    Reply::json(&json!({"object": "list", "data": data}), Duration::ZERO)
}

/// Tokens that a text has, by the rule of thumb of four characters each.
fn count(text: &str) -> usize {
    text.len().div_ceil(4)
}
