//! Requests to their answers.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use super::routes::{Does, Found, find};
use super::socket::Carries;
use super::workers::LoadGuard;
use super::{Shared, callbacks, metrics, relay, socket, voice};
use crate::api;

/// An answer; some have a body that goes on for as long as a call.
pub(crate) type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Answers a request.
pub(crate) async fn route(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    guard: Rc<LoadGuard>,
) -> Result<Answer, Infallible> {
    let stopping = shared.stopping.load(Ordering::Relaxed);
    let (does, sid) = match find(request.method(), request.uri().path()) {
        Found::This(does, sid) => (does, sid),
        Found::WrongMethod => {
            return Ok(text(StatusCode::METHOD_NOT_ALLOWED, "this address takes another method\n"));
        }
        Found::Nothing => {
            let hint = "nothing is here; the webhook is /voice, the sockets /media-stream and /conversation-relay, health /healthz and /readyz, counters /metrics, the API \
                        /openapi.json\n";
            return Ok(text(StatusCode::NOT_FOUND, hint));
        }
    };
    Ok(match does {
        Does::Voice => voice::answer(request, &shared).await,
        Does::AfterStream => callbacks::after_stream(request, &shared).await,
        Does::AfterTransfer => callbacks::after_transfer(request, &shared).await,
        Does::Status => callbacks::status(request, &shared).await,
        Does::AnsweredBy => callbacks::answered_by(request, &shared).await,
        Does::StreamStatus => callbacks::stream(request, &shared).await,
        Does::AfterRelay => relay::after(request, &shared).await,
        Does::Stream => socket::upgrade(request, shared, guard, Carries::Sound),
        Does::Relay => socket::upgrade(request, shared, guard, Carries::Text),
        Does::Healthy => text(StatusCode::OK, "ok\n"),
        Does::Ready if stopping => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        Does::Ready => text(StatusCode::OK, "ready\n"),
        Does::Metrics => metrics::answer(request.headers(), &shared),
        Does::OpenApi => typed(StatusCode::OK, "application/json", api::DESCRIPTION),
        Does::Place if stopping => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        Does::Place
        | Does::List
        | Does::Show
        | Does::End
        | Does::Say
        | Does::Transfer
        | Does::Press
        | Does::Events => api::answer(request, does, &sid, &shared).await,
    })
}

/// A plain answer.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

/// An answer of a type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()).boxed_unsync());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
