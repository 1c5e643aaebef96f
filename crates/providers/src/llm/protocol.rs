//! The protocols of language models, each in a file of its own.

pub(super) mod anthropic;
pub(super) mod chat;
pub(super) mod cohere;
pub(super) mod gemini;
pub(super) mod interactions;
pub(super) mod responses;

use offhook_stages::{StageError, Usage};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ask::Ask;
use super::output::Output;
use crate::net::sse::Event;

/// How a language model is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LlmProtocol {
    /// OpenAI's Chat Completions (`POST /chat/completions`), which most servers speak.
    ChatCompletions,
    /// OpenAI's Responses (`POST /responses`).
    Responses,
    /// Anthropic's Messages (`POST /messages`).
    Messages,
    /// Google's Gemini (`POST /models/MODEL:streamGenerateContent`).
    GenerateContent,
    /// Google's Interactions (`POST /interactions`).
    Interactions,
    /// Cohere's Chat (`POST /v2/chat`).
    CohereChat,
}

impl LlmProtocol {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ChatCompletions,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::Interactions,
        Self::CohereChat,
    ];

    /// Its name in configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::Interactions => "interactions",
            Self::CohereChat => "cohere_chat",
        }
    }

    /// The path of a model behind the server's address.
    pub(super) fn path(self, model: &str) -> String {
        match self {
            Self::ChatCompletions => "/chat/completions".to_owned(),
            Self::Responses => "/responses".to_owned(),
            Self::Messages => "/messages".to_owned(),
            Self::Interactions => "/interactions?alt=sse".to_owned(),
            Self::CohereChat => "/chat".to_owned(),
            Self::GenerateContent => {
                let model = model.strip_prefix("models/").unwrap_or(model);
                format!("/models/{model}:streamGenerateContent?alt=sse")
            }
        }
    }

    pub(super) fn body(self, ask: &Ask<'_>) -> Value {
        match self {
            Self::ChatCompletions => chat::body(ask),
            Self::Responses => responses::body(ask),
            Self::Messages => anthropic::body(ask),
            Self::GenerateContent => gemini::body(ask),
            Self::Interactions => interactions::body(ask),
            Self::CohereChat => cohere::body(ask),
        }
    }

    pub(super) fn reader(self, stage: &str) -> Box<dyn Reader> {
        match self {
            Self::ChatCompletions => Box::new(chat::Reader::new(stage)),
            Self::Responses => Box::new(responses::Reader::new(stage)),
            Self::Messages => Box::new(anthropic::Reader::new(stage)),
            Self::GenerateContent => Box::new(gemini::Reader::new(stage)),
            Self::Interactions => Box::new(interactions::Reader::new(stage)),
            Self::CohereChat => Box::new(cohere::Reader::new(stage)),
        }
    }
}

/// Reads the events of an answer. A server that doesn't stream sends the whole answer as one.
pub(super) trait Reader: Send + Sync {
    /// Takes an event.
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError>;

    /// The stream has ended.
    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError>;

    /// How far the answer is.
    fn progress(&self) -> Progress;

    /// What was used so far.
    fn usage(&self) -> Usage;
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The answer is there: what may still come is its end mark and the bill.
    pub(super) finished: bool,
    /// Nothing more is worth waiting for.
    pub(super) over: bool,
    /// It ran into its limit of tokens, so that its last sentence may be half of one.
    pub(super) cut_short: bool,
}
