//! ConversationRelay servers with mistakes of everyday: a field of another kind, a stream's spelling, an answer without a word.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::examined::expect;
use crate::server::{Server, Socket, ok, xml};

/// A session of text whose server answers each of Twilio's messages of this kind with these.
async fn session(kind: &'static str, answer: fn() -> Vec<Message>) -> Server {
    let relay = |_: &str, own: &str| {
        xml(&format!(
            "<Response><Connect><ConversationRelay url=\"wss://{own}/relay\" welcomeGreeting=\"Hello\"/></Connect></Response>"
        ))
    };
    Server::start(relay, ok, move |mut socket: Socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            let value: Value = serde_json::from_str(message.to_text().unwrap_or("")).unwrap_or_default();
            if value["type"] == kind {
                for answer in answer() {
                    let _gone = socket.send(answer).await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn sessions_with_everyday_mistakes_are_named() {
    fn says(value: &Value) -> Vec<Message> {
        vec![Message::Text(value.to_string().into())]
    }
    expect(vec![
        (
            session("prompt", || says(&json!({"type": "text", "token": null, "last": true}))).await,
            "Fails relay-wrong-field 64107",
        ),
        (
            session("prompt", || says(&json!({"type": "text", "token": {"text": "hi"}, "last": true}))).await,
            "Fails relay-wrong-field 64107",
        ),
        (
            session("prompt", || says(&json!({"type": "text", "token": "hi", "last": "true"}))).await,
            "Fails relay-wrong-field 64107",
        ),
        (
            session("prompt", || says(&json!({"type": "Text", "token": "hi", "last": true}))).await,
            "Fails relay-unknown-type 64107",
        ),
        (
            session("prompt", || says(&json!({"type": "prompt", "voicePrompt": "hi", "last": true}))).await,
            "Fails relay-unknown-type 64107",
        ),
        (
            session("prompt", || {
                vec![Message::Text("data: {\"type\":\"text\",\"token\":\"hi\",\"last\":true}\n\n".into())]
            })
            .await,
            "Fails relay-not-json 64107",
        ),
        (session("prompt", || vec![Message::Text("Certainly.".into())]).await, "Fails relay-not-json 64107"),
        (
            session("prompt", || says(&json!({"type": "text", "token": "", "last": true}))).await,
            "Fails relay-never-answers",
        ),
        (
            session("prompt", || says(&json!({"type": "play", "url": "https://h/a.mp3"}))).await,
            "Fails relay-wrong-field 64107",
        ),
        (
            session("setup", || says(&json!({"type": "text", "token": "Hello", "last": true}))).await,
            "Fails relay-never-answers",
        ),
        (
            session("prompt", || says(&json!([{"type": "text", "token": "hi", "last": true}]))).await,
            "Fails relay-not-json 64107",
        ),
    ])
    .await;
}
