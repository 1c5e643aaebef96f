//! Cohere's `/v2/chat`, streamed and whole.
//!
//! Source: <https://docs.cohere.com/reference/chat-stream>, recorded answers.

use serde_json::{Value, json};

use super::chat_check::text_of;
use super::count;
use super::sse::{Events, event};
use crate::http::{Refusal, Reply as Answer};
use crate::latency::each;
use crate::refusal::{Vendor, Why};
use crate::script::{Heard, Reply, tokens};
use crate::state::State;

/// The members of a request.
const KNOWN: [&str; 21] = [
    "model",
    "messages",
    "stream",
    "tools",
    "strict_tools",
    "documents",
    "citation_options",
    "response_format",
    "safety_mode",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "logprobs",
    "tool_choice",
    "thinking",
    "priority",
];

struct Request {
    stream: bool,
    most: usize,
    tokens: usize,
    heard: Heard,
}

fn bad(message: &str) -> Refusal {
    Vendor::Cohere.refuse(Why::BadRequest, message)
}

/// Answers a request.
pub(crate) fn answer(body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let request = check(body, state)?;
    let reply = state.config.script.reply(&request.heard);
    Ok(if request.stream { stream(&request, &reply, state) } else { whole(&request, &reply, state) })
}

fn check(body: &[u8], state: &State) -> Result<Request, Refusal> {
    let request: Value = serde_json::from_slice(body).map_err(|_| bad("invalid request: invalid JSON"))?;
    let mut names = request.as_object().into_iter().flat_map(|members| members.keys());
    if let Some(name) = names.find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(bad(&format!("invalid request: unknown field: parameter '{name}' is not a valid field")));
    }
    let model = request["model"].as_str().unwrap_or("");
    if model.is_empty() || !state.knows(model) {
        let message = format!("model '{model}' not found, make sure the correct model ID was used");
        return Err(Vendor::Cohere.refuse(Why::NoSuchModel, &message));
    }
    match request["tool_choice"].as_str() {
        None | Some("REQUIRED" | "NONE") => {}
        Some(_) => return Err(bad("invalid request: tool_choice must be one of 'REQUIRED' or 'NONE'")),
    }
    let messages = request["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let last = messages.iter().rev().find(|message| message["role"] == "user" || message["role"] == "tool");
    let Some(last) = last else {
        return Err(bad("invalid request: messages must contain at least one user message"));
    };
    check_messages(messages)?;
    let tools = request["tools"].as_array().into_iter().flatten();
    let mut tools: Vec<String> =
        tools.filter_map(|tool| tool["function"]["name"].as_str().map(str::to_owned)).collect();
    if request["tool_choice"] == "NONE" {
        tools.clear();
    }
    let most = request["max_tokens"].as_u64().and_then(|most| usize::try_from(most).ok());
    Ok(Request {
        stream: request["stream"] == true,
        most: most.unwrap_or(usize::MAX),
        tokens: count(&request["messages"].to_string()),
        heard: Heard { text: text_of(&last["content"]), tool_result: last["role"] == "tool", tools },
    })
}

/// Calls have their results right behind them.
fn check_messages(messages: &[Value]) -> Result<(), Refusal> {
    let mut open: Vec<&str> = Vec::new();
    for message in messages {
        let role = message["role"].as_str().unwrap_or("");
        if role == "tool" {
            let id = message["tool_call_id"].as_str().and_then(|id| open.iter().position(|call| *call == id));
            open.remove(
                id.ok_or_else(|| bad("invalid request: tool call id not found in previous tool calls"))?,
            );
            continue;
        }
        if !open.is_empty() {
            return Err(bad("invalid request: tool calls must be followed by tool results"));
        }
        match role {
            "user" | "system" if text_of(&message["content"]).is_empty() => {
                return Err(bad("invalid request: all elements in history must have a message."));
            }
            "user" | "system" => {}
            "assistant" => {
                let calls = message["tool_calls"].as_array().into_iter().flatten();
                open.extend(calls.filter_map(|call| call["id"].as_str()));
            }
            other => return Err(bad(&format!("invalid request: invalid role '{other}'"))),
        }
    }
    if open.is_empty() {
        Ok(())
    } else {
        Err(bad("invalid request: tool calls must be followed by tool results"))
    }
}

