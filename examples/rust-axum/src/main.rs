//! The booking agent as a Rust program: Offhook's crates behind an axum server of one's own.
//!
//! ```text
//! DEEPGRAM_API_KEY=… cargo run -p offhook-example-booking -- 8085
//! ```
//!
//! Twilio's number asks `/voice`, which answers with a stream to `/media`; what is served there is a call: hearing, turns, interruption,
//! sound. The words are `Booking`'s. Signatures are checked if `TWILIO_AUTH_TOKEN` is set.
#![allow(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, CONTENT_TYPE, HOST, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use offhook_conversation::{CallEvent, Deadline, Input, Output, Transport};
use offhook_media_line::CallConfig;
use offhook_providers::embedded::{Flite, NativePool, Voice};
use offhook_providers::net::Secret;
use offhook_providers::stt::{DeepgramConfig, SttConfig};
use offhook_session::{Observer, Setup, StageSet, serve_call, socket_config};
use offhook_stage_api::{CallTime, LlmCommand, LlmEvent, ReplyReason, ToolCall, tools::END_CALL};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};
use offhook_twilio::signature::{AuthToken, is_valid};
use offhook_twilio::twiml::{self, Connect, MIME, Noun, Stream, Verb};
use offhook_twilio::webhook::WebhookForm;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

const DAYS: [&str; 9] =
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday", "today", "tomorrow"];
const NUMBERS: [&str; 8] = ["one", "two", "three", "four", "five", "six", "seven", "eight"];

/// The agent. One call of it knows what was said in it.
struct Booking;

/// What is known of the table that is wanted.
#[derive(Clone, Default)]
struct Table {
    day: Option<String>,
    people: Option<usize>,
}

impl Table {
    /// Takes in what the caller said or keyed. Gives the answer, and whether the call is over with it.
    fn answer(&mut self, reason: &ReplyReason) -> (String, bool) {
        let said = match reason {
            ReplyReason::Caller { text, .. } => text.to_lowercase(),
            ReplyReason::Digits(keys) => keys.reveal().to_owned(),
            ReplyReason::Greeting => {
                return (
                    "Blue Door restaurant, good day. For which day, and for how many people?".into(),
                    false,
                );
            }
            ReplyReason::Tool | ReplyReason::Initiative => return (String::new(), false),
        };
        for word in said.split(|c: char| !c.is_alphanumeric()) {
            let number = NUMBERS.iter().position(|name| *name == word).map(|place| place + 1);
            self.people = number.or_else(|| word.parse().ok()).or(self.people);
            self.day = DAYS.contains(&word).then(|| word.to_owned()).or_else(|| self.day.take());
        }
        match (&self.day, self.people) {
            (None, _) => ("For which day, please?".into(), false),
            (_, None) => ("For how many people? You can also press a key.".into(), false),
            (Some(day), Some(people)) => {
                (format!("A table for {people}, {day}. It is booked. Goodbye!"), true)
            }
        }
    }
}

impl Llm for Booking {
    fn name(&self) -> &str {
        "booking"
    }

    fn run(
        &self,
        _: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        Box::pin(async move {
            let mut table = Table::default();
            let mut pending = None;
            while let Some(command) = commands.recv().await {
                match command {
                    LlmCommand::Respond(request) => {
                        let (reply, mut next) = (request.reply, table.clone());
                        let (text, over) = next.answer(&request.reason);
                        let end = ToolCall {
                            id: "end".into(),
                            name: END_CALL.into(),
                            arguments: serde_json::Value::Null,
                        };
                        let words = LlmEvent::Text { reply, delta: text.clone() };
                        let mut answer =
                            vec![if text.is_empty() { LlmEvent::Silent { reply } } else { words }];
                        answer.extend(over.then_some(LlmEvent::Tool { reply, call: end }));
                        answer.push(LlmEvent::Done { reply });
                        pending = Some((reply, next));
                        for event in answer {
                            if events.send(event).await.is_err() {
                                return Ok(()); // the call is over
                            }
                        }
                    }
                    // An answer may be asked for before the caller's turn is certain to be over. This one is heard.
                    LlmCommand::Commit { reply } => {
                        if let Some((_, heard)) = pending.take_if(|(asked, _)| *asked == reply) {
                            table = heard;
                        }
                    }
                    _ => {}
                }
            }
            Ok(())
        })
    }
}

