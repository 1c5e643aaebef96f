//! An agent's `[llm]` table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::models::ModelFacts;
use super::protocol::LlmProtocol;
use super::provider::LlmProvider;
use crate::net::Deadlines;

/// `[llm]`: the language model. Nothing is sent that isn't configured here or known of the model's family: a field that a server
/// doesn't know is the most common reason for it to refuse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LlmConfig {
    /// Who answers. Default `openai`.
    pub provider: LlmProvider,
    /// The protocol to speak. Default: the provider's, or the one that the model needs.
    pub protocol: Option<LlmProtocol>,
    /// The model's id (with Azure: the deployment). No default: providers retire models.
    pub model: String,
    /// The name in logs, metrics and costs; tells two links of the same provider apart. Default: the provider's.
    pub name: Option<String>,
    /// Where the server is. Default: the provider's own address.
    pub base_url: Option<String>,
    /// The path behind it. Default: the protocol's, e.g. `/chat/completions`.
    pub path: Option<String>,
    /// The environment variable that holds the key. Default: the provider's customary one.
    pub key_env: Option<String>,
    /// The header that carries the key; `authorization` carries it as a bearer token. Default: the provider's.
    pub key_header: Option<String>,
    /// More headers.
    pub headers: BTreeMap<String, String>,
    /// More query parameters, e.g. Azure's `api-version`.
    pub query: BTreeMap<String, String>,
    /// Fields to add to each request, e.g. `reasoning_effort`; they replace ours of the same name
    /// (Gemini's `generationConfig` is added to).
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
            protocol: None,
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
