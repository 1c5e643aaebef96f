//! Events out: an application is told of calls by signed webhooks, repeated until they arrive; what never does is kept in a file.
//!
//! A thread of its own, behind a bounded queue: no call waits for an application. What doesn't fit in the queue goes to the file at
//! once.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use offhook_providers::net::identity::identify;
use offhook_providers::net::{Deadlines, Http, Secret, post_json, trace};
use offhook_store::Redaction;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Events that wait to be sent, and as many that were sent and are to be sent again. What is beyond goes to the file.
const WAITING: usize = 2_048;
/// Requests at the same time.
const AT_ONCE: usize = 16;
/// Before the second attempt; each further one waits five times as long: 1 s, 5 s, 25 s, 2 min.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// `[events]`: who is told of calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EventsConfig {
    /// Where events are posted. Default: nowhere.
    pub(crate) webhook: Option<String>,
    /// Which: `call_began`, `call_ended`, `goal`, `tool_failed`, `provider_failing`, `provider_well`. Default all.
    pub(crate) only: Vec<String>,
    /// Environment variable that holds the secret which signs them. Default `OFFHOOK_SIGNING_SECRET`.
    pub(crate) secret_env: String,
    /// How long an attempt may take. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub(crate) timeout: Duration,
    /// Attempts. Default 5.
    pub(crate) attempts: u32,
    /// File for events that did not arrive, a line of JSON each. Default `dead-events.jsonl`.
    pub(crate) dead_letters: PathBuf,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            webhook: None,
            only: Vec::new(),
            secret_env: "OFFHOOK_SIGNING_SECRET".to_owned(),
            timeout: Duration::from_secs(5),
            attempts: 5,
            dead_letters: PathBuf::from("dead-events.jsonl"),
        }
    }
}

/// Where events are handed in.
#[derive(Debug)]
pub(crate) struct Outbox {
    only: Vec<String>,
    queue: Mutex<Option<mpsc::Sender<Value>>>,
    counts: Arc<Counts>,
    number: AtomicU64,
    /// Ends when everything has arrived or is in the file.
    done: Mutex<std::sync::mpsc::Receiver<()>>,
}

/// What became of events.
#[derive(Debug)]
struct Counts {
    arrived: AtomicU64,
    dead: AtomicU64,
    file: PathBuf,
    /// One line at a time; with the calls that were deleted, the latest last.
    writing: Mutex<VecDeque<String>>,
    redaction: Redaction,
}

/// So many deleted calls are known: events wait for minutes at most.
const FORGOTTEN: usize = 10_000;

impl Outbox {
    /// `None`: nobody is to be told.
    ///
    /// # Errors
    /// The file can't be written, or there is no thread to be had.
    pub(crate) fn start(config: &EventsConfig, redaction: &Redaction) -> anyhow::Result<Option<Self>> {
        let Some(url) = config.webhook.clone() else { return Ok(None) };
        let (queue, waiting) = mpsc::channel(WAITING);
        let counts = Arc::new(Counts::new(&config.dead_letters, redaction.clone())?);
        let secret = std::env::var(&config.secret_env).ok().map(|secret| Secret::new(&secret));
        let deadlines = Deadlines { first: config.timeout, gap: config.timeout, ..Deadlines::default() };
        let sender = Sender {
            url,
            secret: secret.filter(|secret| !secret.is_empty()),
            attempts: config.attempts.max(1),
            http: Http::new("events", deadlines),
            counts: Arc::clone(&counts),
        };
        let (told, done) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("events".into())
            .spawn(move || {
                let _told: std::sync::mpsc::Sender<()> = told;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                match runtime {
                    Ok(runtime) => runtime.block_on(run(Arc::new(sender), waiting)),
                    Err(error) => tracing::error!(%error, "events can't be sent"),
                }
            })
            .context("the thread of events could not be started")?;
        let (queue, done) = (Mutex::new(Some(queue)), Mutex::new(done));
        Ok(Some(Self { only: config.only.clone(), queue, counts, number: AtomicU64::new(0), done }))
    }

