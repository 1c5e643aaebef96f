//! What Twilio tells and asks besides the call itself: how it goes, who answered, what became of the stream, what is next.
//!
//! All are signed. Those of calls that we placed carry our reference, because they may come before Twilio has told us the call's
//! SID. Callbacks are answered with 204: their answers are not TwiML (twilio.com/docs/voice/api/call-resource).

use axum::extract::Request;
use hyper::StatusCode;
use offhook_twilio::calls::{AnsweredBy, CallStatus, PhoneNumber};
use offhook_twilio::twiml::{Dial, MIME, Response, Verb};

use super::http::{Answer, text, typed};
use super::life::Phase;
use super::voice::{Checked, check};
use super::{Edge, Shared};
use crate::calls::live_call::LiveCall;
use crate::calls::transfer_document;

/// A call whose stream is lost so often isn't connected again: something loses it each time.
const MOST_AGAIN: u32 = 5;

fn noted() -> Answer {
    text(StatusCode::NO_CONTENT, "")
}

fn document(response: &Response) -> Answer {
    typed(StatusCode::OK, MIME, response.to_xml())
}

/// How a call goes.
pub(crate) async fn status(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let form = &checked.form;
    let number = |name: &str| form.get(name).and_then(|text| text.parse::<u64>().ok());
    let status = form.get("CallStatus").and_then(CallStatus::parse);
    if let (Some(live), Some(status)) =
        (shared.registry.spoken_of(checked.reference(), sid(&checked)), status)
    {
        tracing::info!(call = sid(&checked), ?status, "status callback");
        let sip_code = number("SipResponseCode").and_then(|code| u16::try_from(code).ok());
        let told = (number("CallDuration"), sip_code);
        shared.registry.on_status(&live, status, number("SequenceNumber"), told);
        if status.is_over() {
            // A session of text whose socket is lost can't tell it.
            super::relay::over(sid(&checked), shared);
        }
    } else {
        tracing::debug!(call = sid(&checked), "a status of a call that isn't known here");
    }
    noted()
}

/// Who answered.
pub(crate) async fn answered_by(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let live = shared.registry.spoken_of(checked.reference(), sid(&checked));
    if let (Some(live), Some(who)) = (live, checked.form.get("AnsweredBy")) {
        let who = AnsweredBy::parse(who);
        tracing::info!(call = sid(&checked), ?who, "answering-machine detection");
        shared.registry.on_answered_by(&live, who).await;
    }
    noted()
}

/// What became of a stream.
pub(crate) async fn stream(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    if checked.form.get("StreamEvent") == Some("stream-error") {
        let why: String =
            checked.form.get("StreamError").unwrap_or("no reason was given").chars().take(300).collect();
        tracing::warn!(call = sid(&checked), why, "Twilio says that the stream failed");
        if let Some(live) = shared.registry.call(sid(&checked)) {
            live.record().troubles.push(format!("Twilio says that the stream failed: {why}"));
        }
    }
    noted()
}

/// The stream has ended. What next? To whom the caller is handed over, or the end.
pub(crate) async fn after_stream(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let live = shared.registry.call(sid(&checked));
    let to = live.as_ref().and_then(|live| live.record().transferred_to.clone());
    if let (Some(live), Some(to)) = (&live, to.and_then(|to| PhoneNumber::parse(&to).ok())) {
        return document(&transfer_document(live, &to, Some(&checked.base)));
    }
    if let Some(again) = connect_again(&checked, live.as_deref(), edge) {
        return document(&again);
    }
    super::relay::over(sid(&checked), shared);
    document(&Response::default().then(Verb::Hangup))
}

/// So long it rings where callers are handed to whose stream was lost, in seconds.
const LOST_RINGS_S: u32 = 30;

