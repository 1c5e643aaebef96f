//! Deepgram Aura over its WebSocket (`/v1/speak`): <https://developers.deepgram.com/docs/tts-websocket>.
//!
//! One text buffer a connection, and sound without a name: segments follow each other, each ended by `Flush` and told apart by
//! `Flushed`. After `Clear`, sound is dropped until `Cleared`.

use std::collections::VecDeque;
use std::time::Duration;

use offhook_stages::StageError;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::config::AuraConfig;
use super::live::{Dialect, Heard};
use super::segment::Said;
use super::{pieces, socket_query};
use crate::net::ws::Message;
use crate::net::{Secret, stream_failure};

/// Longest text of one `Speak`, in characters.
const LONGEST_TEXT: usize = 2_000;
/// So many `Flush`es are served in so long a time; a connection that has had them is replaced.
const FLUSHES: usize = 20;
const FLUSH_WINDOW: Duration = Duration::from_secs(60);

pub(super) struct Aura {
    name: String,
    config: AuraConfig,
    voice: String,
    key: Option<Secret>,
    /// `Clear` was sent, `Cleared` hasn't come: what comes is of the past.
    clearing: bool,
    flushes: VecDeque<Instant>,
}

/// What Deepgram sends besides sound.
#[derive(Debug, Deserialize)]
#[serde(tag = "type")]
enum Event {
    Flushed,
    Cleared,
    Warning {
        #[serde(default, alias = "warn_msg")]
        description: String,
        #[serde(default, alias = "warn_code")]
        code: String,
    },
    Error {
        #[serde(default, alias = "err_msg")]
        description: String,
        #[serde(default, alias = "err_code")]
        code: String,
    },
    #[serde(other)]
    Other,
}

impl Aura {
    pub(super) fn new(name: &str, config: AuraConfig, voice: &str, key: Option<Secret>) -> Self {
        let (name, voice) = (name.to_owned(), voice.to_owned());
        Self { name, config, voice, key, clearing: false, flushes: VecDeque::new() }
    }
}

impl Dialect for Aura {
    fn url(&self) -> String {
        let speed = self.config.speed.map(|speed| speed.to_string());
        let mut pairs = vec![("model", self.voice.as_str()), ("encoding", "mulaw"), ("sample_rate", "8000")];
        pairs.extend(speed.as_deref().map(|speed| ("speed", speed)));
        if self.config.opt_out {
            pairs.push(("mip_opt_out", "true"));
        }
        socket_query(&self.config.base_url, "/v1/speak", &pairs)
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        self.key.iter().map(|key| ("authorization", format!("Token {}", key.expose()))).collect()
    }

    fn opened(&mut self) {
        self.clearing = false;
        self.flushes.clear();
    }

    fn ready(&self) -> bool {
        !self.clearing
    }

    fn worn(&mut self, now: Instant) -> bool {
        while self.flushes.front().is_some_and(|first| now.duration_since(*first) > FLUSH_WINDOW) {
            self.flushes.pop_front();
        }
        self.flushes.len() >= FLUSHES
    }

    fn speak(&mut self, _context: u32, text: &str, now: Instant) -> Vec<String> {
        self.flushes.push_back(now);
        let speak = |text: &str| json!({"type": "Speak", "text": text}).to_string();
        let mut messages: Vec<String> = pieces(text, LONGEST_TEXT).into_iter().map(speak).collect();
        messages.push(json!({"type": "Flush"}).to_string());
        messages
    }

    fn cancel(&mut self, _contexts: &[u32]) -> Vec<String> {
        self.clearing = true;
        vec![json!({"type": "Clear"}).to_string()]
    }

    fn farewell(&self) -> Option<String> {
        Some(json!({"type": "Close"}).to_string())
    }

    fn read(&mut self, message: &Message) -> Result<Vec<Heard>, StageError> {
        let text = match message {
            Message::Binary(_) if self.clearing => return Ok(Vec::new()),
            Message::Binary(octets) => return Ok(vec![Heard::Current(Said::Sound(octets.to_vec()))]),
            Message::Text(text) => text,
        };
        match crate::net::lenient::read(text) {
            Ok(Event::Cleared) => self.clearing = false,
            Ok(Event::Flushed) if !self.clearing => return Ok(vec![Heard::Current(Said::End)]),
            Ok(Event::Warning { description, code }) => {
                let all = format!("{code} {description}").to_lowercase();
                tracing::warn!(stage = %self.name, code, "{description}");
                if all.contains("flush") {
                    // Nothing will come for this `Flush`: another connection has a budget of its own.
                    let what = format!("too many flushes: {description}");
                    return Err(StageError::Broken { stage: self.name.clone(), what });
                }
            }
            Ok(Event::Error { description, code }) => {
                let error = stream_failure(&self.name, &json!({"code": code, "message": description}));
                return Ok(vec![Heard::Failed(None, error)]);
            }
            Ok(Event::Flushed | Event::Other) => {}
            Err(error) => tracing::debug!(stage = %self.name, %error, "a message that isn't understood"),
        }
        Ok(Vec::new())
    }
}
