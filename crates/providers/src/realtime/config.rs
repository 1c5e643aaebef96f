//! Settings of a speech-to-speech session.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::net::Deadlines;

/// Settings of a speech-to-speech session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealtimeConfig {
    /// Name in logs and bills. Default `openai-realtime`.
    pub name: String,
    /// Where it is. Default `wss://api.openai.com/v1/realtime`; Azure: `wss://RESOURCE.openai.azure.com/openai/v1/realtime`.
    pub url: String,
    /// The header that the key travels in. Default `authorization`; Azure's is `api-key`.
    pub key_header: KeyHeader,
    /// The model, e.g. `gpt-realtime-2.1`; with Azure the deployment. Must be set.
    pub model: String,
    /// The voice, e.g. `marin`. Empty, the default: the provider's own choice.
    pub voice: String,
    /// How fast it speaks, 0.25 to 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed: Option<f32>,
    /// The model that writes down what the caller says, e.g. `gpt-transcribe`. Must be set: the call decides by words when a
    /// turn is over, what is an interruption, and keeps them for other models.
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

/// The header that the key travels in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[default]
    Authorization,
    /// `api-key: KEY`.
    ApiKey,
}

impl Default for RealtimeConfig {
    fn default() -> Self {
        Self {
            name: "openai-realtime".to_owned(),
            url: "wss://api.openai.com/v1/realtime".to_owned(),
            key_header: KeyHeader::default(),
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
