//! What a request is made of, whatever the protocol.

use offhook_stage_api::{ReplyRequest, ToolUse};
use offhook_stages::ToolSpec;
use serde_json::{Map, Value};

use super::config::LlmConfig;
use super::memory::Memory;
use super::messages::{Message, messages};
use super::models::ModelFacts;
use super::prompt::Prompt;
use super::protocol::LlmProtocol;

/// Everything that a request is made of.
pub(super) struct Ask<'a> {
    pub(super) config: &'a LlmConfig,
    pub(super) facts: &'a ModelFacts,
    pub(super) prompt: &'a Prompt,
    pub(super) of_call: &'a str,
    pub(super) conversation: &'a [Message],
    pub(super) tools: ToolUse,
}

impl Ask<'_> {
    /// The tools that are offered.
    pub(super) fn offered(&self) -> &[ToolSpec] {
        let takes = self.config.tools && self.facts.tools != Some(false);
        if takes { &self.prompt.tools } else { &[] }
    }

    /// The most tokens of the answer, with thoughts that can't be turned off.
    pub(super) fn limit(&self) -> u32 {
        self.config.max_tokens.saturating_add(self.facts.thinks.unwrap_or(0))
    }

    pub(super) fn temperature(&self) -> Option<f64> {
        self.config.temperature.filter(|_| self.facts.temperature != Some(false))
    }

    /// The instructions, with what is special about this call.
    pub(super) fn instructions(&self) -> String {
        format!("{}\n\n{}", self.prompt.fixed(), self.of_call)
    }
}

/// The body of a request: the protocol's, with what is known of the model and what the configuration adds and takes away.
pub(super) fn body(
    protocol: LlmProtocol,
    config: &LlmConfig,
    facts: &ModelFacts,
    prompt: &Prompt,
    of_call: &str,
    request: &ReplyRequest,
    memory: &Memory,
) -> Value {
    let ids = facts.call_ids.unwrap_or_default();
    let conversation = messages(request, ids, memory);
    let ask = Ask { config, facts, prompt, of_call, conversation: &conversation, tools: request.tools };
    let mut body = protocol.body(&ask);
    let Value::Object(fields) = &mut body else { return body };
    merge(fields, facts.send.as_ref().unwrap_or(&Map::new()));
    // A model that has to speak must not be made to call a tool.
    let must_speak = request.tools == ToolUse::None;
    for (name, value) in &config.body {
        if must_speak && matches!(name.as_str(), "tool_choice" | "toolConfig") && fields.contains_key(name) {
            continue;
        }
        match (fields.get_mut(name), value) {
            // Gemini has all its settings in one object.
            (Some(Value::Object(ours)), Value::Object(theirs))
                if matches!(name.as_str(), "generationConfig" | "generation_config") =>
            {
                merge(ours, theirs)
            }
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
    let refused = facts.without.iter().flatten().chain(&config.without);
    refused.for_each(|name| {
        fields.remove(name);
    });
    body
}

/// Adds fields, into objects that are there.
fn merge(fields: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match (fields.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}
