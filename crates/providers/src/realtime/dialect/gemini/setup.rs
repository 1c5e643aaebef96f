//! The first message of a connection to Gemini Live.

use serde_json::{Map, Value, json};

use crate::realtime::config::RealtimeConfig;

/// Whether a model takes written turns at the beginning of a session only.
pub(super) fn seeds_only(model: &str) -> bool {
    model.trim_start_matches("models/").starts_with("gemini-3.1")
}

/// Whether a model speaks when it likes, several times to one turn.
pub(in crate::realtime) fn speaks_unasked(model: &str) -> bool {
    model.contains("extended-thinking")
}

/// The settings, made of the session's.
pub(super) fn setup(config: &RealtimeConfig, session: &Value) -> Value {
    let model = config.model.trim_start_matches("models/");
    let mut generation = json!({"responseModalities": ["AUDIO"]});
    let mut speech = Map::new();
    if !config.voice.is_empty() {
        speech.insert("voiceConfig".into(), json!({"prebuiltVoiceConfig": {"voiceName": config.voice}}));
    }
    if let Some(language) = &config.language {
        speech.insert("languageCode".into(), language.clone().into());
    }
    if !speech.is_empty() {
        generation["speechConfig"] = speech.into();
    }
    if let Some(most) = config.max_output_tokens {
        generation["maxOutputTokens"] = most.into();
    }
    let mut setup = json!({
        "model": format!("models/{model}"),
        "generationConfig": generation,
        "systemInstruction": {"parts": [{"text": session["instructions"]}]},
        // The call finds the turns, and judges interruptions.
        "realtimeInputConfig": {"automaticActivityDetection": {"disabled": true}},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        // Without this a session ends after a quarter of an hour.
        "contextWindowCompression": {"slidingWindow": {}},
    });
    if let Some(tools) = session["tools"].as_array().filter(|tools| !tools.is_empty()) {
        let tools = tools.iter().map(|tool| {
            let mut tool = json!({"name": tool["name"], "description": tool["description"],
                                  "parametersJsonSchema": tool["parameters"]});
            // These have tools run beside the talk unless they are told otherwise, and would answer twice.
            if model.starts_with("gemini-3.8") {
                tool["behavior"] = "BLOCKING".into();
            }
            tool
        });
        setup["tools"] = json!([{"functionDeclarations": tools.collect::<Vec<_>>()}]);
    }
    if let Some(members) = setup.as_object_mut() {
        members.extend(config.session.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    json!({ "setup": setup })
}
