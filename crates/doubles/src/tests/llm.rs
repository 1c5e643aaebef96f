use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::support::{OPENAI, post, start};
use crate::{Doubles, DoublesConfig, End, Key, Latencies, Quirk, Rule, Script, ToolCall};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const ANTHROPIC: [(&str, &str); 2] = [("x-api-key", "key"), ("anthropic-version", "2023-06-01")];

fn config() -> DoublesConfig {
    let call = ToolCall { name: "find_booking".to_owned(), arguments: json!({"phone": "+15550100"}) };
    let rule = Rule {
        heard: "move".to_owned(),
        say: "One moment.".to_owned(),
        calls: vec![call],
        ..Rule::default()
    };
    DoublesConfig { script: Script { answers: vec![rule], ..Script::default() }, ..DoublesConfig::default() }
}

fn ask(text: &str) -> Value {
    json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
           "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
           "tools": [{"type": "function", "function": {"name": "find_booking", "parameters": {"type": "object"}}}]})
}

fn ask_anthropic(text: &str) -> Value {
    json!({"model": "m", "stream": true, "max_tokens": 400, "messages": [{"role": "user", "content": text}],
           "tools": [{"name": "find_booking", "input_schema": {"type": "object"}}]})
}

#[tokio::test]
async fn chat_streams_text_tools_and_usage() {
    let doubles = Doubles::start(config()).await.unwrap();
    let got = post(&doubles, CHAT, &[OPENAI], ask("Can I move it?").to_string()).await.unwrap();
    assert_eq!(got.status, 200);
    insta::assert_snapshot!(got.text());
    assert_eq!(doubles.until(|seen| seen.end != End::Open).await.end, End::Complete);
}

#[tokio::test]
async fn messages_stream_text_tools_and_usage() {
    let doubles = Doubles::start(config()).await.unwrap();
    let got =
        post(&doubles, MESSAGES, &ANTHROPIC, ask_anthropic("Can I move it?").to_string()).await.unwrap();
    assert_eq!(got.status, 200);
    insta::assert_snapshot!(got.text());
}

#[tokio::test]
async fn a_whole_answer_has_the_same_words() {
    let doubles = start().await;
    let mut request = ask("Hello?");
    request["stream"] = false.into();
    request["stream_options"] = Value::Null;
    let got = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap().json();
    assert_eq!(got["choices"][0]["message"]["content"], "I heard: Hello?");
    let mut request = ask_anthropic("Hello?");
    request["stream"] = false.into();
    let got = post(&doubles, MESSAGES, &ANTHROPIC, request.to_string()).await.unwrap().json();
    assert_eq!(got["content"][0]["text"], "I heard: Hello?");
}

#[tokio::test]
async fn chat_refuses_what_openai_refuses() {
    let doubles = start().await;
    let call = json!({"role": "assistant", "content": "", "tool_calls": [{"id": "call_1", "type": "function",
        "function": {"name": "f", "arguments": "{}"}}]});
    let user = json!({"role": "user", "content": "Hi"});
    let cases = [
        (json!({"messages": [user]}), "model"),
        (json!({"model": "m", "messages": []}), "messages"),
        (json!({"model": "m", "messages": [{"role": "robot", "content": "Hi"}]}), "Supported values are"),
        (
            json!({"model": "m", "messages": [user, {"role": "tool", "tool_call_id": "call_1", "content": "1"}]}),
            "preceeding",
        ),
        (json!({"model": "m", "messages": [user, call, user]}), "did not have response messages: call_1"),
        (json!({"model": "m", "messages": [user], "tool_choice": "auto"}), "only allowed when 'tools'"),
        (json!({"model": "gpt-5.6-luna", "messages": [user], "max_tokens": 5}), "max_completion_tokens"),
        (json!({"model": "m", "messages": [user], "stream_options": {}}), "stream_options"),
        (
            json!({"model": "gpt-5.6-luna", "messages": [user], "chat_template_kwargs": {}}),
            "Unrecognized request argument supplied: chat_template_kwargs",
        ),
        (
            json!({"model": "gpt-6-astra", "messages": [user], "reasoning_effort": "none"}),
            "does not support 'none'",
        ),
    ];
    for (request, hint) in cases {
        let got = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap();
        assert_eq!(got.status, 400, "{request}");
        let message = got.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(hint), "{message}");
    }
    let got = post(&doubles, CHAT, &[], ask("Hi").to_string()).await.unwrap();
    assert_eq!((got.status, got.json()["error"]["code"].as_str()), (401, Some("invalid_api_key")));
}