/// Prints both sides of a call.
struct Print;

impl<L: Transport> Observer<L> for Print {
    fn input(&mut self, _: CallTime, _: &Input<L::Input<'_>>, _: Option<Deadline>) {}

    fn output(&mut self, _: CallTime, output: &Output<L::Wire>) {
        match output {
            Output::Event(CallEvent::TurnEnded(turn)) => println!("caller: {}", turn.text),
            Output::Event(CallEvent::Said { heard, .. }) => println!("agent: {heard}"),
            Output::Event(CallEvent::Trouble { message }) => println!("trouble: {message}"),
            _ => {}
        }
    }
}

/// `/voice`: answers a call with a stream.
async fn voice(uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let host = header(HOST.as_str());
    if let Ok(token) = std::env::var("TWILIO_AUTH_TOKEN") {
        let (form, url) = (WebhookForm::parse(&body), format!("https://{host}{uri}"));
        if !is_valid(&AuthToken::new(&token), header("x-twilio-signature"), &url, form.params(), None) {
            return StatusCode::FORBIDDEN.into_response();
        }
    }
    let Ok(stream) = Stream::new(&format!("wss://{host}/media")) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let connect = Verb::Connect(Connect { action: None, noun: Noun::Stream(stream) });
    ([(CONTENT_TYPE, MIME)], twiml::Response::default().then(connect).to_xml()).into_response()
}

/// `/media`: a call's stream. It is served where it can stay: a call is not moved between threads.
async fn media(State(calls): State<UnboundedSender<OnUpgrade>>, mut request: Request) -> Response {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()))
    else {
        return StatusCode::UPGRADE_REQUIRED.into_response();
    };
    if calls.send(hyper::upgrade::on(&mut request)).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let headers =
        [(CONNECTION, "Upgrade".to_owned()), (UPGRADE, "websocket".to_owned()), (SEC_WEBSOCKET_ACCEPT, key)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn serve(upgrade: OnUpgrade, stages: StageSet) {
    let Ok(upgraded) = upgrade.await else { return };
    let io = TokioIo::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(socket_config())).await;
    let setup = Setup::new(Arc::new(CallConfig::default()), stages, "en-US");
    let report = serve_call(socket, |_| Ok(setup), |_| Print).await;
    println!("over: {:?}", report.end);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "8085".into());
    let mut deepgram = DeepgramConfig::default();
    if let Ok(url) = std::env::var("DEEPGRAM_URL") {
        deepgram.url = url; // a server of one's own, or a double
    }
    let key = std::env::var("DEEPGRAM_API_KEY")?;
    let stages = StageSet {
        stt: SttConfig::Deepgram(deepgram).build(Some(Secret::new(&key))),
        turn: None,
        llm: Arc::new(Booking),
        tts: Arc::new(Flite::new(Voice::default(), NativePool::new("voice", 1, 64))?),
    };
    let (calls, mut waiting) = unbounded_channel();
    let app = Router::new().route("/voice", any(voice)).route("/media", get(media)).with_state(calls);
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("listening on http://{}/voice", listener.local_addr()?);
    let streams = async {
        while let Some(upgrade) = waiting.recv().await {
            drop(spawn_local(serve(upgrade, stages.clone())));
        }
    };
    let calls_here = LocalSet::new();
    let served = calls_here.run_until(async {
        tokio::select! {
            outcome = axum::serve(listener, app) => outcome,
            () = streams => Ok(()),
        }
    });
    served.await?;
    Ok(())
}
