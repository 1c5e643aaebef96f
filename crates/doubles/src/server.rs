//! The server: one port for all providers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::config::DoublesConfig;
use crate::fault::{Fault, FaultRule, Stage, Struck};
use crate::http::{Body, Refusal, whole};
use crate::realtime::{Flavour, Live, Realtime};
use crate::refusal::{Vendor, Why};
use crate::route::{Endpoint, Query, allowed, find};
use crate::seen::{End, Seen, Ticket};
use crate::socket::{self, Protocol};
use crate::speaker::{Hum, Speaker};
use crate::state::State;
use crate::{control, llm, stt, tts};

/// Largest body taken: OpenAI takes uploads of 25 MB.
const LARGEST_BODY: usize = 26 * 1024 * 1024;
/// Largest message taken: OpenAI Realtime takes 15 MiB.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;
/// Connections at once; more wait.
const CONNECTIONS: usize = 4_096;

/// Why the doubles can't start.
#[derive(Debug, thiserror::Error)]
#[error("can't listen on {address}: {source}; is another server running there? Port 0 takes a free one")]
pub struct StartError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The running doubles. Dropped, they are gone, with all their connections.
#[derive(Debug)]
pub struct Doubles {
    /// Where they listen.
    pub addr: SocketAddr,
    state: Arc<State>,
    server: JoinHandle<()>,
}

impl Drop for Doubles {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Doubles {
    /// Starts on this runtime, with a humming voice.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start(config: DoublesConfig) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(Hum)).await
    }

