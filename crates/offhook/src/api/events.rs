//! A call as it happens: server-sent events (WHATWG HTML, 9.2).

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, stream};
use http_body_util::StreamBody;
use hyper::Response;
use hyper::body::Frame;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::calls::find;
use crate::calls::Within;
use crate::calls::live_call::{LiveCall, Told};
use crate::serve::http::Answer;
use crate::tenants::Scope;

/// Proxies cut connections on which nothing comes.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What is still to be sent.
enum Then {
    Snapshot,
    Events,
    Nothing,
}

/// Streams a call: what is known, then what happens, to its end.
pub(super) fn stream(sid: &str, calls: &Within<'_>) -> Result<Answer, Answer> {
    let live = find(sid, calls)?;
    // Listens first, so that nothing is lost between.
    let listener = live.listen();
    let events = stream::unfold((Then::Snapshot, live, listener), next);
    Ok(streamed(events))
}

/// Streams all calls: what happens from now on, each event with its `call`. Ends only with the reader.
pub(super) fn stream_of_all(calls: &Within<'_>) -> Answer {
    streamed(stream::unfold((calls.registry().bus().listen(), calls.scope().clone()), next_of_all))
}

type OfAll = (Receiver<Told>, Scope);

async fn next_of_all((mut listener, scope): OfAll) -> Option<(Result<Frame<Bytes>, Infallible>, OfAll)> {
    let until = tokio::time::Instant::now() + KEEP_ALIVE;
    let text = loop {
        match tokio::time::timeout_at(until, listener.recv()).await {
            Err(_) => break ":\n\n".to_owned(),
            // What happens to others' calls isn't even told by its absence.
            Ok(Ok(told)) if !scope.sees(&told.tenant) => {}
            Ok(Ok(told)) => break written(told.name, &told.data),
            Ok(Err(RecvError::Lagged(missed))) => {
                let missed = scope.only().is_none().then_some(missed);
                break event("lagged", &serde_json::json!({ "missed": missed }));
            }
            Ok(Err(RecvError::Closed)) => return None,
        }
    };
    Some((Ok(Frame::data(text.into())), (listener, scope)))
}

/// An answer that goes on.
pub(super) fn streamed(
    events: impl Stream<Item = Result<Frame<Bytes>, Infallible>> + Send + 'static,
) -> Answer {
    let mut answer = Response::new(Body::new(StreamBody::new(events)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

type State = (Then, Arc<LiveCall>, Receiver<Told>);

async fn next((then, live, mut listener): State) -> Option<(Result<Frame<Bytes>, Infallible>, State)> {
    let (text, then) = match then {
        Then::Nothing => return None,
        Then::Snapshot if live.is_over() => {
            let over = event("over", &live.settled());
            (format!("{}{over}", event("snapshot", &live.snapshot())), Then::Nothing)
        }
        Then::Snapshot => (event("snapshot", &live.snapshot()), Then::Events),
        Then::Events => match tokio::time::timeout(KEEP_ALIVE, listener.recv()).await {
            Err(_) => (":\n\n".to_owned(), Then::Events),
            Ok(Ok(told)) => {
                let then = if told.name == "over" { Then::Nothing } else { Then::Events };
                (written(told.name, &told.data), then)
            }
            Ok(Err(RecvError::Lagged(missed))) => {
                (event("lagged", &serde_json::json!({ "missed": missed })), Then::Events)
            }
            Ok(Err(RecvError::Closed)) => return None,
        },
    };
    Some((Ok(Frame::data(text.into())), (then, live, listener)))
}

fn event(name: &str, data: &serde_json::Value) -> String {
    written(name, &data.to_string())
}

/// JSON has no line breaks of its own.
pub(super) fn written(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
