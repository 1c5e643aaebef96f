//! Both protocols, by the samples in their vendors' documentation and by what servers have been seen to send.

use offhook_stage_api::{Content, Delivery, Digits, Entry, ReplyReason, ToolCall, ToolResult};
use offhook_stages::{ToolSpec, WhenFull, bounded};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn config(provider: LlmProvider) -> LlmConfig {
    LlmConfig { provider, model: "some-model".to_owned(), ..LlmConfig::default() }
}

fn prompt() -> Prompt {
    let tool = ToolSpec {
        name: "find_booking".to_owned(),
        description: "Finds a booking.".to_owned(),
        parameters: json!({"type": "object", "properties": {"phone": {"type": "string"}}}),
    };
    Prompt { instructions: "You take bookings.".into(), tools: [tool].into(), ..Prompt::default() }
}

fn request() -> ReplyRequest {
    let caller = Content::Caller { text: "Can I move my appointment?".into() };
    let history = vec![Entry::at(caller, 0)];
    let reason = ReplyReason::Caller { text: "Can I move my appointment?".into(), confidence: None };
    ReplyRequest {
        reply: ReplyId(7),
        reason,
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    }
}

/// One of everything that a history can hold.
fn rich() -> ReplyRequest {
    let agent = |text: &str, delivery| Content::Agent { text: text.into(), delivery };
    let call = |id: &str, phone: &str| {
        Content::ToolCall(ToolCall {
            id: id.into(),
            name: "find_booking".into(),
            arguments: json!({ "phone": phone }),
        })
    };
    let result = |id: &str, outcome: Result<&str, &str>| {
        let outcome = outcome.map(str::to_owned).map_err(str::to_owned);
        Content::ToolResult(ToolResult { id: id.into(), name: "find_booking".into(), outcome })
    };
    let history = [
        Content::Summary { text: "Caller: It's about Friday.".into() },
        agent("Of course. I'll look, and then", Delivery::Interrupted),
        Content::Caller { text: "The number is this.".into() },
        Content::Digits { digits: Digits::new("0100") },
        agent("Let me look.", Delivery::Heard),
        call("call_1", "0100"),
        call("call_1~2", "0101"),
        agent("One moment, please.", Delivery::Heard),
        result("call_1~2", Err("no such number")),
        result("call_1", Ok("Friday, 10:00 (Dr Lee)")),
        Content::Note { text: "The caller was to be transferred to +15550123, but that failed: busy".into() },
        agent("I found it.", Delivery::Saying),
        call("call_2", "0102"),
    ];
    let history = history.into_iter().zip(0..).map(|(content, at)| Entry::at(content, at)).collect();
    ReplyRequest {
        reply: ReplyId(7),
        reason: ReplyReason::Tool,
        history,
        language: None,
        tools: ToolUse::None,
        speculative: false,
    }
}

fn snapshot(provider: LlmProvider) -> String {
    let model = NetworkLlm::new(config(provider), Some(&Secret::new("a-key")), prompt()).unwrap();
    serde_json::to_string_pretty(&model.0.body("Of this call.", &rich())).unwrap()
}

#[test]
fn bodies_are_as_documented() {
    insta::assert_snapshot!("openai", snapshot(LlmProvider::Openai));
    insta::assert_snapshot!("anthropic", snapshot(LlmProvider::Anthropic));
}

#[test]
fn a_model_that_has_to_speak_may_not_call_tools() {
    let choice = |provider, body: &[(&str, Value)], tools| {
        let body = body.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let config = LlmConfig { body, ..config(provider) };
        let model = NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt()).unwrap();
        model.0.body("", &ReplyRequest { tools, ..request() }).get("tool_choice").cloned()
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
    let body = model.0.body("", &request());
    assert_eq!((&body["reasoning_effort"], &body["max_tokens"]), (&json!("none"), &json!(9)));
    assert!(body.get("stream_options").is_none() && body.get("max_completion_tokens").is_none());
}

