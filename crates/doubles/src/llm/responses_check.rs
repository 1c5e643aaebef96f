//! What OpenAI refuses in a request for a response.

use serde_json::Value;

use super::chat_check::text_of;
use super::count;
use super::families::Family;
use super::responses::SEAL;
use crate::http::Refusal;
use crate::refusal::{Why, openai};
use crate::script::Heard;
use crate::state::State;

/// What of a request matters here.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) model: String,
    pub(super) stream: bool,
    /// Hidden tokens before the answer.
    pub(super) thoughts: usize,
    /// Whether the thoughts are wanted, encrypted.
    pub(super) encrypted: bool,
    /// The most tokens to answer with, thoughts apart.
    pub(super) most: Option<usize>,
    pub(super) tokens: usize,
    pub(super) heard: Heard,
}

/// The parameters that there are.
const KNOWN: [&str; 31] = [
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "context_management",
];
/// No fewer tokens may be asked for.
const LEAST: u64 = 16;

fn bad(message: impl AsRef<str>, param: &str, code: Option<&str>) -> Refusal {
    openai(Why::BadRequest, message.as_ref(), Some(param), code)
}

/// Reads a request as strictly as OpenAI does.
pub(super) fn check(body: &[u8], state: &State) -> Result<Request, Refusal> {
    let request: Value = serde_json::from_slice(body).map_err(|_| {
        openai(Why::BadRequest, "We could not parse the JSON body of your request.", None, None)
    })?;
    let missing = |name: &str| {
        bad(format!("Missing required parameter: '{name}'."), name, Some("missing_required_parameter"))
    };
    let Some(model) = request["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(missing("model"));
    };
    for name in request.as_object().into_iter().flat_map(serde_json::Map::keys) {
        if name == "messages" {
            let message = "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'.";
            return Err(bad(message, name, Some("unsupported_parameter")));
        }
        if !KNOWN.contains(&name.as_str()) {
            return Err(bad(format!("Unknown parameter: '{name}'."), name, Some("unknown_parameter")));
        }
    }
    if !state.knows(model) {
        let message = format!("The model '{model}' does not exist or you do not have access to it.");
        return Err(openai(Why::NoSuchModel, &message, None, None));
    }
    let (thoughts, encrypted) = thinking(&request, model)?;
    let most = request["max_output_tokens"].as_u64();
    if most.is_some_and(|most| most < LEAST) {
        let message = format!(
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {LEAST}, but got {} instead.",
            most.unwrap_or(0)
        );
        return Err(bad(message, "max_output_tokens", Some("integer_below_min_value")));
    }
    let tools = tools(&request)?;
    let (text, tool_result) = match &request["input"] {
        Value::String(text) => (text.clone(), false),
        Value::Array(items) if !items.is_empty() => input(items)?,
        _ => return Err(missing("input")),
    };
    let most = most.and_then(|most| usize::try_from(most).ok()).map(|most| most.saturating_sub(thoughts));
    Ok(Request {
        model: model.to_owned(),
        stream: request["stream"].as_bool().unwrap_or(false),
        thoughts,
        encrypted,
        most,
        tokens: count(&request["input"].to_string()) + count(&request["instructions"].to_string()),
        heard: Heard { text, tool_result, tools },
    })
}

/// How much it thinks, and whether that is to be told.
fn thinking(request: &Value, model: &str) -> Result<(usize, bool), Refusal> {
    let family = Family::of(model);
    let effort = request["reasoning"]["effort"].as_str();
    let includes =
        |what: &str| request["include"].as_array().is_some_and(|all| all.iter().any(|one| one == what));
    let encrypted = includes("reasoning.encrypted_content");
    let Some(thoughts) = family.thoughts_of(effort) else {
        if encrypted {
            return Err(bad("Encrypted content is not supported with this model.", "include", None));
        }
        if !request["reasoning"].is_null() && family == Family::OpenAi {
            let message = "Unsupported parameter: 'reasoning.effort' is not supported with this model.";
            return Err(bad(message, "reasoning.effort", Some("unsupported_parameter")));
        }
        return Ok((0, false));
    };
    let thoughts = thoughts.map_err(|effort| {
        let message = format!("Unsupported value: '{effort}' is not supported with the '{model}' model.");
        bad(message, "reasoning.effort", Some("unsupported_value"))
    })?;
    if thoughts > 0 && !request["temperature"].is_null() {
        let message = "Unsupported parameter: 'temperature' is not supported with this model.";
        return Err(bad(message, "temperature", Some("unsupported_parameter")));
    }
    Ok((thoughts, encrypted))
}

