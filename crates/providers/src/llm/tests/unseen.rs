//! What no recording shows, but what recordings, other clients' reports and gateways between suggest: each protocol, cut anywhere.

use offhook_stage_api::FailureKind;
use serde_json::{Value, json};

use crate::llm::LlmProtocol;
use crate::llm::replay::{Replay, replay};

/// Reads a stream whole, octet by octet, and in pieces of 7: it comes to the same.
async fn read(protocol: LlmProtocol, stream: &str) -> Replay {
    let whole = replay(protocol, std::iter::once(stream.as_bytes())).await;
    for size in [1, 7] {
        assert_eq!(
            replay(protocol, stream.as_bytes().chunks(size)).await,
            whole,
            "in pieces of {size}: {stream}"
        );
    }
    whole
}

fn events(all: &[Value]) -> String {
    all.iter().map(|event| format!("data: {event}\n\n")).collect()
}

async fn of(protocol: LlmProtocol, all: &[Value]) -> Replay {
    read(protocol, &events(all)).await
}

fn calls(read: &Replay) -> Vec<(String, Value)> {
    read.tools.iter().map(|call| (call.name.clone(), call.arguments.clone())).collect()
}

fn kind(read: &Replay) -> Option<FailureKind> {
    read.failure.as_ref().map(|failure| failure.kind)
}

use LlmProtocol::{ChatCompletions, CohereChat, GenerateContent, Interactions, Messages, Responses};

fn say(text: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {"content": text}}]})
}

fn stop(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

#[tokio::test]
async fn chat_with_what_no_recording_shows() {
    // Events of kinds that nobody knows, comments between the octets of an event, ids and retry times.
    let odd = format!(
        ": keep-alive\n\nid: 1\nretry: 3000\n\nevent: heartbeat\ndata: {{\"type\":\"heartbeat\"}}\n\n{}: OPENROUTER PROCESSING\n\n{}data: [DONE]\n\n",
        events(&[json!({"choices": [], "meta": {"model": "x"}}), say("Grüße — ")]),
        events(&[
            json!({"choices": [{"index": 0, "delta": {"content": "😀 ja.", "newfield": {"a": [1]}}, "logprobs": null}]}),
            stop("stop")
        ])
    );
    let got = read(ChatCompletions, &odd).await;
    assert_eq!((got.text.as_str(), got.failure), ("Grüße — 😀 ja.", None));
    // Usage alone, and the end: no word is a failure that the chain can do something about.
    let bill = json!({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 0}});
    let got = of(ChatCompletions, &[stop("stop"), bill.clone()]).await;
    assert_eq!((kind(&got), got.usage.input_tokens), (Some(FailureKind::Garbage), 9));
    // Thoughts alone.
    let thought = json!({"choices": [{"index": 0, "delta": {"reasoning_content": "They want a table."}}]});
    assert_eq!(
        kind(&of(ChatCompletions, &[thought, stop("length"), bill]).await),
        Some(FailureKind::Garbage)
    );
    // Errors inside a stream that had begun well, in the shapes of servers and of gateways between.
    for (error, expected) in [
        (
            json!({"object": "error", "message": "Engine is overloaded", "type": "overloaded", "code": 503}),
            FailureKind::Busy,
        ),
        (json!({"detail": "Internal Server Error"}), FailureKind::Broken),
        (json!({"message": "The upstream timed out", "type": "timeout"}), FailureKind::Busy),
        (json!({"error": "model is loading"}), FailureKind::Broken),
        (json!({"error": {"code": 529, "message": "Overloaded"}}), FailureKind::Busy),
        (json!({"error": {"message": "No credit", "code": "insufficient_quota"}}), FailureKind::Refused),
        (
            json!({"choices": [], "error": {"type": "authentication_error", "message": "m"}}),
            FailureKind::Refused,
        ),
    ] {
        let got = of(ChatCompletions, &[say("One moment. "), error.clone()]).await;
        assert_eq!((kind(&got), got.text.as_str()), (Some(expected), "One moment. "), "{error}");
    }
    // Ids and indexes are missing, empty pieces come between, and the second call begins before the first has ended.
    let piece = |index: Value, name: &str, arguments: &str| json!({"choices": [{"index": 0, "delta": {"content": "", "tool_calls": [{"index": index, "id": null, "function": {"name": name, "arguments": arguments}}]}}]});
    let all = [
        piece(json!(1), "second", "{\"b\""),
        piece(json!(0), "first", "{"),
        piece(json!(1), "", ":2}"),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": []}}]}),
        piece(json!(0), "", "}"),
        stop("tool_calls"),
    ];
    let got = of(ChatCompletions, &all).await;
    assert_eq!(calls(&got), [("second".into(), json!({"b": 2})), ("first".into(), json!({}))]);
    assert!(got.tools.iter().all(|call| !call.id.is_empty()) && got.tools[0].id != got.tools[1].id);
    // An event that is cut in a text, and the end of the stream.
    let cut =
        format!("{}data: {{\"choices\":[{{\"delta\":{{\"content\":\"and th", events(&[say("One moment, ")]));
    assert!(matches!(
        kind(&read(ChatCompletions, &cut).await),
        Some(FailureKind::Garbage | FailureKind::Broken)
    ));
    // Octets that are no UTF-8 cost a character, not the answer.
    let mut broken = events(&[say("Ja X."), stop("stop")]).into_bytes();
    let at = broken.iter().position(|octet| *octet == b'X').unwrap();
    broken[at] = 0xC3;
    let got = replay(ChatCompletions, broken.chunks(3)).await;
    assert_eq!((got.text.as_str(), got.failure), ("Ja \u{fffd}.", None));
}

