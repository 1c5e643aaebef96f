//! The dialects of speech-to-speech services. The session speaks OpenAI's Realtime protocol; what a service wants differently
//! is changed on the way out, and what it says differently on the way in.

mod flat;
mod gemini;
mod sound;

use serde_json::{Value, json};

use super::config::{RealtimeConfig, RealtimeProvider};
use super::wire::Heard;
use gemini::Gemini;
pub(super) use gemini::setup::speaks_unasked;

/// A service's dialect, with what it has to remember of the connection.
#[derive(Debug)]
pub(super) enum Dialect {
    /// OpenAI's own, and Azure OpenAI's.
    OpenAi,
    /// The beta's flat settings, which Azure's Voice Live has kept.
    Flat,
    /// xAI's: between the two.
    Xai,
    /// Gemini Live, another protocol altogether.
    Gemini(Box<Gemini>),
}

/// What goes to the service, and what the session hears at once.
#[derive(Debug, Default)]
pub(super) struct Passed {
    pub(super) wire: Vec<Value>,
    pub(super) heard: Vec<Heard>,
}

impl Dialect {
    pub(super) fn new(config: &RealtimeConfig) -> Self {
        match config.provider {
            RealtimeProvider::Openai | RealtimeProvider::Azure => Self::OpenAi,
            RealtimeProvider::AzureVoiceLive => Self::Flat,
            RealtimeProvider::Xai => Self::Xai,
            RealtimeProvider::Gemini => Self::Gemini(Box::new(Gemini::new(config))),
        }
    }

    /// Another connection is there.
    pub(super) fn opened(&mut self) {
        if let Self::Gemini(gemini) = self {
            gemini.opened();
        }
    }

    /// Passes an event of the session's on.
    pub(super) fn send(&mut self, event: Value) -> Passed {
        match self {
            Self::OpenAi => Passed { wire: vec![event], heard: Vec::new() },
            Self::Flat => Passed { wire: vec![flat::sent(event)], heard: Vec::new() },
            Self::Xai => Passed { wire: vec![xai(event)], heard: Vec::new() },
            Self::Gemini(gemini) => gemini.send(&event),
        }
    }

    /// Reads a message of the service's.
    ///
    /// # Errors
    /// It can't be read; it is passed over.
    pub(super) fn receive(&mut self, text: &str) -> Result<Vec<Heard>, serde_json::Error> {
        match self {
            Self::Gemini(gemini) => Ok(gemini.receive(&serde_json::from_str(text)?)),
            _ => Ok(vec![crate::net::lenient::read(text)?]),
        }
    }
}

/// xAI has the voice and the turn detection beside `audio`, and knows no modalities of one answer.
fn xai(mut event: Value) -> Value {
    if event["type"] == "session.update"
        && let Some(session) = event["session"].as_object_mut()
    {
        session.remove("type");
        session.remove("output_modalities");
        session.insert("turn_detection".into(), json!({ "type": null }));
        let audio = session.get_mut("audio").and_then(Value::as_object_mut);
        let mut voice = None;
        for (_, half) in audio.into_iter().flatten() {
            if let Some(half) = half.as_object_mut() {
                half.remove("turn_detection");
                voice = half.remove("voice").or(voice);
            }
        }
        session.extend(voice.map(|voice| ("voice".to_owned(), voice)));
    }
    if event["type"] == "response.create"
        && let Some(response) = event["response"].as_object_mut()
    {
        response.remove("output_modalities");
        response.insert("modalities".into(), json!(["text", "audio"]));
    }
    event
}

#[cfg(test)]
mod tests;
