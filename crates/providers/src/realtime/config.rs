//! Settings of a speech-to-speech session.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::net::Deadlines;

/// Settings of a speech-to-speech session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeConfig {
    /// Whose dialect is spoken. Default `openai`.
    pub provider: RealtimeProvider,
    /// Name in logs and bills. Default: the provider's, with `-realtime` behind it.
    pub name: String,
    /// Where it is. Default: the provider's address. Azure has none in common: `wss://RESOURCE.openai.azure.com/openai/v1/realtime`.
    pub url: String,
    /// The header that the key travels in. Default: the provider's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_header: Option<KeyHeader>,
    /// The model, e.g. `gpt-realtime-2.1`; with Azure the deployment. Must be set.
    pub model: String,
    /// The voice, e.g. `marin`. Empty, the default: the provider's own choice.
    pub voice: String,
    /// How fast it speaks, 0.25 to 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// The model that writes down what the caller says, e.g. `gpt-transcribe`. Must be set, but for `xai`, which has one, and `gemini`,
    /// which does it itself: the call decides by words when a turn is over, what is an interruption, and keeps them for other models.
    pub transcription_model: String,
    /// BCP 47 tag of the language that is written down. Default: the agent's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Most tokens of a reply, 1 to 4096. Default: no limit but the model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    /// More members of the session, as the provider names them, e.g. `reasoning = { effort = "low" }`.
    pub session: Map<String, Value>,
    /// Sound before the onset of speech that goes out with it, at most 500 ms. Default 300 ms.
    #[serde(with = "humantime_serde")]
    pub pre_roll: Duration,
    /// How long a transcript is waited for at a pause; then what there is must do. Default 1.2 s.
    #[serde(with = "humantime_serde")]
    pub patience: Duration,
    /// Deadlines: of the connection, from a request to its first sign, between signs.
    pub deadlines: Deadlines,
}

/// A speech-to-speech service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealtimeProvider {
    /// OpenAI, and who speaks its protocol alike.
    #[default]
    Openai,
    /// Azure OpenAI; needs `url`.
    Azure,
    /// Azure's Voice Live; needs `url`, `wss://RESOURCE.services.ai.azure.com/voice-live/realtime?api-version=2025-10-01`.
    AzureVoiceLive,
    /// xAI.
    Xai,
    /// Gemini Live.
    Gemini,
}

impl RealtimeProvider {
    /// Its name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Azure => "azure",
            Self::AzureVoiceLive => "azure_voice_live",
            Self::Xai => "xai",
            Self::Gemini => "gemini",
        }
    }

    /// Where it is. Azure has no common address.
    #[must_use]
    pub const fn url(self) -> Option<&'static str> {
        match self {
            Self::Openai => Some("wss://api.openai.com/v1/realtime"),
            Self::Azure | Self::AzureVoiceLive => None,
            Self::Xai => Some("wss://api.x.ai/v1/realtime"),
            Self::Gemini => Some(
                "wss://generativelanguage.googleapis.com/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent",
            ),
        }
    }

    pub(super) const fn key_header(self) -> KeyHeader {
        match self {
            Self::Openai | Self::Xai => KeyHeader::Authorization,
            Self::Azure | Self::AzureVoiceLive => KeyHeader::ApiKey,
            Self::Gemini => KeyHeader::XGoogApiKey,
        }
    }
}

/// The header that the key travels in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[default]
    Authorization,
    /// `api-key: KEY`.
    ApiKey,
    /// `x-goog-api-key: KEY`.
    XGoogApiKey,
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self {
            provider: RealtimeProvider::default(),
            name: String::new(),
            url: String::new(),
            key_header: None,
            model: String::new(),
            voice: String::new(),
            speed: None,
            transcription_model: String::new(),
            language: None,
            max_output_tokens: None,
            session: Map::new(),
            pre_roll: Duration::from_millis(300),
            patience: Duration::from_millis(1_200),
            deadlines: Deadlines::default(),
        }
    }
}

impl RealtimeConfig {
    /// The same, with the provider's own where nothing was said.
    pub(super) fn completed(mut self) -> Self {
        if self.name.is_empty() {
            self.name = format!("{}-realtime", self.provider.name());
        }
        if self.url.is_empty() {
            self.provider.url().unwrap_or_default().clone_into(&mut self.url);
        }
        if self.transcription_model.is_empty() && self.provider == RealtimeProvider::Xai {
            "grok-transcribe".clone_into(&mut self.transcription_model);
        }
        self
    }
}
