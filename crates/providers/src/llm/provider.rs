//! Providers of language models: where they are, and how they want their key.

use serde::{Deserialize, Serialize};

use super::protocol::LlmProtocol;

/// A language model's provider, or the kind of server that speaks its protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LlmProvider {
    /// OpenAI, and whatever speaks its protocols alike.
    #[default]
    Openai,
    /// Anthropic.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// Groq.
    Groq,
    /// Cerebras.
    Cerebras,
    /// Azure OpenAI: needs `base_url`; the model is the deployment's name.
    Azure,
    /// Mistral.
    Mistral,
    /// DeepSeek.
    Deepseek,
    /// OpenRouter.
    Openrouter,
    /// xAI.
    Xai,
    /// Cohere.
    Cohere,
    /// A local Ollama.
    Ollama,
    /// A local llama.cpp server.
    Llamacpp,
    /// A local vLLM.
    Vllm,
    /// A local LM Studio.
    Lmstudio,
}

/// What is known of a provider.
struct Known {
    name: &'static str,
    base_url: Option<&'static str>,
    key_env: Option<&'static str>,
    limit_field: &'static str,
}

const fn known(
    name: &'static str,
    base_url: &'static str,
    key_env: Option<&'static str>,
    limit_field: &'static str,
) -> Known {
    Known { name, base_url: Some(base_url), key_env, limit_field }
}

impl LlmProvider {
    const fn known(self) -> Known {
        // Reasoning models refuse the old field that bounds an answer's length, other servers know no other.
        const NEW: &str = "max_completion_tokens";
        const OLD: &str = "max_tokens";
        match self {
            Self::Openai => known("openai", "https://api.openai.com/v1", Some("OPENAI_API_KEY"), NEW),
            Self::Anthropic => {
                known("anthropic", "https://api.anthropic.com/v1", Some("ANTHROPIC_API_KEY"), OLD)
            }
            Self::Gemini => known(
                "gemini",
                "https://generativelanguage.googleapis.com/v1beta",
                Some("GEMINI_API_KEY"),
                OLD,
            ),
            Self::Groq => known("groq", "https://api.groq.com/openai/v1", Some("GROQ_API_KEY"), NEW),
            Self::Cerebras => known("cerebras", "https://api.cerebras.ai/v1", Some("CEREBRAS_API_KEY"), NEW),
            // Azure has no common address.
            Self::Azure => Known {
                name: "azure",
                base_url: None,
                key_env: Some("AZURE_OPENAI_API_KEY"),
                limit_field: NEW,
            },
            Self::Mistral => known("mistral", "https://api.mistral.ai/v1", Some("MISTRAL_API_KEY"), OLD),
            Self::Deepseek => known("deepseek", "https://api.deepseek.com", Some("DEEPSEEK_API_KEY"), OLD),
            Self::Openrouter => {
                known("openrouter", "https://openrouter.ai/api/v1", Some("OPENROUTER_API_KEY"), OLD)
            }
            Self::Xai => known("xai", "https://api.x.ai/v1", Some("XAI_API_KEY"), NEW),
            Self::Cohere => known("cohere", "https://api.cohere.com/v2", Some("COHERE_API_KEY"), OLD),
            Self::Ollama => known("ollama", "http://localhost:11434/v1", None, OLD),
            Self::Llamacpp => known("llamacpp", "http://localhost:8080/v1", None, OLD),
            Self::Vllm => known("vllm", "http://localhost:8000/v1", None, OLD),
            Self::Lmstudio => known("lmstudio", "http://localhost:1234/v1", None, OLD),
        }
    }

    /// Its name in config, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.known().name
    }

    /// Where it is, unless `base_url` says otherwise. Azure has no common address.
    #[must_use]
    pub const fn base_url(self) -> Option<&'static str> {
        self.known().base_url
    }

    /// The environment variable that holds its key by custom; `None` for local servers, which need none.
    #[must_use]
    pub const fn key_env(self) -> Option<&'static str> {
        self.known().key_env
    }

    /// The protocol that is spoken with it, where neither the configuration nor the table of models says otherwise.
    #[must_use]
    pub const fn protocol(self) -> LlmProtocol {
        match self {
            Self::Anthropic => LlmProtocol::Messages,
            Self::Gemini => LlmProtocol::GenerateContent,
            Self::Cohere => LlmProtocol::CohereChat,
            _ => LlmProtocol::ChatCompletions,
        }
    }

    /// The field of Chat Completions that bounds an answer's length.
    pub(crate) const fn limit_field(self) -> &'static str {
        self.known().limit_field
    }

    pub(crate) const fn key_header(self, protocol: LlmProtocol) -> &'static str {
        match (self, protocol) {
            (_, LlmProtocol::Messages) => "x-api-key",
            (Self::Azure, _) => "api-key",
            (_, LlmProtocol::GenerateContent | LlmProtocol::Interactions) => "x-goog-api-key",
            _ => "authorization",
        }
    }
}