    /// Hands an event in; never waits.
    pub(crate) fn tell(&self, kind: &str, (call, tenant): (Option<&str>, &str), data: &Value) {
        if !self.only.is_empty() && !self.only.iter().any(|name| name == kind) {
            return;
        }
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let id = format!("{:x}-{number:x}", at.as_micros());
        let mut event = json!({ "id": id, "event": kind, "at": at.as_secs(), "call": call, "data": data });
        if let Some(event) = event.as_object_mut().filter(|_| !tenant.is_empty()) {
            event.insert("tenant".to_owned(), tenant.into());
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().map(|queue| queue.try_send(event.clone())) {
            Some(Ok(())) => {}
            Some(Err(_)) => self.counts.bury(&event, "too many events wait"),
            None => self.counts.bury(&event, ENDED),
        }
    }

    /// The server ends: what waits is sent once more, and goes to the file if it doesn't arrive. Waits for that, but not for ever.
    pub(crate) fn settle(&self, within: Duration) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if done.recv_timeout(within) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            tracing::warn!("the application takes too long for the last events");
        }
    }

    /// Events that arrived, and that were given up and written down.
    pub(crate) fn counted(&self) -> (u64, u64) {
        (self.counts.arrived.load(Ordering::Relaxed), self.counts.dead.load(Ordering::Relaxed))
    }

    /// Takes events of these calls, or of whatever names this number, out of the file; of one tenant, if it is named. Gives how many.
    /// What is still on its way isn't kept, should it not arrive.
    pub(crate) fn forget(
        &self,
        calls: &[String],
        number: Option<&str>,
        tenant: Option<&str>,
    ) -> anyhow::Result<u64> {
        self.counts.forget(calls, number, tenant)
    }
}

/// Takes events of these calls, or of whatever names this number, out of the file, without a server.
pub(crate) fn forget(config: &EventsConfig, calls: &[String], number: Option<&str>) -> anyhow::Result<u64> {
    if config.webhook.is_none() || !config.dead_letters.exists() {
        return Ok(0);
    }
    Counts::new(&config.dead_letters, Redaction::default())?.forget(calls, number, None)
}

impl Counts {
    fn new(file: &Path, redaction: Redaction) -> anyhow::Result<Self> {
        let opened = private().open(file);
        opened.with_context(|| format!("can't write {}, `dead_letters` in [events]", file.display()))?;
        Ok(Self {
            arrived: AtomicU64::new(0),
            dead: AtomicU64::new(0),
            file: file.to_owned(),
            writing: Mutex::default(),
            redaction,
        })
    }

    /// Keeps an event that did not arrive.
    fn bury(&self, event: &Value, why: &str) {
        self.dead.fetch_add(1, Ordering::Relaxed);
        let forgotten = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if event
            .get("call")
            .and_then(Value::as_str)
            .is_some_and(|call| forgotten.iter().any(|gone| gone == call))
        {
            return;
        }
        let mut line = json!({ "why": why, "event": event });
        self.redaction.json(&mut line);
        let file = private().open(&self.file);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            tracing::error!(%error, file = %self.file.display(), "an event that did not arrive could not be kept");
        }
    }

    fn forget(&self, calls: &[String], number: Option<&str>, tenant: Option<&str>) -> anyhow::Result<u64> {
        let mut forgotten = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        forgotten.extend(calls.iter().cloned());
        let surplus = forgotten.len().saturating_sub(FORGOTTEN);
        forgotten.drain(..surplus);
        let file = self.file.display();
        let text = std::fs::read_to_string(&self.file).with_context(|| format!("can't read {file}"))?;
        let is_meant = |line: &&str| {
            let Ok(value) = serde_json::from_str::<Value>(line) else { return false };
            let of = |name: &str| value.pointer(&format!("/event/{name}")).and_then(Value::as_str);
            let own = tenant.is_none_or(|tenant| of("tenant") == Some(tenant));
            own && (of("call").is_some_and(|call| calls.iter().any(|gone| gone == call))
                || number.is_some_and(|number| line.contains(number)))
        };
        let (gone, kept): (Vec<&str>, Vec<&str>) = text.lines().partition(is_meant);
        if !gone.is_empty() {
            let beside = self.file.with_extension("part");
            let mut options = OpenOptions::new();
            let mut new = options.create(true).truncate(true).write(true).mode(0o600).open(&beside)?;
            kept.iter().try_for_each(|line| writeln!(new, "{line}"))?;
            new.sync_data()?;
            std::fs::rename(&beside, &self.file).with_context(|| format!("can't write {file}"))?;
        }
        Ok(gone.len() as u64)
    }
}

/// For its owner alone: events tell of calls.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options
}

struct Sender {
    url: String,
    secret: Option<Secret>,
    attempts: u32,
    http: Http,
    counts: Arc<Counts>,
}