/// The stream broke off in the middle of the call: it is connected again, and the conversation goes on where it was heard. Where that
/// can't be, the caller is told so. `None` if the call was over.
fn connect_again(checked: &Checked, live: Option<&LiveCall>, edge: &Edge) -> Option<Response> {
    let shared = &edge.shared;
    let status = checked.form.get("CallStatus").and_then(CallStatus::parse);
    if status.is_some_and(CallStatus::is_over) {
        return None;
    }
    let sid = sid(checked);
    if live.is_some_and(LiveCall::was_cut) {
        return Some(lost_for_good(live, shared));
    }
    let goes_on = live.is_some_and(|live| {
        let record = live.record();
        !record.over && record.ended.is_none()
    }) && (shared.streams.has(sid) || live.is_some_and(LiveCall::is_cut_off));
    if live.is_some() && !goes_on {
        return None;
    }
    let again: u32 = checked.query.get("again").and_then(|again| again.parse().ok()).unwrap_or(0);
    if goes_on && again < MOST_AGAIN && shared.life.phase() <= Phase::Draining {
        let served = shared.registry.serves(live);
        match super::voice::document(checked, sid, shared, (&served, again + 1)) {
            Ok(document) => return Some(document),
            Err(error) => tracing::error!(call = sid, %error, "a call can't be connected again"),
        }
    }
    tracing::warn!(call = sid, again, "a call's stream was lost for good: the caller is told so");
    Some(lost_for_good(live, shared))
}

/// A call can't be connected again: the caller is told so, and handed to whoever the configuration names, or the call's agent.
pub(super) fn lost_for_good(live: Option<&LiveCall>, shared: &Shared) -> Response {
    let config = shared.registry.outbound(&live.map(LiveCall::tenant).unwrap_or_default());
    let sorry = Response::default().then(Verb::Say(config.lost.clone()));
    let of_agent = || shared.registry.serves(live).agent.last_transfer.clone();
    let Some(to) = config.lost_transfer.clone().or_else(of_agent) else { return sorry.then(Verb::Hangup) };
    // A caller's own number is shown by itself; we call others by our own.
    let caller_id =
        live.filter(|live| live.about.direction == "outbound").map(|live| live.about.from.clone());
    let dial = Dial { number: to, caller_id, timeout: LOST_RINGS_S, action: None };
    sorry.then(Verb::Dial(dial)).then(Verb::Hangup)
}

/// A transfer is over. Nobody took it? Then the caller comes back to the agent; where that can't be, they are told so.
pub(crate) async fn after_transfer(request: Request, edge: &Edge) -> Answer {
    let shared = &edge.shared;
    let checked = match check(request, shared).await {
        Ok(checked) => checked,
        Err(refusal) => return refusal,
    };
    let became = checked.form.get("DialCallStatus").unwrap_or("");
    tracing::info!(call = sid(&checked), became, "a transfer is over");
    let taken = matches!(became, "completed" | "answered");
    if let Some(live) = shared.registry.call(sid(&checked)) {
        if !taken {
            live.record().troubles.push(format!("the transfer was not taken: {}", short(became)));
            if let Some(again) = back_to_agent(&checked, &live, edge).await {
                return document(&again);
            }
        }
        shared.registry.conclude(&live);
    }
    let sorry = &shared.registry.outbound("").transfer_failed;
    let next = if taken || sorry.is_empty() {
        Response::default()
    } else {
        Response::default().then(Verb::Say(sorry.clone()))
    };
    document(&next.then(Verb::Hangup))
}

/// Connects the caller to the agent again, who is told that nobody took them. `None` if they have hung up, or the agent can't.
async fn back_to_agent(checked: &Checked, live: &LiveCall, edge: &Edge) -> Option<Response> {
    let shared = &edge.shared;
    let status = checked.form.get("CallStatus").and_then(CallStatus::parse);
    if status.is_some_and(CallStatus::is_over) || shared.life.phase() > Phase::Draining {
        return None;
    }
    shared.registry.until_left(live).await;
    if !live.come_back(checked.form.get("DialCallStatus").unwrap_or("")) {
        return None;
    }
    let served = shared.registry.serves(Some(live));
    // The connections to the providers can be opened until the stream comes.
    edge.workers.warm(served.agent.stages.clone(), served.agent.language.clone());
    super::voice::document(checked, sid(checked), shared, (&served, 0))
        .inspect_err(|error| tracing::error!(call = sid(checked), %error, "a caller can't come back; is `public_url` right?"))
        .ok()
}

/// What comes from outside is kept short.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn sid(checked: &Checked) -> &str {
    checked.form.get("CallSid").unwrap_or("")
}
