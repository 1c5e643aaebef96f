//! What OpenAI refuses in a request for a chat completion.

use serde_json::Value;

use super::count;
use super::families::Family;
use super::services::Service;
use crate::http::Refusal;
use crate::quirk::Quirk;
use crate::refusal::{Why, openai};
use crate::script::Heard;
use crate::state::State;

/// What of a request matters here.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) family: Family,
    pub(super) service: Service,
    /// Hidden tokens before the answer.
    pub(super) thoughts: usize,
    /// The most tokens to answer with, thoughts apart.
    pub(super) most: Option<usize>,
    /// About so many tokens the prompt has.
    pub(super) tokens: usize,
    pub(super) heard: Heard,
}

fn bad(message: impl AsRef<str>, param: &str, code: Option<&str>) -> Refusal {
    openai(Why::BadRequest, message.as_ref(), Some(param), code)
}

/// Reads a request as strictly as its service does.
pub(super) fn check(path: &str, body: &[u8], state: &State) -> Result<Request, Refusal> {
    let request: Value = serde_json::from_slice(body).map_err(|_| {
        openai(Why::BadRequest, "We could not parse the JSON body of your request.", None, None)
    })?;
    let Some(model) = request["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(bad("you must provide a model parameter", "model", None));
    };
    if !state.knows(model) {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        return Err(openai(Why::NoSuchModel, &message, None, None));
    }
    let (family, service) = (Family::of(model), Service::of(path));
    service.check(&request, model)?;
    if service.is_openai() || family == Family::Mistral {
        family.check(&request, model)?;
    }
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.is_empty() {
        return Err(bad(
            "Missing required parameter: 'messages'.",
            "messages",
            Some("missing_required_parameter"),
        ));
    }
    check_messages(messages)?;
    let tools = check_tools(&request)?;
    let stream = request["stream"].as_bool().unwrap_or(false);
    if !stream && !request["stream_options"].is_null() {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(bad(message, "stream_options", None));
    }
    let most = service.limits().iter().find_map(|name| request[*name].as_u64());
    if most == Some(0) {
        return Err(bad(
            "Invalid 'max_tokens': integer below minimum value.",
            "max_tokens",
            Some("integer_below_min_value"),
        ));
    }
    let last = messages.iter().rev().find(|message| message["role"] == "user" || message["role"] == "tool");
    let heard = Heard {
        text: last.map(|message| text_of(&message["content"])).unwrap_or_default(),
        tool_result: last.is_some_and(|message| message["role"] == "tool"),
        tools,
    };
    let thoughts = service.thoughts(&request, model).unwrap_or_else(|| family.thoughts(&request));
    Ok(Request {
        model: model.to_owned(),
        stream,
        include_usage: request["stream_options"]["include_usage"].as_bool().unwrap_or(false),
        family,
        service,
        thoughts,
        most: most.and_then(|most| usize::try_from(most).ok()).map(|most| most.saturating_sub(thoughts)),
        tokens: count(&request["messages"].to_string()),
        heard,
    })
}

impl Request {
    /// Whether the answer has this oddity.
    pub(super) fn has(&self, quirk: Quirk, state: &State) -> bool {
        let thinks = quirk == Quirk::Reasoning && self.thoughts > 0 && !self.service.is_openai();
        thinks || state.has(quirk) || self.service.quirks().contains(&quirk)
    }
}

/// Roles, and that calls and results of tools belong together.
fn check_messages(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages.[{index}]");
        let role = message["role"].as_str().unwrap_or("");
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or("");
            if id.is_empty() {
                let message = format!("Missing required parameter: '{at}.tool_call_id'.");
                return Err(bad(message, &at, Some("missing_required_parameter")));
            }
            let Some(found) = open.iter().position(|call| *call == id) else {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message \
                               with 'tool_calls'.";
                return Err(bad(message, &format!("{at}.role"), None));
            };
            open.remove(found);
            continue;
        }
        if !open.is_empty() {
            let message = format!(
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each \
                 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
                open.join(", ")
            );
            return Err(bad(message, &at, None));
        }
        match role {
            "assistant" => {
                let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
                if calls.is_empty() && message["content"].is_null() && message["refusal"].is_null() {
                    let message = format!("Invalid value for 'content': expected a string, got null. ({at})");
                    return Err(bad(message, &format!("{at}.content"), None));
                }
                for call in calls {
                    let arguments = call["function"]["arguments"].as_str();
                    match (call["id"].as_str(), call["function"]["name"].as_str(), arguments) {
                        (Some(id), Some(_), Some(_)) => open.push(id),
                        _ => {
                            return Err(bad(
                                format!(
                                    "Invalid '{at}.tool_calls': each needs an id, a name and arguments as a string."
                                ),
                                &at,
                                None,
                            ));
                        }
                    }
                }
            }
            "system" | "developer" | "user" => {
                if !message["content"].is_string() && !message["content"].is_array() {
                    let message =
                        format!("Invalid value for 'content': expected a string or an array. ({at})");
                    return Err(bad(message, &format!("{at}.content"), None));
                }
            }
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'system', 'assistant', 'user', 'tool', and 'developer'."
                );
                return Err(bad(message, &format!("{at}.role"), Some("invalid_value")));
            }
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
         following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(bad(message, "messages", None))
}

fn check_tools(request: &Value) -> Result<Vec<String>, Refusal> {
    let tools = request["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    if tools.is_empty() && !request["tool_choice"].is_null() {
        let message =
            "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.";
        return Err(bad(message, "tool_choice", None));
    }
    let mut names = Vec::new();
    for (index, tool) in tools.iter().enumerate() {
        let Some(name) = tool["function"]["name"].as_str().filter(|_| tool["type"] == "function") else {
            let at = format!("tools[{index}].function");
            return Err(bad(
                format!("Missing required parameter: '{at}'."),
                &at,
                Some("missing_required_parameter"),
            ));
        };
        let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let at = format!("tools[{index}].function.name");
            let message = format!(
                "Invalid '{at}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            );
            return Err(bad(message, &at, Some("invalid_value")));
        }
        names.push(name.to_owned());
    }
    if request["tool_choice"] == "none" {
        names.clear();
    }
    Ok(names)
}

/// The text of a content: a string, or parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts = parts
                .iter()
                .map(|part| part["text"].as_str().map_or_else(|| text_of(&part["content"]), str::to_owned));
            texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
        }
        _ => String::new(),
    }
}
