//! Gemini's `models/MODEL:streamGenerateContent` and `:generateContent`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::count;
pub(crate) use super::gemini_check::spell;
use super::gemini_check::{Request, check};
use super::sse::Events;
use crate::http::{Refusal, Reply as Answer, Role};
use crate::latency::each;
use crate::route::Query;
use crate::script::{Reply, tokens};
use crate::state::State;

/// What the double's signatures begin with.
pub(super) const SIGNED: &str = "ZG91YmxlLXNpZ25lZA";

/// Answers a request to this path.
pub(crate) fn answer(path: &str, query: &Query, body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let (model, method) = path.rsplit('/').next().and_then(|tail| tail.split_once(':')).unwrap_or(("", ""));
    let request = check(model, body, state)?;
    let reply = state.config.script.reply(&request.heard);
    let pace = state.config.latency.llm;
    if method == "streamGenerateContent" && query.is("alt", "sse") {
        return Ok(stream(&request, &reply, state));
    }
    let whole = chunk(&request, &parts(&request, &reply), Some(finish(&request, &reply)), &reply);
    let length = u32::try_from(tokens(&reply.text).len()).unwrap_or(u32::MAX);
    let took = state.draw(pace.first) + each(pace.rate) * length;
    // Without `alt=sse` a stream is a list.
    let whole = if method == "streamGenerateContent" { json!([whole]) } else { whole };
    Ok(Answer::json(&whole, took))
}

fn finish(request: &Request, reply: &Reply) -> &'static str {
    if request.most.is_some_and(|most| most < tokens(&reply.text).len()) { "MAX_TOKENS" } else { "STOP" }
}

fn said(request: &Request, reply: &Reply) -> Vec<String> {
    tokens(&reply.text).into_iter().take(request.most.unwrap_or(usize::MAX)).collect()
}

fn calls(request: &Request, reply: &Reply) -> Vec<Value> {
    let part = |(nth, call): (usize, &crate::script::ToolCall)| {
        let args = if call.arguments.is_object() { call.arguments.clone() } else { json!({}) };
        let mut part = json!({"functionCall": {"name": call.name, "args": args}});
        // Only the first of a group is signed.
        if nth == 0 && request.signs {
            part["thoughtSignature"] = format!("{SIGNED}{nth}").into();
        }
        part
    };
    reply.calls.iter().enumerate().map(part).collect()
}

fn parts(request: &Request, reply: &Reply) -> Vec<Value> {
    let text = said(request, reply).concat();
    let text = (!text.is_empty()).then(|| json!({ "text": text }));
    text.into_iter().chain(calls(request, reply)).collect()
}

fn chunk(request: &Request, parts: &[Value], finish: Option<&str>, reply: &Reply) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    let mut usage = json!({"promptTokenCount": request.tokens, "totalTokenCount": request.tokens});
    if let Some(finish) = finish {
        candidate["finishReason"] = finish.into();
        let written = tokens(&reply.text).len()
            + reply.calls.iter().map(|call| count(&call.arguments.to_string())).sum::<usize>();
        usage["candidatesTokenCount"] = written.into();
        usage["thoughtsTokenCount"] = request.thoughts.into();
        usage["totalTokenCount"] = (request.tokens + written + request.thoughts).into();
    }
    json!({"candidates": [candidate], "usageMetadata": usage, "modelVersion": request.model,
           "responseId": "double-response"})
}

fn stream(request: &Request, reply: &Reply, state: &State) -> Answer {
    let mut events = Events::new(state);
    for token in said(request, reply) {
        events.token(None, &chunk(request, &[json!({ "text": token })], None, reply));
    }
    for call in calls(request, reply) {
        events.token(None, &chunk(request, &[call], None, reply));
    }
    let finish = finish(request, reply);
    events.last(None, &chunk(request, &[json!({"text": ""})], Some(finish), reply));
    let mut answer = events.reply;
    let error = json!({"error": {"code": 503, "message": "The model is overloaded. Please try again later.",
                                 "status": "UNAVAILABLE"}});
    answer.error = Bytes::from(format!("data: {error}\n\n"));
    if answer.pieces.is_empty() {
        answer.push(std::time::Duration::ZERO, Role::Last, Bytes::new());
    }
    answer
}