#[tokio::test]
async fn messages_refuse_what_anthropic_refuses() {
    let doubles = start().await;
    let user = json!({"role": "user", "content": "Hi"});
    let call = json!({"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}]});
    let cases = [
        (json!({"model": "m", "messages": [user]}), "max_tokens: Field required"),
        (
            json!({"model": "m", "max_tokens": 9, "messages": [user, {"role": "assistant", "content": "Well"}]}),
            "prefill",
        ),
        (json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": " "}]}), "non-empty"),
        (json!({"model": "m", "max_tokens": 9, "messages": [user, call, user]}), "toolu_1"),
        (
            json!({"model": "m", "max_tokens": 9, "messages": [{"role": "system", "content": "x"}, user]}),
            "first message",
        ),
    ];
    for (request, hint) in cases {
        let got = post(&doubles, MESSAGES, &ANTHROPIC, request.to_string()).await.unwrap();
        assert_eq!(got.status, 400, "{request}");
        assert!(got.text().contains(hint), "{}", got.text());
    }
    let newer = [("x-api-key", "key"), ("anthropic-version", "2026-10-21")];
    let mut request = ask_anthropic("Hi");
    request["temperature"] = 1.into();
    assert_eq!(post(&doubles, MESSAGES, &newer, request.to_string()).await.unwrap().status, 400);
    assert_eq!(post(&doubles, MESSAGES, &newer[..1], request.to_string()).await.unwrap().status, 400);
}

#[tokio::test]
async fn keys_are_checked_and_never_shown() {
    let key = Some(Key::new("sk-secret"));
    let doubles = Doubles::start(DoublesConfig { key, ..config() }).await.unwrap();
    let right =
        post(&doubles, CHAT, &[("authorization", "Bearer sk-secret")], ask("Hi").to_string()).await.unwrap();
    let wrong =
        post(&doubles, CHAT, &[("authorization", "Bearer sk-guess")], ask("Hi").to_string()).await.unwrap();
    assert_eq!((right.status, wrong.status), (200, 401));
    let shown = format!("{doubles:?} {:?}", doubles.seen());
    assert!(!shown.contains("sk-"), "{shown}");
    assert!(shown.contains("Bearer •••"));
}

#[tokio::test(start_paused = true)]
async fn tokens_take_their_time() {
    let doubles = Doubles::start(DoublesConfig { latency: Latencies::PUBLISHED, ..config() }).await.unwrap();
    let begin = Instant::now();
    post(&doubles, CHAT, &[OPENAI], ask("Tell me a story.").to_string()).await.unwrap();
    let time = begin.elapsed();
    assert!((Duration::from_millis(100)..Duration::from_secs(5)).contains(&time), "{time:?}");
    // The seed decides: again the same.
    let again = Doubles::start(DoublesConfig { latency: Latencies::PUBLISHED, ..config() }).await.unwrap();
    let begin = Instant::now();
    post(&again, CHAT, &[OPENAI], ask("Tell me a story.").to_string()).await.unwrap();
    assert_eq!(begin.elapsed().as_millis(), time.as_millis());
}

#[tokio::test]
async fn quirks_of_servers_that_are_like_openai() {
    let quirks = vec![
        Quirk::SseNoise,
        Quirk::AzureFrames,
        Quirk::ToolWithoutIndex,
        Quirk::ToolArgumentsObject,
        Quirk::DoneWithoutBlank,
        Quirk::Reasoning,
        Quirk::ThinkTags,
        Quirk::ToolFinishStop,
    ];
    let doubles = Doubles::start(DoublesConfig { quirks, ..config() }).await.unwrap();
    let got = post(&doubles, CHAT, &[OPENAI], ask("Can I move it?").to_string()).await.unwrap();
    assert!(got.text().ends_with("data: [DONE]"));
    let events = got.events();
    assert_eq!(events[0]["choices"], json!([]));
    let calls: Vec<_> =
        events.iter().filter(|event| event["choices"][0]["delta"]["tool_calls"].is_array()).collect();
    assert_eq!(calls.len(), 1);
    let call = &calls[0]["choices"][0]["delta"]["tool_calls"][0];
    assert!(call["index"].is_null() && call["function"]["arguments"].is_object());
}

#[tokio::test]
async fn models_that_think_refuse_tools_over_chat_completions() {
    let doubles = Doubles::start(config()).await.unwrap();
    let ask = async |model: &str, effort: Value| {
        let mut request = ask("Hi");
        (request["model"], request["reasoning_effort"]) = (model.into(), effort);
        if request["reasoning_effort"].is_null() {
            request.as_object_mut().unwrap().remove("reasoning_effort");
        }
        let got = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap();
        (got.status, got.text())
    };
    let text = ask("gpt-6-luna", Value::Null).await.1;
    insta::assert_snapshot!(text, @r#"{"error":{"code":null,"message":"Function tools with reasoning_effort are not supported for gpt-6-luna in /v1/chat/completions. To use function tools, use /v1/responses or set reasoning_effort to 'none'.","param":"reasoning_effort","type":"invalid_request_error"}}"#);
    for (model, effort, status) in [
        ("gpt-5.6-terra", Value::Null, 400),
        ("gpt-5.5", json!("low"), 400),
        ("gpt-5.4", json!("medium"), 400),
        ("gpt-6-luna", json!("none"), 200),
        ("gpt-5.4", Value::Null, 200),
        ("gpt-6.1-sol", json!("low"), 400),
        ("gpt-6-astra", Value::Null, 400),
        ("gpt-5-mini", Value::Null, 200),
        ("gpt-4.1", Value::Null, 200),
        ("gpt-4.1", json!("none"), 400),
        ("openai/gpt-oss-120b", json!("low"), 200),
        ("qwen3", json!("none"), 200),
    ] {
        assert_eq!(ask(model, effort.clone()).await.0, status, "{model} {effort}");
    }
}

#[tokio::test]
async fn hidden_thoughts_count_against_the_limit() {
    let doubles = start().await;
    let mut request = json!({"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hi"}],
        "stream": true, "stream_options": {"include_usage": true}, "max_completion_tokens": 100});
    let got = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap().events();
    assert!(
        got.iter().all(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or("").is_empty())
    );
    assert!(got.iter().any(|event| event["choices"][0]["finish_reason"] == "length"));
    request["reasoning_effort"] = "none".into();
    let got = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap().events();
    assert!(got.iter().any(|event| event["choices"][0]["finish_reason"] == "stop"));
}

#[tokio::test]
async fn mistral_wants_its_own_ids_and_order() {
    let doubles = Doubles::start(config()).await.unwrap();
    let talk = |id: &str, then: &[Value]| {
        let mut request = ask("Can I move it?");
        request["model"] = "mistral-large-latest".into();
        let call = json!({"role": "assistant", "content": "", "tool_calls": [{"id": id, "type": "function",
            "function": {"name": "find_booking", "arguments": "{}"}}]});
        let messages = request["messages"].as_array_mut().unwrap();
        messages.extend([call, json!({"role": "tool", "tool_call_id": id, "content": "1"})]);
        messages.extend(then.iter().cloned());
        request
    };
    let user = json!({"role": "user", "content": "Well?"});
    let got = post(&doubles, CHAT, &[OPENAI], talk("call_1", &[]).to_string()).await.unwrap();
    assert_eq!(got.status, 400);
    let error = got.json();
    assert_eq!(error["message"], "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.");
    assert_eq!((error["object"].as_str(), error["code"].as_str()), (Some("error"), Some("3280")));
    assert_eq!(
        post(&doubles, CHAT, &[OPENAI], talk("abcDEF123", &[]).to_string()).await.unwrap().status,
        200
    );
    let got = post(&doubles, CHAT, &[OPENAI], talk("abcDEF123", &[user]).to_string()).await.unwrap();
    assert!(got.text().contains("Unexpected role 'user' after role 'tool'"));
    let mut request = ask("Can I move it?");
    request["model"] = "mistral-small".into();
    let calls = post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap().text();
    assert!(calls.contains("\"double001\""), "{calls}");
    request["max_completion_tokens"] = 5.into();
    assert_eq!(post(&doubles, CHAT, &[OPENAI], request.to_string()).await.unwrap().status, 422);
}

#[tokio::test]
async fn claude_refuses_settings_of_thinking_that_a_model_lacks() {
    let doubles = start().await;
    for (model, thinking, status) in [
        ("claude-haiku-4-5", json!({"type": "disabled"}), 200),
        ("claude-haiku-4-5", json!({"type": "enabled", "budget_tokens": 1_024}), 200),
        ("claude-haiku-4-5", json!({"type": "enabled", "budget_tokens": 100}), 400),
        ("claude-haiku-4-5", json!({"type": "between_tools"}), 400),
        ("claude-sonnet-5-5", json!({"type": "disabled"}), 400),
        ("claude-sonnet-5-5", json!({"type": "between_tools"}), 200),
        ("claude-opus-5-5", json!({"type": "enabled", "budget_tokens": 2_048}), 400),
    ] {
        let mut request = ask_anthropic("Hi");
        (request["model"], request["thinking"], request["max_tokens"]) =
            (model.into(), thinking.clone(), 4_000.into());
        let got = post(&doubles, MESSAGES, &ANTHROPIC, request.to_string()).await.unwrap();
        assert_eq!(got.status, status, "{model} {thinking}");
    }
}

#[tokio::test]
async fn responses_open_a_part_before_its_words_come() {
    let doubles = Doubles::start(config()).await.unwrap();
    let request = json!({"model": "m", "stream": true, "input": "Can I move it?",
                         "tools": [{"type": "function", "name": "find_booking", "strict": false,
                                    "parameters": {"type": "object"}}]});
    let got = post(&doubles, "/v1/responses", &[OPENAI], request.to_string()).await.unwrap();
    assert_eq!(got.status, 200, "{}", got.text());
    let events = got.events();
    let mut kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
}

#[tokio::test]
async fn gemini_takes_its_protocols_own_names() {
    let doubles = Doubles::start(config()).await.unwrap();
    let key = ("x-goog-api-key", "key");
    let path = "/v1beta/models/gemini-2.5-pro:generateContent";
    for thinking in [json!({"thinkingBudget": 0}), json!({"thinking_budget": 0})] {
        let request = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
                             "generation_config": {"thinkingConfig": thinking}});
        let got = post(&doubles, path, &[key], request.to_string()).await.unwrap();
        assert_eq!(got.status, 400, "{}", got.text());
    }
}