fn end(request: &Request, reply: &Reply) -> Value {
    let reason = match () {
        () if tokens(&reply.text).len() > request.most => "MAX_TOKENS",
        () if !reply.calls.is_empty() => "TOOL_CALL",
        () => "COMPLETE",
    };
    let written = tokens(&reply.text).len().min(request.most)
        + reply.calls.iter().map(|call| count(&call.arguments.to_string())).sum::<usize>();
    json!({"finish_reason": reason, "usage": {
        "billed_units": {"input_tokens": request.tokens, "output_tokens": written},
        "tokens": {"input_tokens": request.tokens, "output_tokens": written}, "cached_tokens": 0}})
}

/// The calls, with their arguments apart.
fn calls(reply: &Reply) -> impl Iterator<Item = (Value, String)> {
    reply.calls.iter().enumerate().map(|(nth, call)| {
        let arguments = if call.arguments.is_object() { call.arguments.to_string() } else { "{}".to_owned() };
        let id = format!("{}_double{nth}", call.name);
        (json!({"id": id, "type": "function", "function": {"name": call.name, "arguments": ""}}), arguments)
    })
}

fn whole(request: &Request, reply: &Reply, state: &State) -> Answer {
    let said: String = tokens(&reply.text).into_iter().take(request.most).collect();
    let mut message = json!({"role": "assistant"});
    if reply.calls.is_empty() {
        message["content"] = json!([{"type": "text", "text": said}]);
    } else {
        message["tool_plan"] = said.into();
        let calls = calls(reply).map(|(mut call, arguments)| {
            call["function"]["arguments"] = arguments.into();
            call
        });
        message["tool_calls"] = calls.collect();
    }
    let mut body = end(request, reply);
    body["id"] = "double".into();
    body["message"] = message;
    let pace = state.config.latency.llm;
    let length = u32::try_from(tokens(&reply.text).len()).unwrap_or(u32::MAX);
    Answer::json(&body, state.draw(pace.first) + each(pace.rate) * length)
}

fn stream(request: &Request, reply: &Reply, state: &State) -> Answer {
    let mut events = Events::new(state);
    let push = |events: &mut Events, data: Value| events.push(data["type"].as_str(), &data);
    let token = |events: &mut Events, data: Value| events.token(data["type"].as_str(), &data);
    let empty =
        json!({"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []});
    push(&mut events, json!({"id": "double", "type": "message-start", "delta": {"message": empty}}));
    let said = tokens(&reply.text).into_iter().take(request.most);
    if !reply.text.is_empty() {
        let content = json!({"type": "text", "text": ""});
        push(
            &mut events,
            json!({"type": "content-start", "index": 0, "delta": {"message": {"content": content}}}),
        );
        for text in said {
            token(
                &mut events,
                json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": text}}}}),
            );
        }
        push(&mut events, json!({"type": "content-end", "index": 0}));
    }
    for (index, (call, arguments)) in calls(reply).enumerate() {
        push(
            &mut events,
            json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": call}}}),
        );
        let letters: Vec<char> = arguments.chars().collect();
        for piece in letters.chunks(9) {
            let piece = json!({"function": {"arguments": piece.iter().collect::<String>()}});
            token(
                &mut events,
                json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": piece}}}),
            );
        }
        push(&mut events, json!({"type": "tool-call-end", "index": index}));
    }
    events.last(Some("message-end"), &json!({"type": "message-end", "delta": end(request, reply)}));
    let mut error = end(request, reply);
    error["finish_reason"] = "ERROR".into();
    error["error"] = "internal server error".into();
    let error = json!({"type": "message-end", "delta": error});
    Answer { error: event(Some("message-end"), &error).into(), ..events.reply }
}
