//! What Anthropic refuses in a request for a message.

use hyper::HeaderMap;
use serde_json::Value;

use super::chat_check::text_of;
use super::count;
use crate::http::Refusal;
use crate::refusal::{Vendor, Why};
use crate::script::Heard;
use crate::state::State;

/// What of a request matters here.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) most: usize,
    pub(super) tokens: usize,
    pub(super) heard: Heard,
}

/// The versions there are.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];

fn bad(message: impl AsRef<str>) -> Refusal {
    Vendor::Anthropic.refuse(Why::BadRequest, message.as_ref())
}

/// Reads a request as strictly as Anthropic does.
pub(super) fn check(headers: &HeaderMap, body: &[u8], state: &State) -> Result<Request, Refusal> {
    let version = headers.get("anthropic-version").and_then(|version| version.to_str().ok());
    let Some(version) = version else { return Err(bad("anthropic-version: header is required")) };
    if !VERSIONS.contains(&version) {
        return Err(bad(format!("anthropic-version: \"{version}\" is not a valid version")));
    }
    let request: Value =
        serde_json::from_slice(body).map_err(|_| bad("The request body is not valid JSON"))?;
    let Some(model) = request["model"].as_str() else { return Err(bad("model: Field required")) };
    if !state.knows(model) {
        return Err(Vendor::Anthropic.refuse(Why::NoSuchModel, &format!("model: {model}")));
    }
    let Some(most) = request["max_tokens"].as_u64() else { return Err(bad("max_tokens: Field required")) };
    if version == "2026-10-21" {
        for name in ["temperature", "top_p", "top_k"] {
            if !request[name].is_null() {
                return Err(bad(format!("{name}: Extra inputs are not permitted")));
            }
        }
    }
    thinking(&request, model, most)?;
    let Some(messages) = request["messages"].as_array() else { return Err(bad("messages: Field required")) };
    check_messages(messages)?;
    let last = messages.last().map(|message| &message["content"]);
    let result = last
        .and_then(Value::as_array)
        // Whoever speaks behind a result is answered.
        .and_then(|blocks| blocks.last().filter(|block| block["type"] == "tool_result"));
    let heard = Heard {
        text: result
            .map_or_else(|| last.map(text_of).unwrap_or_default(), |result| text_of(&result["content"])),
        tool_result: result.is_some(),
        tools: check_tools(&request)?,
    };
    Ok(Request {
        model: model.to_owned(),
        stream: request["stream"].as_bool().unwrap_or(false),
        most: usize::try_from(most).unwrap_or(usize::MAX),
        tokens: count(&request["messages"].to_string()) + count(&request["system"].to_string()),
        heard,
    })
}

/// Settings of thinking that a model doesn't have. Source: the settings that clients send by model.
fn thinking(request: &Value, model: &str, most: u64) -> Result<(), Refusal> {
    let kind = request["thinking"]["type"].as_str();
    let always =
        ["claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5"].iter().any(|name| model.starts_with(name));
    let newer = ["-4-7", "-4-8", "-5", "-5-1", "-5-2", "-5-5"].iter().any(|version| model.ends_with(version));
    let adaptive = always || (newer && !model.ends_with("-4-5"));
    match kind {
        Some("disabled") if always => Err(bad("\"thinking.type.disabled\" is not supported for this model.")),
        Some("between_tools") if !model.starts_with("claude-sonnet-5-5") => {
            Err(bad("\"thinking.type.between_tools\" is not supported for this model."))
        }
        Some("enabled") if adaptive => Err(bad(
            "\"thinking.type.enabled\" is not supported for this model. Use \"thinking.type.adaptive\" and \
             \"output_config.effort\" to control thinking behavior.",
        )),
        Some("enabled") => match request["thinking"]["budget_tokens"].as_u64() {
            None => Err(bad("thinking.enabled.budget_tokens: Field required")),
            Some(budget) if budget < 1_024 => {
                Err(bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"))
            }
            Some(budget) if budget >= most => {
                Err(bad("`max_tokens` must be greater than `thinking.budget_tokens`."))
            }
            Some(_) => Ok(()),
        },
        None | Some("disabled" | "adaptive" | "between_tools") => Ok(()),
        Some(other) => Err(bad(format!(
            "thinking: Input tag '{other}' found using 'type' does not match any of the expected tags: 'adaptive', \
             'between_tools', 'disabled', 'enabled'"
        ))),
    }
}

fn check_messages(messages: &[Value]) -> Result<(), Refusal> {
    if messages.is_empty() {
        return Err(bad("messages: at least one message is required"));
    }
    if messages.first().is_some_and(|message| message["role"] != "user") {
        return Err(bad("messages: first message must use the \"user\" role"));
    }
    if messages.last().is_some_and(|message| message["role"] == "assistant") {
        return Err(bad(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or("");
        if role != "user" && role != "assistant" {
            return Err(bad(format!("messages.{index}.role: Input should be 'user' or 'assistant'")));
        }
        let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
        let empty = message["content"].as_str().map_or(blocks.is_empty(), |text| text.trim().is_empty());
        let empty_text = blocks.iter().any(|block| {
            block["type"] == "text" && block["text"].as_str().is_none_or(|text| text.trim().is_empty())
        });
        if empty {
            return Err(bad(format!("messages.{index}: all messages must have non-empty content")));
        }
        if empty_text {
            return Err(bad(format!("messages.{index}: text content blocks must be non-empty")));
        }
        let of = |kind: &'static str, member: &'static str| {
            blocks
                .iter()
                .filter(move |block| block["type"] == kind)
                .map(move |block| block[member].as_str().unwrap_or(""))
        };
        let results: Vec<&str> = of("tool_result", "tool_use_id").collect();
        if let Some(stranger) = results.iter().find(|id| !open.contains(id)) {
            return Err(bad(format!(
                "messages.{index}.content: unexpected `tool_use_id` found in `tool_result` blocks: {stranger}. Each \
                 `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )));
        }
        if let Some(left) = open.iter().find(|id| !results.contains(id)) {
            return Err(bad(format!(
                "messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {left}. Each \
                 `tool_use` block must have a corresponding `tool_result` block in the next message."
            )));
        }
        open = of("tool_use", "id").collect();
        let plain =
            |id: &&str| id.bytes().all(|letter| letter.is_ascii_alphanumeric() || b"_-".contains(&letter));
        if !open.iter().all(plain) {
            return Err(bad(format!(
                "messages.{index}.content: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
            )));
        }
        if blocks.iter().any(|block| block["type"] == "tool_use" && !block["input"].is_object()) {
            return Err(bad(format!("messages.{index}.content: tool_use.input: Input should be an object")));
        }
    }
    Ok(())
}

fn check_tools(request: &Value) -> Result<Vec<String>, Refusal> {
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() && !request["tool_choice"].is_null() {
        return Err(bad("tool_choice: may only be specified while providing tools"));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let Some(name) = tool["name"].as_str() else {
            return Err(bad(format!("tools.{index}.name: Field required")));
        };
        if !tool["input_schema"].is_object() {
            return Err(bad(format!("tools.{index}.input_schema: Field required")));
        }
        names.push(name.to_owned());
    }
    if request["tool_choice"]["type"] == "none" {
        names.clear();
    }
    Ok(names)
}
