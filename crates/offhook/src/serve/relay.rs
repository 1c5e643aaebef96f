//! Sessions of text: the TwiML that begins one, its socket, and what is next when it has ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use offhook_call::TRANSFER;
use offhook_call::stage::ToolCall;
use offhook_session::Setup;
use offhook_session::relay::{Admitted, RelayEnd, RelayReport, serve_relay};
use offhook_twilio::errors;
use offhook_twilio::relay::{Handoff, SessionStatus, SetupMessage};
use offhook_twilio::twiml::{Connect, ConversationRelay, Dial, MIME, Noun, Response, TwimlError, Verb};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;

use super::Shared;
use super::http::{Answer, typed};
use super::parking::BACK_WITHIN;
use super::routes::{AFTER_RELAY_PATH, RELAY_PATH};
use super::socket::is_announced;
use super::voice::{Checked, check, parameters};
use crate::record::Recorder;

/// How long the other party's telephone rings, in seconds.
const RINGS_FOR: u32 = 30;
/// A call whose socket is lost so often isn't connected again: something loses it each time.
const MOST_AGAIN: u32 = 5;

/// Serves the session. A call whose socket is lost waits for Twilio to connect it anew.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    shared: &Arc<Shared>,
) {
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let (report, parked) = serve_relay(socket, |setup| admit(setup, shared)).await;
    shared.calls.fetch_sub(1, Ordering::Relaxed);
    log(&report);
    let (Some(parked), Some(setup)) = (parked, report.setup) else { return };
    let call = setup.call_sid.to_string();
    shared.parking.park(&call, parked);
    let shared = Arc::clone(shared);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(BACK_WITHIN).await;
        shared.parking.give_up_late(&call);
    });
}

/// Connects the call to a session of text. `again`: how often it was connected before.
pub(super) fn connect(
    checked: &Checked,
    call: &str,
    shared: &Shared,
    again: u32,
) -> Result<Connect, TwimlError> {
    let url = checked.base.stream_url(RELAY_PATH);
    let relay = ConversationRelay::new(&url, shared.relay.clone())?;
    let relay = parameters(checked, call, shared)?.into_iter().fold(relay, ConversationRelay::parameter);
    let action = checked.base.url(&format!("{AFTER_RELAY_PATH}?again={again}"));
    Ok(Connect { action: Some(action), noun: Noun::ConversationRelay(Box::new(relay)) })
}

/// A session has ended: the call goes on if its socket was lost, is handed over if the agent wanted that, or hangs up.
pub(super) async fn after(request: Request<Incoming>, shared: &Shared) -> Answer {
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let again: u32 = checked.query.get("again").and_then(|again| again.parse().ok()).unwrap_or(0);
    let call = checked.form.get("CallSid").unwrap_or("");
    let handoff = Handoff::read(&checked.form);
    if let Some(message) = &handoff.message {
        let code = handoff.error.unwrap_or(0);
        let mend = errors::lookup(code).map_or("", |error| error.mend);
        tracing::warn!(call, code, message, mend, "Twilio ended a session of text");
    }
    let response = Response::default();
    let response = if handoff.may_go_on() && again < MOST_AGAIN {
        match connect(&checked, call, shared, again + 1) {
            Ok(connect) => response.then(Verb::Connect(connect)),
            Err(error) => {
                tracing::error!(call, %error, "a call can't be connected again");
                response
            }
        }
    } else {
        shared.parking.give_up(call);
        match (handoff.data.as_deref().and_then(transfer), handoff.status) {
            (Some(dial), _) => response.then(Verb::Dial(dial)),
            (None, Some(SessionStatus::Failed)) if handoff.live => {
                response.then(Verb::Say("We are sorry, something went wrong. Please call again.".into()))
            }
            _ => response,
        }
    };
    typed(StatusCode::OK, MIME, response.then(Verb::Hangup).to_xml())
}

/// Whom the agent hands the caller to: the tool call that `end` carried.
fn transfer(data: &str) -> Option<Dial> {
    let call: ToolCall = serde_json::from_str(data).ok()?;
    let to = call.arguments.get("to")?.as_str().filter(|_| call.name == TRANSFER)?;
    let digits = to.strip_prefix('+').unwrap_or(to);
    let number = (3..=15).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    if !number {
        tracing::warn!("a transfer to what is no telephone number was not made");
        return None;
    }
    Some(Dial { number: to.to_owned(), caller_id: None, timeout: RINGS_FOR, action: None })
}

/// Judges the `setup` message: is it the session that our TwiML announced, and of which call?
fn admit(setup: &SetupMessage, shared: &Shared) -> Result<Admitted<Recorder>, String> {
    let call = setup.call_sid.as_str();
    is_announced(&setup.parameters, call, shared)?;
    if let Some(parked) = shared.parking.take(call) {
        tracing::info!(call, session = %setup.session_sid, "the call is back");
        return Ok(Admitted::Back(parked));
    }
    tracing::info!(call, session = %setup.session_sid, "the call begins");
    let agent = &shared.agent;
    let recorder = Recorder::of_text(shared.keeper.clone(), (call, &agent.name), &shared.call, shared.show);
    let setup = Setup::new(Arc::clone(&shared.call), agent.stages.clone(), &agent.language);
    Ok(Admitted::New(Box::new(setup), recorder))
}

fn log(report: &RelayReport) {
    let call = report.setup.as_ref().map_or("(before setup)", |setup| setup.call_sid.as_str());
    match &report.end {
        RelayEnd::Failed(error) => tracing::warn!(call, "the call failed: {error}"),
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
