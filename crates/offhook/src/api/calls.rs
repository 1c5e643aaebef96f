//! What the API does with calls.

use std::sync::Arc;

use axum::extract::Request;
use bytes::Bytes;
use hyper::StatusCode;
use offhook_conversation::Control;
use offhook_session::ControlError;
use offhook_stage_api::Digits;
use offhook_stage_api::Interruptible;
use offhook_twilio::api::Next;
use offhook_twilio::calls::PhoneNumber;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::limits::{Before, LONGEST_KEY};
use super::{Door, as_json, refusal, too_many};
use crate::calls::live_call::LiveCall;
use crate::calls::{NotPlaced, Order, Within};
use crate::rest::RestError;
use crate::serve::Shared;
use crate::serve::address::PublicBase;
use crate::serve::http::body::{BodyError, collect};
use crate::serve::http::{Answer, typed};

/// Longest body taken.
const LONGEST_BODY: usize = 64 * 1024;
/// Calls listed at most.
const MOST_LISTED: usize = 500;
/// Longest text to be said, in characters: about two minutes.
const LONGEST_TEXT: usize = 2_000;

pub(super) async fn body(request: Request) -> Result<Bytes, Answer> {
    collect(request.into_body(), LONGEST_BODY).await.map_err(|error| match error {
        BodyError::TooLong => {
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_long", "the body is longer than 64 kB")
        }
        error => refusal(StatusCode::REQUEST_TIMEOUT, "incomplete", &error.to_string()),
    })
}

pub(super) fn wrong(message: &str) -> Answer {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, "wrong", message)
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body).map_err(|error| wrong(&format!("the body: {error}")))
}

pub(super) fn find(sid: &str, calls: &Within<'_>) -> Result<Arc<LiveCall>, Answer> {
    let unknown = || refusal(StatusCode::NOT_FOUND, "unknown", "there is no such call, or it is long over");
    calls.call(sid).ok_or_else(unknown)
}

/// `POST /calls`
pub(super) async fn place(request: Request, door: &Door, shared: &Arc<Shared>) -> Result<Answer, Answer> {
    let Some(base) = PublicBase::of(shared.public_url.as_deref(), request.headers(), request.extensions())
    else {
        let message = "the request names no host, and `public_url` isn't set";
        return Err(refusal(StatusCode::BAD_REQUEST, "no_host", message));
    };
    let key = request.headers().get("idempotency-key").map(|key| key.to_str().unwrap_or("").to_owned());
    if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > LONGEST_KEY) {
        let message = format!("an Idempotency-Key has 1 to {LONGEST_KEY} ASCII characters");
        return Err(refusal(StatusCode::BAD_REQUEST, "bad_key", &message));
    }
    let body = body(request).await?;
    let order: Order = parse(&body)?;
    if let Some(key) = &key {
        match door.remembered.ask(key, &body) {
            Before::Never => {}
            Before::Answered(status, body) => return Ok(typed(status, "application/json", body)),
            Before::Running => {
                let message = "an order with this Idempotency-Key is being carried out";
                return Err(refusal(StatusCode::CONFLICT, "running", message));
            }
            Before::Other => {
                let message = "this Idempotency-Key was used for another order";
                return Err(refusal(StatusCode::UNPROCESSABLE_ENTITY, "other_order", message));
            }
        }
    }
    if let Err(wait) = door.placing.take() {
        if let Some(key) = &key {
            door.remembered.keep(key, StatusCode::TOO_MANY_REQUESTS, &Bytes::new(), true);
        }
        return Err(too_many(wait, "more calls than `calls_per_second` in [outbound] lets through"));
    }
    let (registry, remembered) = (Arc::clone(&shared.registry), Arc::clone(&door.remembered));
    let scope = door.scope.clone();
    // A task of its own: whoever asked may leave, but what was begun is brought to its end.
    let placing = tokio::spawn(async move {
        let (status, body, again) = match registry.place(order, &scope, &base).await {
            Ok(live) => (StatusCode::CREATED, live.snapshot(), false),
            Err(error) => not_placed(&error),
        };
        let body = Bytes::from(body.to_string());
        if let Some(key) = &key {
            remembered.keep(key, status, &body, again);
        }
        (status, body)
    });
    match placing.await {
        Ok((status, body)) => Ok(typed(status, "application/json", body)),
        Err(_) => {
            let message = "the order could not be carried out";
            Err(refusal(StatusCode::INTERNAL_SERVER_ERROR, "broken", message))
        }
    }
}

/// Status, body, and whether the same order may be sent again with its key.
fn not_placed(error: &NotPlaced) -> (StatusCode, Value, bool) {
    let (status, code, again) = match error {
        NotPlaced::Wrong(_) => (StatusCode::UNPROCESSABLE_ENTITY, "wrong", true),
        NotPlaced::NotAllowed(_) => (StatusCode::FORBIDDEN, "not_allowed", true),
        NotPlaced::Limit(_) => (StatusCode::TOO_MANY_REQUESTS, "limit", true),
        // Trying again helps only once the configuration is another.
        NotPlaced::NotReady(_) => (StatusCode::CONFLICT, "not_ready", true),
        NotPlaced::Twilio(RestError::Refused(error)) if matches!(error.next, Next::Again(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, "twilio_busy", true)
        }
        NotPlaced::Twilio(RestError::Refused(_)) => (StatusCode::BAD_GATEWAY, "twilio_refused", true),
        NotPlaced::Twilio(RestError::Unreachable(_) | RestError::NoSid(_)) => {
            (StatusCode::BAD_GATEWAY, "twilio_unreachable", true)
        }
        // It may ring already: the same order must not be carried out again.
        NotPlaced::Twilio(RestError::Unclear { .. }) => (StatusCode::BAD_GATEWAY, "unclear", false),
    };
    let mut body = json!({ "error": { "code": code, "message": error.to_string() } });
    if let NotPlaced::Twilio(RestError::Refused(error)) = error
        && let Some(said) = body.get_mut("error").and_then(Value::as_object_mut)
    {
        said.insert("twilio_code".to_owned(), json!(error.code));
    }
    (status, body, again)
}

