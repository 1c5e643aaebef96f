//! How one of several languages is spoken and understood.

use serde::Deserialize;

use super::values::{TranscriptionProvider, TtsProvider};

/// `<Language>`: how one language is spoken and understood. What is unset is as for the session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayLanguage {
    /// BCP 47, or `multi`.
    pub code: String,
    /// Whose voice.
    #[serde(default)]
    pub tts_provider: Option<TtsProvider>,
    /// Which voice.
    #[serde(default)]
    pub voice: Option<String>,
    /// Whose recogniser.
    #[serde(default)]
    pub transcription_provider: Option<TranscriptionProvider>,
    /// Which model of it.
    #[serde(default)]
    pub speech_model: Option<String>,
    /// Words to listen for.
    #[serde(default)]
    pub hints: Vec<String>,
    /// Numbers and dates in the caller's words are written in figures.
    #[serde(default)]
    pub asr_smart_format: Option<bool>,
    /// The voice reads numbers and the like: `auto`, `on` or `off`.
    #[serde(default)]
    pub tts_text_normalization: Option<String>,
    /// It does so by the language's own rules.
    #[serde(default)]
    pub tts_language_text_normalization: Option<bool>,
}

impl RelayLanguage {
    pub(super) fn attributes(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let flag = |value: Option<bool>| value.map(|value| value.to_string());
        [
            ("code", Some(self.code.clone())),
            ("ttsProvider", self.tts_provider.map(|value| value.as_str().to_owned())),
            ("voice", self.voice.clone()),
            ("transcriptionProvider", self.transcription_provider.map(|value| value.as_str().to_owned())),
            ("speechModel", self.speech_model.clone()),
            ("hints", (!self.hints.is_empty()).then(|| self.hints.join(","))),
            ("asrSmartFormat", flag(self.asr_smart_format)),
            ("ttsTextNormalization", self.tts_text_normalization.clone()),
            ("ttsLanguageTextNormalization", flag(self.tts_language_text_normalization)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}
