//! The first message of a connection, and what is refused in it.

use std::time::Duration;

use serde_json::Value;

use super::{INVALID, Refused};

/// The settings that there are.
const KNOWN: [&str; 14] = [
    "model",
    "generationConfig",
    "systemInstruction",
    "tools",
    "realtimeInputConfig",
    "sessionResumption",
    "contextWindowCompression",
    "inputAudioTranscription",
    "outputAudioTranscription",
    "proactivity",
    "explicitVadSignal",
    "historyConfig",
    "avatarConfig",
    "safetySettings",
];

/// What of the settings matters here.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The client says when the caller speaks.
    pub(super) manual: bool,
    /// Silence that ends the caller's turn.
    pub(super) silence: Duration,
    pub(super) transcribes: bool,
    pub(super) resumes: bool,
    pub(super) tools: Vec<String>,
    /// A turn waits for the results of its calls.
    pub(super) blocks: bool,
    /// Written turns are taken before the first answer only.
    pub(super) seeds_only: bool,
}

/// A member in either spelling: `turnComplete` is `turn_complete` too.
pub(super) fn member<'a>(of: &'a Value, camel: &str) -> &'a Value {
    let mut snake = String::new();
    for letter in camel.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    of.get(camel).unwrap_or(&of[snake.as_str()])
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or("").to_owned();
    words.fold(first, |all, word| {
        let mut letters = word.chars();
        let upper = letters.next().map(|letter| letter.to_ascii_uppercase());
        all + &upper.into_iter().chain(letters).collect::<String>()
    })
}

impl Setup {
    pub(super) fn read(setup: &Value, knows: impl Fn(&str) -> bool) -> Result<Self, Refused> {
        let Some(members) = setup.as_object() else {
            return Err("The first message must be a setup message.");
        };
        if members.keys().any(|name| !KNOWN.contains(&camel(name).as_str())) {
            return Err("Invalid JSON payload received. Unknown name at 'setup': Cannot find field.");
        }
        let Some(model) = setup["model"].as_str().and_then(|model| model.strip_prefix("models/")) else {
            return Err(INVALID);
        };
        if !knows(model) {
            return Err(
                "The model is not found for API version v1beta, or is not supported for bidiGenerateContent.",
            );
        }
        let generation = member(setup, "generationConfig");
        if member(generation, "responseModalities") != &serde_json::json!(["AUDIO"]) {
            return Err("Cannot extract voices from a non-audio request.");
        }
        let thinks_on = model.contains("extended-thinking");
        let thinking = member(generation, "thinkingConfig");
        let level = !member(thinking, "thinkingLevel").is_null();
        let budget = !member(thinking, "thinkingBudget").is_null();
        if (thinks_on && level == budget) || (level && !thinks_on && model.starts_with("gemini-3.8")) {
            return Err(INVALID);
        }
        let resumption = member(setup, "sessionResumption");
        match resumption.get("handle") {
            None => {}
            Some(Value::String(_)) => return Err("BidiGenerateContent session not found"),
            Some(_) => return Err(INVALID),
        }
        // The newest have tools run beside the talk, if nothing is said of it.
        let mut blocks = !model.starts_with("gemini-3.8");
        let mut tools = Vec::new();
        for tool in setup["tools"].as_array().into_iter().flatten() {
            for function in member(tool, "functionDeclarations").as_array().into_iter().flatten() {
                let name = function["name"].as_str().filter(|name| is_name(name)).ok_or(INVALID)?;
                tools.push(name.to_owned());
                match function["behavior"].as_str() {
                    None => {}
                    // Tools beside the talk are unknown to it, and so is the word.
                    Some(_) if model.starts_with("gemini-3.1") => return Err(INVALID),
                    Some("BLOCKING") if thinks_on => return Err(INVALID),
                    Some("BLOCKING") => blocks = true,
                    Some("NON_BLOCKING") => blocks = false,
                    Some(_) => return Err(INVALID),
                }
            }
        }
        let detection = member(member(setup, "realtimeInputConfig"), "automaticActivityDetection");
        let silence = member(detection, "silenceDurationMs").as_u64().unwrap_or(800);
        Ok(Self {
            manual: detection["disabled"] == true,
            silence: Duration::from_millis(silence),
            transcribes: member(setup, "inputAudioTranscription").is_object(),
            resumes: resumption.is_object(),
            tools,
            blocks,
            seeds_only: model.starts_with("gemini-3.1"),
        })
    }
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    (1..=64).contains(&name.len())
        && name.chars().all(letter)
        && !name.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.' | ':'))
}
