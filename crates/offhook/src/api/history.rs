//! Calls that were kept: found, shown, deleted.

use axum::extract::Request;
use hyper::StatusCode;
use offhook_store::{Filter, Pending, Receipt, Store, StoreError, Subject};
use offhook_twilio::calls::PhoneNumber;
use serde::{Deserialize, Serialize};

use super::calls::{body, parse, wrong};
use super::{as_json, refusal};
use crate::calls::CallRegistry;
use crate::serve::http::{Answer, typed};

fn store(registry: &CallRegistry) -> Result<&Store, Answer> {
    let hint = "no calls are kept: set `record`, or `url` in [store], and restart the server";
    registry.store.as_ref().ok_or_else(|| refusal(StatusCode::NOT_FOUND, "off", hint))
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
pub(super) async fn list(query: Option<&str>, registry: &CallRegistry) -> Result<Answer, Answer> {
    let page = answer(store(registry)?.list(filter(query)?)).await?;
    Ok(as_answer(StatusCode::OK, &page))
}

/// `GET /v1/report`: figures of the calls that a filter finds.
pub(super) async fn report(query: Option<&str>, registry: &CallRegistry) -> Result<Answer, Answer> {
    let report = answer(store(registry)?.report(filter(query)?)).await?;
    Ok(as_answer(StatusCode::OK, &report))
}

/// Recordings longer than this are for other means than one answer: 256 MiB, some four hours.
const LONGEST: u64 = 256 * 1024 * 1024;

/// `GET /v1/history/{sid}/recording`: what there is of it by now, while the call lasts.
pub(super) async fn recording(sid: &str, registry: &CallRegistry) -> Result<Answer, Answer> {
    let none = || refusal(StatusCode::NOT_FOUND, "unknown", "no sound was kept of such a call");
    let (path, kind) = registry.recording(sid).ok_or_else(none)?;
    let read = tokio::task::spawn_blocking(move || {
        let short = std::fs::metadata(&path).is_ok_and(|about| about.len() <= LONGEST);
        short.then(|| std::fs::read(&path).ok()).flatten()
    });
    let sound = read.await.ok().flatten().ok_or_else(none)?;
    Ok(typed(StatusCode::OK, kind, sound))
}

fn filter(query: Option<&str>) -> Result<Filter, Answer> {
    let mut filter = Filter::default();
    for (name, value) in form_urlencoded::parse(query.unwrap_or("").as_bytes()) {
        filter.set(&name, &value).map_err(|why| wrong(&why))?;
    }
    Ok(filter)
}

/// `GET /v1/history/{sid}`
pub(super) async fn show(sid: &str, registry: &CallRegistry) -> Result<Answer, Answer> {
    match answer(store(registry)?.show(sid)).await? {
        Some(document) => Ok(as_answer(StatusCode::OK, &document)),
        None => Err(refusal(StatusCode::NOT_FOUND, "unknown", "no such call was kept")),
    }
}

/// `DELETE /v1/history/{sid}`: for good, everywhere.
pub(super) async fn delete(sid: &str, registry: &CallRegistry) -> Result<Answer, Answer> {
    let store = store(registry)?;
    if registry.call(sid).is_some_and(|live| !live.is_over()) {
        let message = "the call is not over: end it first, by DELETE /calls/{sid}";
        return Err(refusal(StatusCode::CONFLICT, "in_progress", message));
    }
    let receipt = answer(store.delete(Subject::Call(sid.to_owned(), None))).await?;
    Ok(receipted(receipt, registry))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeletionBody {
    number: PhoneNumber,
}

/// `POST /v1/deletions`: all calls from or to a number.
pub(super) async fn delete_number(request: Request, registry: &CallRegistry) -> Result<Answer, Answer> {
    let store = store(registry)?;
    let DeletionBody { number } = parse(&body(request).await?)?;
    let number = number.to_string();
    let is_on_the_line = registry
        .calls()
        .iter()
        .any(|live| !live.is_over() && (live.about.from == number || live.about.to == number));
    if is_on_the_line {
        let message = "a call of this number is not over: end it first, by DELETE /calls/{sid}";
        return Err(refusal(StatusCode::CONFLICT, "in_progress", message));
    }
    let receipt = answer(store.delete(Subject::Number(number, None))).await?;
    Ok(receipted(receipt, registry))
}

/// Files go too; then it is receipted.
fn receipted(mut receipt: Receipt, registry: &CallRegistry) -> Answer {
    registry.forget(&mut receipt);
    tracing::info!(calls = receipt.calls.len(), objects = receipt.objects, "calls were deleted");
    as_answer(StatusCode::OK, &receipt)
}
