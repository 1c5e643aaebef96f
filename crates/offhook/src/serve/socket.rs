//! The WebSocket: from the upgrade request to the call.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use futures_util::FutureExt;
use hyper::StatusCode;
use hyper::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use offhook_media_line::MediaLine;
use offhook_script::Transport;
use offhook_session::{
    Admitted, Detached, Leave, OpenCall, SessionEnd, SessionError, SessionReport, open_call,
};
use offhook_stages::scope::{InCall, Scope};
use offhook_twilio::stream::StartMessage;
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::address::PublicBase;
use super::http::{Answer, Stall, Wire, text};
use super::reconnect::{BACK_WITHIN, Became, Lease};
use super::voice::TOKEN;
use super::workers::{LoadGuard, Upgraded};
use super::{Edge, Shared, relay, signed};
use crate::calls::{Announced, CallObserver};

/// The answer to the handshake must have gone out within this.
const UPGRADED_WITHIN: Duration = Duration::from_secs(10);

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carries {
    /// Media Streams.
    Sound,
    /// ConversationRelay.
    Text,
}

/// Upgrades a request to a WebSocket, and hands it to a worker, which serves the call on it. No Origin is demanded, no
/// subprotocol and no extension negotiated: Twilio sends and takes none.
pub(crate) fn upgrade(mut request: Request, edge: &Arc<Edge>, carries: Carries) -> Answer {
    let shared = &edge.shared;
    if carries == Carries::Sound && !shared.registry.carries(Transport::MediaStreams) {
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
    let base = PublicBase::of(shared.public_url.as_deref(), request.headers(), request.extensions());
    if let Err(refusal) = signed::check_upgrade(&request, base.as_ref(), shared) {
        return refusal;
    }
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(hand_over(upgraded, Arc::clone(edge), base, carries));
    let mut answer = text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = answer.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

/// Hands the bare socket to a worker: without HTTP's layers around it, it costs less, a frame and a call.
async fn hand_over(upgraded: OnUpgrade, edge: Arc<Edge>, base: Option<PublicBase>, carries: Carries) {
    let upgraded = match tokio::time::timeout(UPGRADED_WITHIN, upgraded).await {
        Ok(Ok(upgraded)) => upgraded,
        Ok(Err(error)) => {
            tracing::warn!(%error, "a stream's connection broke during the handshake");
            return;
        }
        Err(_) => {
            tracing::warn!("a stream's peer did not take the answer to its handshake");
            return;
        }
    };
    let Ok(parts) = upgraded.downcast::<TokioIo<Stall<Wire>>>() else {
        tracing::error!("a stream's socket is of another kind than this server's");
        return;
    };
    let handed = parts
        .io
        .into_inner()
        .into_inner()
        .leave()
        .map(|stream| edge.workers.hand_over(Upgraded { stream, read: parts.read_buf, base, carries }));
    match handed {
        Ok(true) => {}
        Ok(false) => {
            edge.shared.metrics.connections_refused.inc();
            tracing::warn!("a stream was refused: no worker has room");
        }
        Err(error) => tracing::warn!(%error, "a stream was lost before it was served"),
    }
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

/// Serves the call on an upgraded socket, of which `read` was read already.
pub(super) async fn serve(
    io: Wire,
    read: Bytes,
    shared: Arc<Shared>,
    (base, carries): (Option<PublicBase>, Carries),
    guard: LoadGuard,
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
    let counted = shared.calls.count();
    let admitting = Arc::clone(&shared);
    let mut named = None;
    let admit = async |start: &StartMessage| {
        let (admitted, leave, lease) = admit(start, &admitting, base.as_ref()).await?;
        named = Some((lease, start.call_sid.to_string()));
        Ok((admitted, Some(leave)))
    };
    let call = open_call(socket, admit).await;
    match (call, named) {
        // A task of its own: this one, and what the handshake needed, is over.
        (Ok(call), Some(named)) => drop(tokio::task::spawn_local(run(call, named, shared, (guard, counted)))),
        (Err(report), _) => conclude(*report, &shared),
        (Ok(_), None) => {}
    }
}

/// Serves a call to the end of its stream. One whose stream broke waits for Twilio to connect it again.
async fn run<G>(
    call: OpenCall<Wire, CallObserver>,
    (lease, sid): (Lease, String),
    shared: Arc<Shared>,
    counted: G,
) {
    let scope = Scope { call: sid.as_str().into(), agent: "".into() };
    let served = AssertUnwindSafe(InCall::new(scope, call.serve())).catch_unwind().await;
    drop(counted);
    // Room for this is taken when a stream ends, not as long as it lasts.
    Box::pin(ended(served.ok(), (lease, sid), shared)).await;
}

/// What is to be done when a stream has ended. `None`: the call's own code broke.
async fn ended(
    served: Option<(SessionReport, Option<Detached<MediaLine, CallObserver>>)>,
    (lease, sid): (Lease, String),
    shared: Arc<Shared>,
) {
    let Some((report, lost)) = served else {
        // Whoever leads it now, it isn't this stream.
        let _became = shared.streams.release(&sid, lease, None);
        return broke(&sid, &shared).await;
    };
    match shared.streams.release(&sid, lease, lost) {
        Became::Leased => log(&report),
        Became::Over => conclude(report, &shared),
        Became::Waiting => {
            log(&report);
            tokio::time::sleep(BACK_WITHIN).await;
            if shared.streams.give_up_late(&sid) {
                conclude(report, &shared);
            }
        }
    }
}

/// A call's own code broke: the others go on, and so does this one, from what was said, if Twilio connects it again.
pub(super) async fn broke(sid: &str, shared: &Shared) {
    shared.metrics.panics.inc();
    tracing::error!(call = sid, "the call's stream broke off, for its code broke");
    if let Some(live) = shared.registry.call(sid) {
        let count = shared.registry.broke(&live);
        tokio::time::sleep(BACK_WITHIN).await;
        shared.registry.end_cut_off(&live, count);
    }
}

/// A call is over, or did not begin.
fn conclude(mut report: SessionReport, shared: &Shared) {
    shared.metrics.count(&report);
    let refused = matches!(report.end, SessionEnd::Failed(SessionError::Refused(_)));
    if let Some(start) = report.start.as_ref().filter(|_| !refused) {
        let sid = start.call_sid.as_str();
        if let Some(live) = shared.registry.call(sid) {
            live.remember(std::mem::take(&mut report.history));
        }
        if let Some(gain) = report.totals.voice_gain {
            shared.registry.voice_needed(sid, f32::from(gain) / 100.0);
        }
        shared.registry.hung_up(sid);
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
        None if !shared.keys.load().is_empty() => {
            Err(format!("the stream of call {call} has no token: it does not come from our TwiML"))
        }
        None => Ok(()), // without an auth token the door is open, and the server said so
    }
}

/// A call is its account's: the one that its webhook named, where one came before.
pub(super) fn is_of_account(call: &str, account: &str, shared: &Shared) -> Result<(), String> {
    let expected = shared.registry.expected(call);
    match expected.map(|expected| expected.facts.account.clone()).filter(|known| !known.is_empty()) {
        Some(known) if known != account => {
            Err(format!("the stream of call {call} is of another account than its webhook"))
        }
        _ => Ok(()),
    }
}

/// Judges the `start` message: is it a call's first stream, or one that connects it again?
async fn admit(
    start: &StartMessage,
    shared: &Arc<Shared>,
    base: Option<&PublicBase>,
) -> Result<(Admitted<MediaLine, CallObserver>, oneshot::Receiver<Leave>, Lease), String> {
    let sid = start.call_sid.as_str();
    let call = Announced { sid, parameters: &start.parameters };
    is_announced(call, shared)?;
    let admitted = if let Some(lost) = shared.streams.take(sid).await {
        tracing::info!(call = sid, stream = %start.stream_sid, "the call is back");
        Admitted::Back(lost)
    } else {
        let setup = shared.registry.admit(call, Transport::MediaStreams, base)?;
        tracing::info!(call = sid, stream = %start.stream_sid, "the call begins");
        Admitted::New(Box::new(setup), shared.registry.watch(sid, Transport::MediaStreams, shared.show))
    };
    let (lease, leave) = shared.streams.acquire(sid);
    Ok((admitted, leave, lease))
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