/// An event on its way: kept if it is dropped before it arrived, for instance because the server ends.
struct OnItsWay {
    event: Value,
    counts: Arc<Counts>,
    arrived: bool,
    why: String,
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        if self.arrived {
            self.counts.arrived.fetch_add(1, Ordering::Relaxed);
        } else {
            self.counts.bury(&self.event, &self.why);
        }
    }
}

/// What is written down of an event that was on its way when the server ended.
const ENDED: &str = "the server ended before it arrived";

async fn run(sender: Arc<Sender>, mut waiting: mpsc::Receiver<Value>) {
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let (ends, ending) = watch::channel(false);
    let mut on_their_way = JoinSet::new();
    loop {
        tokio::select! {
            event = waiting.recv(), if on_their_way.len() < WAITING => {
                let Some(event) = event else { break };
                let (sender, room, ending) = (Arc::clone(&sender), Arc::clone(&room), ending.clone());
                let counts = Arc::clone(&sender.counts);
                let letter = OnItsWay { event, counts, arrived: false, why: ENDED.to_owned() };
                on_their_way.spawn(async move { sender.send(letter, &room, ending).await });
            }
            Some(_) = on_their_way.join_next() => {}
        }
    }
    ends.send_replace(true);
    on_their_way.join_all().await;
}

impl Sender {
    async fn send(&self, mut letter: OnItsWay, room: &Semaphore, mut ending: watch::Receiver<bool>) {
        let mut wait = AGAIN_AFTER;
        for attempt in 1..=self.attempts {
            let outcome = {
                let _room = room.acquire().await;
                self.once(&letter.event).await
            };
            match outcome {
                Ok(()) => {
                    letter.arrived = true;
                    return;
                }
                Err(error) => {
                    letter.why = format!("{attempt} attempts; the last: {error}");
                    tracing::warn!(%error, attempt, "an event did not arrive");
                }
            }
            if attempt < self.attempts {
                let over = *ending.borrow();
                if over || tokio::time::timeout(wait, ending.wait_for(|over| *over)).await.is_ok() {
                    letter.why = format!("{ENDED}; {}", letter.why);
                    // Once more, unless that was the last chance.
                    if !over {
                        let _room = room.acquire().await;
                        letter.arrived = self.once(&letter.event).await.is_ok();
                    }
                    return;
                }
                wait *= 5;
            }
        }
    }

    async fn once(&self, event: &Value) -> Result<(), offhook_stages::StageError> {
        let mut request = post_json("events", &self.url, &[], event)?;
        let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or("");
        let context = json!({ "event": text("event"), "id": text("id"), "call": text("call") }).to_string();
        trace::add(&mut request, text("call"));
        identify(&mut request, event.to_string().as_bytes(), &context, self.secret.as_ref());
        self.http.send(request).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_arrive_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let dead_letters = folder.path().join("dead.jsonl");
        let config = EventsConfig {
            webhook: Some("http://127.0.0.1:1/events".into()),
            attempts: 1,
            dead_letters: dead_letters.clone(),
            only: vec!["call_ended".into()],
            ..EventsConfig::default()
        };
        let outbox = Outbox::start(&config, &Redaction::default()).unwrap().unwrap();
        outbox.tell("call_began", (Some("CA1"), ""), &json!({}));
        outbox.tell("call_ended", (Some("CA1"), "blue"), &json!({ "verdict": "achieved" }));
        for _ in 0..200 {
            if outbox.counted().1 == 1 {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&dead_letters).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        let kept = std::fs::read_to_string(&dead_letters).unwrap();
        assert_eq!(kept.lines().count(), 1, "{kept}");
        let line: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!((&line["event"]["event"], &line["event"]["call"]), (&"call_ended".into(), &"CA1".into()));
        assert!(line["why"].as_str().unwrap().contains("1 attempts"), "{kept}");
        // A deletion takes it out; what fails later of the same call isn't kept.
        assert_eq!(outbox.forget(&["CA1".into()], None, Some("red")).unwrap(), 0);
        assert_eq!(outbox.forget(&["CA1".into()], None, None).unwrap(), 1);
        outbox.counts.bury(&json!({ "call": "CA1" }), "late");
        outbox.counts.bury(&json!({ "call": "CA2", "data": { "from": "+14155550100" } }), "late");
        assert_eq!(std::fs::read_to_string(&dead_letters).unwrap().lines().count(), 1);
        assert_eq!(outbox.forget(&[], Some("+14155550100"), None).unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&dead_letters).unwrap(), "");
    }
}
