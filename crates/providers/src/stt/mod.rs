//! Speech-to-text over the network.
//!
//! [`DeepgramConfig`], [`FluxConfig`], [`AssemblyAiConfig`] and [`VoskConfig`] stream the call's sound over one WebSocket;
//! [`WhisperConfig`] uploads what was said at each pause. All tell the call the caller's whole turn so far with each
//! transcript, in places on the caller's time line.

mod ahead;
mod assemblyai;
mod deepgram;
mod dialect;
mod flux;
mod live;
#[cfg(test)]
mod loopback;
mod outbox;
mod piece;
mod timeline;
mod turns;
mod vosk;
mod wav;
mod whisper;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::Expectation;
use offhook_stages::{CallInfo, StageError, Stt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use assemblyai::AssemblyAiConfig;
pub use deepgram::DeepgramConfig;
pub use flux::FluxConfig;
pub use turns::cut_transcripts;
pub use vosk::VoskConfig;
pub use whisper::{WhisperConfig, WhisperFormat, WhisperLanguage, WhisperTerms};

use crate::net::Secret;

/// Which recogniser, and how it is set: `provider = "deepgram"` and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SttConfig {
    /// Deepgram's streaming recogniser.
    Deepgram(DeepgramConfig),
    /// Deepgram Flux, which finds the ends of turns as well.
    DeepgramFlux(FluxConfig),
    /// AssemblyAI's streaming recogniser.
    #[serde(rename = "assemblyai")]
    AssemblyAi(AssemblyAiConfig),
    /// A Vosk server.
    Vosk(VoskConfig),
    /// OpenAI's transcription of files, and all that is compatible: Groq, Speaches, whisper.cpp.
    Whisper(WhisperConfig),
}

impl SttConfig {
    /// Listens for these words and names as well, where the recogniser takes such hints.
    pub fn listen_for(&mut self, keyterms: &[String]) {
        let own = match self {
            Self::Deepgram(config) => &mut config.keyterms,
            Self::DeepgramFlux(config) => &mut config.keyterms,
            Self::AssemblyAi(config) => &mut config.keyterms,
            Self::Whisper(config) => &mut config.keyterms,
            Self::Vosk(_) => return,
        };
        own.extend_from_slice(keyterms);
    }

    /// The stage. What is wrong with the settings is told by its first call.
    #[must_use]
    pub fn build(self, key: Option<Secret>) -> Arc<dyn Stt> {
        match self {
            Self::Deepgram(config) => Arc::new(deepgram::Deepgram::new(config, key)),
            Self::DeepgramFlux(config) => Arc::new(flux::Flux::new(config, key)),
            Self::AssemblyAi(config) => Arc::new(assemblyai::AssemblyAi::new(config, key)),
            Self::Vosk(config) => Arc::new(vosk::Vosk::new(config)),
            Self::Whisper(config) => Arc::new(whisper::Whisper::new(config, key)),
        }
    }
}

/// How long a final transcript is waited for after it was asked for: half as long again as the slowest of a thousand.
const PATIENCE: Duration = Duration::from_millis(1_200);

/// Key terms beyond these are left out: the strictest of the providers' limits.
const MOST_TERMS: usize = 100;
const LONGEST_TERM: usize = 50;

/// The configured key terms and those expected, each once.
fn terms(configured: &[String], expected: &[String]) -> Vec<String> {
    let mut terms: Vec<String> = Vec::new();
    for term in configured.iter().chain(expected).map(|term| term.trim()) {
        let known = terms.iter().any(|old| old == term);
        if !known && !term.is_empty() && term.chars().count() <= LONGEST_TERM && terms.len() < MOST_TERMS {
            terms.push(term.to_owned());
        }
    }
    terms
}

/// Key terms of a session: those configured, and what is expected just now.
#[derive(Clone, Debug, Default)]
struct Terms {
    configured: Vec<String>,
    now: Vec<String>,
}

impl Terms {
    fn new(configured: &[String]) -> Self {
        Self { configured: configured.to_vec(), now: terms(configured, &[]) }
    }