#[tokio::test]
async fn messages_with_what_no_recording_shows() {
    let start =
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}});
    let begin = |index: u32, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let tool = |id: Value, name: &str| json!({"type": "tool_use", "id": id, "name": name, "input": {}});
    let write = |index: u32, text: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": "input_json_delta", "partial_json": text}});
    let end = |index: u32| json!({"type": "content_block_stop", "index": index});
    let stop = |reason: &str| json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 9}});
    let over = json!({"type": "message_stop"});
    // Two calls that are written at the same time, without ids; nobody ends the second.
    let all = [
        start.clone(),
        begin(0, tool(json!(null), "first")),
        begin(1, tool(json!(""), "second")),
        write(1, "{\"b\":"),
        write(0, "{\"a\":1}"),
        write(1, "2}"),
        end(0),
        stop("tool_use"),
        over.clone(),
    ];
    let got = of(Messages, &all).await;
    assert_eq!(calls(&got), [("first".into(), json!({"a": 1})), ("second".into(), json!({"b": 2}))]);
    assert!(got.tools.iter().all(|call| !call.id.is_empty()) && got.tools[0].id != got.tools[1].id);
    // At the limit of tokens the half call isn't made, and what was said stands.
    let said = [
        begin(0, json!({"type": "text", "text": ""})),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "I will look."}}),
        end(0),
        begin(1, tool(json!("t"), "first")),
        write(1, "{\"a\":"),
        stop("max_tokens"),
        over.clone(),
    ];
    let got = of(Messages, &said).await;
    assert_eq!((got.text.as_str(), got.tools.len(), got.failure), ("I will look.", 0, None));
    // New kinds of events, blocks and pieces are passed over.
    let new = [
        start,
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "container_upload", "file_id": "f"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "hologram_delta", "hologram": "x"}}),
        end(0),
        json!({"type": "model_switched", "to": "y"}),
        begin(1, json!({"type": "text", "text": "Here I am."})),
        end(1),
        stop("end_turn"),
        over,
    ];
    assert_eq!(of(Messages, &new).await.text, "Here I am.");
    // Overload in the middle.
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert_eq!(kind(&of(Messages, &[new[0].clone(), error]).await), Some(FailureKind::Busy));
}

#[tokio::test]
async fn responses_with_what_no_recording_shows() {
    let done = json!({"type": "response.completed", "response": {"status": "completed", "output": [], "usage": {"input_tokens": 3, "output_tokens": 2}}});
    // A call of which no item is told whole: its beginning, its arguments, and the end of the answer.
    let call = [
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "function_call", "id": "fc_1", "call_id": "c_1", "name": "first", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": "{\"a\":"}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": "1}"}),
        json!({"type": "response.function_call_arguments.done", "output_index": 0, "item_id": "fc_1", "arguments": "{\"a\":1}"}),
        done.clone(),
    ];
    let got = of(Responses, &call).await;
    assert_eq!((calls(&got), got.tools[0].id.as_str()), (vec![("first".into(), json!({"a": 1}))], "c_1"));
    // The same without its end: no call.
    assert_eq!(of(Responses, &call[..4]).await.tools.len(), 0);
    // Text that comes only whole, with a kind of event that nobody knows before it.
    let whole = [
        json!({"type": "response.weather.changed", "delta": "rain"}),
        json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Here I am."}),
        done,
    ];
    let got = of(Responses, &whole).await;
    assert_eq!((got.text.as_str(), got.failure), ("Here I am.", None));
    // Pieces and then the same whole: once.
    let twice = [
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "Here "}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": ""}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "I am."}),
        json!({"type": "response.output_text.done", "output_index": 0, "text": "Here I am."}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "message", "content": [{"type": "output_text", "text": "Here I am."}]}}),
        whole[2].clone(),
    ];
    assert_eq!(of(Responses, &twice).await.text, "Here I am.");
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_is_overloaded", "message": "m"}}});
    assert_eq!(kind(&of(Responses, &[failed]).await), Some(FailureKind::Busy));
}

