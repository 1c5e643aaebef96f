//! Requests over pooled connections.

use std::time::Duration;

use ::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use offhook_stages::StageError;
use tokio::time::timeout;

use super::secret::{mask, secrets_of};
use super::{Deadlines, http_failure, tls};

/// A refusal's body is read up to here.
const LONGEST_REFUSAL: usize = 64 * 1024;
/// Idle connections are kept so long: most servers keep them for a minute.
const KEEP: Duration = Duration::from_secs(50);

/// A provider's HTTP side, with connections that are kept open between requests. Clones share them.
#[derive(Clone)]
pub struct Http {
    stage: String,
    deadlines: Deadlines,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
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
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(deadlines.connect));
        let config = tls::config().as_ref().clone();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .build(connector);
        Self { stage: stage.to_owned(), deadlines, client }
    }

    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// Sends a request, and gives its answer once the head is there. A connection that can't be opened is tried again
    /// once, at once. Dropping the future or the answer ends the request at the server as well.
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
    pub async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, StageError> {
        let host = request.uri().host().unwrap_or("").to_owned();
        let again = request.clone();
        let answer = match self.head(request).await? {
            Err(error) if error.is_connect() => self.head(again).await?,
            answer => answer,
        };
        let answer = answer.map_err(|error| self.broken(&host, &error))?;
        let (head, body) = answer.into_parts();
        let (stage, gap) = (self.stage.clone(), self.deadlines.gap);
        Ok(Answer { stage, gap, status: head.status, headers: head.headers, body })
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

    /// Opens a connection to `url`'s server ahead of the first request, by asking for something harmless; it stays in the
    /// pool. Whatever goes wrong will be told by the request that needs it.
    pub async fn warm(&self, url: &Uri) {
        let request = Request::head(url.clone()).body(Full::default());
        if let Ok(request) = request
            && let Ok(Ok(answer)) = timeout(self.deadlines.connect, self.client.request(request)).await
        {
            let _drained = answer.into_body().collect().await;
        }
    }
}

/// An answer whose head is there, and whose body comes.
#[derive(Debug)]
pub struct Answer {
    stage: String,
    gap: Duration,
    status: StatusCode,
    headers: ::http::HeaderMap,
    body: Incoming,
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
                    if let Ok(data) = frame.into_data() {
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
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_queries_kept() {
        assert_eq!(
            join("https://a.example/v1/", "/chat/completions"),
            "https://a.example/v1/chat/completions"
        );
        assert_eq!(
            join("https://a.example/d?api-version=1", "chat"),
            "https://a.example/d/chat?api-version=1"
        );
    }

    #[test]
    fn a_key_with_a_line_break_is_refused_without_being_shown() {
        let headers = [("authorization".to_owned(), "Bearer sk-secret\r\nx: y".to_owned())];
        let error = post_json("x", "http://a.example/", &headers, &serde_json::Value::Null).unwrap_err();
        assert!(!error.to_string().contains("sk-secret"), "{error}");
    }
}
