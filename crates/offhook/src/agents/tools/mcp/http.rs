//! MCP over streamable HTTP: one POST per request, answered by JSON or by a stream of events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use offhook_providers::net::sse::{Event, Sse};
use offhook_providers::net::{Answer, Deadlines, Http, post_json};
use serde_json::{Map, Value};

use super::protocol::{LEGACY, MODERN, McpError, initialize, initialized, request, result};

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
        };
        // What is wrong with the address or a header shows now.
        post_json(name, url, &server.headers, &Value::Null)?;
        Ok(server)
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
                    // The session is gone: another one.
                    Err(McpError::Refused { code: 404, .. }) => {}
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
        result(&self.name, &response)?;
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
        result(&self.name, &response)
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
        let is_ours = |message: &Value| {
            let any = message.get("result").is_some() || message.get("error").is_some();
            any && id.is_none_or(|id| message.get("id").and_then(Value::as_u64) == Some(id))
        };
        let parse = |data: &str| serde_json::from_str::<Value>(data).ok().filter(|message| is_ours(message));
        let streams = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if !streams {
            let body = answer.bytes(LONGEST).await.map_err(|error| McpError::broken(&self.name, error))?;
            return parse(&String::from_utf8_lossy(&body))
                .ok_or_else(|| broken("its answer is no response of MCP"));
        }
        let (mut sse, mut octets) = (Sse::default(), 0);
        loop {
            let chunk = answer.chunk().await.map_err(|error| McpError::broken(&self.name, error))?;
            let ended = chunk.is_none();
            if let Some(chunk) = chunk {
                octets += chunk.len();
                if octets > LONGEST {
                    return Err(broken("its answer is longer than 1 MB"));
                }
                sse.push(&chunk);
            }
            while let Some(Event { data, .. }) = sse.next_event() {
                if let Some(response) = parse(&data) {
                    return Ok(response);
                }
            }
            if ended {
                let last = sse.finish().and_then(|event| parse(&event.data));
                return last.ok_or_else(|| broken("its stream ended without a response"));
            }
        }
    }
}

fn legacy(session: Option<&str>) -> Vec<(String, String)> {
    let version = ("mcp-protocol-version".to_owned(), LEGACY.to_owned());
    let session = session.map(|session| ("mcp-session-id".to_owned(), session.to_owned()));
    std::iter::once(version).chain(session).collect()
}
