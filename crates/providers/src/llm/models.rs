//! Families of models as data: what each takes, refuses and hides. The table is `models.toml`.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call_ids::CallIdFormat;
use super::config::LlmConfig;
use super::protocol::LlmProtocol;
use super::provider::LlmProvider;

/// What a model takes, where that is known to differ from the rest of its protocol. `None`: it doesn't differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelFacts {
    /// The protocol that it needs.
    pub protocol: Option<LlmProtocol>,
    /// What it writes, such as `text` or `audio`. One that doesn't write text can't be a language model here.
    pub modalities: Option<Vec<String>>,
    /// Fields added to each request, such as `reasoning_effort`; the link's `body` replaces them.
    pub send: Option<Map<String, Value>>,
    /// Fields of ours that it refuses.
    pub without: Option<Vec<String>>,
    /// The field that bounds an answer's length.
    pub limit: Option<String>,
    /// Tokens for thoughts that can't be turned off: the limit is raised by so many.
    pub thinks: Option<u32>,
    /// Whether its text begins inside of a thought, where the server has no parser for thoughts.
    pub opens_thinking: Option<bool>,
    /// What it wants back with the results of tools: fields of its message (Chat Completions), or `reasoning` (Responses).
    pub pass_back: Option<Vec<String>>,
    /// What stands for the signature of a tool call's thoughts that another model had (Gemini).
    pub foreign_signature: Option<String>,
    /// Whether a sampling temperature may be sent.
    pub temperature: Option<bool>,
    /// Whether it takes tools with the protocol that is spoken here.
    pub tools: Option<bool>,
    /// What it takes for the ids of tool calls.
    pub call_ids: Option<CallIdFormat>,
    /// Whether it wants to have answered a tool's result before the caller speaks again.
    pub answers_tools: Option<bool>,
    /// Tokens below which the provider caches no beginning of a request.
    pub cache_minimum: Option<u32>,
}

impl ModelFacts {
    /// Takes over what another knows.
    fn overlay(&mut self, other: &Self) {
        fn put<T: Clone>(fact: &mut Option<T>, other: &Option<T>) {
            if other.is_some() {
                fact.clone_from(other);
            }
        }
        put(&mut self.protocol, &other.protocol);
        put(&mut self.modalities, &other.modalities);
        put(&mut self.send, &other.send);
        put(&mut self.without, &other.without);
        put(&mut self.limit, &other.limit);
        put(&mut self.thinks, &other.thinks);
        put(&mut self.opens_thinking, &other.opens_thinking);
        put(&mut self.pass_back, &other.pass_back);
        put(&mut self.foreign_signature, &other.foreign_signature);
        put(&mut self.temperature, &other.temperature);
        put(&mut self.tools, &other.tools);
        put(&mut self.call_ids, &other.call_ids);
        put(&mut self.answers_tools, &other.answers_tools);
        put(&mut self.cache_minimum, &other.cache_minimum);
    }

    /// Whether it can be a language model here.
    pub(super) fn writes_text(&self) -> bool {
        self.modalities.as_ref().is_none_or(|all| all.iter().any(|modality| modality == "text"))
    }
}

/// Models that have something in common.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "toml::Table")]
pub struct ModelFamily {
    /// Their ids, lower case; `*` stands for anything.
    pub models: Vec<String>,
    /// Whose they are; `None`: anybody's.
    pub providers: Option<Vec<LlmProvider>>,
    /// Over which protocols; `None`: any.
    pub protocols: Option<Vec<LlmProtocol>>,
    /// What they take.
    pub facts: ModelFacts,
}

impl TryFrom<toml::Table> for ModelFamily {
    type Error = toml::de::Error;

    /// By hand, for a flattened struct takes unknown fields.
    fn try_from(mut table: toml::Table) -> Result<Self, Self::Error> {
        let models = table.remove("models").unwrap_or_else(|| toml::Value::Array(Vec::new()));
        let providers = table.remove("providers").map(toml::Value::try_into).transpose()?;
        let protocols = table.remove("protocols").map(toml::Value::try_into).transpose()?;
        Ok(Self { models: models.try_into()?, providers, protocols, facts: table.try_into()? })
    }
}

/// A table of families, the more special ones last.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelTable {
    family: Vec<ModelFamily>,
}

static SHIPPED: LazyLock<ModelTable> = LazyLock::new(|| {
    // That it can be read is a test's business.
    ModelTable::from_toml(include_str!("models.toml")).unwrap_or(ModelTable { family: Vec::new() })
});

impl ModelTable {
    /// The families that come with the engine.
    #[must_use]
    pub fn shipped() -> Self {
        SHIPPED.clone()
    }

    /// Reads a table like the shipped one: `[[family]]` with `models`, and what they take.
    ///
    /// # Errors
    /// Where the text is no such table.
    pub fn from_toml(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// A table of these families, the more special ones last.
    #[must_use]
    pub const fn from_families(family: Vec<ModelFamily>) -> Self {
        Self { family }
    }

    /// Adds families of another table, which win over those that are here.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.family.extend(other.family);
        self
    }

