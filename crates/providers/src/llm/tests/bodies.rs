//! What requests are made of.

use offhook_stage_api::{ReplyRequest, ToolUse};
use serde_json::{Value, json};

use super::{config, prompt, request, rich};
use crate::llm::memory::Memory;
use crate::llm::models::ModelFacts;
use crate::llm::{LlmConfig, LlmProtocol, LlmProvider, NetworkLlm, Prompt};
use crate::net::Secret;

fn snapshot(provider: LlmProvider) -> String {
    let model = NetworkLlm::new(config(provider), Some(&Secret::new("a-key")), prompt()).unwrap();
    serde_json::to_string_pretty(&model.0.body("Of this call.", &rich(), &Memory::default())).unwrap()
}

#[test]
fn bodies_are_as_documented() {
    insta::assert_snapshot!("openai", snapshot(LlmProvider::Openai));
    insta::assert_snapshot!("anthropic", snapshot(LlmProvider::Anthropic));
    insta::assert_snapshot!("gemini", snapshot(LlmProvider::Gemini));
    insta::assert_snapshot!("mistral", snapshot(LlmProvider::Mistral));
    let responses = LlmConfig { protocol: Some(LlmProtocol::Responses), ..config(LlmProvider::Openai) };
    let model = NetworkLlm::new(responses, Some(&Secret::new("a-key")), prompt()).unwrap();
    let body = model.0.body("Of this call.", &rich(), &Memory::default());
    insta::assert_snapshot!("responses", serde_json::to_string_pretty(&body).unwrap());
}

#[test]
fn a_model_that_has_to_speak_may_not_call_tools() {
    let choice = |provider, body: &[(&str, Value)], tools| {
        let body = body.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let config = LlmConfig { body, ..config(provider) };
        let model = NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt()).unwrap();
        model.0.body("", &ReplyRequest { tools, ..request() }, &Memory::default()).get("tool_choice").cloned()
    };
    let required = [("tool_choice", json!("required"))];
    assert_eq!(choice(LlmProvider::Groq, &[], ToolUse::None), Some(json!("none")));
    assert_eq!(choice(LlmProvider::Anthropic, &[], ToolUse::None), Some(json!({"type": "none"})));
    assert_eq!(choice(LlmProvider::Openai, &required, ToolUse::None), Some(json!("none")));
    assert_eq!(choice(LlmProvider::Openai, &required, ToolUse::Auto), Some(json!("required")));
    assert_eq!(choice(LlmProvider::Openai, &[], ToolUse::Auto), None);
}

#[test]
fn fields_can_be_added_replaced_and_left_out() {
    let mut config = config(LlmProvider::Ollama);
    config.body =
        [("reasoning_effort".to_owned(), json!("none")), ("max_tokens".to_owned(), json!(9))].into();
    config.without = vec!["stream_options".to_owned()];
    let model = NetworkLlm::new(config, None, prompt()).unwrap();
    let body = model.0.body("", &request(), &Memory::default());
    assert_eq!((&body["reasoning_effort"], &body["max_tokens"]), (&json!("none"), &json!(9)));
    assert!(body.get("stream_options").is_none() && body.get("max_completion_tokens").is_none());
}

#[test]
fn requests_are_as_the_models_family_takes_them() {
    let body = |config: LlmConfig, prompt: Prompt| {
        NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt).unwrap().0.body(
            "",
            &request(),
            &Memory::default(),
        )
    };
    let model = |provider, model: &str| LlmConfig { model: model.to_owned(), ..config(provider) };
    let luna = body(model(LlmProvider::Openai, "gpt-6-luna"), prompt());
    assert_eq!((&luna["reasoning_effort"], &luna["max_completion_tokens"]), (&json!("none"), &json!(400)));
    // The agent's author knows better.
    let own = [("reasoning_effort".to_owned(), json!("low"))].into();
    let luna = body(LlmConfig { body: own, ..model(LlmProvider::Openai, "gpt-6-luna") }, prompt());
    assert_eq!(luna["reasoning_effort"], "low");
    let without = vec!["reasoning_effort".to_owned()];
    let luna = body(LlmConfig { without, ..model(LlmProvider::Openai, "gpt-6-luna") }, prompt());
    assert!(luna.get("reasoning_effort").is_none());
    let warm = LlmConfig { temperature: Some(0.3), ..model(LlmProvider::Openai, "o4-mini") };
    let o4 = body(warm, prompt());
    assert!(o4.get("temperature").is_none() && o4["max_completion_tokens"] == 1_400, "{o4}");
    let mistral = body(model(LlmProvider::Vllm, "mistral-small-latest"), prompt());
    assert_eq!(mistral["max_tokens"], 400);
    let astra = body(model(LlmProvider::Openai, "gpt-6-astra"), prompt());
    assert!(
        astra["tools"].is_array() && astra["input"].is_array(),
        "it is spoken to over Responses: {astra}"
    );
    let chat = LlmConfig {
        protocol: Some(LlmProtocol::ChatCompletions),
        ..model(LlmProvider::Openai, "gpt-6-astra")
    };
    let refused = NetworkLlm::new(chat.clone(), Some(&Secret::new("k")), prompt());
    assert!(refused.unwrap_err().to_string().contains("tools"));
    let takes = ModelFacts { tools: Some(true), ..ModelFacts::default() };
    assert!(body(LlmConfig { takes, ..chat }, prompt())["tools"].is_array());
    let voice =
        NetworkLlm::new(model(LlmProvider::Openai, "gpt-realtime-2.1"), Some(&Secret::new("k")), prompt());
    assert!(voice.unwrap_err().to_string().contains("[realtime]"));
}

