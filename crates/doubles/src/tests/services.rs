//! What services refuse that others take: each request is right but for one thing.

use serde_json::{Value, json};

use super::support::{OPENAI, post, start};
use crate::{Doubles, DoublesConfig, Rule, Script, ToolCall};

fn ask(model: &str) -> Value {
    json!({"model": model, "stream": true, "messages": [{"role": "user", "content": "Hello?"}]})
}

fn after_call(model: &str, more: &Value) -> Value {
    let call =
        json!({"id": "abcdefghi", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let mut said = json!({"role": "assistant", "content": "", "tool_calls": [call]});
    for (name, value) in more.as_object().into_iter().flatten() {
        said[name.as_str()] = value.clone();
    }
    let result = json!({"role": "tool", "tool_call_id": "abcdefghi", "content": "there"});
    json!({"model": model, "stream": true,
           "messages": [{"role": "user", "content": "Look."}, said, result]})
}

fn with(mut request: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        request[name.as_str()] = value.clone();
    }
    request
}

#[tokio::test]
async fn services_refuse_what_they_are_known_to_refuse() {
    let doubles = start().await;
    let effort = |effort: &str| json!({ "reasoning_effort": effort });
    let thoughts = json!({"reasoning_content": "Hm."});
    for (path, request, words) in [
        (
            "/groq/openai/v1",
            with(ask("llama-3.1-8b-instant"), &effort("low")),
            "not supported with this model",
        ),
        ("/groq/openai/v1", with(ask("qwen/qwen3.8-27b"), &effort("low")), "`none` or `default`"),
        ("/groq/openai/v1", with(ask("openai/gpt-oss-20b"), &effort("none")), "`low`, `medium`"),
        ("/groq/openai/v1", with(ask("openai/gpt-oss-20b"), &json!({"logit_bias": {}})), "unsupported"),
        ("/groq/openai/v1", after_call("openai/gpt-oss-20b", &thoughts), "reasoning_content"),
        ("/cerebras/v1", with(ask("gpt-oss-120b"), &json!({"parallel_tool_calls": false})), "unsupported"),
        ("/cerebras/v1", after_call("gpt-oss-120b", &thoughts), "wrong_api_format"),
        ("/mistral/v1", with(ask("mistral-small-latest"), &json!({"stream_options": {}})), "extra_forbidden"),
        ("/deepseek/v1", after_call("deepseek-v4-flash", &json!({})), "must be passed back"),
        ("/openrouter/api/v1", ask("claude-haiku-4.5"), "not a valid model ID"),
        (
            "/openrouter/api/v1",
            with(ask("openai/gpt-oss-120b"), &json!({"reasoning": {"enabled": false}})),
            "mandatory",
        ),
        ("/xai/v1", with(ask("grok-4"), &effort("low")), "reasoningEffort"),
        ("/xai/v1", with(ask("grok-4"), &json!({"stop": ["x"]})), "parameter stop"),
        ("/ollama/v1", with(ask("qwen3:8b"), &effort("minimal")), "invalid reasoning value"),
        ("/ollama/v1", with(ask("llama3.2"), &effort("low")), "does not support thinking"),
        ("/azure/openai/v1", with(ask("gpt-6-luna"), &json!({"max_tokens": 5})), "max_completion_tokens"),
    ] {
        let got = post(&doubles, &format!("{path}/chat/completions"), &[OPENAI], request.to_string()).await;
        let got = got.unwrap();
        assert!(
            (400..500).contains(&got.status) && got.text().contains(words),
            "{path} {request}: {}",
            got.text()
        );
    }
    let mut request = after_call("a", &json!({}));
    request["messages"][1]["tool_calls"][0]["id"] = 7.into();
    let got = post(&doubles, "/llamacpp/v1/chat/completions", &[OPENAI], request.to_string()).await.unwrap();
    assert_eq!(got.status, 500);
}

#[tokio::test]
async fn services_take_what_is_right_and_answer_in_their_way() {
    let call = ToolCall { name: "look".to_owned(), arguments: json!({"at": "it"}) };
    let rule = Rule { say: "One moment.".to_owned(), calls: vec![call], ..Rule::default() };
    let script = Script { answers: vec![rule], ..Script::default() };
    let doubles = Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap();
    for (path, model, more, shows) in [
        ("/azure/openai/v1", "gpt-6-luna", json!({"reasoning_effort": "none"}), "prompt_filter_results"),
        ("/groq/openai/v1", "openai/gpt-oss-20b", json!({"reasoning_effort": "low"}), "reasoning"),
        ("/cerebras/v1", "gpt-oss-120b", json!({"reasoning_effort": "low"}), "{\\\"at\\\":\\\"it\\\"}"),
        ("/mistral/v1", "mistral-small-latest", json!({"max_tokens": 50}), "double001"),
        ("/deepseek/v1", "deepseek-v4-flash", json!({}), "reasoning_content"),
        ("/openrouter/api/v1", "a/b", json!({"reasoning": {"enabled": false}}), ": keep-alive"),
        ("/ollama/v1", "qwen3:8b", json!({"reasoning_effort": "none"}), "{\\\"at\\\":\\\"it\\\"}"),
        ("/llamacpp/v1", "a", json!({}), "\"content\":null"),
    ] {
        let tools = json!({"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}]});
        let request = with(with(ask(model), &more), &tools);
        let got = post(&doubles, &format!("{path}/chat/completions"), &[OPENAI], request.to_string()).await;
        let got = got.unwrap();
        assert!(got.status == 200 && got.text().contains(shows), "{path}: {}", got.text());
    }
}

#[tokio::test]
async fn interactions_and_cohere_are_strict_too() {
    let doubles = start().await;
    let key = ("x-goog-api-key", "key");
    let ask =
        |input: Value| json!({"model": "gemini-3.8-flash", "input": input, "stream": true, "store": false});
    let call = json!({"type": "function_call", "id": "c1", "name": "look", "arguments": {}});
    let thought = json!({"type": "thought", "signature": "another's"});
    for request in [
        with(ask("Hello?".into()), &json!({"generationConfig": {}})),
        with(ask("Hello?".into()), &json!({"generation_config": {"maxOutputTokens": 5}})),
        with(ask("Hello?".into()), &json!({"previous_interaction_id": "v1_x"})),
        ask(json!([])),
        ask(json!([call])),
        ask(json!([thought])),
        ask(json!([{"type": "function_result", "call_id": "c1", "name": "look", "result": "x"}])),
        ask(json!([{"role": "user", "content": "Hello?"}])),
    ] {
        let got = post(&doubles, "/v1beta/interactions?alt=sse", &[key], request.to_string()).await.unwrap();
        assert_eq!(got.status, 400, "{request}: {}", got.text());
    }
    let request = with(ask("Hello?".into()), &json!({"generation_config": {"thinking_level": "low"}}));
    let got = post(&doubles, "/v1beta/interactions?alt=sse", &[key], request.to_string()).await.unwrap();
    let kinds: Vec<String> =
        got.events().iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect();
    assert_eq!((kinds[0].as_str(), kinds[2].as_str()), ("interaction.created", "step.start"));
    assert_eq!(kinds.last().unwrap(), "interaction.completed");

    let ask = json!({"model": "command-a-03-2025", "stream": true, "messages": [{"role": "user", "content": "Hello?"}]});
    let result =
        json!([{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c1", "content": "x"}]);
    for more in [
        json!({"stream_options": {}}),
        json!({"max_completion_tokens": 5}),
        json!({"tool_choice": "none"}),
        json!({"messages": []}),
        json!({"messages": result}),
        json!({"messages": [{"role": "user", "content": ""}]}),
    ] {
        let got = post(&doubles, "/v2/chat", &[OPENAI], with(ask.clone(), &more).to_string()).await.unwrap();
        assert_eq!(got.status, 400, "{more}: {}", got.text());
    }
    let got = post(&doubles, "/v2/chat", &[OPENAI], ask.to_string()).await.unwrap();
    assert!(
        got.text().contains("event: content-delta") && got.text().contains("\"COMPLETE\""),
        "{}",
        got.text()
    );
}