#[tokio::test]
async fn gemini_with_what_no_recording_shows() {
    let chunk = |parts: Value, more: Value| {
        let mut candidate = json!({"content": {"role": "model", "parts": parts}});
        candidate.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"candidates": [candidate]})
    };
    // Parts of new kinds, an empty candidate, usage alone; calls without ids.
    let all = [
        json!({"usageMetadata": {"promptTokenCount": 7}}),
        json!({"candidates": []}),
        chunk(json!([{"holo": {"x": 1}}, {"text": "Here "}]), json!({})),
        chunk(json!([{"text": "I am."}]), json!({"groundingMetadata": {}})),
        chunk(
            json!([{"functionCall": {"name": "first", "args": null}}, {"functionCall": {"name": "second", "args": {"b": 2}}}]),
            json!({"finishReason": "STOP"}),
        ),
    ];
    let got = of(GenerateContent, &all).await;
    assert_eq!(
        (got.text.as_str(), calls(&got)),
        ("Here I am.", vec![("first".into(), json!({})), ("second".into(), json!({"b": 2}))])
    );
    assert_ne!(got.tools[0].id, got.tools[1].id);
    // A list, as without `alt=sse`.
    let list = Value::Array(all.to_vec()).to_string();
    assert_eq!(read(GenerateContent, &list).await.text, "Here I am.");
    for (reason, expected) in [
        ("MALFORMED_RESPONSE", FailureKind::Garbage),
        ("SAFETY", FailureKind::Declined),
        ("A_FILTER_OF_NEXT_YEAR", FailureKind::Declined),
        ("OTHER", FailureKind::Broken),
    ] {
        let got =
            of(GenerateContent, &[chunk(json!([{"text": "Well, "}]), json!({"finishReason": reason}))]).await;
        assert_eq!(kind(&got), Some(expected), "{reason}");
    }
    let busy =
        json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    assert_eq!(kind(&of(GenerateContent, &[all[2].clone(), busy]).await), Some(FailureKind::Busy));
    assert_eq!(kind(&of(GenerateContent, &all[..4]).await), Some(FailureKind::Broken), "cut off");
}

#[tokio::test]
async fn interactions_and_cohere_with_what_no_recording_shows() {
    let step = |index: u32, step: Value| json!({"event_type": "step.start", "index": index, "step": step});
    let over =
        |status: &str| json!({"event_type": "interaction.completed", "interaction": {"status": status}});
    let all = [
        step(0, json!({"type": "function_call", "name": "first"})),
        json!({"event_type": "weather.changed"}),
        json!({"event_type": "step.delta", "index": 0, "delta": {"type": "arguments_delta", "arguments": "{\"a\":1}"}}),
        over("requires_action"),
    ];
    let got = of(Interactions, &all).await;
    assert_eq!(calls(&got), [("first".into(), json!({"a": 1}))]);
    assert!(!got.tools[0].id.is_empty());
    let failed = json!({"event_type": "interaction.failed", "interaction": {"status": "failed", "error": {"code": "resource_exhausted", "message": "m"}}});
    assert_eq!(kind(&of(Interactions, &[failed]).await), Some(FailureKind::Busy));

    let begin = |index: u32, name: &str| json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": {"type": "function", "function": {"name": name, "arguments": ""}}}}});
    let write = |index: u32, text: &str| json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": text}}}}});
    let end = |reason: &str| json!({"type": "message-end", "delta": {"finish_reason": reason}});
    let all = [
        begin(0, "first"),
        begin(1, "second"),
        write(0, "{\"a\":1}"),
        write(1, "{}"),
        json!({"type": "tool-call-end", "index": 0}),
        json!({"type": "citation-start"}),
        end("TOOL_CALL"),
    ];
    let got = of(CohereChat, &all).await;
    assert_eq!(calls(&got), [("first".into(), json!({"a": 1})), ("second".into(), json!({}))]);
    assert!(got.tools.iter().all(|call| !call.id.is_empty()) && got.tools[0].id != got.tools[1].id);
    assert_eq!(kind(&of(CohereChat, &[end("ERROR")]).await), Some(FailureKind::Broken));
}

/// Whatever the protocol: nothing at all, a page, a null, a half event, and noise are failures, not silence and not a crash.
#[tokio::test]
async fn what_is_no_answer_is_a_failure_in_every_protocol() {
    let texts = [
        "",
        ": keep-alive\n\n",
        "data: null\n\n",
        "data: 7\n\n",
        "data: {\n\n",
        "upstream connect error",
        "{}",
        "[]",
        "data: [DONE]\n\n",
        "data: {\"type\":\"ping\"}\n\n",
    ];
    for protocol in LlmProtocol::ALL {
        for text in texts {
            let got = read(protocol, text).await;
            assert!(
                got.failure.is_some() && got.text.is_empty() && got.tools.is_empty(),
                "{protocol:?} {text:?}: {got:?}"
            );
        }
    }
}
