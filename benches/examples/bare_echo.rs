//! The least that a server can do: tokio-tungstenite with its defaults, `serde_json`, base64 there and back, echo. No sound is
//! looked at. One thread. A yardstick for `offhook load`.
//!
//! `cargo run --release --package offhook-benches --example bare_echo -- 127.0.0.1:8765`
#![allow(clippy::unwrap_used, reason = "a yardstick for the one who runs it")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

async fn echo(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut socket = accept_async(stream).await.ok()?;
    let mut sid = String::new();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let event: Value = serde_json::from_str(&text).ok()?;
        match event["event"].as_str()? {
            "start" => sid = event["streamSid"].as_str()?.to_owned(),
            "media" => {
                let octets = STANDARD.decode(event["media"]["payload"].as_str()?).ok()?;
                let payload = STANDARD.encode(octets);
                let answer = json!({"event": "media", "streamSid": sid, "media": {"payload": payload}});
                socket.send(Message::Text(answer.to_string().into())).await.ok()?;
            }
            "stop" => return Some(()),
            _ => {}
        }
    }
    None
}

fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8765".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::task::spawn_local(echo(stream));
        }
    });
}
