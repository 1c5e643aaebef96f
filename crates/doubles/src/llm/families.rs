//! What families of models refuse of a request that others take. Source: the vendors' documentation and answers seen in
//! their clients' issue trackers (openai-openapi 541, pipecat 4043, litellm 34569, LibreChat 14355; ironclaw 1241,
//! mistralai/client-js 69).

use serde_json::{Value, json};

use crate::http::Refusal;
use crate::refusal::{Why, openai};

/// Whose model it is, by its name. Names of other vendors are taken for a server that is like OpenAI and knows no rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// OpenAI's that think; what they do of themselves, and whether they can be kept from it.
    Reasoning(Reasoning),
    /// OpenAI's others.
    OpenAi,
    /// Mistral, Magistral, Devstral and so on.
    Mistral,
    Other,
}

/// How an OpenAI model thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reasoning {
    /// It thinks if nobody says how much.
    unasked: bool,
    /// `reasoning_effort: "none"` keeps it from thinking.
    can_stop: bool,
    /// Tools and thoughts don't go together over Chat Completions.
    no_tools: bool,
}

/// Prefix of the name, then the three members of [`Reasoning`]. The first that fits counts.
const REASONING: [(&str, bool, bool, bool); 13] = [
    ("gpt-6-astra", true, false, true),
    ("gpt-6.1-sol", true, false, true),
    ("gpt-6", true, true, true),
    ("gpt-5.6", true, true, true),
    ("gpt-5.5", true, true, true),
    ("gpt-5.4", false, true, true),
    ("gpt-5.2", false, true, true),
    ("gpt-5.1", false, true, false),
    ("gpt-5", true, false, false),
    ("o1", true, false, false),
    ("o3", true, false, false),
    ("o4", true, false, false),
    ("codex", true, false, false),
];
/// Beginnings of Mistral's names, behind the vendor's name and a slash if there is one.
const MISTRAL: [&str; 10] = [
    "mistral",
    "open-mistral",
    "open-mixtral",
    "mixtral",
    "ministral",
    "magistral",
    "devstral",
    "codestral",
    "pixtral",
    "voxtral",
];
/// The parameters that OpenAI knows.
const KNOWN: [&str; 39] = [
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_k",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "extra_body",
];
/// Hidden tokens that a model thinks before it answers, by the effort that is asked for.
const THOUGHTS: [(&str, usize); 7] = [
    ("none", 0),
    ("minimal", 0),
    ("low", 64),
    ("medium", 192),
    ("high", 512),
    ("xhigh", 1_024),
    ("max", 2_048),
];
/// The longest id of a tool call that OpenAI takes.
const LONGEST_ID: usize = 40;

/// Whether a model of OpenRouter's can't be kept from thinking.
pub(super) fn thinks_always(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let always =
        ["gpt-oss", "gemini-2.5-pro", "gemini-3", "deepseek-r1", "minimax-m", "o1", "o3", "o4", "magistral"];
    always.iter().any(|prefix| name.starts_with(prefix))
        || (name.starts_with("grok-4") && !name.contains("non-reasoning"))
}

impl Family {
    pub(super) fn of(model: &str) -> Self {
        let name = model.rsplit('/').next().unwrap_or(model);
        let reasoning = REASONING.iter().find(|(prefix, ..)| name.starts_with(prefix));
        if let Some((_, unasked, can_stop, no_tools)) = reasoning {
            let chat = name.contains("-chat");
            return Self::Reasoning(Reasoning {
                unasked: *unasked && !chat,
                can_stop: *can_stop,
                no_tools: *no_tools && !chat,
            });
        }
        match name {
            _ if MISTRAL.iter().any(|prefix| name.starts_with(prefix)) => Self::Mistral,
            _ if name.starts_with("gpt-") && !name.starts_with("gpt-oss") => Self::OpenAi,
            _ => Self::Other,
        }
    }

    /// Refuses what this family refuses.
    pub(super) fn check(self, request: &Value, model: &str) -> Result<(), Refusal> {
        match self {
            Self::Reasoning(reasoning) => {
                known_only(request)?;
                reasoning.check(request, model)?;
                short_ids(request)
            }
            Self::OpenAi => {
                known_only(request)?;
                if !request["reasoning_effort"].is_null() {
                    return Err(bad("Unrecognized request argument supplied: reasoning_effort", None, None));
                }
                short_ids(request)
            }
            Self::Mistral => mistral(request),
            Self::Other => Ok(()),
        }
    }

    /// Hidden tokens before the answer. They count against the limit.
    pub(super) fn thoughts(self, request: &Value) -> usize {
        let Self::Reasoning(reasoning) = self else { return 0 };
        let usual = if reasoning.unasked { "medium" } else { "none" };
        let effort = request["reasoning_effort"].as_str().unwrap_or(usual);
        THOUGHTS.iter().find(|(name, _)| *name == effort).map_or(0, |(_, tokens)| *tokens)
    }

    /// Hidden tokens at this effort, over Responses. `None`: it doesn't think. The error is an effort that it doesn't take.
    pub(super) fn thoughts_of(self, effort: Option<&str>) -> Option<Result<usize, String>> {
        let Self::Reasoning(reasoning) = self else { return None };
        let usual = if reasoning.unasked { "medium" } else { "none" };
        let effort = effort.unwrap_or(usual);
        let taken = effort != "none" || reasoning.can_stop;
        let tokens = THOUGHTS.iter().find(|(name, _)| *name == effort && taken).map(|(_, tokens)| *tokens);
        Some(tokens.ok_or_else(|| effort.to_owned()))
    }

