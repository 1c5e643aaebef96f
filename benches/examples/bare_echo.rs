//! The least that a server can do: WebSocket, `serde_json`, base64 there and back, echo. No sound is looked at. One thread. Yardsticks
//! for `offhook load`: tokio-tungstenite with its defaults, the same with the engine's settings, fastwebsockets.
//!
//! `cargo run --release --package offhook-benches --example bare_echo -- 127.0.0.1:8765 [tungstenite|tuned|fastwebsockets]`
#![allow(clippy::unwrap_used, reason = "a yardstick for the one who runs it")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, Role, WebSocket};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{accept_async, accept_async_with_config};

/// One call, whatever carries it: what is heard to what is said.
#[derive(Default)]
struct Echo(String);

impl Echo {
    /// The answer to a message, if it wants one; `Err` at the call's end.
    fn answer(&mut self, text: &str) -> Result<Option<String>, ()> {
        let event: Value = serde_json::from_str(text).map_err(drop)?;
        match event["event"].as_str().ok_or(())? {
            "start" => self.0 = event["streamSid"].as_str().ok_or(())?.to_owned(),
            "media" => {
                let payload = event["media"]["payload"].as_str().ok_or(())?;
                let payload = STANDARD.encode(STANDARD.decode(payload).map_err(drop)?);
                let answer = json!({"event": "media", "streamSid": self.0, "media": {"payload": payload}});
                return Ok(Some(answer.to_string()));
            }
            "stop" => return Err(()),
            _ => {}
        }
        Ok(None)
    }
}

async fn tungstenite(stream: TcpStream, config: Option<WebSocketConfig>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut socket = accept_async_with_config(stream, config).await.ok()?;
    let mut echo = Echo::default();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        if let Some(answer) = echo.answer(&text).ok()? {
            socket.send(Message::Text(answer.into())).await.ok()?;
        }
    }
    None
}

async fn fastwebsockets(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    // The handshake is the same for all; the peer says nothing before it is over.
    let stream = accept_async(stream).await.ok()?.into_inner();
    let mut socket = FragmentCollector::new(WebSocket::after_handshake(stream, Role::Server));
    let mut echo = Echo::default();
    loop {
        let frame = socket.read_frame().await.ok()?;
        match frame.opcode {
            OpCode::Close => return None,
            OpCode::Text => {
                let text = std::str::from_utf8(&frame.payload).ok()?;
                if let Some(answer) = echo.answer(text).ok()? {
                    let frame = Frame::text(Payload::Owned(answer.into_bytes()));
                    socket.write_frame(frame).await.ok()?;
                }
            }
            _ => {}
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8765".to_owned());
    let layer = arguments.next().unwrap_or_else(|| "tungstenite".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let listener = TcpListener::bind(address).await.unwrap();
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            match layer.as_str() {
                "fastwebsockets" => drop(tokio::task::spawn_local(fastwebsockets(stream))),
                "tuned" => {
                    let engines = offhook_session::socket_config();
                    drop(tokio::task::spawn_local(tungstenite(stream, Some(engines))));
                }
                _ => drop(tokio::task::spawn_local(tungstenite(stream, None))),
            }
        }
    });
}
