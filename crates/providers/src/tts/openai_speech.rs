//! OpenAI's `/audio/speech`, and whatever speaks it alike: Groq, Kokoro-FastAPI, Speaches.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use offhook_stages::StageError;
use serde_json::{Value, json};

use super::config::{OpenaiConfig, SpeechFormat};
use super::fetch::{Asking, Bare, Reading};
use crate::net::{Secret, join, post_json};

pub(super) struct OpenaiSpeech {
    pub(super) name: String,
    pub(super) config: OpenaiConfig,
    pub(super) key: Option<Secret>,
}

impl OpenaiSpeech {
    pub(super) fn body(&self, text: &str, language: &str) -> Value {
        let format = match self.config.format {
            SpeechFormat::Pcm => "pcm",
            SpeechFormat::Wav => "wav",
        };
        let voice = super::config::voice_for(&self.config.voice, &self.config.voices, language);
        let mut body =
            json!({"model": self.config.model, "input": text, "voice": voice, "response_format": format});
        if let Value::Object(fields) = &mut body {
            if let Some(instructions) = &self.config.instructions {
                fields.insert("instructions".to_owned(), json!(instructions));
            }
            if let Some(speed) = self.config.speed {
                fields.insert("speed".to_owned(), json!(speed));
            }
            fields.extend(self.config.body.iter().map(|(name, value)| (name.clone(), value.clone())));
            fields.retain(|name, _| !self.config.without.contains(name));
        }
        body
    }
}

impl Asking for OpenaiSpeech {
    fn request(
        &self,
        text: &str,
        _before: Option<&str>,
        language: &str,
    ) -> Result<Request<Full<Bytes>>, StageError> {
        let mut headers: Vec<(String, String)> =
            self.config.headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())).collect();
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {}", key.expose())));
        }
        post_json(
            &self.name,
            &join(&self.config.base_url, "/audio/speech"),
            &headers,
            &self.body(text, language),
        )
    }

    fn reader(&self) -> Box<dyn Reading> {
        Box::new(Bare::new(&self.name))
    }
}
