//! Routes.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use super::workers::LoadGuard;
use super::{Shared, socket, voice};

/// Where the stream's WebSocket is.
pub(crate) const STREAM_PATH: &str = "/media-stream";

/// An answer.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Answers a request.
pub(crate) async fn route(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    guard: Rc<LoadGuard>,
) -> Result<Answer, Infallible> {
    let stopping = shared.stopping.load(Ordering::Relaxed);
    Ok(match (request.method(), request.uri().path()) {
        (&Method::POST | &Method::GET, "/voice") => voice::answer(request, &shared).await,
        // Twilio asks what is next when a stream has ended, and tells of a stream's state; both are signed.
        (&Method::POST | &Method::GET, "/after-stream") => voice::after(request, &shared).await,
        (&Method::GET, STREAM_PATH) => socket::upgrade(request, shared, guard),
        (&Method::GET, "/healthz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET, "/readyz") if stopping => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        (&Method::GET, "/readyz") => text(StatusCode::OK, "ready\n"),
        (_, "/voice" | "/after-stream" | STREAM_PATH | "/healthz" | "/readyz") => {
            text(StatusCode::METHOD_NOT_ALLOWED, "this address takes another method\n")
        }
        _ => text(
            StatusCode::NOT_FOUND,
            "nothing is here; the webhook is /voice, the stream /media-stream, health /healthz and /readyz\n",
        ),
    })
}

/// A plain answer.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

/// An answer of a type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
