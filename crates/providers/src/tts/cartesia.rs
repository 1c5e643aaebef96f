//! Cartesia over its WebSocket: <https://docs.cartesia.ai/api-reference/tts/websocket>.
//!
//! A context a segment: the whole text is known, so that it is spoken at once and its end is told exactly.

use offhook_stage_api::TimedWord;
use offhook_stages::StageError;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::config::CartesiaConfig;
use super::live::{Dialect, Heard};
use super::segment::{Said, decode, millis};
use super::socket_query;
use crate::net::ws::Message;
use crate::net::{Secret, http_failure};

pub(super) struct Cartesia {
    name: String,
    config: CartesiaConfig,
    voice: String,
    language: String,
    key: Option<Secret>,
}

#[derive(Debug, Deserialize)]
struct Event {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    context_id: Option<String>,
    #[serde(default)]
    data: Option<String>,
    #[serde(default)]
    word_timestamps: Option<Words>,
    #[serde(default)]
    status_code: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Words {
    words: Vec<String>,
    start: Vec<f64>,
    end: Vec<f64>,
}

impl Cartesia {
    pub(super) fn new(
        name: &str,
        config: CartesiaConfig,
        voice: &str,
        language: &str,
        key: Option<Secret>,
    ) -> Self {
        // The provider knows languages, not countries.
        let language = language.split(['-', '_']).next().unwrap_or_default().to_lowercase();
        Self { name: name.to_owned(), config, voice: voice.to_owned(), language, key }
    }
}

impl Dialect for Cartesia {
    fn url(&self) -> String {
        socket_query(&self.config.base_url, "/tts/websocket", &[])
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("cartesia-version", self.config.version.clone())];
        headers.extend(self.key.iter().map(|key| ("x-api-key", key.expose().to_owned())));
        headers
    }

    fn opened(&mut self) {}

    fn ready(&self) -> bool {
        true
    }

    fn speak(&mut self, context: u32, text: &str, _now: Instant) -> Vec<String> {
        let mut generation = Map::new();
        for (name, value) in [("speed", self.config.speed), ("volume", self.config.volume)] {
            if let Some(value) = value {
                generation.insert(name.to_owned(), json!(value));
            }
        }
        let mut message = json!({
            "context_id": context.to_string(),
            "model_id": self.config.model,
            "transcript": text,
            "continue": false,
            "voice": {"mode": "id", "id": self.voice},
            "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8_000},
            "add_timestamps": true,
            "max_buffer_delay_ms": 0,
        });
        if !self.language.is_empty() {
            message["language"] = json!(self.language);
        }
        if !generation.is_empty() {
            message["generation_config"] = Value::Object(generation);
        }
        vec![message.to_string()]
    }

    fn cancel(&mut self, contexts: &[u32]) -> Vec<String> {
        let cancel = |context: &u32| json!({"context_id": context.to_string(), "cancel": true}).to_string();
        contexts.iter().map(cancel).collect()
    }

    fn farewell(&self) -> Option<String> {
        None
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
        if event.kind == "error" {
            let status = event.status_code.map_or(500, |code| u16::try_from(millis(code)).unwrap_or(500));
            let status =
                http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
            let error = http_failure(&self.name, status, &http::HeaderMap::new(), text.as_bytes());
            return Ok(vec![Heard::Failed(context, error)]);
        }
        let Some(context) = context else { return Ok(Vec::new()) };
        Ok(match event.kind.as_str() {
            "chunk" => match event.data {
                Some(data) => vec![match decode(&self.name, &data) {
                    Ok(sound) => Heard::Of(context, Said::Sound(sound)),
                    Err(error) => Heard::Failed(Some(context), error),
                }],
                None => Vec::new(),
            },
            "timestamps" => event
                .word_timestamps
                .map(|timed| Heard::Of(context, Said::Words(timed.into_words())))
                .into_iter()
                .collect(),
            "done" => vec![Heard::Of(context, Said::End)],
            _ => Vec::new(),
        })
    }
}

impl Words {
    fn into_words(self) -> Vec<TimedWord> {
        let times = self.start.into_iter().zip(self.end);
        let timed = |(word, (start, end)): (String, (f64, f64))| TimedWord {
            word,
            start_ms: millis(start * 1_000.0),
            end_ms: millis(end * 1_000.0),
        };
        self.words.into_iter().zip(times).map(timed).collect()
    }
}