    /// The id of the `nth` tool call, from 0.
    pub(super) fn call_id(self, nth: usize) -> String {
        if self == Self::Mistral { format!("double{:03}", nth + 1) } else { format!("call_{}", nth + 1) }
    }
}

fn bad(message: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    openai(Why::BadRequest, message, param, code)
}

fn known_only(request: &Value) -> Result<(), Refusal> {
    let strange =
        request.as_object().and_then(|members| members.keys().find(|name| !KNOWN.contains(&name.as_str())));
    strange.map_or(Ok(()), |name| {
        Err(bad(&format!("Unrecognized request argument supplied: {name}"), None, None))
    })
}

/// Every id of a tool call, with its place.
fn ids(request: &Value) -> impl Iterator<Item = (String, &str)> {
    let messages = request["messages"].as_array().into_iter().flatten().enumerate();
    messages.flat_map(|(index, message)| {
        let calls = message["tool_calls"].as_array().into_iter().flatten().enumerate();
        let calls =
            calls.map(move |(nth, call)| (format!("messages[{index}].tool_calls[{nth}].id"), &call["id"]));
        let result = [(format!("messages[{index}].tool_call_id"), &message["tool_call_id"])];
        calls.chain(result).filter_map(|(at, id)| Some((at, id.as_str()?)))
    })
}

fn short_ids(request: &Value) -> Result<(), Refusal> {
    let Some((at, id)) = ids(request).find(|(_, id)| id.len() > LONGEST_ID) else { return Ok(()) };
    let message = format!(
        "Invalid '{at}': string too long. Expected a string with maximum length {LONGEST_ID}, but got a string with \
         length {} instead.",
        id.len()
    );
    Err(bad(&message, Some(&at), Some("string_above_max_length")))
}

impl Reasoning {
    fn check(self, request: &Value, model: &str) -> Result<(), Refusal> {
        if !request["max_tokens"].is_null() {
            let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use \
                           'max_completion_tokens' instead.";
            return Err(bad(message, Some("max_tokens"), Some("unsupported_parameter")));
        }
        let effort = request["reasoning_effort"].as_str();
        if let Some(effort) = effort
            && (!THOUGHTS.iter().any(|(name, _)| *name == effort) || (effort == "none" && !self.can_stop))
        {
            let message = format!(
                "Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. Supported values \
                 are: 'low', 'medium', and 'high'."
            );
            return Err(bad(&message, Some("reasoning_effort"), Some("unsupported_value")));
        }
        let tools = request["tools"].as_array().is_some_and(|tools| !tools.is_empty());
        let thinks = effort.map_or(self.unasked, |effort| effort != "none");
        if self.no_tools && tools && thinks {
            let or = if self.can_stop { " or set reasoning_effort to 'none'" } else { "" };
            let message = format!(
                "Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions. To use \
                 function tools, use /v1/responses{or}."
            );
            return Err(bad(&message, Some("reasoning_effort"), None));
        }
        // Who doesn't think takes it.
        if thinks
            && request["temperature"].as_f64().is_some_and(|temperature| (temperature - 1.0).abs() > 1e-9)
        {
            let message = "Unsupported value: 'temperature' does not support this value with this model. Only the \
                           default (1) value is supported.";
            return Err(bad(message, Some("temperature"), Some("unsupported_value")));
        }
        if !request["stop"].is_null() {
            let message = "Unsupported parameter: 'stop' is not supported with this model.";
            return Err(bad(message, Some("stop"), Some("unsupported_parameter")));
        }
        Ok(())
    }
}

/// Mistral's own words, in its own shape.
fn mistral(request: &Value) -> Result<(), Refusal> {
    let refuse = |status: u16, kind: &str, code: &str, message: Value| Refusal {
        status,
        body: json!({"object": "error", "message": message, "type": kind, "param": null, "code": code,
                     "raw_status_code": status})
        .to_string(),
        ..bad("", None, None)
    };
    for name in ["max_completion_tokens", "service_tier", "store", "verbosity"] {
        if !request[name].is_null() {
            let detail = json!([{"type": "extra_forbidden", "loc": ["body", name],
                                 "msg": "Extra inputs are not permitted", "input": request[name]}]);
            return Err(refuse(422, "invalid_request_error", "", json!({ "detail": detail })));
        }
    }
    let right = |id: &str| id.len() == 9 && id.bytes().all(|letter| letter.is_ascii_alphanumeric());
    if let Some((_, id)) = ids(request).find(|(_, id)| !right(id)) {
        let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.");
        return Err(refuse(400, "invalid_function_call", "3280", message.into()));
    }
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let role = |message: &Value| message["role"].as_str().unwrap_or("").to_owned();
    let asks = messages.windows(2).any(|pair| role(&pair[0]) == "tool" && role(&pair[1]) == "user");
    if asks {
        return Err(refuse(
            400,
            "invalid_request_message_order",
            "3230",
            "Unexpected role 'user' after role 'tool'".into(),
        ));
    }
    let last = messages.last();
    if last.is_some_and(|last| role(last) == "assistant" && last["prefix"] != true) {
        let message =
            "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant";
        return Err(refuse(400, "invalid_request_message_order", "3230", message.into()));
    }
    Ok(())
}
