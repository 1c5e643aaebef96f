//! What answers are read as.

use offhook_stage_api::ToolCall;
use offhook_stages::Usage;
use serde_json::{Value, json};

use crate::llm::LlmProvider;
use crate::llm::output::Output;
use crate::net::sse;

/// Reads a whole stream; the error, if there was one.
fn read(provider: LlmProvider, stream: &str) -> (Vec<Output>, Usage, Option<String>) {
    let (mut sse, mut reader, mut out) = (sse::Sse::default(), provider.protocol().reader("x"), Vec::new());
    sse.push(stream.as_bytes());
    let mut all = Ok(());
    while let Some(event) = sse.next_event().or_else(|| sse.finish()) {
        all = all.and_then(|()| reader.event(&event, &mut out));
    }
    let usage = reader.usage();
    let error = all.and_then(|()| reader.end(&mut out)).err();
    out.retain(|output| !matches!(output, Output::Thought | Output::Keep(..)));
    (out, usage, error.map(|error| format!("{:?} {error}", error.kind())))
}

fn text(text: &str) -> Output {
    Output::Text(text.to_owned())
}

fn tool(id: &str, arguments: Value) -> Output {
    Output::Tool(ToolCall { id: id.to_owned(), name: "find_booking".to_owned(), arguments })
}

pub(super) const OPENAI: &str = r#"data: {"id":"","choices":[],"prompt_filter_results":[]}

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
    assert!(error(LlmProvider::Llamacpp, llama).starts_with("Declined"));
    let groq = "data: {\"x_groq\":{\"id\":\"r\",\"error\":\"over capacity\"},\"choices\":[]}\n\n";
    assert!(error(LlmProvider::Groq, groq).contains("over capacity"));
    assert!(error(LlmProvider::Openai, "data: {\"cho\n\n").starts_with("Garbage"));
}

#[test]
fn an_answer_that_the_server_gave_up_is_no_answer() {
    for reason in ["error", "insufficient_system_resource", "abort"] {
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"Su\"}}}}]}}\n\n\
             data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"{reason}\"}}]}}\n\ndata: [DONE]\n\n"
        );
        let error = read(LlmProvider::Mistral, &stream).2.unwrap();
        assert!(error.starts_with("Broken") && error.contains(reason), "{error}");
    }
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

#[test]
fn gemini_calls_in_pieces_and_thoughts() {
    let stream = concat!(
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hm.\",\"thought\":true},{\"text\":\"One moment. \"}]}}],\"responseId\":\"r-1\"}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"name\":\"find_booking\",\"willContinue\":true},\"thoughtSignature\":\"sig\"}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.phone\",\"stringValue\":\"55\",\"willContinue\":true}],\"willContinue\":true}}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"partialArgs\":[{\"jsonPath\":\"$.phone\",\"stringValue\":\"01\"}],\"willContinue\":true}}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{}}]}}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":50,\"cachedContentTokenCount\":20,\"candidatesTokenCount\":7,\"thoughtsTokenCount\":5}}\n\n",
    );
    let (out, usage, error) = read(LlmProvider::Gemini, stream);
    let said: Vec<Output> = out.into_iter().filter(|output| *output != text("")).collect();
    assert_eq!((said, error), (vec![text("One moment. "), tool("r-1_1", json!({"phone": "5501"}))], None));
    assert_eq!((usage.input_tokens, usage.cached_tokens, usage.output_tokens), (30, 20, 12));
    let filtered = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n";
    assert!(read(LlmProvider::Gemini, filtered).2.unwrap().starts_with("Declined"));
    let cut = stream.find("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}").unwrap();
    assert!(read(LlmProvider::Gemini, &stream[..cut]).2.unwrap().starts_with("Broken"));
}

/// Reads a stream of OpenAI's Responses.
async fn responses(stream: &str) -> crate::llm::replay::Replay {
    crate::llm::replay::replay(crate::llm::LlmProtocol::Responses, stream.as_bytes().chunks(7)).await
}

#[tokio::test]
async fn responses_in_items() {
    let stream = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"status\":\"in_progress\"}}\n\n",
        "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[],\"encrypted_content\":\"x\"}}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"Let me look.\"}\n\n",
        "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{\\\"phone\\\":\"}\n\n",
        "data: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"\\\"1\\\"}\"}\n\n",
        "data: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"find_booking\",\"arguments\":\"\"}}\n\n",
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":3,\"delta\":\"One moment.\"}\n\n",
        "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":9,\"input_tokens_details\":{\"cached_tokens\":4},\"output_tokens\":3}}}\n\n",
    );
    let read = responses(stream).await;
    assert_eq!((read.text.as_str(), read.kept, read.failure), ("Let me look. One moment.", 1, None));
    assert_eq!(
        read.tools,
        [ToolCall { id: "call_1".into(), name: "find_booking".into(), arguments: json!({"phone": "1"}) }]
    );
    assert_eq!((read.usage.input_tokens, read.usage.cached_tokens, read.usage.output_tokens), (5, 4, 3));
    let cut = responses(&stream[..stream.find("data: {\"type\":\"response.completed\"").unwrap()]).await;
    assert_eq!(cut.failure.unwrap().kind, offhook_stage_api::FailureKind::Broken);
    let failed = "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"m\"}}}\n\n";
    assert_eq!(responses(failed).await.failure.unwrap().kind, offhook_stage_api::FailureKind::Busy);
}

#[tokio::test]
async fn half_a_sentence_at_the_limit_of_tokens_is_not_spoken() {
    let chat = |finish: &str| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"It is ready. You can come at\"}}}}]}}\n\n\
             data: {{\"choices\":[{{\"delta\":{{}},\"finish_reason\":\"{finish}\"}}]}}\n\ndata: [DONE]\n\n"
        )
    };
    let read = |stream: String| async move {
        crate::llm::replay::replay(crate::llm::LlmProtocol::ChatCompletions, stream.as_bytes().chunks(7))
            .await
            .text
    };
    assert_eq!(read(chat("length")).await, "It is ready. ");
    assert_eq!(read(chat("stop")).await, "It is ready. You can come at");
    // A thought that nobody opened.
    let thought = chat("stop").replace("It is ready. ", "The caller wants it.</think>It is ready. ");
    assert_eq!(read(thought).await, "It is ready. You can come at");
}

#[tokio::test]
async fn cohere_in_its_own_events() {
    let stream = concat!(
        "event: message-start\ndata: {\"type\":\"message-start\",\"delta\":{\"message\":{\"role\":\"assistant\"}}}\n\n",
        "data: {\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":\"I will look.\"}}}\n\n",
        "data: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"One moment.\"}}}}\n\n",
        "data: {\"type\":\"tool-call-start\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"id\":\"c_1\",\"type\":\"function\",\"function\":{\"name\":\"find_booking\",\"arguments\":\"\"}}}}}\n\n",
        "data: {\"type\":\"tool-call-delta\",\"index\":0,\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"arguments\":\"{\\\"phone\\\":\\\"1\\\"}\"}}}}}\n\n",
        "data: {\"type\":\"tool-call-end\",\"index\":0}\n\n",
        "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\",\"usage\":{\"tokens\":{\"input_tokens\":9,\"output_tokens\":4}}}}\n\n",
    );
    let read =
        crate::llm::replay::replay(crate::llm::LlmProtocol::CohereChat, stream.as_bytes().chunks(7)).await;
    assert_eq!((read.text.as_str(), read.failure), ("One moment.", None));
    assert_eq!(read.tools.len(), 1);
    assert_eq!((read.usage.input_tokens, read.usage.output_tokens), (9, 4));
}