#[test]
fn the_cache_mark_stands_behind_what_is_long_enough_to_be_kept() {
    let body = |words: usize| {
        let config = LlmConfig { model: "claude-haiku-4-5".into(), ..config(LlmProvider::Anthropic) };
        let prompt = Prompt { instructions: "word ".repeat(words).into(), ..prompt() };
        NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt).unwrap().0.body(
            "",
            &request(),
            &Memory::default(),
        )
    };
    let mark = "/system/0/cache_control";
    let last = "/messages/0/content/0/cache_control";
    let short = body(10);
    assert!(short.pointer(mark).is_none() && short.pointer(last).is_some(), "{short}");
    let long = body(4_000);
    assert!(long.pointer(mark).is_some() && long.pointer(last).is_none());
}

#[test]
fn what_is_missing_is_named() {
    let text = |config: LlmConfig| NetworkLlm::new(config, None, prompt()).unwrap_err().to_string();
    assert!(text(LlmConfig::default()).contains("set `model`"));
    assert!(text(config(LlmProvider::Anthropic)).contains("ANTHROPIC_API_KEY"));
    assert!(text(config(LlmProvider::Azure)).contains("base_url"));
    let url = Some("not a url".to_owned());
    assert!(text(LlmConfig { base_url: url, ..config(LlmProvider::Vllm) }).contains("not valid"));
}

#[test]
fn thoughts_go_back_with_the_results_of_tools() {
    let body = |config: LlmConfig, kept: Value| {
        let memory = Memory::default();
        memory.keep("call_1", kept);
        NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt()).unwrap().0.body("", &rich(), &memory)
    };
    let model = |provider, model: &str| LlmConfig { model: model.to_owned(), ..config(provider) };
    let thought = json!({"type": "thinking", "thinking": "Hm.", "signature": "sig"});
    let claude = body(model(LlmProvider::Anthropic, "claude-opus-5-5"), json!([thought]));
    let turn =
        claude["messages"].as_array().unwrap().iter().find(|message| message.to_string().contains("sig"));
    let kinds = turn.unwrap()["content"].as_array().unwrap().iter().map(|block| block["type"].clone());
    assert_eq!(kinds.collect::<Vec<_>>(), ["thinking", "text", "tool_use", "tool_use"]);
    let item = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "secret"});
    let astra = body(model(LlmProvider::Openai, "gpt-6-astra"), json!([item]));
    let input = astra["input"].as_array().unwrap();
    let at = input.iter().position(|item| item["type"] == "reasoning").unwrap();
    assert_eq!((&input[at], &input[at + 1]["type"]), (&item, &json!("function_call")));
    assert_eq!(astra["include"], json!(["reasoning.encrypted_content"]));
    let gemini = model(LlmProvider::Gemini, "gemini-3.8-flash");
    let gemini = body(gemini, json!({"id": "their-id", "thoughtSignature": "sig"}));
    let parts: Vec<&Value> = gemini["contents"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|content| content["parts"].as_array().unwrap())
        .collect();
    let signatures: Vec<&Value> = parts
        .iter()
        .filter(|part| part["functionCall"].is_object())
        .map(|part| &part["thoughtSignature"])
        .collect();
    let foreign = json!("skip_thought_signature_validator");
    assert_eq!(signatures, [&json!("sig"), &Value::Null, &foreign], "{gemini}");
    let answered = parts.iter().find(|part| part["functionResponse"]["id"] == "their-id");
    assert!(answered.is_some(), "{gemini}");
    let deepseek =
        body(model(LlmProvider::Deepseek, "deepseek-reasoner"), json!({"reasoning_content": "Hm."}));
    let thoughts: Vec<&Value> = deepseek["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["tool_calls"].is_array())
        .map(|message| &message["reasoning_content"])
        .collect();
    assert_eq!(thoughts, [&json!("Hm."), &json!("")], "{deepseek}");
}
