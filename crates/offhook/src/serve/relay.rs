//! Sessions of text: the TwiML that begins one, its socket, and what is next when it has ended.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::Request;
use futures_util::FutureExt;
use hyper::StatusCode;
use offhook_relay_line::RelayLine;
use offhook_script::Transport;
use offhook_session::relay::{RelayEnd, RelayReport, serve_relay};
use offhook_session::{Admitted, Leave};
use offhook_twilio::calls::PhoneNumber;
use offhook_twilio::errors;
use offhook_twilio::relay::{Handoff, SessionStatus, SetupMessage};
use offhook_twilio::twiml::{Connect, ConversationRelay, MIME, Noun, Response, TwimlError, Verb};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio_tungstenite::WebSocketStream;

use super::address::PublicBase;
use super::http::{Answer, typed};
use super::reconnect::{BACK_WITHIN, Became, Lease};
use super::routes::{AFTER_RELAY_PATH, RELAY_PATH};
use super::socket::{broke, is_announced, is_of_account};
use super::voice::{Checked, check, parameters};
use super::{Edge, Shared, TOKEN};
use crate::calls::live_call::LiveCall;
use crate::calls::{Announced, CallObserver, Served, transfer_document};

/// A call whose socket is lost so often isn't connected again: something loses it each time.
const MOST_AGAIN: u32 = 5;

/// Serves the session. A call whose socket is lost waits for Twilio to connect it again.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    shared: &Arc<Shared>,
    base: Option<&PublicBase>,
) {
    let counted = shared.calls.count();
    let mut lease = None;
    let admit = async |setup: &SetupMessage| {
        let (admitted, leave, given) = admit(setup, shared, base).await?;
        lease = Some((given, setup.call_sid.to_string()));
        Ok((admitted, Some(leave)))
    };
    let served = AssertUnwindSafe(serve_relay(socket, admit)).catch_unwind().await;
    drop(counted);
    let Ok((report, call)) = served else {
        if let Some((lease, sid)) = lease {
            // Another session may hold it now, but not this one.
            let _became = shared.reconnects.release(&sid, lease, None);
            let shared = Arc::clone(shared);
            drop(tokio::task::spawn_local(async move { broke(&sid, &shared).await }));
        }
        return;
    };
    shared.metrics.count_relay(&report);
    log(&report);
    let Some((lease, sid)) = lease else { return };
    match shared.reconnects.release(&sid, lease, call) {
        Became::Leased => {}
        Became::Over => shared.registry.hung_up(&sid),
        Became::Waiting => {
            let shared = Arc::clone(shared);
            tokio::task::spawn_local(async move {
                tokio::time::sleep(BACK_WITHIN).await;
                if shared.reconnects.give_up_late(&sid) {
                    shared.registry.hung_up(&sid);
                }
            });
        }
    }
}

/// The call is over, whatever became of its session.
pub(super) fn over(sid: &str, shared: &Shared) {
    if shared.reconnects.give_up(sid) || shared.streams.give_up(sid) {
        shared.registry.hung_up(sid);
    }
}

/// Connects the call to a session of text. `again`: how often it was connected before.
pub(super) fn connect(
    checked: &Checked,
    call: &str,
    shared: &Shared,
    (served, again): (&Served, u32),
) -> Result<Connect, TwimlError> {
    let url = checked.base.stream_url(RELAY_PATH);
    let relay = ConversationRelay::new(&url, served.relay.clone())?;
    let relay = parameters(checked, call, shared)?.into_iter().fold(relay, ConversationRelay::parameter);
    let action = checked.base.url(&format!("{AFTER_RELAY_PATH}?again={again}"));
    Ok(Connect { action: Some(action), noun: Noun::ConversationRelay(Box::new(relay)) })
}

