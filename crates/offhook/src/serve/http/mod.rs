//! HTTP: from a connection to its answers.
//!
//! All of it runs on a runtime of its own, beside the workers: no webhook, API call or page costs a call a frame. A
//! WebSocket leaves for a worker once it is upgraded.

pub(crate) mod body;
mod connection;
mod listen;
mod origin;
mod registry;
mod request_id;
mod router;
mod stall;
mod tls;
mod wire;

use axum::response::Response;
use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderValue};

pub(crate) use listen::accept;
pub(crate) use registry::{Conn, Connections, HttpConfig, network};
pub(super) use router::Serves;
pub(super) use stall::Stall;
pub(crate) use tls::Tls;
pub(crate) use wire::Wire;

/// An answer; some have a body that goes on for as long as a call.
pub(crate) type Answer = Response;

/// A plain answer.
pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    typed(status, "text/plain; charset=utf-8", text)
}

/// An answer of a type.
pub(crate) fn typed(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(body.into().into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