/// `GET /calls`: the newest; with `?running=true` those that are not over.
pub(super) fn list(query: Option<&str>, calls: &Within<'_>) -> Result<Answer, Answer> {
    let running = flag(query, "running")?;
    let known = calls.calls();
    let wanted = known.iter().filter(|live| !running || !live.is_over());
    let listed: Vec<Value> = wanted.take(MOST_LISTED).map(|live| live.summary()).collect();
    Ok(as_json(StatusCode::OK, &json!({ "calls": listed, "agents": calls.agents() })))
}

/// A parameter that is true or false; false if it isn't there.
fn flag(query: Option<&str>, name: &str) -> Result<bool, Answer> {
    let pairs = query.unwrap_or("").split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let mut found = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (None, _) | (Some("false"), None) => Ok(false),
        (Some("true"), None) => Ok(true),
        _ => {
            let message = format!("`{name}` is `true` or `false`, once");
            Err(refusal(StatusCode::BAD_REQUEST, "wrong", &message))
        }
    }
}

/// `GET /calls/{sid}`
pub(super) async fn show(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    calls.registry().refresh(&live).await;
    Ok(as_json(StatusCode::OK, &live.snapshot()))
}

/// `DELETE /calls/{sid}`: politely, after what is being said; with `?now=true` at once.
pub(super) async fn end(query: Option<&str>, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let now = flag(query, "now")?;
    let polite = live.record().talking && !now;
    if live.is_over() {
        return Ok(as_json(StatusCode::OK, &live.snapshot()));
    }
    if polite {
        return wish(&live, Control::HangUp);
    }
    let reaches_twilio = calls.registry().rest(&live.tenant()).is_some();
    let not_ended = |error: String| match reaches_twilio {
        true => refusal(StatusCode::BAD_GATEWAY, "not_ended", &error),
        false => refusal(StatusCode::CONFLICT, "not_talking", "there is no stream that could be closed"),
    };
    calls.registry().end(&live).await.map_err(not_ended)?;
    Ok(accepted())
}

fn accepted() -> Answer {
    as_json(StatusCode::ACCEPTED, &json!({ "accepted": true }))
}

fn wish(live: &LiveCall, control: Control) -> Result<Answer, Answer> {
    live.wish(control).map(|()| accepted()).map_err(|error| match error {
        ControlError::Over => {
            let message = "nobody can be talked to: the call still rings, or is over";
            refusal(StatusCode::CONFLICT, "not_talking", message)
        }
        ControlError::Full => refusal(StatusCode::TOO_MANY_REQUESTS, "too_many", &error.to_string()),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SayBody {
    text: String,
    #[serde(default)]
    interruptible: Interruptible,
}

/// `POST /calls/{sid}/say`
pub(super) async fn say(request: Request, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let SayBody { text, interruptible } = parse(&body(request).await?)?;
    if text.trim().is_empty() || text.chars().count() > LONGEST_TEXT {
        return Err(wrong(&format!("`text` must have 1 to {LONGEST_TEXT} characters")));
    }
    // Whoever has taken the model's seat answers the caller, if an answer is waited for.
    if live.record().talking && live.seat.answer(&text, interruptible) {
        return Ok(accepted());
    }
    wish(&live, Control::Say { text, interruptible })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatBody {
    on: bool,
}

/// `POST /calls/{sid}/take-over`: a person answers the caller from now on, by `say`; or the model does again.
pub(super) async fn take_over(request: Request, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let SeatBody { on } = parse(&body(request).await?)?;
    if !live.record().talking {
        let message = "nobody can be talked to: the call still rings, or is over";
        return Err(refusal(StatusCode::CONFLICT, "not_talking", message));
    }
    live.take_over(on);
    Ok(accepted())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferBody {
    to: PhoneNumber,
}

/// `POST /calls/{sid}/transfer`: once the last words were heard.
pub(super) async fn transfer(request: Request, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let TransferBody { to } = parse(&body(request).await?)?;
    if !calls.registry().outbound(&live.tenant()).allows(&to) {
        let message = format!("callers may not be handed to {to}: `allow` in [outbound] doesn't have it");
        return Err(refusal(StatusCode::FORBIDDEN, "not_allowed", &message));
    }
    wish(&live, Control::Transfer { to: to.to_string() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PressBody {
    digits: String,
}

/// `POST /calls/{sid}/dtmf`
pub(super) async fn press(request: Request, sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    let PressBody { digits } = parse(&body(request).await?)?;
    let keys = Digits::new(&digits);
    if keys.reveal().is_empty() || keys.reveal().len() != digits.len() || digits.len() > 64 {
        return Err(wrong("`digits` must have 1 to 64 of 0-9, *, #, A-D"));
    }
    wish(&live, Control::Press { digits: keys })
}