#[test]
fn requests_are_as_the_models_family_takes_them() {
    let body = |config: LlmConfig, prompt: Prompt| {
        NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt).unwrap().0.body("", &request())
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
    let astra = NetworkLlm::new(model(LlmProvider::Openai, "gpt-6-astra"), Some(&Secret::new("k")), prompt());
    assert!(astra.unwrap_err().to_string().contains("tools"));
    let takes = ModelFacts { tools: Some(true), ..ModelFacts::default() };
    let gateway = LlmConfig { takes, ..model(LlmProvider::Openai, "gpt-6-astra") };
    assert!(body(gateway, prompt())["tools"].is_array());
}

#[test]
fn the_cache_mark_stands_behind_what_is_long_enough_to_be_kept() {
    let body = |words: usize| {
        let config = LlmConfig { model: "claude-haiku-4-5".into(), ..config(LlmProvider::Anthropic) };
        let prompt = Prompt { instructions: "word ".repeat(words).into(), ..prompt() };
        NetworkLlm::new(config, Some(&Secret::new("a-key")), prompt).unwrap().0.body("", &request())
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

/// Reads a whole stream; the error, if there was one.
fn read(provider: LlmProvider, stream: &str) -> (Vec<Output>, Usage, Option<String>) {
    let (mut sse, mut reader, mut out) = (sse::Sse::default(), Reader::new(provider, "x"), Vec::new());
    sse.push(stream.as_bytes());
    let mut all = Ok(());
    while let Some(event) = sse.next_event().or_else(|| sse.finish()) {
        all = all.and_then(|()| reader.event(&event, &mut out));
    }
    let usage = reader.usage();
    let error = all.and_then(|()| reader.end(&mut out)).err();
    (out, usage, error.map(|error| format!("{:?} {error}", error.kind())))
}

fn text(text: &str) -> Output {
    Output::Text(text.to_owned())
}

fn tool(id: &str, arguments: Value) -> Output {
    Output::Tool(ToolCall { id: id.to_owned(), name: "find_booking".to_owned(), arguments })
}

const OPENAI: &str = r#"data: {"id":"","choices":[],"prompt_filter_results":[]}

data: {"id":"chatcmpl-1","choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":null},"finish_reason":null}],"usage":null}

data: {"choices":[{"index":0,"delta":{"content":"Sure","reasoning":"hm"},"finish_reason":null}]}

: PROCESSING

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"find_booking","arguments":""}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"phone\":"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"1\"}"}}]},"finish_reason":null}]}

data: {"choices":[{"index":0,"finish_reason":"stop","content_filter_results":{}}],"usage":null}

data: {"choices":[],"usage":{"prompt_tokens":420,"completion_tokens":31,"prompt_tokens_details":{"cached_tokens":384}}}

data: [DONE]"#;

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_01","usage":{"input_tokens":412,"cache_creation_input_tokens":8,"cache_read_input_tokens":4096,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Sure"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01","name":"find_booking","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"phone\": "}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"\"1\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":57}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn streams_are_read() {
    let (out, usage, error) = read(LlmProvider::Azure, OPENAI);
    assert_eq!((out, error), (vec![text("Sure"), tool("call_1", json!({"phone": "1"}))], None));
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (36, 384, 31));
    let (out, usage, error) = read(LlmProvider::Anthropic, ANTHROPIC);
    assert_eq!((out, error), (vec![text("Sure"), tool("toolu_01", json!({"phone": "1"}))], None));
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (420, 4_096, 57));
}

#[test]
fn a_stream_that_ends_early_is_an_error_wherever_it_is_cut() {
    for (provider, stream, end) in [
        (LlmProvider::Openai, OPENAI, "finish_reason\":\"stop"),
        (LlmProvider::Anthropic, ANTHROPIC, "stop_reason"),
    ] {
        let certain = stream.find(end).unwrap();
        let events = stream.match_indices("\n\n").map(|(at, _)| at + 2).filter(|at| *at < certain);
        for at in events {
            let (_, _, error) = read(provider, &stream[..at]);
            assert!(error.as_ref().is_some_and(|error| error.starts_with("Broken")), "{at}: {error:?}");
        }
    }
}

