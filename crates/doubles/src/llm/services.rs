//! Whose service a request for a chat completion is made to, where the address tells (`/groq/openai/v1/chat/completions`), and what that
//! one refuses and does differently. Without a name in the address it is OpenAI's, or a server's that is like it.
//!
//! Sources: the vendors' documentation and issue trackers (console.groq.com/docs/reasoning, inference-docs.cerebras.ai, docs.mistral.ai,
//! api-docs.deepseek.com/guides/thinking_mode, openrouter.ai/docs reasoning tokens, docs.x.ai reasoning, ollama 15457, llama.cpp 14566,
//! sigoden/aichat 1296, litellm 15133), and recorded answers.

use serde_json::{Value, json};

use super::families::thinks_always;
use crate::http::Refusal;
use crate::quirk::Quirk;
use crate::refusal::{Why, openai};

/// A service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Unnamed,
    Azure,
    Groq,
    Cerebras,
    Mistral,
    Deepseek,
    Openrouter,
    Xai,
    Ollama,
    LlamaCpp,
    Vllm,
    LmStudio,
}

/// The names in addresses.
const NAMES: [(&str, Service); 11] = [
    ("azure", Service::Azure),
    ("groq", Service::Groq),
    ("cerebras", Service::Cerebras),
    ("mistral", Service::Mistral),
    ("deepseek", Service::Deepseek),
    ("openrouter", Service::Openrouter),
    ("xai", Service::Xai),
    ("ollama", Service::Ollama),
    ("llamacpp", Service::LlamaCpp),
    ("vllm", Service::Vllm),
    ("lmstudio", Service::LmStudio),
];
/// What Mistral's own service takes.
const MISTRAL: [&str; 20] = [
    "model",
    "messages",
    "temperature",
    "top_p",
    "max_tokens",
    "stream",
    "stop",
    "random_seed",
    "metadata",
    "response_format",
    "tools",
    "tool_choice",
    "presence_penalty",
    "frequency_penalty",
    "n",
    "prediction",
    "parallel_tool_calls",
    "prompt_mode",
    "reasoning_effort",
    "safe_prompt",
];

fn bad(message: &str, param: Option<&str>, code: Option<&str>) -> Refusal {
    openai(Why::BadRequest, message, param, code)
}

impl Service {
    pub(super) fn of(path: &str) -> Self {
        let named = |part: &str| NAMES.iter().find(|(name, _)| *name == part).map(|(_, service)| *service);
        path.split('/').find_map(named).unwrap_or(Self::Unnamed)
    }

    /// How it answers.
    pub(super) const fn quirks(self) -> &'static [Quirk] {
        match self {
            Self::Azure => &[Quirk::AzureFrames],
            // Calls come whole.
            Self::Cerebras | Self::Mistral => &[Quirk::ToolWithoutIndex],
            Self::Groq | Self::Ollama => &[Quirk::ToolSameIndex],
            Self::Openrouter => &[Quirk::SseNoise],
            Self::LlamaCpp => &[Quirk::DoneWithoutBlank, Quirk::NullContent],
            _ => &[],
        }
    }

    /// Whether OpenAI's rules for its own models hold.
    pub(super) const fn is_openai(self) -> bool {
        matches!(self, Self::Unnamed | Self::Azure)
    }

    /// Refuses what it refuses.
    pub(super) fn check(self, request: &Value, model: &str) -> Result<(), Refusal> {
        let effort = request["reasoning_effort"].as_str();
        match self {
            Self::Groq => groq(request, model, effort),
            Self::Cerebras => cerebras(request),
            Self::Mistral => mistral(request),
            Self::Deepseek => deepseek(request, model),
            Self::Openrouter => openrouter(request, model),
            Self::Xai => xai(request, model, effort),
            Self::Ollama => ollama(request, effort),
            Self::LlamaCpp => llama_cpp(request),
            Self::Unnamed | Self::Azure | Self::Vllm | Self::LmStudio => Ok(()),
        }
    }

    /// Hidden tokens before the answer.
    pub(super) fn thoughts(self, request: &Value, model: &str) -> Option<usize> {
        match self {
            Self::Deepseek if deepseek_thinks(request, model) => Some(192),
            Self::Ollama if request["reasoning_effort"] == "none" => Some(0),
            _ if self.is_openai() => None,
            _ if model.contains("gpt-oss") => Some(64),
            _ => Some(0),
        }
    }

    /// The member that bounds an answer; others that would are passed over.
    pub(super) const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Mistral | Self::Ollama | Self::Deepseek => &["max_tokens"],
            _ => &["max_completion_tokens", "max_tokens"],
        }
    }
}

