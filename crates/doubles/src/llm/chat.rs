//! OpenAI's `/chat/completions`, streamed and whole.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat_check::{Request, check};
use super::count;
use super::sse::{Events, event};
use crate::http::{Refusal, Reply as Answer, Role};
use crate::latency::each;
use crate::quirk::Quirk;
use crate::script::{Reply, tokens};
use crate::state::State;

/// Answers a request.
pub(crate) fn answer(path: &str, body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let request = check(path, body, state)?;
    let reply = state.config.script.reply(&request.heard);
    let mut answer =
        if request.stream { stream(&request, &reply, state) } else { whole(&request, &reply, state) };
    answer.headers.extend([
        ("x-request-id", "req_double".to_owned()),
        ("openai-processing-ms", "42".to_owned()),
        ("x-ratelimit-limit-requests", "5000".to_owned()),
        ("x-ratelimit-remaining-requests", "4999".to_owned()),
        ("x-ratelimit-reset-requests", "12ms".to_owned()),
    ]);
    Ok(answer)
}

fn usage(request: &Request, reply: &Reply) -> Value {
    let arguments: usize =
        reply.calls.iter().map(|call| count(&call.arguments.to_string()) + count(&call.name)).sum();
    let said = tokens(&reply.text).len().min(request.most.unwrap_or(usize::MAX));
    let completion = request.thoughts + said + arguments;
    json!({
        "prompt_tokens": request.tokens, "completion_tokens": completion, "total_tokens": request.tokens + completion,
        "prompt_tokens_details": {"cached_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": request.thoughts},
    })
}

fn finish(reply: &Reply, request: &Request, state: &State) -> &'static str {
    if request.most.is_some_and(|most| most < tokens(&reply.text).len()) {
        "length"
    } else if reply.calls.is_empty() || request.has(Quirk::ToolFinishStop, state) {
        "stop"
    } else {
        "tool_calls"
    }
}

fn whole(request: &Request, reply: &Reply, state: &State) -> Answer {
    let calls: Vec<Value> = reply
        .calls
        .iter()
        .enumerate()
        .map(|(nth, call)| {
            json!({"id": request.family.call_id(nth), "type": "function",
                   "function": {"name": call.name, "arguments": call.arguments.to_string()}})
        })
        .collect();
    let mut message = json!({"role": "assistant", "content": reply.text, "refusal": null});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let pace = state.config.latency.llm;
    let length = u32::try_from(tokens(&reply.text).len()).unwrap_or(u32::MAX);
    Answer::json(
        &json!({
            "id": "chatcmpl-double", "object": "chat.completion", "created": 1_795_190_400, "model": request.model,
            "choices": [{"index": 0, "message": message, "logprobs": null,
                         "finish_reason": finish(reply, request, state)}],
            "usage": usage(request, reply),
        }),
        state.draw(pace.first) + each(pace.rate) * length,
    )
}

fn stream(request: &Request, reply: &Reply, state: &State) -> Answer {
    let has = |quirk| request.has(quirk, state);
    let mut events = Events::new(state);
    events.noise |= has(Quirk::SseNoise);
    let with_usage = request.include_usage && !has(Quirk::NoUsage);
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": "chatcmpl-double", "object": "chat.completion.chunk", "created": 1_795_190_400,
            "model": request.model, "service_tier": "default", "system_fingerprint": "fp_double", "choices": choices,
        });
        if with_usage {
            chunk["usage"] = usage.unwrap_or(Value::Null);
        }
        chunk
    };
    let delta = |delta: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]), None)
    };
    if has(Quirk::AzureFrames) {
        events.push(
            None,
            &json!({"id": "", "object": "", "created": 0, "model": "", "choices": [],
            "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]}),
        );
    }
    let first = if has(Quirk::NullContent) { Value::Null } else { "".into() };
    events.push(None, &delta(json!({"role": "assistant", "content": first, "refusal": null})));
    if has(Quirk::Reasoning) {
        events.token(None, &delta(json!({"content": null, "reasoning_content": "The caller wants", "reasoning": "The caller wants"})));
    }
    if has(Quirk::ThinkTags) {
        for token in ["<thi", "nk>The caller", " wants an answer.</", "think>\n\n"] {
            events.token(None, &delta(json!({"content": token})));
        }
    }
    let most = request.most.unwrap_or(usize::MAX);
    for token in tokens(&reply.text).iter().take(most) {
        events.token(None, &delta(json!({"content": token})));
    }
    for (nth, call) in reply.calls.iter().enumerate() {
        for fragment in fragments(request, nth, &call.name, &call.arguments, state) {
            events.token(None, &delta(json!({"tool_calls": [fragment]})));
        }
    }
    let reason = finish(reply, request, state);
    events.push(
        None,
        &chunk(json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": reason}]), None),
    );
    if has(Quirk::AzureFrames) {
        let offsets = json!({"check_offset": 44, "start_offset": 44, "end_offset": 198});
        let mut choice = json!({"index": 0, "finish_reason": null, "content_filter_offsets": offsets});
        events.push(None, &chunk(json!([choice]), None));
        choice["delta"] = Value::Null;
        events.push(None, &chunk(json!([choice]), None));
    }
    if with_usage {
        events.push(None, &chunk(json!([]), Some(usage(request, reply))));
    }
    let mut answer = events.reply;
    let end = if has(Quirk::DoneWithoutBlank) { "data: [DONE]" } else { "data: [DONE]\n\n" };
    answer.push(std::time::Duration::ZERO, Role::Last, Bytes::from_static(end.as_bytes()));
    answer.error = event(
        None,
        &json!({"error": {"message": "The server had an error while processing your request. Sorry \
        about that!", "type": "server_error", "param": null, "code": null}}),
    )
    .into();
    answer
}

/// The fragments in which a tool call comes.
fn fragments(request: &Request, nth: usize, name: &str, arguments: &Value, state: &State) -> Vec<Value> {
    let has = |quirk| request.has(quirk, state);
    let family = request.family;
    let text = if has(Quirk::ToolArgumentsObject) { arguments.clone() } else { arguments.to_string().into() };
    let id = family.call_id(nth);
    if has(Quirk::ToolWithoutIndex) {
        return vec![json!({"id": id, "type": "function", "function": {"name": name, "arguments": text}})];
    }
    let index = if has(Quirk::ToolSameIndex) { 0 } else { nth };
    let mut first =
        json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
    if has(Quirk::ToolWithoutId)
        && let Some(members) = first.as_object_mut()
    {
        members.remove("id");
    }
    if has(Quirk::ToolSameIndex) || has(Quirk::ToolArgumentsObject) {
        first["function"]["arguments"] = text; // these servers send calls whole
        return vec![first];
    }
    let pieces = text.as_str().map(|text| text.chars().collect::<Vec<_>>()).unwrap_or_default();
    let mut all = vec![first];
    all.extend(
        pieces.chunks(7).map(
            |piece| json!({"index": index, "function": {"arguments": piece.iter().collect::<String>()}}),
        ),
    );
    all
}