/// A session has ended: the call goes on if its socket was lost, is handed over if the agent wanted that, or hangs up.
pub(super) async fn after(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let again: u32 = checked.query.get("again").and_then(|again| again.parse().ok()).unwrap_or(0);
    let sid = checked.form.get("CallSid").unwrap_or("");
    let handoff = Handoff::read(&checked.form);
    if let Some(message) = &handoff.message {
        let code = handoff.error.unwrap_or(0);
        let fix = errors::lookup(code).map_or("", |error| error.fix);
        tracing::warn!(call = sid, code, message, fix, "Twilio ended a session of text");
    }
    let live = shared.registry.call(sid);
    let response = Response::default();
    let goes_on =
        handoff.may_go_on() && again < MOST_AGAIN && live.as_ref().is_some_and(|live| !live.is_over());
    let response = if goes_on {
        let served = shared.registry.serves(live.as_deref());
        match connect(&checked, sid, shared, (&served, again + 1)) {
            Ok(connect) => response.then(Verb::Connect(connect)),
            Err(error) => {
                tracing::error!(call = sid, %error, "a call can't be connected again");
                response
            }
        }
    } else {
        over(sid, shared);
        let to = live.as_ref().and_then(|live| live.record().transferred_to.clone());
        match (live, to.and_then(|to| PhoneNumber::parse(&to).ok())) {
            (Some(live), Some(to)) => {
                let document = transfer_document(&live, &to, Some(&checked.base));
                return typed(StatusCode::OK, MIME, document.to_xml());
            }
            (live, _)
                if handoff.live
                    && (handoff.status == Some(SessionStatus::Failed)
                        || live.as_deref().is_some_and(LiveCall::was_cut)) =>
            {
                let sorry = super::callbacks::lost_for_good(live.as_deref(), shared);
                return typed(StatusCode::OK, MIME, sorry.to_xml());
            }
            _ => response,
        }
    };
    typed(StatusCode::OK, MIME, response.then(Verb::Hangup).to_xml())
}

/// Judges the `setup` message: is it the session that our TwiML announced, and of which call?
async fn admit(
    setup: &SetupMessage,
    shared: &Arc<Shared>,
    base: Option<&PublicBase>,
) -> Result<(Admitted<RelayLine, CallObserver>, oneshot::Receiver<Leave>, Lease), String> {
    let sid = setup.call_sid.as_str();
    let call = Announced { sid, parameters: &setup.parameters };
    is_of_account(sid, setup.account_sid.as_str(), shared)?;
    is_announced(call, shared).or_else(|why| if comes_back(call, shared) { Ok(()) } else { Err(why) })?;
    let admitted = if let Some(waiting) = shared.reconnects.take(sid).await {
        tracing::info!(call = sid, session = %setup.session_sid, "the call is back");
        Admitted::Back(waiting)
    } else {
        let setup_of_call = shared.registry.admit(call, Transport::ConversationRelay, base)?;
        tracing::info!(call = sid, session = %setup.session_sid, "the call begins");
        let watched = shared.registry.watch(sid, Transport::ConversationRelay, shared.show);
        Admitted::New(Box::new(setup_of_call), watched)
    };
    let (lease, leave) = shared.reconnects.acquire(sid);
    Ok((admitted, leave, lease))
}

/// Twilio itself connects a call anew where `application_reconnect` asks for it: with the token of before, which is used up.
fn comes_back(call: Announced<'_>, shared: &Shared) -> bool {
    let live = shared.registry.call(call.sid);
    let asked = shared.registry.serves(live.as_deref()).relay.application_reconnect == Some(true);
    let token = call.parameters.get(TOKEN);
    asked
        && shared.reconnects.has(call.sid)
        && token.is_some_and(|token| shared.tokens.is_of(token, call.sid))
}

fn log(report: &RelayReport) {
    let call = report.setup.as_ref().map_or("(before setup)", |setup| setup.call_sid.as_str());
    match &report.end {
        RelayEnd::Failed(error) => tracing::warn!(call, "the call failed: {error}"),
        RelayEnd::Replaced => {
            tracing::info!(call, "the call came over another socket; that of this session was dead");
        }
        RelayEnd::Lost(why) => tracing::warn!(call, why, "the call's connection was lost"),
        RelayEnd::Stopped | RelayEnd::Ended => {}
    }
    tracing::info!(
        call,
        end = ?report.end,
        prompts = report.prompts,
        interrupts = report.interrupts,
        sent = report.sent,
        bad_messages = report.bad_messages,
        unknown = report.unknown,
        "the session is over"
    );
}
