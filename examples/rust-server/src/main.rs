//! A booking agent in Rust, behind an axum server of its own: the engine's crates without its program.
//!
//! ```text
//! cargo run -p offhook-example-server -- 5001
//! offhook call http://127.0.0.1:5001/voice
//! ```
//!
//! For development: requests aren't checked for Twilio's signature. `offhook_twilio::signature` does that.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

mod booking;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, HOST, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response as Answer};
use axum::routing::{any, get};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use offhook_conversation::{Deadline, Input, Output};
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire};
use offhook_providers::embedded::{Flite, NativePool, PocketSphinx, SphinxOptions, Voice};
use offhook_session::{Observer, Setup, StageSet, serve_call};
use offhook_stage_api::CallTime;
use offhook_twilio::twiml::{Connect, MIME, Noun, Response, Stream, Verb};
use tokio::sync::mpsc;
use tokio::task::{LocalSet, spawn_local};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Sockets on their way from the web server to the calls.
type Sockets = mpsc::Sender<OnUpgrade>;

fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).unwrap_or_else(|| "5001".to_owned());
    let stages = StageSet {
        stt: Arc::new(PocketSphinx::new(SphinxOptions::default(), NativePool::for_this_machine("native"))?),
        turn: None,
        llm: Arc::new(booking::Booking),
        tts: Arc::new(Flite::new(Voice::default(), NativePool::new("speak", 1, 256))?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(async move {
        let (sockets, arriving) = mpsc::channel(16);
        let calls = spawn_local(serve_calls(arriving, stages));
        let router = axum::Router::new()
            .route("/voice", any(voice))
            .route("/media-stream", get(media_stream))
            .with_state(sockets);
        let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        println!("listening on http://{}/voice", listener.local_addr()?);
        axum::serve(listener, router).await?;
        calls.await?;
        Ok(())
    }))
}

/// The webhook: connects the call's sound to us.
async fn voice(headers: HeaderMap) -> Answer {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    match Stream::new(&format!("wss://{host}/media-stream")) {
        Ok(stream) => {
            let connect = Connect { action: None, noun: Noun::Stream(stream) };
            let document = Response::default().then(Verb::Connect(connect)).then(Verb::Hangup);
            ([(CONTENT_TYPE, MIME)], document.to_xml()).into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    }
}

/// The WebSocket: its handshake is answered here, its call is served beside the web server.
async fn media_stream(State(sockets): State<Sockets>, mut request: Request) -> Answer {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return (StatusCode::UPGRADE_REQUIRED, "this address speaks WebSocket\n").into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    if sockets.send(hyper::upgrade::on(&mut request)).await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let headers =
        [(CONNECTION, "Upgrade".to_owned()), (UPGRADE, "websocket".to_owned()), (SEC_WEBSOCKET_ACCEPT, accept)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn serve_calls(mut arriving: mpsc::Receiver<OnUpgrade>, stages: StageSet) {
    let config = Arc::new(CallConfig::default());
    while let Some(socket) = arriving.recv().await {
        let (config, stages) = (Arc::clone(&config), stages.clone());
        spawn_local(async move {
            let Ok(socket) = socket.await else { return };
            let socket = WebSocketStream::from_raw_socket(
                TokioIo::new(socket),
                Role::Server,
                Some(offhook_session::socket_config()),
            )
            .await;
            let admit = |_: &_| Ok(Setup::new(config, stages, "en-US"));
            let report = serve_call(socket, admit, |_| Nobody).await;
            println!("call over: {:?}, {} entries", report.end, report.history.len());
        });
    }
}

/// Watches no call.
struct Nobody;

impl Observer<MediaLine> for Nobody {
    fn input(&mut self, _: CallTime, _: &Input<MediaInput<'_>>, _: Option<Deadline>) {}
    fn output(&mut self, _: CallTime, _: &Output<MediaWire>) {}
}
