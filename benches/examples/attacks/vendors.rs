//! Services gone bad: a model, a voice, a recogniser and a tool server that answer what an attack wants.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use offhook_script::shipped;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// How an answer goes on behind its first octets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mode {
    pub(crate) first: Vec<u8>,
    /// Again and again, until the connection ends.
    pub(crate) again: Vec<u8>,
    /// From one time to the next.
    pub(crate) pause: Duration,
    /// The connection stays open when everything was sent.
    pub(crate) hangs: bool,
}

#[derive(Debug, Default)]
struct State {
    /// What the bad service answers.
    mode: Mode,
    /// The good model asks for a tool first.
    asks_tool: bool,
    replies: u32,
    /// Requests to the bad service.
    asked: u32,
}

/// However often it fails, it is asked again: an attack that isn't tried shows nothing.
const AGAIN: &str = "link = { breaker = { failures = 1000000, rest = \"1ms\", longest_rest = \"1ms\" } }\n";

/// The services.
#[derive(Clone, Debug, Default)]
pub(crate) struct Vendors {
    base: String,
    state: Rc<RefCell<State>>,
}

impl Vendors {
    pub(crate) fn none() -> Self {
        Self::default()
    }

    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = listener.local_addr().unwrap().to_string();
        let vendors = Self { base, state: Rc::default() };
        let serving = vendors.clone();
        tokio::task::spawn_local(async move {
            while let Ok((wire, _)) = listener.accept().await {
                let vendors = serving.clone();
                tokio::task::spawn_local(async move {
                    // Whoever hangs up in the midst has had enough.
                    let _left = vendors.answer(wire).await;
                });
            }
        });
        vendors
    }

    pub(crate) fn set(&self, mode: Mode, asks_tool: bool) {
        let mut state = self.state.borrow_mut();
        (state.mode, state.asks_tool, state.asked) = (mode, asks_tool, 0);
    }

    /// How often the bad service was asked since it was set.
    pub(crate) fn asked(&self) -> u32 {
        self.state.borrow().asked
    }

    /// Agents that are served by them: number, name, file.
    pub(crate) fn agents(&self) -> Vec<(&'static str, &'static str, String)> {
        let base = &self.base;
        let llm = |path: &str| {
            format!(
                "[[llm]]\nprovider = \"openai\"\nmodel = \"any\"\nbase_url = \"http://{base}/{path}/v1\"\nkey_env = \"ANY_KEY\"\n{AGAIN}"
            )
        };
        let agent = |name: &str, rest: &str| {
            format!("[agent]\nname = \"{name}\"\ninstructions = \"You answer the phone.\"\n{rest}")
        };
        let ears = "[[stt]]\nprovider = \"embedded\"\n";
        let mouth = "[[tts]]\nprovider = \"embedded\"\n";
        let http_voice = format!(
            "[[tts]]\nprovider = \"openai\"\nmodel = \"any\"\nvoice = \"any\"\nbase_url = \"http://{base}/bad/v1\"\nkey_env = \"ANY_KEY\"\n{AGAIN}"
        );
        let ws_voice = format!(
            "[[tts]]\nprovider = \"elevenlabs\"\nmodel = \"eleven_flash_v2_5\"\nvoice = \"any\"\nbase_url = \"ws://{base}\"\nkey_env = \"ANY_KEY\"\n{AGAIN}"
        );
        let ws_ears = format!(
            "[[stt]]\nprovider = \"deepgram\"\nmodel = \"nova-3\"\nurl = \"ws://{base}/bad/listen\"\nkey_env = \"ANY_KEY\"\n{AGAIN}"
        );
        let tool = format!(
            "[[tool]]\nname = \"look\"\ndescription = \"Looks.\"\nurl = \"http://{base}/bad/tool\"\ntimeout = \"3s\"\n[tool.parameters]\ntype = \"object\"\n"
        );
        let mcp = format!("[[mcp]]\nname = \"box\"\nurl = \"http://{base}/bad/mcp\"\nallow = [\"*\"]\n");
        let by_text = |name: &str| {
            shipped(name).unwrap().replacen("name = ", "transport = \"conversation-relay\"\nname = ", 1)
        };
        let (bad, good) = (llm("bad"), llm("good"));
        vec![
            ("+14155550110", "script", shipped("pizza").unwrap().to_owned()),
            ("+14155550120", "text", by_text("booking")),
            ("+14155550131", "model", agent("model", &format!("{ears}{bad}{mouth}"))),
            ("+14155550132", "voice", agent("voice", &format!("{ears}{good}{http_voice}"))),
            ("+14155550133", "socket-voice", agent("socket-voice", &format!("{ears}{good}{ws_voice}"))),
            ("+14155550134", "ears", agent("ears", &format!("{ws_ears}{good}{mouth}"))),
            ("+14155550135", "tool", agent("tool", &format!("{ears}{good}{mouth}{tool}"))),
            (
                "+14155550136",
                "text-model",
                agent("text-model", &format!("transport = \"conversation-relay\"\n{bad}")),
            ),
            ("+14155550137", "mcp", agent("mcp", &format!("{ears}{good}{mouth}{mcp}"))),
        ]
    }

    async fn answer(&self, mut wire: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(wire.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let header = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
            })
        };
        if let Some(key) = header("sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            let upgrade = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            wire.write_all(upgrade.as_bytes()).await?;
            return self.misbehave(wire).await;
        }
        let length = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        wire.read_exact(&mut body).await?;
        if !head.contains("/good/") {
            return self.misbehave(wire).await;
        }
        let reply = {
            let mut state = self.state.borrow_mut();
            state.replies += 1;
            // What was said before would come from the cache of spoken sound.
            let text = format!("This is sentence number {}.", state.replies);
            let wants = state.asks_tool && !String::from_utf8_lossy(&body).contains("\"tool_call_id\"");
            if wants { call_of("look", "{}") } else { content(&text) }
        };
        let answer = format!("{EVENTS}{reply}{DONE}");
        wire.write_all(answer.as_bytes()).await
    }

    async fn misbehave(&self, mut wire: TcpStream) -> std::io::Result<()> {
        let mode = {
            let mut state = self.state.borrow_mut();
            state.asked += 1;
            state.mode.clone()
        };
        let (mut reading, mut writing) = wire.split();
        let told = async {
            writing.write_all(&mode.first).await?;
            while !mode.again.is_empty() {
                writing.write_all(&mode.again).await?;
                if mode.pause.is_zero() {
                    tokio::task::yield_now().await;
                } else {
                    sleep(mode.pause).await;
                }
            }
            if mode.hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        };
        let mut piece = [0; 4_096];
        let heard = async {
            while reading.read(&mut piece).await? > 0 {}
            Ok(())
        };
        tokio::select! {
            told = told => told,
            gone = heard => gone,
        }
    }
}

/// The head of an answer by server-sent events.
pub(crate) const EVENTS: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
pub(crate) const DONE: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

fn chunk(delta: &serde_json::Value) -> String {
    let chunk = serde_json::json!({
        "id": "c", "object": "chat.completion.chunk", "model": "any",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}],
    });
    format!("data: {chunk}\n\n")
}

/// A piece of a model's text.
pub(crate) fn content(text: &str) -> String {
    chunk(&serde_json::json!({"role": "assistant", "content": text}))
}

/// A model's call of a tool.
pub(crate) fn call_of(name: &str, arguments: &str) -> String {
    chunk(&serde_json::json!({
        "role": "assistant",
        "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}],
    }))
}
