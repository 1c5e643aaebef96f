//! Speech to speech: one model that hears, thinks and speaks, as the three stages of a call.
//!
//! [`Realtime`] speaks OpenAI's Realtime protocol, in its own and other services' dialects, over one WebSocket for each call. The call keeps what makes it a telephone
//! call: it finds the turns, judges interruptions, knows what was heard, and never leaves a silence. So the model's own turn
//! detection is off; its sound is played as the sound of the reply that the call asked for, and what the engine says of its own
//! (fillers, apologies, check-ins) is spoken by another voice, of which the model is told in writing.
//!
//! The adapters are stages like any other. In chains, with recognisers, models and voices behind them, a call goes on in those
//! when the session can't be had: text that isn't the model's own is spoken by the other voice.
//!
//! Don't put a cache or [`SpeakableTts`](offhook_stages::speakable::SpeakableTts) before the text-to-speech adapter: it finds the
//! model's sound by the model's own words. They belong around the other voice.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use offhook_providers::llm::Prompt;
//! # use offhook_providers::net::Secret;
//! # use offhook_providers::realtime::{Realtime, RealtimeConfig};
//! # use offhook_stages::{Llm, Stt, Tts};
//! # struct StageSet { stt: Arc<dyn Stt>, turn: Option<()>, llm: Arc<dyn Llm>, tts: Arc<dyn Tts> }
//! # fn agent(embedded_voice: Arc<dyn Tts>, key: Secret) -> StageSet {
//! let config = RealtimeConfig {
//!     model: "gpt-realtime-2.1".to_owned(),
//!     voice: "marin".to_owned(),
//!     transcription_model: "gpt-transcribe".to_owned(),
//!     ..RealtimeConfig::default()
//! };
//! let prompt = Prompt { instructions: "You take orders for a pizzeria.".into(), tools: Arc::new([]), ..Prompt::default() };
//! let (stt, llm, tts) = Realtime::new(config, Some(key), prompt, embedded_voice).stages();
//! StageSet { stt, turn: None, llm, tts }
//! # }
//! ```

mod adapters;
mod config;
mod dialect;
mod events;
mod input_audio;
mod output_audio;
mod reply;
mod run;
mod session;
mod shared_session;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use offhook_stages::{CallInfo, Llm, StageError, Stt, Tts};

pub use config::{KeyHeader, RealtimeConfig, RealtimeProvider};

use crate::llm::Prompt;
use crate::net::Secret;
use crate::net::dial::{Dial, Headers};

/// A model that hears, thinks and speaks. Clones share it.
#[derive(Clone, Debug)]
pub struct Realtime(Arc<Inner>);

struct Inner {
    config: Arc<RealtimeConfig>,
    url: String,
    key: Option<Secret>,
    prompt: Prompt,
    voice: Arc<dyn Tts>,
    sessions: shared_session::SharedSessions,
    dial: Dial,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Realtime")
            .field("config", &self.config)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Realtime {
    /// A model, by its settings; `voice` speaks what the engine says of its own. What is wrong with the settings is told by
    /// the first call.
    #[must_use]
    pub fn new(config: RealtimeConfig, key: Option<Secret>, prompt: Prompt, voice: Arc<dyn Tts>) -> Self {
        let config = config.completed();
        let mark = if config.url.contains('?') { '&' } else { '?' };
        let query =
            form_urlencoded::Serializer::new(String::new()).append_pair("model", &config.model).finish();
        // Gemini has the model in its first message.
        let url = match config.provider {
            RealtimeProvider::Gemini => config.url.clone(),
            _ => format!("{}{mark}{query}", config.url),
        };
        let key = key.filter(|key| !key.is_empty());
        let sessions = shared_session::SharedSessions::default();
        Self(Arc::new(Inner {
            config: Arc::new(config),
            url,
            key,
            prompt,
            voice,
            sessions,
            dial: Dial::default(),
        }))
    }

    /// The three stages. All of them serve a call, or none: each takes its part in the call's one session.
    #[must_use]
    pub fn stages(&self) -> (Arc<dyn Stt>, Arc<dyn Llm>, Arc<dyn Tts>) {
        let inner = || Arc::clone(&self.0);
        (
            Arc::new(adapters::SttAdapter(inner())),
            Arc::new(adapters::LlmAdapter(inner())),
            Arc::new(adapters::TtsAdapter(inner())),
        )
    }
}

impl Inner {
    /// What is missing in the settings.
    fn check(&self) -> Result<(), StageError> {
        let missing = |what: &str, hint: &str| {
            Err(StageError::Unavailable {
                stage: self.config.name.clone(),
                what: what.to_owned(),
                hint: hint.to_owned(),
            })
        };
        if self.config.model.trim().is_empty() {
            return missing("it has no model", "set `model` to the id of one");
        }
        if self.config.url.is_empty() {
            return missing(
                "it has no address",
                "set `url`, e.g. wss://RESOURCE.openai.azure.com/openai/v1/realtime",
            );
        }
        if self.config.provider == RealtimeProvider::Gemini && dialect::speaks_unasked(&self.config.model) {
            return missing(
                "its model speaks several times to one turn, which a call can't have",
                "set `model` to one that answers once, e.g. gemini-3.8-live",
            );
        }
        let writes_down = self.config.provider == RealtimeProvider::Gemini;
        if !writes_down && self.config.transcription_model.trim().is_empty() {
            return missing(
                "it has no model that writes down what the caller says",
                "set `transcription_model` to the id of one: the call needs the words to tell when a turn is over",
            );
        }
        Ok(())
    }

    /// What is shown to the service.
    fn headers(&self) -> Headers {
        let Some(key) = self.key.as_ref().map(Secret::expose) else { return Vec::new() };
        match self.config.key_header.unwrap_or(self.config.provider.key_header()) {
            KeyHeader::Authorization => vec![("authorization", format!("Bearer {key}"))],
            KeyHeader::ApiKey => vec![("api-key", key.to_owned())],
            KeyHeader::XGoogApiKey => vec![("x-goog-api-key", key.to_owned())],
        }
    }

    fn no_session(&self) -> StageError {
        StageError::Broken { stage: self.config.name.clone(), what: "its session is not open".to_owned() }
    }
}

/// The language that the caller is expected to speak.
fn language(config: &RealtimeConfig, call: &CallInfo) -> String {
    config.language.clone().unwrap_or_else(|| call.language.to_string())
}