    /// Whether other terms are expected now than before.
    fn expect(&mut self, expectation: &Expectation) -> bool {
        let now = terms(&self.configured, &expectation.keyterms);
        let changed = now != self.now;
        self.now = now;
        changed
    }
}

/// The language as configured, else the call's; nothing, if neither says one.
fn language(configured: Option<&str>, call: &CallInfo) -> Option<String> {
    let language = configured.unwrap_or(&call.language);
    Some(language.to_owned()).filter(|language| !language.is_empty())
}

/// A language tag's first part: `en` of `en-US`.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// What is set for a language: for its tag, or for its first part.
fn for_language<'a>(settings: &'a BTreeMap<String, String>, tag: &str) -> Option<&'a str> {
    let named = |wanted: &str| settings.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    named(tag).or_else(|| named(primary(tag))).map(|(_, value)| value.as_str())
}

/// Adds parameters to a URL that may have some already. Those that are configured by name replace ours.
fn with_query(url: &str, ours: &[(&str, String)], configured: &BTreeMap<String, String>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(ours.iter().filter(|(name, _)| !configured.contains_key(*name)));
    query.extend_pairs(configured);
    let mark = if url.contains('?') { '&' } else { '?' };
    format!("{url}{mark}{}", query.finish())
}

/// Reads a message. One that can't be read is no reason to lose the call, only its words are never logged.
fn read<T: DeserializeOwned>(stage: &str, text: &str) -> Option<T> {
    match crate::net::lenient::read(text) {
        Ok(message) => Some(message),
        Err(error) => {
            let (kind, column) = (error.classify(), error.column());
            tracing::warn!(stage, ?kind, column, "a message could not be read, and is passed over");
            None
        }
    }
}

/// What happened, without the stage's name.
fn what_of(error: &StageError) -> String {
    match error {
        StageError::Broken { what, .. } => what.clone(),
        other => other.to_string(),
    }
}

fn broken(stage: &str, what: String) -> StageError {
    StageError::Broken { stage: stage.to_owned(), what }
}

fn refused(stage: &str, what: String, hint: &str) -> StageError {
    StageError::Refused { stage: stage.to_owned(), what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_typos_refused() {
        let config: SttConfig =
            serde_json::from_str(r#"{"provider":"deepgram_flux","model":"a","eot_threshold":0.8}"#).unwrap();
        assert!(matches!(config, SttConfig::DeepgramFlux(flux) if flux.eot_threshold == 0.8));
        for name in ["deepgram", "assemblyai", "vosk", "whisper"] {
            let config: SttConfig = serde_json::from_str(&format!(r#"{{"provider":"{name}"}}"#)).unwrap();
            assert_eq!(config.clone().build(None).name(), name);
            let again: SttConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
            assert_eq!(again, config);
        }
        let typo = serde_json::from_str::<SttConfig>(r#"{"provider":"vosk","urll":"ws://x"}"#);
        assert!(typo.unwrap_err().to_string().contains("urll"));
    }

    #[test]
    fn terms_come_once_and_not_too_many() {
        let many: Vec<String> = (0..300).map(|i| format!("term {}", i % 150)).collect();
        assert_eq!(terms(&["Offhook".into(), " ".into()], &["Offhook".into()]), ["Offhook"]);
        assert_eq!(terms(&many, &["x".repeat(51)]).len(), MOST_TERMS);
    }

    #[test]
    fn addresses_take_parameters() {
        let ours = [("model", "a".to_owned()), ("keyterm", "Dr. Müller & Co".to_owned())];
        let none = BTreeMap::new();
        assert_eq!(with_query("ws://h/l", &ours, &none), "ws://h/l?model=a&keyterm=Dr.+M%C3%BCller+%26+Co");
        let other =
            BTreeMap::from([("model".to_owned(), "b".to_owned()), ("tag".to_owned(), "t".to_owned())]);
        assert_eq!(
            with_query("ws://h/l?x=y", &ours, &other),
            "ws://h/l?x=y&keyterm=Dr.+M%C3%BCller+%26+Co&model=b&tag=t"
        );
    }
}