    /// How the model of a link is spoken to, and what it takes: by the families that fit, and last by what the link says itself.
    #[must_use]
    pub fn of(&self, config: &LlmConfig) -> (LlmProtocol, ModelFacts) {
        let model = config.model.to_lowercase();
        let fits: Vec<&ModelFamily> = self
            .family
            .iter()
            .filter(|family| {
                family.providers.as_ref().is_none_or(|providers| providers.contains(&config.provider))
                    && family.models.iter().any(|pattern| matches(pattern, &model))
            })
            .collect();
        let needed = || fits.iter().rev().find_map(|family| family.facts.protocol);
        let told = config.protocol.or(config.takes.protocol);
        let protocol = told.or_else(needed).unwrap_or(config.provider.protocol());
        let mut facts = ModelFacts::default();
        let spoken = |family: &&&ModelFamily| {
            family.protocols.as_ref().is_none_or(|protocols| protocols.contains(&protocol))
        };
        for family in fits.iter().filter(spoken) {
            facts.overlay(&family.facts);
        }
        facts.overlay(&config.takes);
        (protocol, facts)
    }
}

/// Whether a text is as the pattern, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| matches(rest, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(provider: LlmProvider, model: &str) -> ModelFacts {
        let config = LlmConfig { provider, model: model.to_owned(), ..LlmConfig::default() };
        ModelTable::shipped().of(&config).1
    }

    fn sent(provider: LlmProvider, model: &str) -> Value {
        facts(provider, model).send.filter(|send| !send.is_empty()).map_or(Value::Null, Value::Object)
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a*", "abc", true),
            ("*b*", "abc", true),
            ("a*c", "abcc", true),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*c", "ücd", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn the_shipped_table_can_be_read_and_turns_thinking_down() {
        ModelTable::from_toml(include_str!("models.toml")).unwrap();
        use LlmProvider::{Anthropic, Deepseek, Gemini, Groq, Mistral, Openai, Openrouter, Vllm, Xai};
        for (provider, model, send) in [
            (Openai, "gpt-6-luna", json!({"reasoning_effort": "none"})),
            (Openai, "gpt-5.6-terra", json!({"reasoning_effort": "none"})),
            (Openai, "gpt-5-mini", json!({"reasoning_effort": "minimal"})),
            (Openai, "gpt-6-astra", json!({"reasoning": {"effort": "low"}})),
            (
                Gemini,
                "gemini-2.5-flash",
                json!({"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}),
            ),
            (
                Gemini,
                "gemini-3.8-flash",
                json!({"generationConfig": {"thinkingConfig": {"thinkingLevel": "minimal"}}}),
            ),
            (Deepseek, "deepseek-v4-flash", json!({"thinking": {"type": "disabled"}})),
            (Openrouter, "anthropic/claude-haiku-4.5", json!({"reasoning": {"enabled": false}})),
            (Xai, "grok-4-1-fast-non-reasoning", Value::Null),
            (Xai, "grok-3-mini", json!({"reasoning_effort": "low"})),
            (Mistral, "mistral-small-latest", Value::Null),
            (Openai, "gpt-4.1", Value::Null),
            (Openai, "gpt-5-chat-latest", Value::Null),
            (Vllm, "gpt-6-luna", Value::Null),
            (Anthropic, "claude-haiku-4-5", json!({"thinking": {"type": "disabled"}})),
            (Anthropic, "claude-sonnet-5", json!({"thinking": {"type": "disabled"}})),
            (Anthropic, "claude-sonnet-5-5", json!({"thinking": {"type": "between_tools"}})),
            (Anthropic, "claude-opus-5-5", json!({"output_config": {"effort": "low"}})),
            (Groq, "qwen/qwen3-32b", json!({"reasoning_effort": "none"})),
            (Vllm, "Qwen/Qwen3-8B", json!({"chat_template_kwargs": {"enable_thinking": false}})),
        ] {
            assert_eq!(sent(provider, model), send, "{model}");
        }
        assert_eq!(facts(Openai, "mistral-small-latest").call_ids, Some(CallIdFormat::NineAlphanumerics));
        assert_eq!(facts(Anthropic, "claude-haiku-4-5-20251001").cache_minimum, Some(4_096));
        let protocol = |provider, model: &str| {
            let config = LlmConfig { provider, model: model.to_owned(), ..LlmConfig::default() };
            ModelTable::shipped().of(&config).0
        };
        assert_eq!(protocol(Openai, "gpt-6.1-sol"), LlmProtocol::Responses);
        assert_eq!(protocol(Openai, "gpt-6-sol"), LlmProtocol::ChatCompletions);
        assert_eq!(protocol(Gemini, "gemini-3-flash-preview"), LlmProtocol::GenerateContent);
        assert!(!facts(Openai, "gpt-realtime-2.1").writes_text() && facts(Openai, "gpt-6-sol").writes_text());
    }

    #[test]
    fn users_add_families_and_facts_of_one_link() {
        let table = "[[family]]\nmodels = ['our-*']\nproviders = ['vllm']\ncall_ids = 'nine_alphanumerics'\nthinks = 50";
        let table = ModelTable::shipped().with(ModelTable::from_toml(table).unwrap());
        let takes = ModelFacts { thinks: Some(7), ..ModelFacts::default() };
        let config =
            LlmConfig { provider: LlmProvider::Vllm, model: "our-own".into(), takes, ..LlmConfig::default() };
        let (_, facts) = table.of(&config);
        assert_eq!((facts.call_ids, facts.thinks), (Some(CallIdFormat::NineAlphanumerics), Some(7)));
        assert!(ModelTable::from_toml("[[family]]\nmodels = []\nthink = 3").is_err(), "a typo is an error");
    }
}
