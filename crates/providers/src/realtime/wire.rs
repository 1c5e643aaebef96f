//! The protocol's messages: OpenAI Realtime, the GA interface over WebSockets. Names of its beta, which servers like it still
//! use, are understood as well.
//!
//! Source: <https://platform.openai.com/docs/api-reference/realtime>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_stage_api::ToolUse;
use offhook_stages::{ToolSpec, Usage};
use serde::Deserialize;
use serde_json::{Value, json};

use super::RealtimeConfig;
use crate::llm::Message;

/// Names the settings' message, so that their refusal is known.
pub(super) const SETTINGS: &str = "settings";

/// The session's settings. Whatever is sent of `audio` has both formats: left out, they would go back to linear sound, which
/// is noise on a telephone line.
pub(super) fn session_update(
    config: &RealtimeConfig,
    language: &str,
    instructions: &str,
    tools: &[ToolSpec],
) -> Value {
    let mut transcription = json!({"model": config.transcription_model});
    // The language's first part: these models know no regions.
    let language = language.split(['-', '_']).next().unwrap_or("");
    if !language.is_empty() {
        transcription["language"] = language.into();
    }
    let mut output = json!({"format": {"type": "audio/pcmu"}});
    if !config.voice.is_empty() {
        output["voice"] = config.voice.clone().into();
    }
    if let Some(speed) = config.speed {
        output["speed"] = json!(f64::from((speed * 100.0).round()) / 100.0);
    }
    let mut session = json!({
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": instructions,
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "transcription": transcription,
                // The call finds the turns.
                "turn_detection": null,
            },
            "output": output,
        },
    });
    if !tools.is_empty() {
        let tools = tools.iter().map(|tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.parameters})
        });
        session["tools"] = tools.collect();
        session["tool_choice"] = "auto".into();
    }
    if let Some(most) = config.max_output_tokens {
        session["max_output_tokens"] = most.into();
    }
    if let Value::Object(members) = &mut session {
        members.extend(config.session.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    json!({"type": "session.update", "event_id": SETTINGS, "session": session})
}

pub(super) fn append(mulaw: &[u8]) -> Value {
    json!({"type": "input_audio_buffer.append", "audio": STANDARD.encode(mulaw)})
}

pub(super) fn commit(number: u64) -> Value {
    json!({"type": "input_audio_buffer.commit", "event_id": format!("commit_{number}")})
}

pub(super) fn respond(number: u32, tools: ToolUse) -> Value {
    let mut response = json!({"output_modalities": ["audio"]});
    if tools == ToolUse::None {
        response["tool_choice"] = "none".into();
    }
    json!({"type": "response.create", "event_id": format!("reply_{number}"), "response": response})
}

pub(super) fn cancel(response: Option<&str>) -> Value {
    let mut event = json!({"type": "response.cancel"});
    if let Some(id) = response {
        event["response_id"] = id.into();
    }
    event
}

pub(super) fn truncate(item: &str, content: u32, until_ms: u64) -> Value {
    json!({"type": "conversation.item.truncate", "item_id": item, "content_index": content, "audio_end_ms": until_ms})
}

pub(super) fn delete(item: &str) -> Value {
    json!({"type": "conversation.item.delete", "item_id": item})
}

/// A message of the conversation, in writing.
pub(super) fn create(id: &str, message: &Message) -> Value {
    let said = |role: &str, kind: &str, text: &str| json!({"id": id, "type": "message", "role": role, "content": [{"type": kind, "text": text}]});
    let item = match message {
        Message::User(text) => said("user", "input_text", text),
        Message::Assistant(text) => said("assistant", "output_text", text),
        Message::Call { id: call, name, arguments, .. } => {
            json!({"id": id, "type": "function_call", "call_id": call, "name": name, "arguments": arguments.to_string()})
        }
        Message::Result { id: call, text, failed, .. } => {
            let output = if *failed { json!({"error": text}).to_string() } else { text.clone() };
            json!({"id": id, "type": "function_call_output", "call_id": call, "output": output})
        }
    };
    json!({"type": "conversation.item.create", "item": item})
}

/// What the server says.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
pub(super) enum Heard {
    #[serde(rename = "session.updated")]
    SessionUpdated {
        #[serde(default)]
        session: Value,
    },
    #[serde(rename = "input_audio_buffer.committed")]
    Committed { item_id: String },
    #[serde(rename = "conversation.item.input_audio_transcription.delta")]
    CallerDelta {
        item_id: String,
        #[serde(default)]
        delta: String,
    },
    #[serde(rename = "conversation.item.input_audio_transcription.completed")]
    CallerDone {
        item_id: String,
        #[serde(default)]
        transcript: String,
        #[serde(default)]
        usage: Value,
    },
    #[serde(rename = "conversation.item.input_audio_transcription.failed")]
    CallerFailed { item_id: String },
    #[serde(rename = "response.created")]
    Created { response: Response },
    #[serde(rename = "response.output_item.added")]
    ItemAdded { response_id: String, item: Item },
    #[serde(rename = "response.output_item.done")]
    ItemDone { response_id: String, item: Item },
    #[serde(rename = "response.output_audio_transcript.delta", alias = "response.audio_transcript.delta")]
    Words { response_id: String, delta: String },
    #[serde(rename = "response.output_text.delta", alias = "response.text.delta")]
    Text { response_id: String, delta: String },
    #[serde(rename = "response.output_audio.delta", alias = "response.audio.delta")]
    Sound {
        response_id: String,
        item_id: String,
        #[serde(default)]
        content_index: f64,
        delta: String,
    },
    #[serde(rename = "response.done")]
    Done {
        response: Response,
        /// Beside the response: xAI's bill.
        #[serde(default, deserialize_with = "if_readable")]
        usage: Option<Tokens>,
    },
    #[serde(rename = "error")]
    Error { error: Trouble },
    /// A bill that comes by itself (Gemini).
    #[serde(skip)]
    Used { usage: Tokens },
    #[serde(other)]
    Other,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Response {
    pub(super) id: String,
    pub(super) status: String,
    #[serde(deserialize_with = "if_readable")]
    pub(super) status_details: Option<Details>,
    pub(super) output: Vec<Item>,
    #[serde(deserialize_with = "if_readable")]
    pub(super) usage: Option<Tokens>,
}

/// A bill or a detail that can't be read is no reason to miss the end of a response.
fn if_readable<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    Value::deserialize(from).map(|value| serde_json::from_value(value).ok())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Details {
    pub(super) reason: Option<String>,
    pub(super) error: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) arguments: Value,
}

impl Item {
    pub(super) fn is_call(&self) -> bool {
        self.kind == "function_call"
    }

    /// The arguments, once they are whole.
    pub(super) fn arguments(&self) -> Option<Value> {
        match &self.arguments {
            Value::String(text) if text.trim().is_empty() => Some(json!({})),
            Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
            Value::Object(_) => Some(self.arguments.clone()),
            _ => None,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub(super) event_id: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Value,
}

impl Trouble {
    pub(super) fn code(&self) -> &str {
        self.rest.get("code").and_then(Value::as_str).unwrap_or("")
    }
}

/// What a response, or a transcript, used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tokens {
    input_tokens: f64,
    output_tokens: f64,
    input_token_details: Option<InputTokens>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputTokens {
    cached_tokens: f64,
}

impl Tokens {
    pub(super) fn add_to(&self, usage: &mut Usage) {
        // Casts of floats saturate.
        let cached = self.input_token_details.as_ref().map_or(0.0, |details| details.cached_tokens);
        usage.cached_tokens += cached as u64;
        usage.input_tokens += (self.input_tokens - cached) as u64;
        usage.output_tokens += self.output_tokens as u64;
    }
}

/// Whether the settings that the server tells are those without which a call is noise. What it doesn't tell is well.
pub(super) fn is_mulaw(session: &Value) -> bool {
    let is = |place: &&str| {
        let format = session.pointer(place).filter(|format| !format.is_null());
        format.is_none_or(|format| format == "audio/pcmu" || format == "g711_ulaw")
    };
    let places = [
        "/audio/input/format/type",
        "/audio/output/format/type",
        "/input_audio_format",
        "/output_audio_format",
    ];
    places.iter().all(is)
}

pub(super) fn sound(delta: &str) -> Option<Vec<u8>> {
    STANDARD.decode(delta).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_ends_whatever_its_bill_looks_like() {
        for usage in [r#"{"input_tokens":null}"#, "null", "[]"] {
            let text = format!(
                r#"{{"type":"response.done","response":{{"id":"r","status":"completed","status_details":"none","usage":{usage}}}}}"#
            );
            assert!(
                matches!(serde_json::from_str(&text), Ok(Heard::Done { response, .. }) if response.id == "r")
            );
        }
    }
}
