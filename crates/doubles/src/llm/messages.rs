//! Anthropic's `/v1/messages`, streamed and whole.

use hyper::HeaderMap;
use serde_json::{Value, json};

use super::count;
use super::messages_check::{Request, check};
use super::sse::{Events, event};
use crate::http::{Refusal, Reply as Answer};
use crate::latency::each;
use crate::script::{Reply, ToolCall, tokens};
use crate::state::State;

/// Answers a request.
pub(crate) fn answer(headers: &HeaderMap, body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let request = check(headers, body, state)?;
    let reply = state.config.script.reply(&request.heard);
    let mut answer =
        if request.stream { stream(&request, &reply, state) } else { whole(&request, &reply, state) };
    answer.headers.extend([
        ("request-id", "req_double".to_owned()),
        ("anthropic-ratelimit-requests-limit", "4000".to_owned()),
        ("anthropic-ratelimit-requests-remaining", "3999".to_owned()),
        ("anthropic-ratelimit-requests-reset", "2026-11-20T10:11:12Z".to_owned()),
    ]);
    Ok(answer)
}

fn input(call: &ToolCall) -> Value {
    if call.arguments.is_object() { call.arguments.clone() } else { json!({}) }
}

fn cost(reply: &Reply) -> usize {
    tokens(&reply.text).len()
        + reply.calls.iter().map(|call| count(&call.arguments.to_string())).sum::<usize>()
}

fn stop_reason(reply: &Reply, request: &Request) -> &'static str {
    if tokens(&reply.text).len() > request.most {
        "max_tokens"
    } else if reply.calls.is_empty() {
        "end_turn"
    } else {
        "tool_use"
    }
}

fn usage(request: &Request, output: usize) -> Value {
    json!({"input_tokens": request.tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
           "output_tokens": output})
}

fn message(request: &Request, content: &Value, stop: Option<&str>, output: usize) -> Value {
    json!({"id": "msg_double", "type": "message", "role": "assistant", "model": request.model, "content": content,
           "stop_reason": stop, "stop_sequence": null, "usage": usage(request, output)})
}

fn whole(request: &Request, reply: &Reply, state: &State) -> Answer {
    let mut content = Vec::new();
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text}));
    }
    content.extend(reply.calls.iter().enumerate().map(|(nth, call)| {
        json!({"type": "tool_use", "id": format!("toolu_{}", nth + 1), "name": call.name, "input": input(call)})
    }));
    let pace = state.config.latency.llm;
    let time = state.draw(pace.first) + each(pace.rate) * u32::try_from(cost(reply)).unwrap_or(u32::MAX);
    Answer::json(&message(request, &content.into(), Some(stop_reason(reply, request)), cost(reply)), time)
}

fn stream(request: &Request, reply: &Reply, state: &State) -> Answer {
    let mut events = Events::new(state);
    let push = |events: &mut Events, data: Value| events.push(data["type"].as_str(), &data);
    let token = |events: &mut Events, data: Value| events.token(data["type"].as_str(), &data);
    push(&mut events, json!({"type": "message_start", "message": message(request, &json!([]), None, 1)}));
    let mut index = 0;
    if !reply.text.is_empty() && request.most > 0 {
        let block = json!({"type": "text", "text": ""});
        push(&mut events, json!({"type": "content_block_start", "index": index, "content_block": block}));
        push(&mut events, json!({"type": "ping"}));
        for text in tokens(&reply.text).iter().take(request.most) {
            let delta = json!({"type": "text_delta", "text": text});
            token(&mut events, json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        push(&mut events, json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    for (nth, call) in reply.calls.iter().enumerate() {
        let block =
            json!({"type": "tool_use", "id": format!("toolu_{}", nth + 1), "name": call.name, "input": {}});
        push(&mut events, json!({"type": "content_block_start", "index": index, "content_block": block}));
        for fragment in fragments(&input(call)) {
            let delta = json!({"type": "input_json_delta", "partial_json": fragment});
            token(&mut events, json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        push(&mut events, json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    let delta = json!({"stop_reason": stop_reason(reply, request), "stop_sequence": null});
    push(
        &mut events,
        json!({"type": "message_delta", "delta": delta, "usage": {"output_tokens": cost(reply)}}),
    );
    events.last(Some("message_stop"), &json!({"type": "message_stop"}));
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"},
                       "request_id": "req_double"});
    Answer { error: event(Some("error"), &error).into(), ..events.reply }
}

/// The first fragment is empty; a tool without arguments has none at all.
fn fragments(input: &Value) -> Vec<String> {
    if input.as_object().is_none_or(serde_json::Map::is_empty) {
        return Vec::new();
    }
    let letters: Vec<char> = input.to_string().chars().collect();
    let pieces = letters.chunks(9).map(|piece| piece.iter().collect());
    std::iter::once(String::new()).chain(pieces).collect()
}
