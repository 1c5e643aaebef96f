//! What was asked of the doubles: kept, bounded and with keys masked, for tests to look at.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::HeaderMap;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::fault::{Fault, Stage};

/// So many requests are kept; of more, the last.
const REQUESTS: usize = 1_024;
/// So many messages of a WebSocket are kept, from its beginning.
const MESSAGES: usize = 4_096;
/// So much of a body or message is kept.
const LENGTH: usize = 64 * 1024;
const MASK: &str = "•••";

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It is still going on.
    Open,
    /// It was answered to the end, or closed in order.
    Complete,
    /// It was refused with an error status, or closed with an error code.
    Refused,
    /// A fault that was ordered ended it.
    Fault,
    /// The client went away before the end.
    ClientLeft,
}

/// A request.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// Counts requests since the start.
    pub id: u64,
    /// Since the start of the doubles.
    pub at: Duration,
    /// Of what kind the address is.
    pub stage: Stage,
    /// HTTP method.
    pub method: String,
    /// Path and query, keys masked.
    pub target: String,
    /// Headers, keys masked.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it is text; else its length.
    pub body: String,
    /// WebSocket: what the client sent; of binary messages the length.
    pub messages: Vec<String>,
    /// The answer's status, 0 if there was none.
    pub status: u16,
    /// The fault that struck.
    pub fault: Option<Fault>,
    /// How it ended.
    pub end: End,
}

/// The record of all requests.
#[derive(Debug)]
pub(crate) struct Record {
    start: Instant,
    kept: Mutex<(u64, VecDeque<Seen>)>,
    changed: Notify,
    connections: AtomicUsize,
}

impl Record {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            kept: Mutex::default(),
            changed: Notify::new(),
            connections: AtomicUsize::new(0),
        })
    }

    fn kept(&self) -> MutexGuard<'_, (u64, VecDeque<Seen>)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.kept().1.iter().cloned().collect()
    }

    /// Waits until something fits.
    pub(crate) async fn until(&self, fits: impl Fn(&Seen) -> bool) -> Seen {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable(); // before looking, so that no change is missed
            let found = self.kept().1.iter().find(|seen| fits(seen)).cloned();
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn connect(self: &Arc<Self>) -> Connected {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }

    pub(crate) fn begin(
        self: &Arc<Self>,
        stage: Stage,
        request: &hyper::http::request::Parts,
        body: &[u8],
        fault: Option<Fault>,
    ) -> Ticket {
        let mut kept = self.kept();
        kept.0 += 1;
        let id = kept.0;
        if kept.1.len() == REQUESTS {
            kept.1.pop_front();
        }
        kept.1.push_back(Seen {
            id,
            at: self.start.elapsed(),
            stage,
            method: request.method.to_string(),
            target: masked_target(&request.uri),
            headers: masked_headers(&request.headers),
            body: excerpt(body),
            messages: Vec::new(),
            status: 0,
            fault,
            end: End::Open,
        });
        drop(kept);
        self.changed.notify_waiters();
        Ticket { record: Arc::clone(self), id }
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Seen)) {
        if let Some(seen) = self.kept().1.iter_mut().rev().find(|seen| seen.id == id) {
            change(seen);
        }
        self.changed.notify_waiters();
    }
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Connected(Arc<Record>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// A request in progress. Dropped without an end, it was the client that left.
#[derive(Debug)]
pub(crate) struct Ticket {
    record: Arc<Record>,
    id: u64,
}

impl Ticket {
    pub(crate) fn status(&self, status: u16) {
        self.record.change(self.id, |seen| seen.status = status);
    }

    pub(crate) fn message(&self, text: impl FnOnce() -> String) {
        self.record.change(self.id, |seen| {
            if seen.messages.len() < MESSAGES {
                seen.messages.push(excerpt(text().as_bytes()));
            }
        });
    }

    pub(crate) fn end(&self, end: End) {
        self.record.change(self.id, |seen| {
            if seen.end == End::Open {
                seen.end = end;
            }
        });
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(End::ClientLeft);
    }
}

fn excerpt(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if text.len() <= LENGTH => text.to_owned(),
        Ok(text) => text.chars().take(LENGTH / 4).collect(),
        Err(_) => format!("({} bytes)", body.len()),
    }
}

fn masked_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let masked = |name: &str| {
        let secret =
            ["authorization", "api-key", "subscription-key", "token", "cookie", "sec-websocket-protocol"];
        secret.iter().any(|part| name.contains(part))
    };
    let shown = headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or("(binary)");
        // The scheme stays: whether it is `Token` or `Bearer` is often the question.
        let value = match (masked(name.as_str()), value.split_once(' ')) {
            (false, _) => value.to_owned(),
            (true, Some((scheme, _))) => format!("{scheme} {MASK}"),
            (true, None) => MASK.to_owned(),
        };
        (name.to_string(), value)
    });
    shown.collect()
}

fn masked_target(uri: &hyper::Uri) -> String {
    let Some(query) = uri.query() else { return uri.path().to_owned() };
    let shown = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if ["token", "key", "api_key"].contains(&name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    format!("{}?{}", uri.path(), shown.collect::<Vec<_>>().join("&"))
}
