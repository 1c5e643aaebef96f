//! Over real sockets.

use std::sync::Arc;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent};
use offhook_stages::{CallInfo, Llm, Usage, WhenFull, bounded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::streams::OPENAI;
use super::{config, prompt, request};
use crate::llm::{LlmConfig, LlmProvider, NetworkLlm};
use crate::net::Secret;

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
        // A sign of life.
        if !matches!(&event, LlmEvent::Text { delta, .. } if delta.is_empty()) {
            all.push(event);
        }
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
