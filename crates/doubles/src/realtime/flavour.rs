//! Who speaks OpenAI's Realtime protocol, and how differently.
//!
//! Sources: <https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-how-to>, <https://docs.x.ai/docs/guides/voice/agent>,
//! recorded sessions.

use serde_json::{Map, Value, json};

use super::session::{Refused, invalid};
use crate::route::Query;

/// Whose dialect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    OpenAi,
    Azure,
    /// Azure's Voice Live: flat settings and the beta's names of events.
    VoiceLive,
    /// xAI: the voice and the turn detection stand beside `audio`, and it says less of what it does.
    Xai,
}

/// Members of Voice Live's sessions.
const FLAT: [&str; 22] = [
    "modalities",
    "instructions",
    "voice",
    "model",
    "input_audio_format",
    "output_audio_format",
    "input_audio_sampling_rate",
    "input_audio_transcription",
    "input_audio_noise_reduction",
    "input_audio_echo_cancellation",
    "turn_detection",
    "tools",
    "tool_choice",
    "temperature",
    "max_response_output_tokens",
    "avatar",
    "animation",
    "output_audio_timestamp_types",
    "reasoning_effort",
    "interim_response",
    "include",
    "parallel_tool_calls",
];
/// Its formats, and what they are otherwise called.
const FORMATS: [(&str, &str); 3] =
    [("pcm16", "audio/pcm"), ("g711_ulaw", "audio/pcmu"), ("g711_alaw", "audio/pcma")];
/// Events that had another name in the beta.
const NAMES: [(&str, &str); 7] = [
    ("response.output_audio.delta", "response.audio.delta"),
    ("response.output_audio.done", "response.audio.done"),
    ("response.output_audio_transcript.delta", "response.audio_transcript.delta"),
    ("response.output_audio_transcript.done", "response.audio_transcript.done"),
    ("response.output_text.delta", "response.text.delta"),
    ("response.output_text.done", "response.text.done"),
    ("conversation.item.added", "conversation.item.created"),
];

impl Flavour {
    /// By the address; xAI's is OpenAI's, and known by the model.
    pub(crate) fn of(path: &str, query: &Query) -> Self {
        if query.get("model").is_some_and(|model| model.starts_with("grok")) {
            Self::Xai
        } else if path.contains("/openai/v1/realtime") {
            Self::Azure
        } else {
            Self::OpenAi
        }
    }

    /// A change of the settings as OpenAI writes it.
    pub(super) fn read(self, change: &Value) -> Result<Value, Refused> {
        match self {
            Self::OpenAi | Self::Azure => Ok(change.clone()),
            Self::VoiceLive => voice_live(change),
            Self::Xai => Ok(xai(change)),
        }
    }

    /// The settings as it tells them.
    pub(super) fn session(self, session: &Value) -> Value {
        match self {
            Self::OpenAi | Self::Azure => session.clone(),
            Self::VoiceLive => flat(session),
            Self::Xai => {
                let mut told = session.clone();
                told["turn_detection"] = session["audio"]["input"]["turn_detection"].clone();
                if told["turn_detection"].is_null() {
                    told["turn_detection"] = json!({"type": null});
                }
                told["voice"] = session["audio"]["output"]["voice"].clone();
                told["modalities"] = json!(["audio"]);
                told
            }
        }
    }

    /// An event as it says it. `None`: it says no such thing.
    pub(super) fn event(self, mut event: Value) -> Option<Value> {
        let kind = event["type"].as_str().unwrap_or("").to_owned();
        match self {
            Self::OpenAi | Self::Azure => {}
            Self::VoiceLive => {
                if kind == "conversation.item.done" || kind == "rate_limits.updated" {
                    return None;
                }
                if let Some((_, name)) = NAMES.iter().find(|(ga, _)| *ga == kind) {
                    event["type"] = (*name).into();
                }
                beta_parts(&mut event);
            }
            Self::Xai => {
                if kind == "conversation.item.done" || kind == "rate_limits.updated" {
                    return None;
                }
                let mut usage = None;
                if let Some(response) = event.get_mut("response").and_then(Value::as_object_mut) {
                    usage = response.insert("usage".into(), json!({}));
                    response.insert("status_details".into(), "unimplemented".into());
                }
                if let Some(usage) = usage.filter(|_| kind == "response.done") {
                    event["usage"] = usage;
                }
                // The agent's items come without their content until the response is done.
                let item = event.get_mut("item").and_then(Value::as_object_mut);
                if let Some(item) =
                    item.filter(|item| item.get("role").is_some_and(|role| role == "assistant"))
                {
                    item.remove("content");
                }
            }
        }
        Some(event)
    }
}

/// `output_audio` was `audio`, and `output_text` `text`.
fn beta_parts(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(kind) = members.get_mut("type") {
                match kind.as_str() {
                    Some("output_audio") => *kind = "audio".into(),
                    Some("output_text") => *kind = "text".into(),
                    _ => {}
                }
            }
            members.values_mut().for_each(beta_parts);
        }
        Value::Array(items) => items.iter_mut().for_each(beta_parts),
        _ => {}
    }
}

