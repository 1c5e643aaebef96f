//! The items of a conversation, and how much sound of each was sent.

use std::time::Duration;

use serde_json::{Value, json};

use super::session::{Refused, invalid};

/// An item.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) value: Value,
    /// Sound of the agent: when each piece goes out, and how much sound there is with it.
    pub(super) sound: Vec<(Duration, Duration)>,
    /// No more of it is sent from then on.
    pub(super) cut: Option<Duration>,
}

impl Item {
    pub(super) fn new(id: String, value: Value) -> Self {
        Self { id, value, sound: Vec::new(), cut: None }
    }

    /// How much sound of it was sent by now.
    pub(super) fn sent(&self, now: Duration) -> Duration {
        let until = self.cut.map_or(now, |cut| cut.min(now));
        self.sound.iter().rev().find(|(at, _)| *at <= until).map_or(Duration::ZERO, |(_, length)| *length)
    }
}

/// Longest conversation kept.
const MOST: usize = 10_000;

/// A conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Items(Vec<Item>);

impl Items {
    pub(super) fn last_id(&self) -> Value {
        self.0.last().map_or(Value::Null, |item| item.id.as_str().into())
    }

    pub(super) fn add(&mut self, item: Item) {
        if self.0.len() < MOST {
            self.0.push(item);
        }
    }

    pub(super) fn find(&mut self, id: &Value) -> Option<&mut Item> {
        let id = id.as_str()?;
        self.0.iter_mut().find(|item| item.id == id)
    }

    pub(super) fn remove(&mut self, id: &Value) -> bool {
        let before = self.0.len();
        self.0.retain(|item| Some(item.id.as_str()) != id.as_str());
        self.0.len() < before
    }

    /// Whether a tool was called by this id.
    pub(super) fn called(&self, id: &Value) -> bool {
        self.0.iter().any(|item| item.value["type"] == "function_call" && item.value["call_id"] == *id)
    }

    /// What the model answers: the last words of the user, or a tool's result.
    pub(super) fn heard(&self) -> (String, bool) {
        let last = self
            .0
            .iter()
            .rev()
            .find(|item| item.value["role"] == "user" || item.value["type"] == "function_call_output");
        let Some(item) = last else { return (String::new(), false) };
        if item.value["type"] == "function_call_output" {
            return (item.value["output"].as_str().unwrap_or("").to_owned(), true);
        }
        let parts = item.value["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts =
            parts.iter().filter_map(|part| part["text"].as_str().or_else(|| part["transcript"].as_str()));
        (texts.collect::<Vec<_>>().join(" "), false)
    }

    /// Cuts an item's sound off. OpenAI's own words for who asks to keep more than there is.
    pub(super) fn truncate(&mut self, id: &Value, end: Option<f64>, now: Duration) -> Result<Value, Refused> {
        let end =
            end.ok_or_else(|| invalid("Missing required parameter: 'audio_end_ms'.", "audio_end_ms"))?;
        let Some(item) = self.find(id) else {
            let message = format!("Error truncating item: the item with id {id} does not exist.");
            return Err(Refused {
                code: "item_truncate_invalid_item_id",
                message,
                param: Some("item_id".to_owned()),
            });
        };
        if item.value["role"] != "assistant" {
            return Err(invalid("Only model output audio messages can be truncated", "item_id"));
        }
        let sent = item.sent(now);
        if end < 0.0 || end > sent.as_secs_f64() * 1_000.0 + 0.5 {
            let message = format!("Audio content of {}ms is already shorter than {end}ms", sent.as_millis());
            return Err(invalid(message, "audio_end_ms"));
        }
        let kept = Duration::from_secs_f64(end / 1_000.0);
        item.sound = vec![(Duration::ZERO, kept)];
        item.value["content"] = json!([{"type": "output_audio", "transcript": ""}]);
        Ok(
            json!({"type": "conversation.item.truncated", "item_id": id, "content_index": 0, "audio_end_ms": end}),
        )
    }
}
