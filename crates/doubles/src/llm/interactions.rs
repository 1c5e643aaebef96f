//! Google's `/interactions`, streamed and whole.
//!
//! Source: <https://ai.google.dev/api/interactions-api>, recorded answers.

use bytes::Bytes;
use serde_json::{Value, json};

use super::count;
use super::gemini::SIGNED;
use super::sse::Events;
use crate::http::{Refusal, Reply as Answer};
use crate::latency::each;
use crate::refusal::{Vendor, Why};
use crate::script::{Heard, Reply, tokens};
use crate::state::State;

/// The members of a request, and of its settings.
const KNOWN: [&str; 15] = [
    "model",
    "agent",
    "agent_config",
    "input",
    "system_instruction",
    "tools",
    "response_format",
    "response_modalities",
    "response_mime_type",
    "stream",
    "store",
    "background",
    "generation_config",
    "previous_interaction_id",
    "service_tier",
];
const SETTINGS: [&str; 12] = [
    "max_output_tokens",
    "seed",
    "stop_sequences",
    "temperature",
    "top_p",
    "thinking_level",
    "thinking_summaries",
    "tool_choice",
    "speech_config",
    "image_config",
    "transcription_config",
    "video_config",
];

/// What of a request matters here.
struct Request {
    model: String,
    stream: bool,
    most: usize,
    thoughts: usize,
    tokens: usize,
    heard: Heard,
}

fn bad(message: impl AsRef<str>) -> Refusal {
    Vendor::Gemini.refuse(Why::BadRequest, message.as_ref())
}

/// Answers a request.
pub(crate) fn answer(body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let request = check(body, state)?;
    let reply = state.config.script.reply(&request.heard);
    if request.stream {
        return Ok(stream(&request, &reply, state));
    }
    let pace = state.config.latency.llm;
    let length = u32::try_from(tokens(&reply.text).len()).unwrap_or(u32::MAX);
    let mut whole = interaction(&request, status(&request, &reply), Some(&reply));
    whole["steps"] = steps(&request, &reply).into();
    Ok(Answer::json(&whole, state.draw(pace.first) + each(pace.rate) * length))
}

fn check(body: &[u8], state: &State) -> Result<Request, Refusal> {
    let request: Value = serde_json::from_slice(body).map_err(|_| bad("Invalid JSON payload received."))?;
    let names = |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
    let strange = names(&request).into_iter().flatten().find(|name| !KNOWN.contains(&name.as_str()));
    let settings = &request["generation_config"];
    let setting = names(settings).into_iter().flatten().find(|name| !SETTINGS.contains(&name.as_str()));
    if let Some(name) = strange.or(setting) {
        return Err(bad(format!(
            "Invalid JSON payload received. Unknown name \"{name}\": Cannot find field."
        )));
    }
    let model = request["model"].as_str().unwrap_or("");
    if model.is_empty() || !state.knows(model) {
        return Err(Vendor::Gemini.refuse(Why::NoSuchModel, &format!("Model '{model}' not found.")));
    }
    let stored = !request["previous_interaction_id"].is_null() || request["background"] == true;
    if stored && request["store"] == false {
        return Err(bad("store=false can't be used with previous_interaction_id or background."));
    }
    let thoughts = match settings["thinking_level"].as_str() {
        Some("minimal") if !model.contains("flash") => {
            return Err(bad("Thinking level MINIMAL is not supported for this model."));
        }
        Some("minimal") => 0,
        Some("low") => 64,
        Some("high") => 512,
        None | Some("medium") => 192,
        Some(other) => return Err(bad(format!("Invalid thinking_level: {other}"))),
    };
    let heard = input(&request)?;
    let most = settings["max_output_tokens"].as_u64().and_then(|most| usize::try_from(most).ok());
    Ok(Request {
        model: model.to_owned(),
        stream: request["stream"] == true,
        most: most.unwrap_or(usize::MAX).saturating_sub(thoughts),
        thoughts,
        tokens: count(&request["input"].to_string()),
        heard,
    })
}

/// What is asked: that calls and results belong together, and that thoughts are the double's own.
fn input(request: &Value) -> Result<Heard, Refusal> {
    let mut tools: Vec<String> = Vec::new();
    for tool in request["tools"].as_array().into_iter().flatten() {
        if tool["type"] == "function" {
            let name = tool["name"].as_str().filter(|name| !name.is_empty());
            tools.push(name.ok_or_else(|| bad("tools[].name must not be empty."))?.to_owned());
        }
    }
    if request["generation_config"]["tool_choice"] == "none" {
        tools.clear();
    }
    let steps = match &request["input"] {
        Value::String(text) => return Ok(Heard { text: text.clone(), tool_result: false, tools }),
        Value::Array(steps) if !steps.is_empty() => steps,
        _ => return Err(bad("input must not be empty.")),
    };
    let (mut open, mut text, mut tool_result) = (Vec::new(), String::new(), false);
    for step in steps {
        match step["type"].as_str().unwrap_or("") {
            kind @ ("user_input" | "model_output") => {
                let parts = step["content"].as_array().map(Vec::as_slice).unwrap_or_default();
                if parts.is_empty() || parts.iter().any(|part| part["type"] == "text" && part["text"] == "") {
                    return Err(bad("content must not be empty."));
                }
                if kind == "user_input" {
                    text = parts.iter().filter_map(|part| part["text"].as_str()).collect();
                    tool_result = false;
                }
            }
            "thought" => {
                if !step["signature"].as_str().is_some_and(|signature| signature.starts_with(SIGNED)) {
                    return Err(bad("Corrupted thought signature."));
                }
            }
            "function_call" => {
                let id =
                    step["id"].as_str().filter(|_| step["arguments"].is_object() && step["name"].is_string());
                open.push(id.ok_or_else(|| bad("function_call needs id, name and arguments."))?);
            }
            "function_result" => {
                let call = step["call_id"].as_str().and_then(|id| open.iter().position(|call| *call == id));
                open.remove(call.ok_or_else(|| bad("function_result without its function_call."))?);
                let result = &step["result"];
                text = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
                tool_result = true;
            }
            other => return Err(bad(format!("Unknown step type: \"{other}\""))),
        }
    }
    if !open.is_empty() {
        return Err(bad("The number of function_result steps must equal that of function_call steps."));
    }
    Ok(Heard { text, tool_result, tools })
}