fn voice_live(change: &Value) -> Result<Value, Refused> {
    let members = change.as_object();
    if let Some(name) =
        members.into_iter().flat_map(|members| members.keys()).find(|name| !FLAT.contains(&name.as_str()))
    {
        let param = format!("session.{name}");
        let message = format!("Unknown parameter: '{param}'.");
        return Err(Refused { code: "unknown_parameter", message, param: Some(param) });
    }
    let mut ga = Map::new();
    ga.insert("type".into(), "realtime".into());
    let (mut input, mut output) = (Map::new(), Map::new());
    for (name, value) in members.into_iter().flatten() {
        let value = value.clone();
        match name.as_str() {
            "modalities" => {
                let speaks = value.as_array().is_some_and(|all| all.iter().any(|one| one == "audio"));
                ga.insert(
                    "output_modalities".into(),
                    if speaks { json!(["audio"]) } else { json!(["text"]) },
                );
            }
            "input_audio_format" | "output_audio_format" => {
                let side = if name.starts_with("input") { &mut input } else { &mut output };
                side.insert("format".into(), format(&value, name)?);
            }
            "turn_detection" => {
                input.insert("turn_detection".into(), detection(value));
            }
            "input_audio_transcription" => {
                input.insert("transcription".into(), value);
            }
            "voice" => {
                voice(&value)?;
                output.insert("voice".into(), value);
            }
            "max_response_output_tokens" => {
                ga.insert("max_output_tokens".into(), value);
            }
            _ => {
                ga.insert(name.clone(), value);
            }
        }
    }
    ga.insert("audio".into(), json!({"input": input, "output": output}));
    Ok(ga.into())
}

fn format(value: &Value, name: &str) -> Result<Value, Refused> {
    let known = FORMATS.iter().find(|(flat, _)| value == flat);
    let (_, kind) = known.ok_or_else(|| {
        invalid(
            "Invalid value. Supported values are: 'pcm16', 'g711_ulaw', and 'g711_alaw'.",
            &format!("session.{name}"),
        )
    })?;
    Ok(if *kind == "audio/pcm" { json!({"type": kind, "rate": 24_000}) } else { json!({ "type": kind }) })
}

/// Azure's own kinds of detection find turns as the others do.
fn detection(mut value: Value) -> Value {
    if value["type"].as_str().is_some_and(|kind| kind.starts_with("azure_semantic_vad")) {
        value["type"] = "semantic_vad".into();
    }
    value
}

/// OpenAI's voices by name, Azure's by kind and name.
fn voice(value: &Value) -> Result<(), Refused> {
    let kind = value["type"].as_str().unwrap_or("");
    let named = value["name"].as_str().is_some_and(|name| !name.is_empty());
    let known = matches!(kind, "openai" | "azure-standard" | "azure-custom" | "azure-personal");
    let plain = value.as_str().is_some_and(|name| super::session::VOICES.contains(&name));
    if plain || (known && named) {
        return Ok(());
    }
    Err(invalid(format!("Invalid value: {value}."), "session.voice"))
}

fn flat(session: &Value) -> Value {
    let mut told = Map::new();
    for (name, value) in session.as_object().into_iter().flatten() {
        match name.as_str() {
            "type" | "audio" | "truncation" => {}
            "output_modalities" => {
                let speaks = *value == json!(["audio"]);
                told.insert(
                    "modalities".into(),
                    if speaks { json!(["text", "audio"]) } else { json!(["text"]) },
                );
            }
            "max_output_tokens" => {
                told.insert("max_response_output_tokens".into(), value.clone());
            }
            _ => {
                told.insert(name.clone(), value.clone());
            }
        }
    }
    for (side, name) in [("input", "input_audio_format"), ("output", "output_audio_format")] {
        let kind = &session["audio"][side]["format"]["type"];
        let flat = FORMATS.iter().find(|(_, ga)| kind == ga).map_or("pcm16", |(flat, _)| flat);
        told.insert(name.to_owned(), flat.into());
    }
    told.insert("turn_detection".into(), session["audio"]["input"]["turn_detection"].clone());
    told.insert("input_audio_transcription".into(), session["audio"]["input"]["transcription"].clone());
    told.insert("voice".into(), session["audio"]["output"]["voice"].clone());
    told.into()
}

/// What it doesn't know it passes over; what it knows stands elsewhere.
fn xai(change: &Value) -> Value {
    let mut ga = json!({"type": "realtime"});
    for name in ["instructions", "tools", "tool_choice"] {
        if !change[name].is_null() {
            ga[name] = change[name].clone();
        }
    }
    for side in ["input", "output"] {
        for name in ["format", "transcription"] {
            let value = &change["audio"][side][name];
            if !value.is_null() {
                ga["audio"][side][name] = value.clone();
            }
        }
    }
    if change["turn_detection"].is_object() {
        let kind = &change["turn_detection"]["type"];
        ga["audio"]["input"]["turn_detection"] =
            if kind.is_null() { Value::Null } else { change["turn_detection"].clone() };
    }
    if !change["voice"].is_null() {
        ga["audio"]["output"]["voice"] = change["voice"].clone();
    }
    ga
}
