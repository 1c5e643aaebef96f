//! What the hop to an application that speaks ConversationRelay adds, over loopback, with 200 calls at once: from the request for a
//! reply to the first of its words, and the same over a bare WebSocket, which is what the machine and the application take of it.
//!
//! The application answers each prompt at once, on a thread of its own. Every call asks about twice a second, at times spread evenly.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench: what does not work here shall end it, and it is a table"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use offhook_benches::probes::quantile;
use offhook_providers::relay_app::{RelayApp, RelayAppConfig};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolUse};
use offhook_stages::{CallInfo, Llm, WhenFull, bounded};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};

const CALLS: u32 = 200;
const TURNS: u32 = 10;
/// Both are measured so often, in turns: the round counts in which the machine, by the bare socket, was disturbed least.
const ROUNDS: u32 = 3;
const BETWEEN: Duration = Duration::from_millis(500);
/// Promised for the hop: its share of 99 of 100 replies.
const MOST: Duration = Duration::from_millis(2);

const WORDS: &str = r#"{"type":"text","token":"A large pepperoni pizza, ","last":false}"#;
const LAST: &str = r#"{"type":"text","token":"for pickup.","last":true}"#;

/// The application, on a thread of its own. Gives its address.
fn application() -> String {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            told.send(listener.local_addr().expect("an address").to_string()).expect("somebody asks");
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("no delay");
                tokio::spawn(async move {
                    let mut socket = accept_async(stream).await.expect("a WebSocket");
                    while let Some(Ok(message)) = socket.next().await {
                        if message.is_text()
                            && message.to_text().is_ok_and(|text| text.contains("\"prompt\""))
                        {
                            socket.send(Message::text(WORDS)).await.expect("sent");
                            socket.send(Message::text(LAST)).await.expect("sent");
                        }
                    }
                });
            }
        });
    });
    address.recv().expect("the application has started")
}

/// When a call's turn is: all calls' are spread over the time between two.
async fn turn(began: Instant, call: u32, number: u32) {
    let at = began + BETWEEN * number + BETWEEN * call / CALLS;
    tokio::time::sleep_until(at.into()).await;
}

/// One call by the provider that calls have. Gives the time of each reply.
async fn by_offhook(address: String, began: Instant, call: u32) -> Vec<Duration> {
    let config = RelayAppConfig { url: format!("ws://{address}/"), ..RelayAppConfig::default() };
    let app = RelayApp::new(config, None).expect("a right configuration");
    let (commands, asked) = bounded(64, WhenFull::PushBack);
    let (said, events) = bounded(64, WhenFull::PushBack);
    tokio::spawn(app.run(CallInfo::default(), asked, said));
    let mut times = Vec::new();
    for number in 0..TURNS {
        turn(began, call, number).await;
        let reply = ReplyId(number + 1);
        let request = ReplyRequest {
            reply,
            reason: ReplyReason::Caller { text: "A large pepperoni pizza, please.".into(), confidence: None },
            history: Vec::new(),
            language: None,
            tools: ToolUse::Auto,
            speculative: false,
        };
        let asked_at = Instant::now();
        commands.send(LlmCommand::Respond(Arc::new(request))).await.expect("the session is open");
        loop {
            match events.recv().await.expect("the session is open") {
                LlmEvent::Text { reply: of, .. } if of == reply && times.len() <= number as usize => {
                    times.push(asked_at.elapsed());
                }
                LlmEvent::Done { reply: of } if of == reply => break,
                _ => {}
            }
        }
    }
    times
}

/// The same over a socket alone.
async fn bare(address: String, began: Instant, call: u32) -> Vec<Duration> {
    let stream = TcpStream::connect(&address).await.expect("an application");
    stream.set_nodelay(true).expect("no delay");
    let (mut socket, _) = client_async(format!("ws://{address}/"), stream).await.expect("an upgrade");
    let prompt =
        r#"{"type":"prompt","voicePrompt":"A large pepperoni pizza, please.","lang":"en-US","last":true}"#;
    let mut times = Vec::new();
    for number in 0..TURNS {
        turn(began, call, number).await;
        let asked_at = Instant::now();
        socket.send(Message::text(prompt)).await.expect("sent");
        socket.next().await.expect("an answer").expect("an answer");
        times.push(asked_at.elapsed());
        socket.next().await.expect("the rest").expect("the rest");
    }
    times
}

async fn all<F>(one: impl Fn(String, Instant, u32) -> F) -> Vec<Duration>
where
    F: Future<Output = Vec<Duration>> + Send + 'static,
{
    let address = application();
    let began = Instant::now() + Duration::from_secs(1);
    let calls: Vec<_> = (0..CALLS).map(|call| tokio::spawn(one(address.clone(), began, call))).collect();
    let mut times = Vec::new();
    for call in calls {
        times.extend(call.await.expect("a call"));
    }
    times.sort_unstable();
    times
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!("{CALLS} calls, {TURNS} replies each, microseconds: median, 99th percentile, most");
    let row = |name: &str, times: &[Duration]| {
        let [median, late, most] = [0.5, 0.99, 1.0].map(|share| quantile(times, share));
        println!("{name:>28} {:>8} {:>8} {:>8}", median.as_micros(), late.as_micros(), most.as_micros());
        late
    };
    let rounds = (0..ROUNDS).map(|_| {
        let (bare, ours) = runtime.block_on(async { (all(bare).await, all(by_offhook).await) });
        (row("a bare WebSocket", &bare), row("the hop by Offhook", &ours))
    });
    let (floor, whole) = rounds.min().expect("there are rounds");
    let added = whole.saturating_sub(floor);
    println!(
        "added at the 99th percentile: {} µs; promised: less than {} µs",
        added.as_micros(),
        MOST.as_micros()
    );
    if added >= MOST {
        std::process::exit(1);
    }
}
