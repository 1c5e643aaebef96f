//! A session's configuration, and what OpenAI refuses in it.

use std::time::Duration;

use serde_json::{Value, json};

use super::flavour::Flavour;
use crate::hearing::Encoding;

/// An error event: code, message, parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) param: Option<String>,
}

/// What is wrong with a value.
pub(super) fn invalid(message: impl Into<String>, param: &str) -> Refused {
    Refused { code: "invalid_value", message: message.into(), param: Some(param.to_owned()) }
}

/// Members of a session. Those of the retired beta interface, `modalities` or `input_audio_format`, are unknown.
const MEMBERS: [&str; 14] = [
    "type",
    "model",
    "output_modalities",
    "instructions",
    "audio",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "truncation",
    "include",
    "prompt",
    "tracing",
    "reasoning",
    "parallel_tool_calls",
];
pub(super) const VOICES: [&str; 10] =
    ["alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar"];

/// How turns are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Detection {
    pub(super) silence: Duration,
    pub(super) create: bool,
    pub(super) interrupt: bool,
}

/// A session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    flavour: Flavour,
    value: Value,
    transcribes_only: bool,
}

impl Session {
    pub(super) fn new(model: Option<&str>, flavour: Flavour) -> Self {
        let pcm = json!({"type": "audio/pcm", "rate": 24_000});
        let detection = json!({"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
                               "idle_timeout_ms": null, "create_response": model.is_some(), "interrupt_response": model.is_some()});
        let input = json!({"format": pcm, "transcription": null, "noise_reduction": null, "turn_detection": detection});
        let mut value = json!({"id": "sess_double", "object": "realtime.session", "expires_at": 1_795_194_000,
                               "type": if model.is_some() { "realtime" } else { "transcription" }, "audio": {"input": input}});
        if let Some(model) = model {
            value["model"] = model.into();
            value["output_modalities"] = json!(["audio"]);
            value["instructions"] = "".into();
            value["audio"]["output"] = json!({"format": pcm, "voice": "alloy", "speed": 1.0});
            value["tools"] = json!([]);
            value["tool_choice"] = "auto".into();
            value["max_output_tokens"] = "inf".into();
            value["truncation"] = "auto".into();
        }
        if flavour == Flavour::Xai {
            // It finds no turns unless it is told to.
            value["audio"]["input"]["turn_detection"] = Value::Null;
            value["audio"]["output"]["voice"] = "ara".into();
        }
        Self { flavour, value, transcribes_only: model.is_none() }
    }

    /// What `session.created` and `session.updated` tell.
    pub(super) fn value(&self) -> Value {
        self.flavour.session(&self.value)
    }

