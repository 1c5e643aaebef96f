//! ConversationRelay servers, good ones and each with one fault, over real sockets.

use std::future::Future;
use std::time::Duration;

use crate::examined::{expect, expect_with, options, quick};
use crate::server::{Server, Socket, ok, xml};
use futures_util::{SinkExt, StreamExt};
use offhook_doctor::{Limits, Options};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

/// A document that connects to a session with these attributes.
fn relay(own: &str, more: &str) -> String {
    xml(&format!(
        "<Response><Connect><ConversationRelay url=\"wss://{own}/relay\"{more}><Parameter name=\"a\" value=\"1\"/></ConversationRelay></Connect></Response>"
    ))
}

async fn serves<A, F>(agent: A) -> Server
where
    A: Fn(Socket) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    Server::start(|_, own| relay(own, ""), ok, agent).await
}

/// Answers each of Twilio's messages with these.
async fn answers(mut socket: Socket, make: impl Fn(&Value) -> Vec<String>) {
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        for answer in make(&serde_json::from_str(&text).unwrap()) {
            let _gone = socket.send(Message::Text(answer.into())).await;
        }
    }
}

fn text(token: &str, last: bool) -> String {
    json!({"type": "text", "token": token, "last": last}).to_string()
}

fn is(message: &Value, kind: &str) -> bool {
    message["type"] == kind
}

/// Greets, and answers in three pieces.
fn good(message: &Value) -> Vec<String> {
    if is(message, "setup") {
        assert_eq!(message["customParameters"]["a"], "1");
        vec![text("Hello, this is Mario's.", true)]
    } else if is(message, "prompt") {
        vec![text("A pizza,", false), text(" certainly.", false), text("", true)]
    } else {
        vec![]
    }
}

/// Good but for what it answers to the caller.
async fn to_prompts(answer: fn() -> Vec<String>) -> Server {
    serves(move |socket| {
        answers(socket, move |message| if is(message, "prompt") { answer() } else { good(message) })
    })
    .await
}

#[tokio::test]
async fn good_sessions_have_no_fault() {
    let waits =
        |socket| answers(socket, |message| if is(message, "prompt") { good(message) } else { vec![] });
    let plays = || {
        vec![
            json!({"type": "play", "source": "https://h/a.mp3", "loop": 1, "interruptible": true})
                .to_string(),
        ]
    };
    let hands_over = || vec![text("Goodbye.", true), json!({"type": "end", "handoffData": "{}"}).to_string()];
    let greeted = Server::start(
        |_, own| relay(own, " welcomeGreeting=\"Hello\" interruptible=\"any\" turnDetection=\"true\""),
        ok,
        waits,
    );
    // Its query comes through, other than a stream's.
    let query = Server::start(
        |_, own| {
            let url = format!("wss://{own}/relay?token=1&amp;x=2");
            xml(&format!(
                "<Response><Connect><ConversationRelay url=\"{url}\"><Parameter name=\"a\" value=\"1\"/></ConversationRelay></Connect></Response>"
            ))
        },
        |head, _| {
            (!head.starts_with("GET /relay?token=1&x=2 "))
                .then(|| "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned())
        },
        |socket| answers(socket, good),
    );
    expect(vec![
        (serves(|socket| answers(socket, good)).await, "none"),
        (serves(waits).await, "none"),
        (greeted.await, "none"),
        (query.await, "none"),
        (to_prompts(plays).await, "none"),
        (to_prompts(hands_over).await, "none"),
    ])
    .await;
}

#[tokio::test]
async fn faults_of_sessions_are_named() {
    let refuses = |_: &str, _: &str| Some("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_owned());
    let stops_at_interrupts = |mut socket: Socket| async move {
        while let Some(Ok(Message::Text(message))) = socket.next().await {
            let message: Value = serde_json::from_str(&message).unwrap();
            if is(&message, "interrupt") {
                return;
            }
            for answer in good(&message) {
                let _gone = socket.send(Message::Text(answer.into())).await;
            }
        }
    };
    let closes = |mut socket: Socket| async move {
        let _setup = socket.next().await;
        let _closed = socket.close(None).await;
    };
    let deaf_after_one = |socket| async move {
        let asked = std::sync::atomic::AtomicU32::new(0);
        answers(socket, |message| {
            let again = is(message, "prompt") && asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
            if again { vec![] } else { good(message) }
        })
        .await;
    };
    let lingers = |mut socket: Socket| async move {
        for _ in 0..4 {
            let Some(Ok(Message::Text(message))) = socket.next().await else { continue };
            for answer in good(&serde_json::from_str(&message).unwrap()) {
                let _gone = socket.send(Message::Text(answer.into())).await;
            }
        }
        std::future::pending::<()>().await;
    };
    let ten = || (0..12).map(|n| json!({"type": "debug", "n": n}).to_string()).collect();
    expect(vec![
        (
            Server::start(|_, own| relay(own, ""), refuses, |socket| answers(socket, good)).await,
            "Fails upgrade-forbidden 64102",
        ),
        (serves(|socket| answers(socket, |_| vec![])).await, "Fails relay-never-answers"),
        (serves(deaf_after_one).await, "Fails relay-never-answers"),
        (to_prompts(|| vec![text("A pizza, certainly.", false)]).await, "Fails relay-last-missing"),
        (to_prompts(|| vec!["Internal error".to_owned()]).await, "Fails relay-not-json 64107"),
        (
            to_prompts(|| vec![json!({"type": "text", "text": "hi", "last": true}).to_string()]).await,
            "Fails relay-wrong-field 64107",
        ),
        (
            to_prompts(|| vec![json!({"type": "message", "content": "hi"}).to_string()]).await,
            "Fails relay-unknown-type 64107",
        ),
        (
            to_prompts(|| {
                vec![json!({"type": "text", "token": "hi", "last": true, "isFinal": true}).to_string()]
            })
            .await,
            "Risky relay-extra-field 64107",
        ),
        (
            to_prompts(|| {
                vec![json!({"event": "media", "streamSid": "MZ1", "media": {"payload": ""}}).to_string()]
            })
            .await,
            "Fails relay-speaks-media-streams 64107",
        ),
        (serves(closes).await, "Fails relay-closed 64105"),
        (serves(stops_at_interrupts).await, "Fails relay-closed 64105"),
        (serves(lingers).await, "Risky lingers-after-stop"),
        (to_prompts(ten).await, "Fails relay-unknown-type 64107"),
    ])
    .await;
}

#[tokio::test]
async fn ten_malformed_messages_end_the_session() {
    let server = to_prompts(|| (0..12).map(|n| json!({"type": "debug", "n": n}).to_string()).collect()).await;
    let report = crate::examined::examined(options(&server)).await;
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.cause, finding.code)).collect();
    assert!(found.contains(&("relay-ten-malformed", Some(64105))), "{found:?}");
}

#[tokio::test]
async fn late_answers_are_told() {
    let late = serves(|mut socket: Socket| async move {
        while let Some(Ok(Message::Text(message))) = socket.next().await {
            let message: Value = serde_json::from_str(&message).unwrap();
            if is(&message, "prompt") {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
            }
            for answer in good(&message) {
                let _gone = socket.send(Message::Text(answer.into())).await;
            }
        }
    })
    .await;
    let limits = Limits { late_answer: Duration::from_millis(500), ..quick() };
    expect_with(vec![(Options { limits, ..options(&late) }, "Risky late-answer"), (options(&late), "none")])
        .await;
}
