//! The WebSocket: from the upgrade request to the call.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use offhook_script::Transport;
use offhook_session::{SessionEnd, SessionError, SessionReport, Setup, open_call};
use offhook_twilio::signature::is_valid_upgrade;
use offhook_twilio::stream::StartMessage;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::address::PublicBase;
use super::http::{Answer, text};
use super::voice::TOKEN;
use super::workers::LoadGuard;
use super::{Shared, relay};
use crate::switchboard::Announced;

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Media Streams.
    Sound,
    /// ConversationRelay.
    Text,
}

/// Upgrades a request to a WebSocket and serves the call on it. No Origin is demanded, no subprotocol and no extension
/// negotiated: Twilio sends and takes none.
pub(crate) fn upgrade(
    mut request: Request<Incoming>,
    shared: Arc<Shared>,
    guard: Rc<LoadGuard>,
    carries: Carries,
) -> Answer {
    if carries == Carries::Sound && !shared.switchboard.carries(Transport::MediaStreams) {
        return text(
            StatusCode::NOT_FOUND,
            "this agent's calls are carried as text: its WebSocket is /conversation-relay\n",
        );
    }
    let Some(accept) = accept_key(request.headers()) else {
        return text(
            StatusCode::UPGRADE_REQUIRED,
            "this address speaks WebSocket (version 13); a proxy in between may have taken the Upgrade header away\n",
        );
    };
    if let Some(token) = &shared.auth_token
        && !is_signed(&request, token, shared.public_url.as_deref())
    {
        tracing::warn!(
            "a stream was refused: its signature is not Twilio's for this URL and auth token. \
             If it was Twilio's, set `public_url` to the address in the TwiML"
        );
        return text(StatusCode::FORBIDDEN, "the signature is not valid\n");
    }
    let base = (PublicBase::find(shared.public_url.as_deref(), request.headers()), carries);
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::task::spawn_local(async move {
        match upgraded.await {
            // Without hyper's layers around it the socket costs less, a frame and a call.
            Ok(upgraded) => match upgraded.downcast::<TokioIo<TcpStream>>() {
                Ok(parts) => serve(parts.io.into_inner(), parts.read_buf, shared, base, guard).await,
                Err(upgraded) => serve(TokioIo::new(upgraded), Bytes::new(), shared, base, guard).await,
            },
            Err(error) => tracing::warn!(%error, "a stream's connection broke during the handshake"),
        }
    });
    let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = answer.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let has = |name: &str, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(wanted))
    };
    let right =
        has("connection", "upgrade") && has("upgrade", "websocket") && has("sec-websocket-version", "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?;
    right.then(|| HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()).flatten()
}

fn is_signed(
    request: &Request<Incoming>,
    token: &offhook_twilio::signature::AuthToken,
    public: Option<&str>,
) -> bool {
    let signature = request.headers().get("x-twilio-signature").and_then(|value| value.to_str().ok());
    let base = PublicBase::find(public, request.headers());
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    match (signature, base) {
        (Some(signature), Some(base)) => is_valid_upgrade(token, signature, &base.url(target)),
        _ => false,
    }
}

/// Serves the call on an upgraded socket, of which `read` was read already.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    io: S,
    read: Bytes,
    shared: Arc<Shared>,
    (base, carries): (Option<PublicBase>, Carries),
    guard: Rc<LoadGuard>,
) {
    let limits = offhook_session::socket_config();
    let socket = if read.is_empty() {
        // Dropped here, for it holds the 8 KiB that the handshake was read into.
        drop(read);
        WebSocketStream::from_raw_socket(io, Role::Server, Some(limits)).await
    } else {
        WebSocketStream::from_partially_read(io, read.into(), Role::Server, Some(limits)).await
    };
    if carries == Carries::Text {
        return relay::serve(socket, &shared, base.as_ref()).await;
    }
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let admitting = Arc::clone(&shared);
    let observing = Arc::clone(&shared);
    let call = open_call(
        socket,
        move |start| admit(start, &admitting, base.as_ref()),
        move |start| {
            tracing::info!(call = %start.call_sid, stream = %start.stream_sid, "the call begins");
            observing.switchboard.watch(start.call_sid.as_str(), Transport::MediaStreams, observing.show)
        },
    )
    .await;
    match call {
        // A task of its own: this one, and what the handshake needed, is over.
        Ok(call) => drop(tokio::task::spawn_local(async move {
            let _counted = guard;
            conclude(call.serve().await, &shared);
        })),
        Err(report) => conclude(*report, &shared),
    }
}

/// A call is over, or did not begin.
fn conclude(mut report: SessionReport, shared: &Shared) {
    shared.calls.fetch_sub(1, Ordering::Relaxed);
    shared.metrics.count(&report);
    let refused = matches!(report.end, SessionEnd::Failed(SessionError::Refused(_)));
    if let Some(start) = report.start.as_ref().filter(|_| !refused) {
        let sid = start.call_sid.as_str();
        if let Some(live) = shared.switchboard.call(sid) {
            live.remember(std::mem::take(&mut report.history));
        }
        shared.switchboard.hung_up(sid);
    }
    log(&report);
}

/// Whether a socket is the one that our TwiML announced: its parameters have that call's token.
pub(super) fn is_announced(call: Announced<'_>, shared: &Shared) -> Result<(), String> {
    let Announced { sid: call, parameters } = call;
    match parameters.get(TOKEN) {
        Some(token) => shared
            .tokens
            .redeem(token, call)
            .map_err(|why| format!("the stream of call {call} does not come from our TwiML: {why}")),
        None if shared.auth_token.is_some() => {
            Err(format!("the stream of call {call} has no token: it does not come from our TwiML"))
        }
        None => Ok(()), // without an auth token the door is open, and the server said so
    }
}

/// Judges the `start` message.
fn admit(start: &StartMessage, shared: &Shared, base: Option<&PublicBase>) -> Result<Setup, String> {
    let call = Announced { sid: start.call_sid.as_str(), parameters: &start.parameters };
    is_announced(call, shared)?;
    shared.switchboard.admit(call, Transport::MediaStreams, base)
}

fn log(report: &SessionReport) {
    let call = report.start.as_ref().map_or("(before start)", |start| start.call_sid.as_str());
    let (inbound, playout) = (report.totals.inbound, report.totals.playout);
    if let SessionEnd::Failed(error) = &report.end {
        tracing::warn!(call, "the call failed: {error}");
    }
    tracing::info!(
        call,
        end = ?report.end,
        frames_in = inbound.frames,
        concealed = inbound.concealed,
        late = inbound.late,
        frames_out = playout.frames,
        marks = playout.marks,
        clears = playout.clears,
        underruns = playout.underruns,
        pacing_p99_us = micros(report.totals.pacing.quantile(0.99)),
        pacing_most_us = micros(report.totals.pacing.most()),
        bad_messages = report.bad_messages,
        unknown_events = report.unknown_events,
        dropped_audio = report.dropped_audio,
        "the call is over"
    );
}

fn micros(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