/// The first member of a message of the agent's that isn't in a list, with its place.
fn strange<'a>(request: &'a Value, known: &[&str]) -> Option<(usize, &'a str)> {
    let messages = request["messages"].as_array().into_iter().flatten().enumerate();
    let said = messages.filter(|(_, message)| message["role"] == "assistant");
    let mut members = said.flat_map(|(at, message)| {
        message.as_object().into_iter().flat_map(|fields| fields.keys()).map(move |name| (at, name.as_str()))
    });
    members.find(|(_, name)| !known.contains(name))
}

fn groq(request: &Value, model: &str, effort: Option<&str>) -> Result<(), Refusal> {
    for name in ["logprobs", "logit_bias", "top_logprobs", "verbosity", "store"] {
        if !request[name].is_null() {
            return Err(bad(&format!("property '{name}' is unsupported"), None, None));
        }
    }
    if request["n"].as_u64().is_some_and(|n| n != 1) {
        return Err(bad("'n' : number must be at most 1", None, None));
    }
    if let Some((at, name)) = strange(request, &["role", "content", "name", "tool_calls", "reasoning"]) {
        let message = format!(
            "'messages.{at}' : for 'role:assistant' the following must be satisfied[('messages.{at}' : property '{name}' is unsupported)]"
        );
        return Err(bad(&message, None, None));
    }
    let (qwen, oss) = (model.contains("qwen"), model.contains("gpt-oss"));
    match effort {
        None => Ok(()),
        Some("none" | "default") if qwen => Ok(()),
        Some("low" | "medium" | "high") if oss => Ok(()),
        Some(_) if qwen => Err(bad("`reasoning_effort` must be one of `none` or `default`", None, None)),
        Some(_) if oss => {
            Err(bad("`reasoning_effort` must be one of `low`, `medium`, or `high`", None, None))
        }
        Some(_) => Err(bad("`reasoning_effort` is not supported with this model", None, None)),
    }
}

fn cerebras(request: &Value) -> Result<(), Refusal> {
    for name in ["frequency_penalty", "presence_penalty", "logit_bias", "parallel_tool_calls", "service_tier"]
    {
        if !request[name].is_null() {
            let message = format!("body.{name}: property 'body.{name}' is unsupported");
            return Err(bad(&message, None, Some("wrong_api_format")));
        }
    }
    if let Some((at, name)) = strange(request, &["role", "content", "name", "tool_calls", "reasoning"]) {
        let place = format!("body.messages.{at}.assistant.{name}");
        let message = format!("{place}: property '{place}' is unsupported");
        return Err(bad(&message, None, Some("wrong_api_format")));
    }
    match &request["tool_choice"] {
        Value::Null => Ok(()),
        Value::String(choice) if choice == "auto" || choice == "none" => Ok(()),
        _ => Err(bad("tool_choice must be 'auto' or 'none'", None, Some("wrong_api_format"))),
    }
}

fn mistral(request: &Value) -> Result<(), Refusal> {
    let mut names = request.as_object().into_iter().flat_map(|members| members.keys());
    let Some(name) = names.find(|name| !MISTRAL.contains(&name.as_str())) else { return Ok(()) };
    let detail = json!([{"type": "extra_forbidden", "loc": ["body", name],
                         "msg": "Extra inputs are not permitted", "input": request[name]}]);
    let body = json!({"object": "error", "message": {"detail": detail}, "type": "invalid_request_error", "param": null,
                      "code": null, "raw_status_code": 422});
    Err(Refusal { status: 422, body: body.to_string(), ..bad("", None, None) })
}

fn deepseek_thinks(request: &Value, model: &str) -> bool {
    let asked = &request["thinking"]["type"];
    model.contains("reasoner")
        || (model.starts_with("deepseek-v") && asked != "disabled")
        || asked == "enabled"
}

