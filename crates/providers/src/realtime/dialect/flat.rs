//! The flat settings of the Realtime protocol's beta, which Azure's Voice Live has kept.
//!
//! Source: <https://learn.microsoft.com/azure/ai-services/speech-service/voice-live-how-to>.

use serde_json::{Map, Value, json};

/// Changes what goes out.
pub(super) fn sent(mut event: Value) -> Value {
    if event["type"] == "session.update" {
        event["session"] = settings(&event["session"]);
    }
    if event["type"] == "response.create"
        && let Some(response) = event["response"].as_object_mut()
    {
        response.remove("output_modalities");
        response.insert("modalities".into(), json!(["text", "audio"]));
    }
    if event["type"] == "conversation.item.create" {
        // Written words of the agent's had another name.
        for part in event["item"]["content"].as_array_mut().into_iter().flatten() {
            if part["type"] == "output_text" {
                part["type"] = "text".into();
            }
        }
    }
    event
}

fn settings(session: &Value) -> Value {
    let mut flat = Map::new();
    flat.insert("modalities".into(), json!(["text", "audio"]));
    flat.insert("input_audio_format".into(), "g711_ulaw".into());
    flat.insert("output_audio_format".into(), "g711_ulaw".into());
    flat.insert("turn_detection".into(), Value::Null);
    let members = session.as_object().into_iter().flatten();
    for (name, value) in members {
        match name.as_str() {
            "type" | "output_modalities" | "audio" => {}
            "max_output_tokens" => {
                flat.insert("max_response_output_tokens".into(), value.clone());
            }
            _ => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    if let Some(transcription) = session.pointer("/audio/input/transcription") {
        flat.insert("input_audio_transcription".into(), transcription.clone());
    }
    if let Some(voice) = session.pointer("/audio/output/voice").and_then(Value::as_str) {
        // Azure's own voices are named by their language: `en-US-Ava:DragonHDLatestNeural`.
        let azure = voice.contains('-') && !flat.contains_key("voice");
        let voice = if azure { json!({"type": "azure-standard", "name": voice}) } else { voice.into() };
        flat.entry("voice").or_insert(voice);
    }
    flat.into()
}
