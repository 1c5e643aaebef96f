//! Names every request: the same name stands in what is logged of it and in its answer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use hyper::header::{HeaderName, HeaderValue};
use tracing::Instrument;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Gives a request its name.
pub(super) async fn name(request: Request, next: Next) -> Response {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    // Tells restarts apart.
    let process = PROCESS.get_or_init(std::process::id);
    let id = format!("{process:x}-{:x}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let span = tracing::error_span!("request", id);
    let mut answer = next.run(request).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(HEADER, value);
    }
    answer
}