/// The last words of the input. Calls and their outputs belong together, thoughts to what they led to.
fn input(items: &[Value]) -> Result<(String, bool), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    let mut last = (String::new(), false);
    for (at, item) in items.iter().enumerate() {
        let place = format!("input[{at}]");
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let role = item["role"].as_str().unwrap_or("");
                if !["user", "assistant", "system", "developer"].contains(&role) {
                    let message = format!(
                        "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
                    );
                    return Err(bad(message, &format!("{place}.role"), Some("invalid_value")));
                }
                if item["content"].as_array().is_none_or(Vec::is_empty) && !item["content"].is_string() {
                    let message = format!("Missing required parameter: '{place}.content'.");
                    return Err(bad(message, &place, Some("missing_required_parameter")));
                }
                if role == "user" {
                    last = (text_of(&item["content"]), false);
                }
            }
            "function_call" => {
                let text = |name: &str| item[name].as_str().filter(|text| !text.is_empty());
                let (Some(id), Some(_), Some(_)) =
                    (text("call_id"), text("name"), item["arguments"].as_str())
                else {
                    let message = format!("Missing required parameter: '{place}.call_id'.");
                    return Err(bad(message, &place, Some("missing_required_parameter")));
                };
                open.push(id);
            }
            "function_call_output" => {
                let id = item["call_id"].as_str().unwrap_or("");
                let Some(found) = open.iter().position(|call| *call == id) else {
                    let message = format!("No tool call found for function call output with call_id {id}.");
                    return Err(bad(message, "input", None));
                };
                open.remove(found);
                last = (text_of(&item["output"]), true);
            }
            "reasoning" => {
                let sealed = item["encrypted_content"].as_str().is_some_and(|text| text.starts_with(SEAL));
                if !sealed {
                    let message = "The encrypted content could not be verified. Reason: Encrypted content could not be decrypted or parsed.";
                    return Err(bad(message, "input", Some("invalid_encrypted_content")));
                }
                let follows = items.get(at + 1).and_then(|next| next["type"].as_str()).unwrap_or("");
                if follows != "function_call" && follows != "reasoning" && follows != "message" {
                    let id = item["id"].as_str().unwrap_or("");
                    let message = format!(
                        "Item '{id}' of type 'reasoning' was provided without its required following item."
                    );
                    return Err(bad(message, "input", None));
                }
            }
            other => {
                let message = format!("Invalid value: '{other}'.");
                return Err(bad(message, &format!("{place}.type"), Some("invalid_value")));
            }
        }
    }
    match open.first() {
        Some(id) => Err(bad(format!("No tool output found for function call {id}."), "input", None)),
        None => Ok(last),
    }
}

fn tools(request: &Value) -> Result<Vec<String>, Refusal> {
    let mut names = Vec::new();
    for (at, tool) in request["tools"].as_array().into_iter().flatten().enumerate() {
        let Some(name) = tool["name"].as_str().filter(|_| tool["type"] == "function") else {
            // Whoever sends the tools of Chat Completions.
            let message = format!("Missing required parameter: 'tools[{at}].name'.");
            return Err(bad(message, &format!("tools[{at}].name"), Some("missing_required_parameter")));
        };
        if tool["strict"] != false {
            // Strict is the usual, and wants every property required and no others allowed.
            let parameters = &tool["parameters"];
            if parameters["additionalProperties"] != false {
                let message = format!(
                    "Invalid schema for function '{name}': In context=(), 'additionalProperties' is required to be \
                     supplied and to be false."
                );
                return Err(bad(
                    message,
                    &format!("tools[{at}].parameters"),
                    Some("invalid_function_parameters"),
                ));
            }
        }
        names.push(name.to_owned());
    }
    if request["tool_choice"] == "none" {
        names.clear();
    }
    Ok(names)
}