    /// Starts with a voice of one's own.
    ///
    /// # Errors
    /// If the address is taken.
    pub async fn start_with(config: DoublesConfig, speaker: Arc<dyn Speaker>) -> Result<Self, StartError> {
        let address = config.listen;
        let failed = |source| StartError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let state = State::new(config, speaker);
        let server = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { addr, state, server })
    }

    /// A connection in memory: with the clock paused, tokio turns time on only when neither side has anything to do.
    #[must_use]
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let state = Arc::clone(&self.state);
        tokio::spawn(serve(ours, state)); // ends when the other side is dropped
        theirs
    }

    /// The base URL for HTTP, without a slash at its end.
    #[must_use]
    pub fn http(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The base URL for WebSockets, without a slash at its end.
    #[must_use]
    pub fn ws(&self) -> String {
        format!("ws://{}", self.addr)
    }

    /// From now on this fault strikes every request of a stage; none: all rules of this stage end.
    pub fn set_fault(&self, stage: Stage, fault: Option<Fault>) {
        self.state.faults(|plan| {
            plan.clear(Some(stage));
            if let Some(fault) = fault {
                plan.add(FaultRule::always(stage, fault));
            }
        });
    }

    /// Adds a rule after those there are.
    pub fn add_fault(&self, rule: FaultRule) {
        self.state.faults(|plan| plan.add(rule));
    }

    /// Nothing goes wrong any more, but for sockets that a fault already struck.
    pub fn clear_faults(&self) {
        self.state.faults(|plan| plan.clear(None));
    }

    /// The last requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.record.all()
    }

    /// Waits for a request that fits: one that the client left, say. Bound the wait with a timeout.
    pub async fn until(&self, fits: impl Fn(&Seen) -> bool + Send) -> Seen {
        self.state.record.until(fits).await
    }

    /// Connections that are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.record.connections()
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new(); // dropped with this task, and all connections with it
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "a connection broke at once");
                        continue;
                    }
                    connections.spawn(serve(stream, Arc::clone(&state)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

/// What follows an upgrade, kept until hyper has let go of the connection.
type Next = Arc<Mutex<Option<BoxFuture<'static, ()>>>>;

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(io: S, state: Arc<State>) {
    let _counted = state.record.connect();
    let next = Next::default();
    let upgrade = Arc::clone(&next);
    let service =
        hyper::service::service_fn(move |request| answer(request, Arc::clone(&state), Arc::clone(&upgrade)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
    let then = next.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(then) = then {
        then.await;
    }
}

/// Ends a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer, as ordered")]
struct NoAnswer;

async fn answer(
    request: Request<Incoming>,
    state: Arc<State>,
    next: Next,
) -> Result<Response<Body>, NoAnswer> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await.map(http_body_util::Collected::to_bytes)
    else {
        return Ok(whole(413, "application/json", r#"{"error":{"message":"the body is too large"}}"#));
    };
    let path = parts.uri.path().to_owned();
    if let Some(answer) = control::answer(&parts.method, &path, &body, &state) {
        return Ok(answer);
    }
    let Some((stage, vendor, endpoint)) = find(&parts) else {
        return Ok(whole(404, "application/json", r#"{"error":{"message":"no provider has this address"}}"#));
    };
    let struck = state.strike(stage, &path);
    let ticket = state.record.begin(stage, &parts, &body, struck.as_ref().map(|struck| struck.fault.clone()));
    match struck.as_ref().map(|struck| &struck.fault) {
        Some(Fault::Refuse) => {
            ticket.end(End::Fault);
            return Err(NoAnswer);
        }
        Some(Fault::Hang) => return std::future::pending().await,
        _ => {}
    }
    let ordered = struck.as_ref().and_then(|struck| vendor.fault(&struck.fault));
    if let Some(refusal) = ordered {
        return Ok(refusal.respond(&ticket));
    }
    let query = Query::of(&parts);
    let allowed = allowed(vendor, &parts.headers, &query, state.config.key.as_ref());
    // AssemblyAI opens the socket first, and then closes it with 1008.
    if !allowed && vendor != Vendor::AssemblyAi {
        return Ok(vendor.refuse(Why::BadKey, "Incorrect API key provided.").respond(&ticket));
    }
    if endpoint.is_socket() {
        let opened = accept_key(&parts.headers, vendor)
            .and_then(|key| Ok((key, open(endpoint, &path, allowed, &query, &state)?)));
        return Ok(match opened {
            Ok((key, protocol)) => upgrade(parts, key, protocol, struck, ticket, &next),
            Err(refusal) => refusal.respond(&ticket),
        });
    }
    let reply = match endpoint {
        Endpoint::ChatCompletions => llm::chat::answer(&path, &body, &state),
        Endpoint::Messages => llm::messages::answer(&parts.headers, &body, &state),
        Endpoint::Responses => llm::responses::answer(&body, &state),
        Endpoint::GenerateContent => llm::gemini::answer(parts.uri.path(), &query, &body, &state),
        Endpoint::Interactions => llm::interactions::answer(&body, &state),
        Endpoint::CohereChat => llm::cohere::answer(&body, &state),
        Endpoint::Models => Ok(llm::models(&state)),
        Endpoint::Transcriptions => stt::whisper::answer(vendor, &parts.headers, body, &state).await,
        Endpoint::Speech => tts::speech::answer(&body, &state),
        Endpoint::ElevenStream => tts::elevenlabs::stream(&query, &body, false, &state),
        Endpoint::ElevenTimed => tts::elevenlabs::stream(&query, &body, true, &state),
        _ => tts::aura::http(&query, &body, &state),
    };
    Ok(match reply {
        _ if parts.method != Method::POST && endpoint != Endpoint::Models => {
            let refusal = vendor.refuse(Why::BadRequest, "Only POST is taken here.");
            Refusal { status: 405, ..refusal }.respond(&ticket)
        }
        Ok(reply) => {
            ticket.status(200);
            reply.respond(struck.as_ref(), ticket)
        }
        Err(refusal) => refusal.respond(&ticket),
    })
}

/// The double that serves a socket, or why this request is refused.
fn open(
    endpoint: Endpoint,
    path: &str,
    allowed: bool,
    query: &Query,
    state: &Arc<State>,
) -> Result<Box<dyn Protocol>, Refusal> {
    Ok(match endpoint {
        Endpoint::Listen => Box::new(stt::nova::Nova::open(query, state)?),
        Endpoint::Flux => Box::new(stt::flux::Flux::open(query, state)?),
        Endpoint::AssemblyAi => Box::new(stt::assemblyai::AssemblyAi::open(query, allowed, state)?),
        Endpoint::SpeakSocket => Box::new(tts::aura::Aura::open(query, state)?),
        Endpoint::ElevenInput => Box::new(tts::eleven_input::Single::open(query, state)?),
        Endpoint::ElevenMulti => Box::new(tts::eleven_multi::Multi::open(query, state)?),
        Endpoint::Cartesia => Box::new(tts::cartesia::Cartesia::open(state)),
        Endpoint::Realtime => Box::new(Realtime::open(Flavour::of(path, query), query, state)?),
        Endpoint::VoiceLive => Box::new(Realtime::open(Flavour::VoiceLive, query, state)?),
        Endpoint::Live => Box::new(Live::open(state)),
        _ => Box::new(stt::vosk::Vosk::open(state)),
    })
}

fn accept_key(headers: &HeaderMap, vendor: Vendor) -> Result<HeaderValue, Refusal> {
    let has = |name: &str, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    let right =
        has("connection", "upgrade") && has("upgrade", "websocket") && has("sec-websocket-version", "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| right);
    let answer = key.and_then(|key| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok());
    answer.ok_or_else(|| Refusal {
        status: 426,
        ..vendor.refuse(Why::BadRequest, "This address speaks WebSocket, version 13.")
    })
}

fn upgrade(
    parts: Parts,
    key: HeaderValue,
    protocol: Box<dyn Protocol>,
    struck: Option<Struck>,
    ticket: Ticket,
    next: &Next,
) -> Response<Body> {
    ticket.status(101);
    let upgraded = hyper::upgrade::on(Request::from_parts(parts, ()));
    let then = Box::pin(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(LARGEST_MESSAGE))
            .max_frame_size(Some(LARGEST_MESSAGE));
        let io = TokioIo::new(upgraded);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await;
        socket::run(socket, protocol, struck, ticket).await;
    });
    *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(then);
    let mut response = whole(StatusCode::SWITCHING_PROTOCOLS.as_u16(), "text/plain", Bytes::new());
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, key);
    response
}
