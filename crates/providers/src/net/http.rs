//! Requests over pooled connections.

use std::sync::Arc;
use std::time::Duration;

use ::http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use offhook_stages::{Distance, StageError};
use tokio::time::timeout;

use super::ahead::Ahead;
use super::connect::{Answered, Connector, PROXIES, proxy_authorization};
use super::inflate::Inflate;
use super::secret::{mask, secrets_of};
use super::{Deadlines, http_failure};

/// A refusal's body is read up to here.
const LONGEST_REFUSAL: usize = 64 * 1024;
/// Idle connections are kept so long: most servers keep them for a minute.
pub(super) const KEEP: Duration = Duration::from_secs(50);
/// A connection of HTTP/2 that is silent for so long is asked whether it is alive, and closed if it doesn't say so as soon.
const PING: Duration = Duration::from_secs(10);
/// A request is sent so often at most, as long as it meets connections that their server has just closed.
const ATTEMPTS: usize = 5;

/// A provider's HTTP side, with connections that are kept open between requests. Clones share them.
#[derive(Clone)]
pub struct Http {
    stage: String,
    deadlines: Deadlines,
    proxies: Arc<Matcher>,
    /// What is asked changes nothing at the server, so it may be asked twice.
    repeats: bool,
    connector: Connector,
    ahead: Ahead<HttpsConnector<Connector>>,
    client: Client<Ahead<HttpsConnector<Connector>>, Full<Bytes>>,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Http {
    /// A client for the stage of this name; the name is told in errors.
    #[must_use]
    pub fn new(stage: &str, deadlines: Deadlines) -> Self {
        Self::through(stage, deadlines, Arc::clone(&PROXIES))
    }

    fn through(stage: &str, deadlines: Deadlines, proxies: Arc<Matcher>) -> Self {
        let connector = Connector::new(deadlines.connect, Arc::clone(&proxies));
        let ahead = Ahead::new(connector.clone().for_requests());
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING)
            .http2_keep_alive_while_idle(true)
            .build(ahead.clone());
        Self { stage: stage.to_owned(), deadlines, proxies, repeats: false, connector, ahead, client }
    }

    /// For servers that are asked for nothing but an answer (a reply, speech, a transcript), whatever the method: if a
    /// connection that was kept open turns out to be closed, the request is sent again. Without this only `GET`, `HEAD` and
    /// `OPTIONS` are: the server may have acted on the first (RFC 9110, section 9.2.2).
    #[must_use]
    pub const fn repeating(mut self) -> Self {
        self.repeats = true;
        self
    }

    /// How far the server is, by its latest connection. A new one takes two round trips, TCP's and TLS's.
    #[must_use]
    pub fn distance(&self) -> Distance {
        let round_trip = self.connector.round_trip();
        Distance { round_trip, connect: round_trip * 2 }
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Sends a request, and gives its answer once the head is there. A connection that can't be opened is tried again
    /// once, at once; one that was kept open and that the server has closed meanwhile is replaced. Dropping the future or the answer ends the request at the server as well.
    ///
    /// # Errors
    /// No connection, no answer in time, or a status that isn't 2xx, read as [`http_failure`] does.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, StageError> {
        let secrets = secrets_of(request.uri(), request.headers());
        let mut answer = self.exchange(request).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        // What of the reason doesn't come, doesn't matter: the status is known.
        let body = answer.bytes(LONGEST_REFUSAL).await.unwrap_or_default();
        let body = mask(&String::from_utf8_lossy(&body), &secrets);
        Err(http_failure(&self.stage, answer.status, &answer.headers, body.as_bytes()))
    }

    /// As [`send`](Self::send), but takes an answer of any status: its body is the caller's to judge.
    ///
    /// # Errors
    /// No connection, or no answer in time.
    pub async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Answer, StageError> {
        if let Some(authorization) = proxy_authorization(&self.proxies, request.uri()) {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization);
        }
        // A stream that is compressed may come in lumps.
        let streams = request.headers().get(header::ACCEPT).is_some_and(|kind| kind == "text/event-stream");
        let encoding = HeaderValue::from_static(if streams { "identity" } else { "gzip" });
        request.headers_mut().entry(header::ACCEPT_ENCODING).or_insert(encoding);
        let host = request.uri().host().unwrap_or("").to_owned();
        let again = self.repeats || matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let mut attempt = 1;
        let answer = loop {
            let error = match self.head(request.clone()).await? {
                Ok(answer) => break answer,
                Err(error) => error,
            };
            let unopened = error.is_connect() && attempt == 1;
            let closed = again && (closed_meanwhile(&error) || went_away(&error));
            let lost = (closed || refused(&error)) && attempt < ATTEMPTS;
            if !unopened && !lost {
                return Err(self.broken(&host, &error));
            }
            attempt += 1;
        };
        Answered::note(&answer);
        let (head, body) = answer.into_parts();
        let (stage, gap) = (self.stage.clone(), self.deadlines.gap);
        let encoding = head.headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
        let inflate = encoding.and_then(Inflate::new);
        Ok(Answer { stage, gap, status: head.status, headers: head.headers, body, inflate })
    }

    async fn head(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Result<::http::Response<Incoming>, hyper_util::client::legacy::Error>, StageError> {
        let limit = self.deadlines.first;
        timeout(limit, self.client.request(request)).await.map_err(|_| StageError::TooSlow {
            stage: self.stage.clone(),
            what: "answer",
            limit,
        })
    }

    fn broken(&self, host: &str, error: &hyper_util::client::legacy::Error) -> StageError {
        let mut reason = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(error) = cause {
            reason = error.to_string();
            cause = error.source();
        }
        let what = if error.is_connect() {
            format!("no connection to {host}: {reason}")
        } else {
            format!("{host}: {reason}")
        };
        StageError::Broken { stage: self.stage.clone(), what }
    }

    /// Opens a connection to `url`'s server ahead of the first request, which gets it, and sends nothing over it. Whatever goes wrong
    /// will be told by the request that needs it.
    pub async fn open_ahead(&self, url: &Uri) {
        let _in_time = timeout(self.deadlines.connect, self.ahead.open(url)).await;
    }
}