#[test]
fn errors_inside_a_stream_that_began_well() {
    let error = |provider, stream: &str| read(provider, stream).2.unwrap();
    let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    assert!(error(LlmProvider::Anthropic, overloaded).starts_with("Busy"));
    let server = "data: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\",\"code\":null}}\n\n";
    assert!(error(LlmProvider::Openai, server).starts_with("Broken"));
    let llama =
        "error: {\"code\":400,\"message\":\"prompt too long\",\"type\":\"invalid_request_error\"}\n\n";
    assert!(error(LlmProvider::Llamacpp, llama).starts_with("Refused"));
    let groq = "data: {\"x_groq\":{\"id\":\"r\",\"error\":\"over capacity\"},\"choices\":[]}\n\n";
    assert!(error(LlmProvider::Groq, groq).contains("over capacity"));
    assert!(error(LlmProvider::Openai, "data: {\"cho\n\n").starts_with("Garbage"));
}

#[test]
fn dialects_that_differ_from_the_book() {
    // Mistral's models that think, then speak.
    let parts = "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]}}]}\n\n\
                 data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"Sure\"}]},\"finish_reason\":\"stop\"}]}\n\n";
    assert_eq!(read(LlmProvider::Openai, parts).0, [text("Sure")]);
    // SGLang and older Ollama: an empty reason is none, and the stream was cut off.
    let cut = "data: {\"choices\":[{\"delta\":{\"content\":\"Su\"},\"finish_reason\":\"\"}]}\n\n";
    assert!(read(LlmProvider::Vllm, cut).2.unwrap().starts_with("Broken"));
    // Groq's usage beside an empty one.
    let groq = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null,\
                \"x_groq\":{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":4}}}\n\n";
    assert_eq!(read(LlmProvider::Groq, groq).1.output_tokens, 4);
    // Refusals are spoken; several choices, of which the first counts.
    let refusal =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"refusal\":\"I can't.\"}}]}\n\ndata: [DONE]\n\n";
    assert_eq!(read(LlmProvider::Openai, refusal).0, [text("I can't.")]);
    // Anthropic by proxies: a tool's input whole, and counts that later events don't repeat.
    let whole = "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":2,\
                 \"cache_read_input_tokens\":7}}}\n\n\
                 data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\
                 \"name\":\"find_booking\",\"input\":{\"phone\":\"1\"}}}\n\n\
                 data: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
                 data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"input_tokens\":5,\
                 \"cache_read_input_tokens\":null,\"output_tokens\":3}}\n\n";
    let (out, usage, error) = read(LlmProvider::Anthropic, whole);
    assert_eq!((out, error), (vec![tool("t", json!({"phone": "1"}))], None));
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (7, 7, 3));
}

