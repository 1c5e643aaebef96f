//! ElevenLabs over HTTP (`/stream`, `/stream/with-timestamps`):
//! <https://elevenlabs.io/docs/api-reference/text-to-speech/stream>. For models that its WebSocket doesn't serve.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use offhook_stages::StageError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::config::{ElevenlabsHttpConfig, voice_for};
use super::fetch::{Asking, Bare, Reading};
use super::query;
use super::segment::{Letters, Said, decode};
use crate::net::{Secret, post_json};

pub(super) struct ElevenlabsHttp {
    pub(super) name: String,
    pub(super) config: ElevenlabsHttpConfig,
    pub(super) key: Option<Secret>,
}

impl ElevenlabsHttp {
    pub(super) fn url(&self, language: &str) -> String {
        let voice = voice_for(&self.config.voice, &self.config.voices, language);
        let ending = if self.config.timestamps { "/with-timestamps" } else { "" };
        let mut pairs = vec![("output_format", "ulaw_8000")];
        if !self.config.logging {
            pairs.push(("enable_logging", "false"));
        }
        query(&self.config.base_url, &format!("/v1/text-to-speech/{voice}/stream{ending}"), &pairs)
    }

    pub(super) fn body(&self, text: &str, before: Option<&str>, language: &str) -> Value {
        let mut body = json!({"text": text, "model_id": self.config.model});
        if let Some(settings) = self.config.voice_settings() {
            body["voice_settings"] = settings;
        }
        if let Some(language) = self.config.language_code(language) {
            body["language_code"] = json!(language);
        }
        if let Some(before) = before.filter(|_| self.config.stitch) {
            body["previous_text"] = json!(before);
        }
        body
    }
}

impl Asking for ElevenlabsHttp {
    fn request(
        &self,
        text: &str,
        before: Option<&str>,
        language: &str,
    ) -> Result<Request<Full<Bytes>>, StageError> {
        let key = self.key.iter().map(|key| ("xi-api-key".to_owned(), key.expose().to_owned()));
        let headers: Vec<(String, String)> = key.collect();
        post_json(&self.name, &self.url(language), &headers, &self.body(text, before, language))
    }

    fn reader(&self) -> Box<dyn Reading> {
        if self.config.timestamps {
            return Box::new(Timed { name: self.name.clone(), text: Vec::new() });
        }
        Box::new(Bare::new(&self.name))
    }
}

/// JSON objects one after the other, each with sound and the times of its characters.
pub(super) struct Timed {
    name: String,
    text: Vec<u8>,
}

/// An object is never longer.
const LONGEST: usize = 8 * 1024 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Piece {
    audio_base64: Option<String>,
    alignment: Option<Alignment>,
    normalized_alignment: Option<Alignment>,
    detail: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alignment {
    characters: Vec<String>,
    character_start_times_seconds: Vec<f64>,
    character_end_times_seconds: Vec<f64>,
}

impl Timed {
    fn garbage(&self, what: String) -> StageError {
        StageError::Garbage { stage: self.name.clone(), what }
    }

    /// What one object says.
    fn read(&self, piece: Piece) -> Result<Vec<Said>, StageError> {
        if let Some(detail) = piece.detail {
            return Err(crate::net::stream_failure(&self.name, &detail));
        }
        let mut said = Vec::new();
        if let Some(sound) = piece.audio_base64 {
            said.push(Said::Sound(decode(&self.name, &sound)?));
        }
        if let Some(alignment) = piece.alignment.or(piece.normalized_alignment) {
            let ends = alignment.character_end_times_seconds.into_iter();
            let times = alignment.character_start_times_seconds.into_iter().zip(ends);
            let timed = alignment.characters.into_iter().zip(times);
            let timed = timed.map(|(c, (start, end))| (c, start * 1_000.0, end * 1_000.0)).collect();
            said.push(Said::Letters(Letters { timed, from_beginning: true }));
        }
        Ok(said)
    }
}

impl Reading for Timed {
    fn push(&mut self, bytes: Bytes) -> Result<Vec<Said>, StageError> {
        self.text.extend_from_slice(&bytes);
        let mut said = Vec::new();
        let mut used = 0;
        let mut pieces = serde_json::Deserializer::from_slice(&self.text).into_iter::<Value>();
        loop {
            match pieces.next() {
                Some(Ok(piece)) => {
                    used = pieces.byte_offset();
                    let piece = crate::net::lenient::of(piece).map_err(|error| {
                        self.garbage(format!("sound with times in another shape: {error}"))
                    })?;
                    said.extend(self.read(piece)?);
                }
                Some(Err(error)) if !error.is_eof() => {
                    return Err(
                        self.garbage(format!("no JSON where sound with times was asked for: {error}"))
                    );
                }
                Some(Err(_)) | None => break,
            }
        }
        self.text.drain(..used);
        if self.text.len() > LONGEST {
            return Err(self.garbage("JSON without an end".to_owned()));
        }
        Ok(said)
    }

    fn finish(&mut self) -> Result<Vec<Said>, StageError> {
        if self.text.iter().all(u8::is_ascii_whitespace) {
            return Ok(Vec::new());
        }
        Err(self.garbage("JSON that was cut off".to_owned()))
    }
}
