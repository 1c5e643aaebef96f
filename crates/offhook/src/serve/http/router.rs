//! The addresses, and what stands before them.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{OptionalFromRequestParts, Path, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::routing::on;
use hyper::StatusCode;
use hyper::http::request::Parts;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use super::super::routes::{Does, ROUTES};
use super::super::socket::Carries;
use super::super::{Edge, app_webhook, callbacks, metrics, page, relay, socket, voice};
use super::origin::{Foreign, judge};
use super::{Answer, request_id, text, typed};
use crate::api;

/// Longest path and query, in octets: Twilio's have some 100.
const LONGEST_TARGET: usize = 4 * 1024;
/// An answer must begin within this: Twilio's own API may be asked, more than once.
const LONGEST_ANSWER: Duration = Duration::from_secs(90);

/// Whom a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// Twilio, and applications.
    Everybody,
    /// Who looks after the server: counters and health.
    Operator,
}

impl Serves {
    fn has(self, does: Does, edge: &Edge) -> bool {
        match (self, does) {
            (_, Does::Healthy | Does::Ready) => true,
            (Self::Everybody, Does::Metrics) => !edge.shared.metrics_access.is_apart(),
            (Self::Operator, does) => does == Does::Metrics,
            (Self::Everybody, _) => true,
        }
    }
}

/// All addresses of the server.
pub(super) fn router(edge: &Arc<Edge>, serves: Serves) -> Router {
    let mut router = Router::new();
    for route in ROUTES.iter().filter(|route| serves.has(route.does, edge)) {
        let does = route.does;
        let handler =
            move |State(edge): State<Arc<Edge>>, sid: Sid, request: Request| answer(edge, does, sid, request);
        router = router.route(route.path, on(route.methods, handler));
    }
    let broken = Arc::clone(edge);
    let console = edge.shared.console && serves == Serves::Everybody;
    router
        .merge(page::router(console))
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(edge), guard))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, LONGEST_ANSWER))
        .layer(CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| panicked(&broken, &*panic)))
        .layer(from_fn(request_id::name))
        .with_state(Arc::clone(edge))
}

/// The call's SID in the path; blank where the path has none.
#[derive(Debug)]
pub(super) struct Sid(String);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Sid {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let path = <Path<String> as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await;
        let sid = path.ok().flatten().map_or_else(String::new, |Path(sid)| sid);
        if sid.len() > 64 || !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(api::no_such_call());
        }
        Ok(Self(sid))
    }
}

async fn answer(edge: Arc<Edge>, does: Does, Sid(sid): Sid, request: Request) -> Answer {
    let shared = &edge.shared;
    let stopping = !shared.life.takes_calls();
    match does {
        Does::Voice => voice::answer(request, &edge).await,
        Does::AfterStream => callbacks::after_stream(request, &edge).await,
        Does::AfterTransfer => callbacks::after_transfer(request, &edge).await,
        Does::Status => callbacks::status(request, &edge).await,
        Does::AnsweredBy => callbacks::answered_by(request, &edge).await,
        Does::StreamStatus => callbacks::stream(request, &edge).await,
        Does::AfterRelay => relay::after(request, &edge).await,
        Does::App => app_webhook::follow(request, &edge).await,
        Does::AfterApp => app_webhook::after(request, &edge).await,
        Does::Stream => socket::upgrade(request, &edge, Carries::Sound),
        Does::Relay => socket::upgrade(request, &edge, Carries::Text),
        Does::Healthy => text(StatusCode::OK, "ok\n"),
        Does::Ready if stopping => text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
        Does::Ready => text(StatusCode::OK, "ready\n"),
        Does::Metrics => metrics::answer(request.headers(), shared),
        Does::OpenApi => typed(StatusCode::OK, "application/json", api::DESCRIPTION),
        Does::Server
        | Does::CheckAgent
        | Does::TestCall
        | Does::Speak
        | Does::Listen
        | Does::Tape
        | Does::TapeSound
        | Does::WhatIf
        | Does::Place
        | Does::List
        | Does::Show
        | Does::End
        | Does::Say
        | Does::TakeOver
        | Does::Transfer
        | Does::Press
        | Does::Events
        | Does::History
        | Does::Document
        | Does::Delete
        | Does::DeleteNumber
        | Does::AllEvents
        | Does::Recording
        | Does::Report => api::answer(request, does, &sid, shared).await,
    }
}

async fn nothing() -> Answer {
    let hint = "nothing is here; the webhook is /voice, the sockets /media-stream and /conversation-relay, health /healthz and /readyz, counters /metrics, the API \
                /openapi.json\n";
    text(StatusCode::NOT_FOUND, hint)
}

async fn wrong_method() -> Answer {
    text(StatusCode::METHOD_NOT_ALLOWED, "this address takes another method\n")
}

/// Turns away what is refused at a glance.
async fn guard(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Answer {
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > LONGEST_TARGET) {
        return text(StatusCode::URI_TOO_LONG, "the address is longer than 4 kB\n");
    }
    let shared = &edge.shared;
    // Whoever has credentials is no page that was led here.
    let open = shared.is_open_here()
        && !shared.api.as_ref().is_some_and(|api| api.knows(request.headers(), request.extensions()));
    match judge(request.headers(), shared.public_url.as_deref(), open) {
        Ok(()) => next.run(request).await,
        Err(Foreign::Origin) => {
            text(StatusCode::FORBIDDEN, "requests of web pages of another origin are refused\n")
        }
        Err(Foreign::Host) => text(
            StatusCode::MISDIRECTED_REQUEST,
            "this server checks no signatures, so it answers only to the names of this machine. Set `public_url` to the name \
             that you reach it by, or TWILIO_AUTH_TOKEN\n",
        ),
    }
}

/// A request's handler broke: the others go on.
fn panicked(edge: &Edge, panic: &(dyn Any + Send)) -> hyper::Response<http_body_util::Full<bytes::Bytes>> {
    edge.shared.metrics.panics.inc();
    let why = super::super::panics::words(panic);
    tracing::error!(why, "a request could not be answered: its handler broke");
    let mut answer = hyper::Response::new("something went wrong on our side\n".into());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}