    /// Changes what a `session.update` changes. `spoken`: there was sound already, after which the voice stays.
    pub(super) fn update(&mut self, change: &Value, spoken: bool) -> Result<(), Refused> {
        let change = &self.flavour.read(change)?;
        let Some(members) = change.as_object() else {
            return Err(invalid("Missing required parameter: 'session'.", "session"));
        };
        let kind = if self.transcribes_only { "transcription" } else { "realtime" };
        if change["type"] != kind {
            let message = format!("Missing or wrong parameter: 'session.type' must be '{kind}'.");
            return Err(Refused {
                code: "missing_required_parameter",
                message,
                param: Some("session.type".to_owned()),
            });
        }
        let strict = matches!(self.flavour, Flavour::OpenAi | Flavour::Azure);
        if let Some(unknown) = members.keys().find(|name| strict && !MEMBERS.contains(&name.as_str())) {
            let param = format!("session.{unknown}");
            return Err(Refused {
                code: "unknown_parameter",
                message: format!("Unknown parameter: '{param}'."),
                param: Some(param),
            });
        }
        let modalities = &change["output_modalities"];
        if !modalities.is_null() && *modalities != json!(["audio"]) && *modalities != json!(["text"]) {
            let message = "Invalid modalities. Supported combinations are: ['text'] and ['audio'].";
            return Err(invalid(message, "session.output_modalities"));
        }
        let voice = &change["audio"]["output"]["voice"];
        if strict && voice.as_str().is_some_and(|voice| !VOICES.contains(&voice)) {
            return Err(invalid(format!("Invalid value: {voice}."), "session.audio.output.voice"));
        }
        if spoken && !voice.is_null() && *voice != self.value["audio"]["output"]["voice"] {
            let message = "Cannot update a conversation's voice if assistant audio is present.".to_owned();
            return Err(Refused { code: "cannot_update_voice", message, param: None });
        }
        let mut new = self.value.clone();
        for (name, value) in members.iter().filter(|(name, _)| *name != "audio") {
            new[name] = value.clone();
        }
        for side in ["input", "output"] {
            let Some(parts) = change["audio"][side].as_object() else { continue };
            // A side that is sent without its format falls back to PCM: the double edge on which telephone calls are cut.
            if strict {
                new["audio"][side]["format"] = json!({"type": "audio/pcm", "rate": 24_000});
            }
            for (name, value) in parts {
                new["audio"][side][name] = value.clone();
            }
            format(&new["audio"][side]["format"], side)?;
        }
        let detection = &new["audio"]["input"]["turn_detection"];
        if !detection.is_null() && detection["type"] != "server_vad" && detection["type"] != "semantic_vad" {
            return Err(invalid(
                "Invalid value. Supported values are: 'server_vad' and 'semantic_vad'.",
                "session.audio.input.turn_detection.type",
            ));
        }
        self.value = new;
        Ok(())
    }

    pub(super) fn input(&self) -> (Encoding, u32) {
        format(&self.value["audio"]["input"]["format"], "input").unwrap_or((Encoding::Linear16, 24_000))
    }

    pub(super) fn output(&self) -> (Encoding, u32) {
        format(&self.value["audio"]["output"]["format"], "output").unwrap_or((Encoding::Linear16, 24_000))
    }

    pub(super) fn detection(&self) -> Option<Detection> {
        let detection = &self.value["audio"]["input"]["turn_detection"];
        let ms = detection["silence_duration_ms"].as_f64().unwrap_or(500.0);
        (!detection.is_null()).then(|| Detection {
            silence: Duration::from_secs_f64(ms.clamp(0.0, 60_000.0) / 1_000.0),
            create: !self.transcribes_only && detection["create_response"] != false,
            interrupt: !self.transcribes_only && detection["interrupt_response"] != false,
        })
    }

    /// The model that writes down what is heard.
    pub(super) fn transcriber(&self) -> &str {
        self.value["audio"]["input"]["transcription"]["model"].as_str().unwrap_or("")
    }

    pub(super) fn transcribes(&self) -> bool {
        !self.value["audio"]["input"]["transcription"].is_null()
    }

    pub(super) fn speaks(&self) -> bool {
        self.value["output_modalities"] != json!(["text"])
    }

    pub(super) fn answers(&self) -> bool {
        !self.transcribes_only
    }

    pub(super) fn tools(&self) -> Vec<String> {
        let tools = self.value["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str().map(str::to_owned)).collect()
    }
}

fn format(format: &Value, side: &str) -> Result<(Encoding, u32), Refused> {
    match format["type"].as_str() {
        Some("audio/pcmu") => Ok((Encoding::Mulaw, 8_000)),
        Some("audio/pcma") => Ok((Encoding::Alaw, 8_000)),
        // Numbers that look whole may come as floats.
        Some("audio/pcm") if format["rate"].as_f64() == Some(24_000.0) => Ok((Encoding::Linear16, 24_000)),
        Some("audio/pcm") => {
            Err(invalid("Invalid value: 'rate' must be 24000.", &format!("session.audio.{side}.format.rate")))
        }
        _ => {
            let message = "Invalid value. Supported values are: 'audio/pcm', 'audio/pcmu', and 'audio/pcma'.";
            Err(invalid(message, &format!("session.audio.{side}.format.type")))
        }
    }
}