fn status(request: &Request, reply: &Reply) -> &'static str {
    match () {
        () if tokens(&reply.text).len() > request.most => "incomplete",
        () if !reply.calls.is_empty() => "requires_action",
        () => "completed",
    }
}

fn interaction(request: &Request, status: &str, reply: Option<&Reply>) -> Value {
    let mut interaction =
        json!({"id": "v1_double", "object": "interaction", "status": status, "model": request.model});
    if let Some(reply) = reply {
        let written = tokens(&reply.text).len().min(request.most)
            + reply.calls.iter().map(|call| count(&call.arguments.to_string())).sum::<usize>();
        interaction["usage"] = json!({
            "total_tokens": request.tokens + written + request.thoughts, "total_input_tokens": request.tokens,
            "total_cached_tokens": 0, "total_output_tokens": written, "total_tool_use_tokens": 0,
            "total_thought_tokens": request.thoughts,
        });
    }
    interaction
}

fn calls(reply: &Reply) -> impl Iterator<Item = (Value, String)> {
    reply.calls.iter().enumerate().map(|(nth, call)| {
        let arguments = if call.arguments.is_object() { call.arguments.clone() } else { json!({}) };
        let step =
            json!({"type": "function_call", "id": format!("call{nth}"), "name": call.name, "arguments": {}});
        (step, arguments.to_string())
    })
}

fn thought(request: &Request) -> Option<Value> {
    (request.thoughts > 0).then(|| json!({"type": "thought", "signature": format!("{SIGNED}0")}))
}

fn steps(request: &Request, reply: &Reply) -> Vec<Value> {
    let said: String = tokens(&reply.text).into_iter().take(request.most).collect();
    let text = (!said.is_empty())
        .then(|| json!({"type": "model_output", "content": [{"type": "text", "text": said}]}));
    let calls = calls(reply).map(|(mut step, arguments)| {
        step["arguments"] = serde_json::from_str(&arguments).unwrap_or_default();
        step
    });
    thought(request).into_iter().chain(text).chain(calls).collect()
}

fn stream(request: &Request, reply: &Reply, state: &State) -> Answer {
    let mut events = Events::new(state);
    events.push(None, &json!({"event_type": "interaction.created", "interaction": interaction(request, "in_progress", None)}));
    let updated = json!({"event_type": "interaction.status_update", "interaction_id": "v1_double", "status": "in_progress"});
    events.push(None, &updated);
    let mut index = 0;
    let mut step = |events: &mut Events, start: Value, deltas: Vec<Value>| {
        events.push(None, &json!({"event_type": "step.start", "index": index, "step": start}));
        for delta in deltas {
            events.token(None, &json!({"event_type": "step.delta", "index": index, "delta": delta}));
        }
        events.push(None, &json!({"event_type": "step.stop", "index": index}));
        index += 1;
    };
    if let Some(thought) = thought(request) {
        let delta = json!({"type": "thought_signature", "signature": thought["signature"]});
        step(&mut events, json!({"type": "thought"}), vec![delta]);
    }
    if !reply.text.is_empty() && request.most > 0 {
        let said = tokens(&reply.text).into_iter().take(request.most);
        let deltas = said.map(|token| json!({"type": "text", "text": token})).collect();
        step(&mut events, json!({"type": "model_output"}), deltas);
    }
    for (start, arguments) in calls(reply) {
        let letters: Vec<char> = arguments.chars().collect();
        let deltas = letters
            .chunks(9)
            .map(|piece| json!({"type": "arguments_delta", "arguments": piece.iter().collect::<String>()}));
        step(&mut events, start, deltas.collect());
    }
    let done = interaction(request, status(request, reply), Some(reply));
    events.last(None, &json!({"event_type": "interaction.completed", "interaction": done}));
    let mut answer = events.reply;
    let error = json!({"event_type": "error", "error": {"code": 503, "message": "The model is overloaded. Please try again later.",
                                                        "status": "UNAVAILABLE"}});
    answer.error = Bytes::from(format!("data: {error}\n\n"));
    answer
}
