//! MCP over streamable HTTP: one POST per request, answered by JSON or by a stream of events.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use offhook_providers::net::sse::{Event, Sse};
use offhook_providers::net::{Answer, Deadlines, Http, post_json};
use offhook_stages::StageError;
use serde_json::{Map, Value};

use super::protocol::{CHANGED, LEGACY, MODERN, McpError, initialize, initialized, parsed, request, result};

/// Longest answer read: the result that a model gets is far shorter.
const LONGEST: usize = 1024 * 1024;

/// How a server wants to be spoken to.
#[derive(Clone, Debug, PartialEq)]
enum Speaks {
    /// Not known yet.
    Unknown,
    /// Each request stands alone.
    Modern,
    /// In a session, if it gave one.
    Legacy(Option<String>),
}

/// A server.
pub(super) struct OverHttp {
    name: String,
    url: String,
    headers: Vec<(String, String)>,
    http: Http,
    ids: AtomicU64,
    speaks: Mutex<Speaks>,
    /// Its tools may be others now.
    changed: AtomicBool,
}

impl OverHttp {
    pub(super) fn new(
        name: &str,
        url: &str,
        headers: Vec<(String, String)>,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let deadlines = Deadlines { first: timeout, gap: timeout, ..Deadlines::default() };
        let http = Http::new(name, deadlines);
        let server = Self {
            name: name.to_owned(),
            url: url.to_owned(),
            headers,
            http,
            ids: AtomicU64::new(1),
            speaks: Mutex::new(Speaks::Unknown),
            changed: AtomicBool::new(false),
        };
        // What is wrong with the address or a header shows now.
        post_json(name, url, &server.headers, &Value::Null)?;
        Ok(server)
    }

    /// Whether its tools may have changed since this was asked last.
    pub(super) fn may_have_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    fn speaks(&self) -> Speaks {
        self.speaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn learn(&self, speaks: Speaks) {
        *self.speaks.lock().unwrap_or_else(PoisonError::into_inner) = speaks;
    }

    /// Makes a request; finds out first how the server wants to be spoken to.
    pub(super) async fn request(
        &self,
        method: &str,
        name: Option<&str>,
        params: Map<String, Value>,
    ) -> Result<Value, McpError> {
        match self.speaks() {
            Speaks::Modern => return self.once(method, name, params, &Speaks::Modern).await,
            Speaks::Legacy(session) => {
                match self.once(method, name, params.clone(), &Speaks::Legacy(session)).await {
                    // The session is gone: another one, of a server that may be another.
                    Err(McpError::Refused { code: 404, .. }) => self.changed.store(true, Ordering::Relaxed),
                    other => return other,
                }
            }
            Speaks::Unknown => match self.once(method, name, params.clone(), &Speaks::Modern).await {
                Ok(result) => {
                    self.learn(Speaks::Modern);
                    return Ok(result);
                }
                // It may not know what to do without a handshake.
                Err(McpError::Refused { .. }) => {}
                Err(error) => return Err(error),
            },
        }
        let session = self.shake_hands().await?;
        let speaks = Speaks::Legacy(session);
        self.learn(speaks.clone());
        self.once(method, name, params, &speaks).await
    }

    async fn shake_hands(&self) -> Result<Option<String>, McpError> {
        let mut answer = self.post(&initialize(self.ids.fetch_add(1, Ordering::Relaxed)), &[]).await?;
        let session = answer.header("mcp-session-id").map(str::to_owned);
        let response = self.read(&mut answer, None).await?;
        result(&self.name, response)?;
        let headers = legacy(session.as_deref());
        drop(self.post(&initialized(), &headers).await?);
        Ok(session)
    }

    async fn once(
        &self,
        method: &str,
        name: Option<&str>,
        params: Map<String, Value>,
        speaks: &Speaks,
    ) -> Result<Value, McpError> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let modern = *speaks == Speaks::Modern;
        let mut headers = match speaks {
            Speaks::Legacy(session) => legacy(session.as_deref()),
            _ => vec![
                ("mcp-protocol-version".to_owned(), MODERN.to_owned()),
                ("mcp-method".to_owned(), method.to_owned()),
            ],
        };
        if let Some(name) = name.filter(|_| modern) {
            headers.push(("mcp-name".to_owned(), name.to_owned()));
        }
        let mut answer = self.post(&request(id, method, params, modern), &headers).await?;
        let response = self.read(&mut answer, Some(id)).await?;
        result(&self.name, response)
    }

