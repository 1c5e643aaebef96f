//! ElevenLabs over its WebSocket for several contexts (`multi-stream-input`):
//! <https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-multi-stream-input>.
//!
//! A context a segment: opened, given its text, flushed and closed at once; the provider tells a context's end only when it is
//! closed. So there is nothing left to close when the caller interrupts: what still comes is dropped by its context.

use std::collections::BTreeSet;

use offhook_stages::StageError;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::config::ElevenlabsConfig;
use super::live::{Dialect, Heard};
use super::segment::{Letters, Said, decode};
use super::socket_query;
use crate::net::ws::Message;
use crate::net::{Secret, stream_failure};

/// Of the five contexts that a connection may have open, one is left for a reply after an interruption.
const MOST_CONTEXTS: usize = 4;

pub(super) struct ElevenlabsWs {
    name: String,
    config: ElevenlabsConfig,
    voice: String,
    language: String,
    key: Option<Secret>,
    /// Contexts whose end hasn't been told, cancelled ones too.
    open: BTreeSet<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event {
    audio: Option<String>,
    #[serde(alias = "contextId")]
    context_id: Option<String>,
    #[serde(alias = "isFinal")]
    is_final: Option<bool>,
    alignment: Option<Alignment>,
    #[serde(alias = "normalizedAlignment")]
    normalized_alignment: Option<Alignment>,
    error: Option<Value>,
    message: Option<String>,
    code: Option<Value>,
}

/// Characters and their times in milliseconds, from the beginning of the message's sound.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alignment {
    chars: Vec<String>,
    #[serde(rename = "charStartTimesMs", alias = "char_start_times_ms")]
    starts: Vec<f64>,
    #[serde(rename = "charDurationsMs", alias = "charsDurationsMs", alias = "char_durations_ms")]
    durations: Vec<f64>,
}

impl ElevenlabsWs {
    pub(super) fn new(
        name: &str,
        config: ElevenlabsConfig,
        voice: &str,
        language: &str,
        key: Option<Secret>,
    ) -> Self {
        let (name, voice, language) = (name.to_owned(), voice.to_owned(), language.to_owned());
        Self { name, config, voice, language, key, open: BTreeSet::new() }
    }
}

impl Dialect for ElevenlabsWs {
    fn url(&self) -> String {
        let mut pairs = vec![
            ("model_id", self.config.model.as_str()),
            ("output_format", "ulaw_8000"),
            ("auto_mode", "true"),
            ("sync_alignment", "true"),
            // The longest there is: between turns nothing is sent.
            ("inactivity_timeout", "180"),
        ];
        let language = self.config.language_code(&self.language);
        pairs.extend(language.as_deref().map(|language| ("language_code", language)));
        if !self.config.logging {
            pairs.push(("enable_logging", "false"));
        }
        let path = format!("/v1/text-to-speech/{}/multi-stream-input", self.voice);
        socket_query(&self.config.base_url, &path, &pairs)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        self.key.iter().map(|key| ("xi-api-key", key.expose().to_owned())).collect()
    }

    fn opened(&mut self) {
        self.open.clear();
    }

    fn ready(&self) -> bool {
        self.open.len() < MOST_CONTEXTS
    }

    fn speak(&mut self, context: u32, text: &str, _now: Instant) -> Vec<String> {
        self.open.insert(context);
        let id = context.to_string();
        let mut first = json!({"text": " ", "context_id": id});
        if let Some(settings) = self.config.voice_settings() {
            first["voice_settings"] = settings;
        }
        let messages = [
            first,
            json!({"text": format!("{} ", text.trim()), "context_id": id}),
            json!({"context_id": id, "flush": true}),
            json!({"context_id": id, "close_context": true}),
        ];
        messages.iter().map(Value::to_string).collect()
    }

    fn cancel(&mut self, _contexts: &[u32]) -> Vec<String> {
        Vec::new()
    }

    fn farewell(&self) -> Option<String> {
        Some(json!({"close_socket": true}).to_string())
    }

    fn read(&mut self, message: &Message) -> Result<Vec<Heard>, StageError> {
        let Message::Text(text) = message else { return Ok(Vec::new()) };
        let event: Event = match crate::net::lenient::read(text) {
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(stage = %self.name, %error, "a message that isn't understood");
                return Ok(Vec::new());
            }
        };
        let context = event.context_id.as_deref().and_then(|id| id.parse::<u32>().ok());
        if let Some(error) = event.error {
            let kind = error.as_str().map_or(error.to_string(), str::to_owned);
            let message = event.message.unwrap_or_default();
            if kind == "input_timeout_exceeded" {
                // Between turns nothing is sent; the connection is opened again.
                return Err(StageError::Broken { stage: self.name.clone(), what: message });
            }
            // A context that failed is over.
            self.open.retain(|open| Some(*open) != context);
            let code = event.code.unwrap_or_default();
            let error = stream_failure(&self.name, &json!({"type": kind, "code": code, "message": message}));
            return match context {
                Some(context) => Ok(vec![Heard::Failed(Some(context), error)]),
                None => Err(error),
            };
        }
        let Some(context) = context else { return Ok(Vec::new()) };
        let mut heard = Vec::new();
        if let Some(audio) = event.audio.filter(|audio| !audio.is_empty()) {
            match decode(&self.name, &audio) {
                Ok(sound) => heard.push(Heard::Of(context, Said::Sound(sound))),
                Err(error) => heard.push(Heard::Failed(Some(context), error)),
            }
        }
        if let Some(alignment) = event.alignment.or(event.normalized_alignment) {
            heard.push(Heard::Of(context, Said::Letters(alignment.into_letters())));
        }
        if event.is_final == Some(true) {
            self.open.remove(&context);
            heard.push(Heard::Of(context, Said::End));
        }
        Ok(heard)
    }
}

impl Alignment {
    fn into_letters(self) -> Letters {
        let times = self.starts.into_iter().zip(self.durations);
        let timed = self.chars.into_iter().zip(times).map(|(c, (start, length))| (c, start, start + length));
        Letters { timed: timed.collect(), from_beginning: false }
    }
}