/// What a server of HTTP/2 said of the request or its connection.
fn http2(error: &hyper_util::client::legacy::Error) -> Option<&h2::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return Some(error).filter(|error| error.is_remote());
        }
        cause = error.source();
    }
    None
}

/// Whether the server has not begun with the request, and says so: it may be sent again, whatever it is (RFC 9113, 8.7).
fn refused(error: &hyper_util::client::legacy::Error) -> bool {
    http2(error).is_some_and(|error| error.reason() == Some(h2::Reason::REFUSED_STREAM))
}

/// Whether the server takes its leave of the connection (`GOAWAY`), as all do that are deployed anew.
fn went_away(error: &hyper_util::client::legacy::Error) -> bool {
    http2(error).is_some_and(|error| error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR))
}

/// Whether a connection that had answered before was closed by its server before an answer to this request came.
fn closed_meanwhile(error: &hyper_util::client::legacy::Error) -> bool {
    if !error.connect_info().is_some_and(Answered::before) {
        return false;
    }
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && (error.is_incomplete_message() || error.is_canceled() || error.is_closed())
        {
            return true;
        }
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
            if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected) {
                return true;
            }
        }
        cause = error.source();
    }
    false
}

/// An answer whose head is there, and whose body comes.
#[derive(Debug)]
pub struct Answer {
    stage: String,
    gap: Duration,
    status: StatusCode,
    headers: ::http::HeaderMap,
    body: Incoming,
    inflate: Option<Inflate>,
}

impl Answer {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub const fn headers(&self) -> &::http::HeaderMap {
        &self.headers
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body's next octets; `None` at its end. Safe to drop while it waits.
    ///
    /// # Errors
    /// The body broke off, or nothing came in time.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, StageError> {
        loop {
            let limit = self.gap;
            let frame = timeout(limit, self.body.frame()).await.map_err(|_| StageError::TooSlow {
                stage: self.stage.clone(),
                what: "next piece of the answer",
                limit,
            })?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are of no use.
                    let Ok(data) = frame.into_data() else { continue };
                    let Some(inflate) = &mut self.inflate else { return Ok(Some(data)) };
                    let data = inflate.push(&data).map_err(|error| StageError::Garbage {
                        stage: self.stage.clone(),
                        what: format!("a compressed answer that can't be read: {error}"),
                    })?;
                    if !data.is_empty() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    let what = format!("the answer was cut off: {error}");
                    return Err(StageError::Broken { stage: self.stage.clone(), what });
                }
            }
        }
    }

    /// The whole body, of at most `limit` octets.
    ///
    /// # Errors
    /// The body broke off, is longer, or stopped coming.
    pub async fn bytes(&mut self, limit: usize) -> Result<Bytes, StageError> {
        let mut all = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > limit {
                let what = format!("an answer of more than {limit} octets");
                return Err(StageError::Garbage { stage: self.stage.clone(), what });
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// Joins a base URL and a path by plain concatenation, as all compatible servers want it; a query of the base stays behind
/// the path.
#[must_use]
pub fn join(base: &str, path: &str) -> String {
    let (base, query) = base.split_once('?').map_or((base, None), |(base, query)| (base, Some(query)));
    let joined = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
    match query {
        Some(query) if joined.contains('?') => format!("{joined}&{query}"),
        Some(query) => format!("{joined}?{query}"),
        None => joined,
    }
}

/// A request that posts JSON with these headers.
///
/// # Errors
/// The URL or a header isn't valid; the message doesn't show the headers' values.
pub fn post_json(
    stage: &str,
    url: &str,
    headers: &[(String, String)],
    body: &serde_json::Value,
) -> Result<Request<Full<Bytes>>, StageError> {
    let unusable = |what: String| StageError::Unavailable {
        stage: stage.to_owned(),
        what,
        hint: "correct the agent's configuration".to_owned(),
    };
    let mut request = Request::post(url)
        .header("content-type", "application/json")
        .header("user-agent", concat!("offhook/", env!("CARGO_PKG_VERSION")));
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            unusable(format!("the value of the header `{name}` has characters that no header may have"))
        })?;
        value.set_sensitive(true);
        request = request.header(name, value);
    }
    request
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| unusable(format!("`{url}` or a header's name is not valid: {error}")))
}

#[cfg(test)]
mod tests;