fn deepseek(request: &Value, model: &str) -> Result<(), Refusal> {
    if !deepseek_thinks(request, model) {
        return Ok(());
    }
    let messages = request["messages"].as_array().into_iter().flatten();
    let mut called = messages.filter(|message| !message["tool_calls"].is_null());
    if called.any(|message| !message["reasoning_content"].is_string()) {
        let message = "The `reasoning_content` in the thinking mode must be passed back to the API.";
        return Err(bad(message, None, Some("invalid_request_error")));
    }
    Ok(())
}

fn openrouter(request: &Value, model: &str) -> Result<(), Refusal> {
    let own = |message: String| {
        let body = json!({"error": {"message": message, "code": 400}, "user_id": "user_double"});
        Refusal { body: body.to_string(), ..bad("", None, None) }
    };
    if !model.contains('/') {
        return Err(own(format!("{model} is not a valid model ID")));
    }
    let off = request["reasoning"]["enabled"] == false || request["reasoning"]["effort"] == "none";
    if off && thinks_always(model) {
        return Err(own("Reasoning is mandatory for this endpoint and cannot be disabled.".to_owned()));
    }
    if !request["reasoning"]["effort"].is_null() && !request["reasoning"]["max_tokens"].is_null() {
        return Err(own(
            "Only one of \"reasoning.effort\" and \"reasoning.max_tokens\" can be specified".to_owned()
        ));
    }
    Ok(())
}

fn xai(request: &Value, model: &str, effort: Option<&str>) -> Result<(), Refusal> {
    let refuse = |name: &str| {
        let message = format!("Model {model} does not support parameter {name}.");
        let body = json!({"code": "Client specified an invalid argument", "error": message});
        Err(Refusal { body: body.to_string(), ..bad("", None, None) })
    };
    let small = model.starts_with("grok-3-mini");
    match effort {
        Some("low" | "high") if small => {}
        Some(_) => return refuse("reasoningEffort"),
        None => {}
    }
    let thinks = small || (!model.contains("non-reasoning") && model.starts_with("grok-4"));
    for (name, theirs) in
        [("presence_penalty", "presencePenalty"), ("frequency_penalty", "frequencyPenalty"), ("stop", "stop")]
    {
        if thinks && !request[name].is_null() {
            return refuse(theirs);
        }
    }
    Ok(())
}

fn ollama(request: &Value, effort: Option<&str>) -> Result<(), Refusal> {
    match effort {
        None | Some("high" | "medium" | "low" | "max" | "none") => {}
        Some(other) => {
            let message = format!(
                "invalid reasoning value: '{other}' (must be \"high\", \"medium\", \"low\", \"max\", or \"none\")"
            );
            return Err(bad(&message, None, None));
        }
    }
    let model = request["model"].as_str().unwrap_or("");
    let thinks = ["qwen3", "gpt-oss", "deepseek-r1", "magistral"].iter().any(|name| model.contains(name));
    if !thinks && effort.is_some_and(|effort| effort != "none") {
        return Err(bad(&format!("\"{model}\" does not support thinking"), None, None));
    }
    Ok(())
}

fn llama_cpp(request: &Value) -> Result<(), Refusal> {
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ids = messages.iter().flat_map(|message| {
        let calls = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]);
        calls.chain([&message["tool_call_id"]])
    });
    let own = |status: u16, kind: &str, message: &str| Refusal {
        status,
        body: json!({"error": {"code": status, "message": message, "type": kind}}).to_string(),
        ..bad("", None, None)
    };
    if ids.into_iter().any(|id| !id.is_null() && !id.is_string()) {
        return Err(own(500, "server_error", "type must be string, but is number"));
    }
    let opened = request["chat_template_kwargs"]["enable_thinking"] != false;
    let model = request["model"].as_str().unwrap_or("");
    if opened
        && model.to_lowercase().contains("qwen3")
        && messages.last().is_some_and(|last| last["role"] == "assistant")
    {
        let message = "Assistant response prefill is incompatible with enable_thinking.";
        return Err(own(400, "invalid_request_error", message));
    }
    Ok(())
}
