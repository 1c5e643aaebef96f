//! OpenAI's `/responses`, streamed and whole.

use serde_json::{Value, json};

use super::responses_check::{Request, check};
use super::sse::{Events, event};
use super::{count, families};
use crate::http::{Refusal, Reply as Answer};
use crate::latency::each;
use crate::script::{Reply, tokens};
use crate::state::State;

/// What the double's encrypted thoughts begin with: others are none of its own.
pub(super) const SEAL: &str = "double-sealed-";

/// Answers a request.
pub(crate) fn answer(body: &[u8], state: &State) -> Result<Answer, Refusal> {
    let request = check(body, state)?;
    let reply = state.config.script.reply(&request.heard);
    let output = output(&request, &reply);
    let mut answer = if request.stream {
        stream(&request, &output, state)
    } else {
        let pace = state.config.latency.llm;
        let length = u32::try_from(tokens(&reply.text).len()).unwrap_or(u32::MAX);
        Answer::json(
            &response(&request, &output, "completed"),
            state.draw(pace.first) + each(pace.rate) * length,
        )
    };
    answer
        .headers
        .extend([("x-request-id", "req_double".to_owned()), ("openai-processing-ms", "42".to_owned())]);
    Ok(answer)
}

/// The items of the answer, whole.
fn output(request: &Request, reply: &Reply) -> Vec<Value> {
    let mut output = Vec::new();
    if request.thoughts > 0 {
        let mut thought = json!({"id": "rs_double", "type": "reasoning", "summary": []});
        if request.encrypted {
            thought["encrypted_content"] = format!("{SEAL}{}", request.tokens).into();
        }
        output.push(thought);
    }
    let said = tokens(&reply.text).into_iter().take(request.most.unwrap_or(usize::MAX)).collect::<String>();
    if !said.is_empty() {
        output.push(json!({
            "id": "msg_double", "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": said}],
        }));
    }
    output.extend(reply.calls.iter().enumerate().map(|(nth, call)| {
        json!({"id": format!("fc_{}", nth + 1), "type": "function_call", "status": "completed",
               "call_id": families::Family::Other.call_id(nth), "name": call.name,
               "arguments": call.arguments.to_string()})
    }));
    output
}

fn response(request: &Request, output: &[Value], status: &str) -> Value {
    let written =
        request.thoughts + count(&Value::from(output.to_vec()).to_string()).min(request.most.unwrap_or(400));
    let usage = (status == "completed").then(|| {
        json!({"input_tokens": request.tokens, "input_tokens_details": {"cached_tokens": 0},
               "output_tokens": written, "output_tokens_details": {"reasoning_tokens": request.thoughts},
               "total_tokens": request.tokens + written})
    });
    json!({
        "id": "resp_double", "object": "response", "created_at": 1_795_190_400, "status": status, "error": null,
        "incomplete_details": null, "instructions": null, "max_output_tokens": request.most, "model": request.model,
        "output": output, "parallel_tool_calls": true, "previous_response_id": null, "store": false,
        "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "truncation": "disabled",
        "usage": usage, "metadata": {},
    })
}

fn stream(request: &Request, output: &[Value], state: &State) -> Answer {
    let mut events = Events::new(state);
    let mut number = 0;
    let mut numbered = |mut data: Value| {
        data["sequence_number"] = number.into();
        number += 1;
        data
    };
    let begun = response(request, &[], "in_progress");
    for kind in ["response.created", "response.in_progress"] {
        events.push(Some(kind), &numbered(json!({"type": kind, "response": begun})));
    }
    for (place, item) in output.iter().enumerate() {
        let mut open = item.clone();
        open["status"] = "in_progress".into();
        for part in ["content", "arguments"] {
            if !open[part].is_null() {
                open[part] = if part == "content" { json!([]) } else { "".into() };
            }
        }
        let added = "response.output_item.added";
        events.push(Some(added), &numbered(json!({"type": added, "output_index": place, "item": open})));
        match item["type"].as_str() {
            Some("message") => say(item, place, &mut numbered, &mut events),
            Some("function_call") => call(item, place, &mut numbered, &mut events),
            _ => {}
        }
        let done = "response.output_item.done";
        events.push(Some(done), &numbered(json!({"type": done, "output_index": place, "item": item})));
    }
    let kind = "response.completed";
    events.last(
        Some(kind),
        &numbered(json!({"type": kind, "response": response(request, output, "completed")})),
    );
    let failed = json!({"type": "error", "code": "server_error", "param": null,
                        "message": "The server had an error while processing your request."});
    Answer { error: event(Some("error"), &failed).into(), ..events.reply }
}

/// A message's words: its part is opened, filled and closed.
fn say(item: &Value, place: usize, numbered: &mut impl FnMut(Value) -> Value, events: &mut Events) {
    let whole = &item["content"][0];
    let mut empty = whole.clone();
    empty["text"] = "".into();
    let mut tell = |kind: &str, more: (&str, Value)| {
        let mut data =
            json!({"type": kind, "item_id": item["id"], "output_index": place, "content_index": 0});
        data[more.0] = more.1;
        if kind.starts_with("response.output_text") {
            data["logprobs"] = json!([]);
        }
        let data = numbered(data);
        if kind.ends_with("delta") { events.token(Some(kind), &data) } else { events.push(Some(kind), &data) }
    };
    tell("response.content_part.added", ("part", empty));
    for token in whole["text"].as_str().map(tokens).unwrap_or_default() {
        tell("response.output_text.delta", ("delta", token.into()));
    }
    tell("response.output_text.done", ("text", whole["text"].clone()));
    tell("response.content_part.done", ("part", whole.clone()));
}

/// A call's arguments.
fn call(item: &Value, place: usize, numbered: &mut impl FnMut(Value) -> Value, events: &mut Events) {
    let mut tell = |kind: &str, more: (&str, Value)| {
        let mut data = json!({"type": kind, "item_id": item["id"], "output_index": place});
        data[more.0] = more.1;
        let data = numbered(data);
        if kind.ends_with("delta") { events.token(Some(kind), &data) } else { events.push(Some(kind), &data) }
    };
    for token in item["arguments"].as_str().map(tokens).unwrap_or_default() {
        tell("response.function_call_arguments.delta", ("delta", token.into()));
    }
    tell("response.function_call_arguments.done", ("arguments", item["arguments"].clone()));
}
