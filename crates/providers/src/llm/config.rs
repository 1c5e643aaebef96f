//! An agent's `[llm]` table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::models::ModelFacts;
use crate::net::Deadlines;

/// A language model's provider, or the kind of server that speaks its protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LlmProvider {
    /// OpenAI's Chat Completions, and whatever speaks them alike.
    #[default]
    Openai,
    /// Anthropic's Messages.
    Anthropic,
    /// Groq.
    Groq,
    /// Cerebras.
    Cerebras,
    /// Azure OpenAI: needs `base_url`; the model is the deployment's name.
    Azure,
    /// A local Ollama.
    Ollama,
    /// A local llama.cpp server.
    Llamacpp,
    /// A local vLLM.
    Vllm,
}

impl LlmProvider {
    /// Its name in config, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Groq => "groq",
            Self::Cerebras => "cerebras",
            Self::Azure => "azure",
            Self::Ollama => "ollama",
            Self::Llamacpp => "llamacpp",
            Self::Vllm => "vllm",
        }
    }

    /// Where it is, unless `base_url` says otherwise. Azure has no common address.
    #[must_use]
    pub const fn base_url(self) -> Option<&'static str> {
        Some(match self {
            Self::Openai => "https://api.openai.com/v1",
            Self::Anthropic => "https://api.anthropic.com/v1",
            Self::Groq => "https://api.groq.com/openai/v1",
            Self::Cerebras => "https://api.cerebras.ai/v1",
            Self::Azure => return None,
            Self::Ollama => "http://localhost:11434/v1",
            Self::Llamacpp => "http://localhost:8080/v1",
            Self::Vllm => "http://localhost:8000/v1",
        })
    }

    /// The environment variable that holds its key by custom; `None` for local servers, which need none.
    #[must_use]
    pub const fn key_env(self) -> Option<&'static str> {
        match self {
            Self::Openai => Some("OPENAI_API_KEY"),
            Self::Anthropic => Some("ANTHROPIC_API_KEY"),
            Self::Groq => Some("GROQ_API_KEY"),
            Self::Cerebras => Some("CEREBRAS_API_KEY"),
            Self::Azure => Some("AZURE_OPENAI_API_KEY"),
            Self::Ollama | Self::Llamacpp | Self::Vllm => None,
        }
    }

    /// The field that bounds an answer's length: reasoning models refuse the old one, local servers know no other.
    pub(crate) const fn limit_field(self) -> &'static str {
        match self {
            Self::Ollama | Self::Llamacpp | Self::Vllm | Self::Anthropic => "max_tokens",
            _ => "max_completion_tokens",
        }
    }

    pub(crate) const fn key_header(self) -> &'static str {
        match self {
            Self::Anthropic => "x-api-key",
            Self::Azure => "api-key",
            _ => "authorization",
        }
    }
}

/// `[llm]`: the language model. Nothing is sent that isn't configured here or known of the model's family: a field that a server
/// doesn't know is the most common reason for it to refuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LlmConfig {
    /// Who answers. Default `openai`.
    pub provider: LlmProvider,
    /// The model's id (with Azure: the deployment). No default: providers retire models.
    pub model: String,
    /// The name in logs, metrics and costs; tells two links of the same provider apart. Default: the provider's.
    pub name: Option<String>,
    /// Where the server is. Default: the provider's own address.
    pub base_url: Option<String>,
    /// The path behind it. Default `/chat/completions`, or `/messages` for Anthropic.
    pub path: Option<String>,
    /// The environment variable that holds the key. Default: the provider's customary one.
    pub key_env: Option<String>,
    /// The header that carries the key; `authorization` carries it as a bearer token. Default: the provider's.
    pub key_header: Option<String>,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// More query parameters, e.g. Azure's `api-version`.
    pub query: BTreeMap<String, String>,
    /// Fields to add to each request, e.g. `reasoning_effort`; they replace ours of the same name.
    pub body: BTreeMap<String, Value>,
    /// Fields of ours that this server refuses.
    pub without: Vec<String>,
    /// Most tokens of one answer. Default 400: a minute and a half of speech. Thoughts that a model can't be kept from come on top.
    pub max_tokens: u32,
    /// Sampling temperature; not sent to models that are known to refuse it. Default: not sent.
    pub temperature: Option<f64>,
    /// Tell the server which call it answers: call, caller, called number, agent and parameters, in a signed header and in
    /// `metadata`. For servers of one's own. Default false.
    pub tell_call: bool,
    /// The environment variable that holds the secret which signs that. Default `OFFHOOK_SIGNING_SECRET`.
    pub secret_env: Option<String>,
    /// Whether the model may use tools. Default true.
    pub tools: bool,
    /// What this model takes, where the engine's table of models doesn't know it or is wrong.
    pub takes: ModelFacts,
    /// Whether to ask the provider to keep the instructions in its cache (Anthropic). Default true.
    pub cache: bool,
    /// Anthropic's `anthropic-version`. Default `2023-06-01`.
    pub version: String,
    /// The bounds beyond which a request is given up.
    pub deadlines: Deadlines,
}

impl Default for LlmConfig {
    fn default() -> Self {
        Self {
            provider: LlmProvider::Openai,
            model: String::new(),
            name: None,
            base_url: None,
            path: None,
            key_env: None,
            key_header: None,
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            body: BTreeMap::new(),
            without: Vec::new(),
            max_tokens: 400,
            temperature: None,
            tell_call: false,
            secret_env: None,
            tools: true,
            takes: ModelFacts::default(),
            cache: true,
            version: "2023-06-01".to_owned(),
            deadlines: Deadlines::default(),
        }
    }
}