#[tokio::test]
async fn a_server_that_cannot_stream_is_understood_and_so_is_an_error_with_status_200() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    let whole = r#"{"choices":[{"message":{"role":"assistant","content":"Sure."},"finish_reason":"stop"}],
                    "usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    let (events, usage, _) = answer([head, whole]).await;
    assert_eq!(events[0], LlmEvent::Text { reply: ReplyId(7), delta: "Sure.".to_owned() });
    assert_eq!((events.len(), usage.output_tokens), (2, 2));
    let (events, _, _) = answer([head, r#"{"error":{"message":"over capacity","type":"overloaded"}}"#]).await;
    let [LlmEvent::Failed { failure, .. }] = &events[..] else { panic!("{events:?}") };
    assert!(failure.message.contains("over capacity"), "{failure}");
}

#[tokio::test]
async fn a_whole_answer_is_not_kept_back_by_an_end_that_never_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Some(format!("http://{}/v1", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        let event =
            "data: {\"choices\":[{\"delta\":{\"content\":\"Sure.\"},\"finish_reason\":\"stop\"}]}\n\n";
        stream.write_all(format!("{head}{event}").as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let config = LlmConfig { base_url, ..config(LlmProvider::Openai) };
    let gap = config.deadlines.gap;
    let model = NetworkLlm::new(config, None, prompt()).unwrap();
    let (commands, taken) = bounded(8, WhenFull::PushBack);
    let (events, got) = bounded(64, WhenFull::PushBack);
    let running = tokio::spawn(model.run(CallInfo::default(), taken, events));
    let began = tokio::time::Instant::now();
    commands.send(LlmCommand::Respond(Arc::new(request()))).await.unwrap();
    let reply = ReplyId(7);
    assert_eq!(got.recv().await, Some(LlmEvent::Text { reply, delta: "Sure.".to_owned() }));
    assert_eq!(got.recv().await, Some(LlmEvent::Done { reply }));
    assert!(began.elapsed() < gap / 2, "{:?}", began.elapsed());
    running.abort();
    server.abort();
}

/// Answers one request with this, in two pieces cut at every place in turn.
async fn answer(parts: [&'static str; 2]) -> (Vec<LlmEvent>, Usage, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = Some(format!("http://{}/v1", listener.local_addr().unwrap()));
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut piece = [0; 4_096];
            let length = stream.read(&mut piece).await.unwrap();
            seen.extend_from_slice(&piece[..length]);
        }
        for part in parts {
            stream.write_all(part.as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        String::from_utf8_lossy(&seen).into_owned()
    });
    let model = NetworkLlm::new(
        LlmConfig { base_url, ..config(LlmProvider::Openai) },
        Some(&Secret::new("sk-very-secret-key")),
        prompt(),
    );
    let (commands, taken) = bounded(8, WhenFull::PushBack);
    let (events, got) = bounded(64, WhenFull::PushBack);
    let call = CallInfo::default();
    let running = tokio::spawn(model.unwrap().run(call.clone(), taken, events));
    commands.send(LlmCommand::Respond(Arc::new(request()))).await.unwrap();
    let mut all = Vec::new();
    while let Some(event) = got.recv().await {
        let last = matches!(event, LlmEvent::Done { .. } | LlmEvent::Failed { .. });
        all.push(event);
        if last {
            break;
        }
    }
    drop(commands);
    running.await.unwrap().unwrap();
    (all, call.meter.read()["openai"], server.await.unwrap())
}

#[tokio::test]
async fn over_a_real_socket_text_comes_and_usage_is_written_down() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    let (events, usage, seen) = answer([head, OPENAI]).await;
    let reply = ReplyId(7);
    assert_eq!(events[0], LlmEvent::Text { reply, delta: "Sure".to_owned() });
    assert!(matches!(&events[1], LlmEvent::Tool { call, .. } if call.id == "call_1"), "{events:?}");
    assert_eq!(events[2..], [LlmEvent::Done { reply }]);
    assert_eq!((usage.requests, usage.failures, usage.output_tokens), (1, 0, 31));
    assert!(
        seen.contains("POST /v1/chat/completions") && seen.contains("Bearer sk-very-secret-key"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_refusal_over_a_real_socket_is_told_without_the_key() {
    let head = "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\n\r\n";
    let body = r#"{"error":{"message":"Incorrect API key: sk-very-secret-key.","code":"invalid_api_key"}}"#;
    let (events, usage, _) = answer([head, body]).await;
    let [LlmEvent::Failed { failure, .. }] = &events[..] else { panic!("{events:?}") };
    assert!(failure.message.contains("401") && !failure.message.contains("very-secret"), "{failure}");
    assert_eq!((usage.requests, usage.failures), (1, 1));
}
