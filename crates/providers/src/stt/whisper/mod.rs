//! Transcription of files, as OpenAI's API has it and many servers after it: the caller's turn is uploaded at each pause.
//!
//! Source: <https://platform.openai.com/docs/api-reference/audio/createTranscription>.

mod answer;
mod form;
mod judge;
mod listener;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use offhook_stage_api::{Expectation, SttCommand, SttEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Rx, StageError, Stt, Tx};
use serde::{Deserialize, Serialize};

use self::answer::parse;
use self::form::Form;
use self::judge::{Answer, judge};
use super::wav::wav;
use super::{broken, language, primary, terms};
use crate::net::{Deadlines, Http, Secret, join};

const STAGE: &str = "whisper";

/// No transcript is longer.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// Settings of a server that transcribes files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhisperConfig {
    /// The API's base, e.g. `https://api.openai.com/v1`, which is the default.
    pub base_url: String,
    /// What is asked of it. Default `audio/transcriptions`; whisper.cpp's server has `inference`.
    pub path: String,
    /// The model, e.g. `whisper-large-v3-turbo`. Empty, the default: none is named, which only some servers accept.
    pub model: String,
    /// BCP 47 tag. Default: the agent's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// How the language is told. Default `language`.
    pub language_as: WhisperLanguage,
    /// What comes back. Default `json`; `verbose_json`, where there is such, tells how sure the model is of its words.
    pub response_format: WhisperFormat,
    /// Words and names to listen for, besides those that the agent expects.
    pub keyterms: Vec<String>,
    /// How key terms are told. Default `prompt`.
    pub keyterms_as: WhisperTerms,
    /// A hint of style and matter, put before the key terms.
    pub prompt: String,
    /// Any other fields of the form.
    pub fields: BTreeMap<String, String>,
    /// Sound before the speech that goes along, in milliseconds, 300 at least. Default 300.
    pub pre_roll_ms: u32,
    /// Shorter sound is filled up with silence to this, in milliseconds: servers refuse or ignore it otherwise. Default 1100.
    pub least_ms: u32,
    /// Upload at 16 kHz, the models' own rate. Default false: at the line's 8 kHz, half as many octets, for servers convert what
    /// they get.
    pub wide: bool,
    /// Deadlines of requests. Defaults 3 s, 5 s, 10 s.
    pub deadlines: Deadlines,
}

impl Default for WhisperConfig {
    fn default() -> Self {
        Self {
            base_url: "https://api.openai.com/v1".to_owned(),
            path: "audio/transcriptions".to_owned(),
            model: String::new(),
            language: None,
            language_as: WhisperLanguage::Language,
            response_format: WhisperFormat::Json,
            keyterms: Vec::new(),
            keyterms_as: WhisperTerms::Prompt,
            prompt: String::new(),
            fields: BTreeMap::new(),
            pre_roll_ms: 300,
            least_ms: 1_100,
            wide: false,
            deadlines: Deadlines { first: Duration::from_secs(5), ..Deadlines::default() },
        }
    }
}

/// The field that tells the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhisperLanguage {
    /// `language`, as most have it.
    Language,
    /// `languages[]`, as OpenAI's newest model has it.
    Languages,
    /// None: the model finds out.
    None,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhisperFormat {
    /// The text alone.
    Json,
    /// The text in segments, with the model's own doubts.
    VerboseJson,
}

/// The field that tells words and names to listen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhisperTerms {
    /// Within `prompt`.
    Prompt,
    /// `keywords[]`, as OpenAI's newest model has it.
    Keywords,
    /// `hotwords`, as Speaches has it.
    Hotwords,
    /// None.
    None,
}

/// The stage.
#[derive(Clone, Debug)]
pub(crate) struct Whisper {
    config: WhisperConfig,
    key: Option<Secret>,
    http: Http,
}

impl Whisper {
    pub(crate) fn new(config: WhisperConfig, key: Option<Secret>) -> Self {
        let http = Http::new(STAGE, config.deadlines).repeating();
        Self { config, key, http }
    }

    fn url(&self) -> String {
        join(&self.config.base_url, &self.config.path)
    }

    /// Opens a connection, so that the first words needn't wait for it.
    async fn connect_ahead(&self) {
        if let Ok(url) = self.url().parse() {
            self.http.open_ahead(&url).await;
        }
    }

    fn prompt(&self, expectation: &Expectation) -> String {
        let mut prompt = self.config.prompt.clone();
        if self.config.keyterms_as == WhisperTerms::Prompt {
            let terms = terms(&self.config.keyterms, &expectation.keyterms).join(", ");
            if !terms.is_empty() && !prompt.is_empty() {
                prompt.push(' ');
            }
            prompt.push_str(&terms);
        }
        prompt
    }

