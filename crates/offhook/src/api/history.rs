//! Calls that were kept: found, shown, deleted.

use axum::extract::Request;
use hyper::StatusCode;
use offhook_store::{Filter, Pending, Receipt, Store, StoreError, Subject};
use offhook_twilio::calls::PhoneNumber;
use serde::{Deserialize, Serialize};

use super::calls::{body, parse, wrong};
use super::{as_json, refusal};
use crate::calls::Within;
use crate::serve::http::{Answer, typed};

fn store<'a>(calls: &Within<'a>) -> Result<&'a Store, Answer> {
    let hint = "no calls are kept: set `record`, or `url` in [store], and restart the server";
    calls.registry().store.as_ref().ok_or_else(|| refusal(StatusCode::NOT_FOUND, "off", hint))
}

async fn answer<T>(pending: Pending<T>) -> Result<T, Answer> {
    pending.answer().await.map_err(|error| match error {
        StoreError::Cursor | StoreError::Hidden => wrong(&error.to_string()),
        StoreError::Away(_) | StoreError::Ended => {
            tracing::warn!(%error, "the store could not answer the API");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "store_away", "the store's database can't be used now")
        }
        error => {
            tracing::error!(%error, "the store could not answer the API");
            refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store",
                "the store can't answer this; its log has the reason",
            )
        }
    })
}

fn as_answer(status: StatusCode, value: &impl Serialize) -> Answer {
    as_json(status, &serde_json::to_value(value).unwrap_or_default())
}

/// `GET /v1/history`
pub(super) async fn list(query: Option<&str>, calls: &Within<'_>) -> Result<Answer, Answer> {
    let page = answer(store(calls)?.list(filter(query, calls)?)).await?;
    Ok(as_answer(StatusCode::OK, &page))
}

/// `GET /v1/report`: figures of the calls that a filter finds.
pub(super) async fn report(query: Option<&str>, calls: &Within<'_>) -> Result<Answer, Answer> {
    let report = answer(store(calls)?.report(filter(query, calls)?)).await?;
    Ok(as_answer(StatusCode::OK, &report))
}

/// Recordings longer than this are for other means than one answer: 256 MiB, some four hours.
const LONGEST: u64 = 256 * 1024 * 1024;

/// `GET /v1/history/{sid}/recording`: what there is of it by now, while the call lasts.
pub(super) async fn recording(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let none = || refusal(StatusCode::NOT_FOUND, "unknown", "no sound was kept of such a call");
    let found = calls.recording(sid, LONGEST).await;
    let (sound, kind) = found
        .map_err(|error| wrong(&format!("the recording can't be played here: {error:#}")))?
        .ok_or_else(none)?;
    Ok(typed(StatusCode::OK, kind, sound))
}

fn filter(query: Option<&str>, calls: &Within<'_>) -> Result<Filter, Answer> {
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
        filter.set(&name, &value).map_err(|why| wrong(&why))?;
    }
    // Whatever was asked for: of a tenant's calls there are its own.
    if let Some(tenant) = calls.scope().only() {
        filter.tenant = Some(tenant.to_owned());
    }
    Ok(filter)
}

/// `GET /v1/history/{sid}`
pub(super) async fn show(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let document = answer(store(calls)?.show(sid)).await?;
    match document.filter(|document| calls.scope().sees(&document.tenant)) {
        Some(document) => Ok(as_answer(StatusCode::OK, &document)),
        None => Err(refusal(StatusCode::NOT_FOUND, "unknown", "no such call was kept")),
    }
}

/// `DELETE /v1/history/{sid}`: for good, everywhere.
pub(super) async fn delete(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let store = store(calls)?;
    if calls.call(sid).is_some_and(|live| !live.is_over()) {
        let message = "the call is not over: end it first, by DELETE /calls/{sid}";
        return Err(refusal(StatusCode::CONFLICT, "in_progress", message));
    }
    let tenant = calls.scope().only().map(str::to_owned);
    let receipt = answer(store.delete(Subject::Call(sid.to_owned(), tenant))).await?;
    if receipt.ids.is_empty() {
        return Err(refusal(StatusCode::NOT_FOUND, "unknown", "no such call was kept"));
    }
    Ok(receipted(receipt, calls, None).await)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletionBody {
    number: PhoneNumber,
}

/// `POST /v1/deletions`: all calls from or to a number.
pub(super) async fn delete_number(request: Request, calls: &Within<'_>) -> Result<Answer, Answer> {
    let store = store(calls)?;
    let DeletionBody { number } = parse(&body(request).await?)?;
    let number = number.to_string();
    let is_on_the_line = calls
        .calls()
        .iter()
        .any(|live| !live.is_over() && (live.about.from == number || live.about.to == number));
    if is_on_the_line {
        let message = "a call of this number is not over: end it first, by DELETE /calls/{sid}";
        return Err(refusal(StatusCode::CONFLICT, "in_progress", message));
    }
    let tenant = calls.scope().only().map(str::to_owned);
    let receipt = answer(store.delete(Subject::Number(number.clone(), tenant))).await?;
    Ok(receipted(receipt, calls, Some(&number)).await)
}

/// Files, objects and events go too; then it is receipted.
async fn receipted(receipt: Receipt, calls: &Within<'_>, number: Option<&str>) -> Answer {
    let receipt = calls.registry().erase(receipt, calls.scope(), number).await;
    tracing::info!(calls = receipt.calls.len(), objects = receipt.objects, "calls were deleted");
    as_answer(StatusCode::OK, &receipt)
}