    async fn post(&self, body: &Value, more: &[(String, String)]) -> Result<Answer, McpError> {
        let broken = |error: offhook_stages::StageError| McpError::broken(&self.name, error);
        let mut headers = self.headers.clone();
        headers.push(("accept".to_owned(), "application/json, text/event-stream".to_owned()));
        headers.extend(more.iter().cloned());
        let request = post_json(&self.name, &self.url, &headers, body).map_err(broken)?;
        let mut answer = self.http.exchange(request).await.map_err(broken)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 429) {
            return Err(McpError::broken(&self.name, format!("it answered {status}")));
        }
        let body = answer.bytes(64 * 1024).await.unwrap_or_default();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let message =
            told.pointer("/error/message").and_then(Value::as_str).unwrap_or("").chars().take(300).collect();
        Err(McpError::Refused { server: self.name.clone(), code: i64::from(status.as_u16()), message })
    }

    /// The response with this id, or the first.
    async fn read(&self, answer: &mut Answer, id: Option<u64>) -> Result<Value, McpError> {
        let broken = |why: &str| McpError::broken(&self.name, why);
        let failed = |error: StageError| McpError::broken(&self.name, error);
        let streams = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streams {
            let body = answer.bytes(LONGEST).await.map_err(failed)?;
            let message = parsed(&body).map_err(|why| broken(&why))?;
            return self.ours(message, id).ok_or_else(|| broken("its answer is no response of MCP"));
        }
        let (mut sse, mut octets) = (Sse::default(), 0);
        loop {
            let chunk = answer.chunk().await.map_err(failed)?;
            let ended = chunk.is_none();
            if let Some(chunk) = chunk {
                octets += chunk.len();
                if octets > LONGEST {
                    return Err(broken("its answer is longer than 1 MB"));
                }
                sse.push(&chunk);
            }
            let last = if ended { sse.finish() } else { None };
            while let Some(Event { data, .. }) = sse.next_event() {
                if let Some(response) = self.event(&data, id)? {
                    return Ok(response);
                }
            }
            if ended {
                let last = last.map(|event| self.event(&event.data, id)).transpose()?.flatten();
                return last.ok_or_else(|| broken("its stream ended without a response"));
            }
        }
    }

    /// An event of a stream: the response, if it is that.
    fn event(&self, data: &str, id: Option<u64>) -> Result<Option<Value>, McpError> {
        let message = match parsed(data.as_bytes()) {
            Ok(message) => message,
            // Comments and the like are none of ours; what is too much is.
            Err(_) if serde_json::from_str::<serde::de::IgnoredAny>(data).is_err() => return Ok(None),
            Err(why) => return Err(McpError::broken(&self.name, why)),
        };
        Ok(self.ours(message, id))
    }

    /// The message, if it is the response that is waited for.
    fn ours(&self, message: Value, id: Option<u64>) -> Option<Value> {
        if message.get("method").and_then(Value::as_str) == Some(CHANGED) {
            self.changed.store(true, Ordering::Relaxed);
        }
        let any = message.get("result").is_some() || message.get("error").is_some();
        let is_ours = any && id.is_none_or(|id| message.get("id").and_then(Value::as_u64) == Some(id));
        is_ours.then_some(message)
    }
}

fn legacy(session: Option<&str>) -> Vec<(String, String)> {
    let version = ("mcp-protocol-version".to_owned(), LEGACY.to_owned());
    let session = session.map(|session| ("mcp-session-id".to_owned(), session.to_owned()));
    std::iter::once(version).chain(session).collect()
}