    fn form(&self, sound: &[u8], language: Option<&str>, expectation: &Expectation) -> Form {
        let config = &self.config;
        let mut form = Form::default();
        form.file("file", "speech.wav", wav(sound, config.wide));
        if !config.model.is_empty() {
            form.field("model", &config.model);
        }
        let language = expectation.language.as_deref().or(language).map(primary);
        match (language, config.language_as) {
            (Some(language), WhisperLanguage::Language) => form.field("language", language),
            (Some(language), WhisperLanguage::Languages) => form.field("languages[]", language),
            _ => {}
        }
        let prompt = self.prompt(expectation);
        if !prompt.is_empty() {
            form.field("prompt", &prompt);
        }
        let terms = terms(&config.keyterms, &expectation.keyterms);
        match config.keyterms_as {
            WhisperTerms::Keywords => terms.iter().for_each(|term| form.field("keywords[]", term)),
            WhisperTerms::Hotwords if !terms.is_empty() => form.field("hotwords", &terms.join(", ")),
            _ => {}
        }
        form.field(
            "response_format",
            match config.response_format {
                WhisperFormat::Json => "json",
                WhisperFormat::VerboseJson => "verbose_json",
            },
        );
        form.field("temperature", "0");
        for (name, value) in &config.fields {
            form.field(name, value);
        }
        form
    }

    /// Uploads once.
    async fn post(&self, kind: &str, body: Bytes) -> Result<Answer, StageError> {
        let mut request = http::Request::post(self.url())
            .header("content-type", kind)
            .header("accept", "application/json")
            .header("user-agent", concat!("offhook/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {}", key.expose()));
        }
        let request = request.body(Full::new(body)).map_err(|_| StageError::Unavailable {
            stage: STAGE.to_owned(),
            what: "its address or its key has characters that none may have".to_owned(),
            hint: "correct `base_url` and the key".to_owned(),
        })?;
        let mut answer = self.http.send(request).await?;
        let plain = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain"));
        let body = answer.bytes(LONGEST_ANSWER).await?;
        parse(&body, plain)
    }

    async fn fill(&self, request: Request) -> Result<(String, Bytes), StageError> {
        let fill = |stage: &Self, request: &Request| {
            stage.form(&request.sound, request.language.as_deref(), &request.expectation).finish()
        };
        if !self.config.wide {
            return Ok(fill(self, &request));
        }
        // Conversion of a long turn takes milliseconds: not on the worker, where other calls' frames would wait.
        let stage = self.clone();
        let filled = tokio::task::spawn_blocking(move || fill(&stage, &request)).await;
        filled.map_err(|error| broken(STAGE, format!("the sound could not be converted: {error}")))
    }

    /// Uploads, and once more if that may help.
    async fn transcribe(&self, request: Request) -> Result<(String, Option<f32>), StageError> {
        let prompt = self.prompt(&request.expectation);
        let spoken = request.spoken;
        let (kind, body) = self.fill(request).await?;
        let answer = match self.post(&kind, body.clone()).await {
            Err(StageError::Broken { .. }) => self.post(&kind, body).await,
            Err(StageError::Busy { retry_after, .. })
                if retry_after.is_none_or(|after| after <= SHORT_WAIT) =>
            {
                tokio::time::sleep(retry_after.unwrap_or(SHORT_WAIT / 4)).await;
                self.post(&kind, body).await
            }
            answer => answer,
        }?;
        Ok(judge(&answer, spoken, &prompt))
    }
}

/// A server that is busy longer leaves the caller waiting for too long.
const SHORT_WAIT: Duration = Duration::from_secs(1);

/// What is to be transcribed.
struct Request {
    /// μ-law at 8 kHz.
    sound: Vec<u8>,
    /// How much of it our own ears took for speech.
    spoken: Duration,
    language: Option<String>,
    expectation: std::sync::Arc<Expectation>,
}

impl Stt for Whisper {
    fn name(&self) -> &str {
        STAGE
    }

    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        let this = self.clone();
        Box::pin(async move { this.connect_ahead().await })
    }

    fn distance(&self) -> Distance {
        self.http.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let language = language(self.config.language.as_deref(), &call);
        Box::pin(listener::serve(self.clone(), language, call.meter, commands, events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_differ_by_dialect() {
        let expectation = Expectation {
            keyterms: vec!["Margherita".into()],
            language: Some("de-DE".into()),
            ..Expectation::default()
        };
        let form = |config: &str| {
            let config: WhisperConfig = serde_json::from_str(config).unwrap();
            let form = Whisper::new(config, None).form(&[], Some("en-US"), &expectation);
            let body = form.finish().1;
            let body = String::from_utf8_lossy(&body).into_owned();
            let parts = body.split("form-data; name=\"").skip(2);
            let value = |part: &str| part.split("\r\n--").next().unwrap().replace("\"\r\n\r\n", "=");
            parts.map(value).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(form(r#"{"model":"whisper-large-v3-turbo","prompt":"A pizzeria."}"#));
        insta::assert_snapshot!(form(
            r#"{"model":"gpt-transcribe","language_as":"languages","keyterms_as":"keywords"}"#
        ));
        insta::assert_snapshot!(form(
            r#"{"path":"inference","response_format":"verbose_json","language_as":"none","keyterms_as":"hotwords"}"#
        ));
    }
}
