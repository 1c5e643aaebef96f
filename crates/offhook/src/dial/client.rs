//! The API, from the other side; and a server of one's own.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use offhook_providers::net::sse::Sse;
use offhook_providers::net::{Answer, Deadlines, Http, Secret};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::config::Config;
use crate::console::say;

/// Longest answer read.
const LONGEST: usize = 1024 * 1024;

/// A server's API.
pub(crate) struct Client {
    http: Http,
    server: String,
    token: Secret,
}

/// Something that happened to the call.
pub(super) struct Event {
    pub(super) name: String,
    pub(super) data: Value,
}

/// What happens to a call.
pub(super) struct Events {
    answer: Answer,
    sse: Sse,
}

impl Client {
    pub(crate) fn new(server: &str, token: &str) -> Self {
        // Twilio is asked again and again, and looked at after a fault: that takes a while. Events keep alive every 15 s.
        let deadlines = Deadlines {
            first: Duration::from_secs(60),
            gap: Duration::from_secs(45),
            ..Deadlines::default()
        };
        let server = server.trim_end_matches('/').to_owned();
        Self { http: Http::new("the server", deadlines), server, token: Secret::new(token) }
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> anyhow::Result<Answer> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server))
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .with_context(|| format!("`{}` is no server's address", self.server))?;
        let mut answer = self.http.exchange(request).await.with_context(|| {
            format!("{} does not answer; is `offhook serve` running there? --start starts one", self.server)
        })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let body = answer.bytes(LONGEST).await.unwrap_or_default();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        match told.pointer("/error/message").and_then(Value::as_str) {
            Some(message) => bail!("{message}"),
            None => bail!("{} answered {}: is it an Offhook server?", self.server, answer.status()),
        }
    }

    /// Orders a call.
    pub(crate) async fn place(&self, order: &Value) -> anyhow::Result<Value> {
        let mut answer = self.ask("POST", "/calls", order.to_string()).await?;
        Ok(serde_json::from_slice(&answer.bytes(LONGEST).await?)?)
    }

    /// Reads something.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let mut answer = self.ask("GET", path, String::new()).await?;
        Ok(serde_json::from_slice(&answer.bytes(LONGEST).await?)?)
    }

    /// Ends a call, once what is being said was heard.
    pub(crate) async fn end_politely(&self, sid: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("/calls/{sid}"), String::new()).await.map(|_| ())
    }

    /// Watches a call.
    pub(super) async fn watch(&self, sid: &str) -> anyhow::Result<Events> {
        let answer = self.ask("GET", &format!("/calls/{sid}/events"), String::new()).await?;
        Ok(Events { answer, sse: Sse::default() })
    }

    /// Ends a call.
    pub(super) async fn end(&self, sid: &str) -> anyhow::Result<()> {
        self.ask("DELETE", &format!("/calls/{sid}?now=true"), String::new()).await.map(|_| ())
    }
}

impl Events {
    /// The next one; `None` when no more come. Safe to drop while it waits.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(event) = self.sse.next_event() {
                let Ok(data) = serde_json::from_str(&event.data) else { continue };
                return Ok(Some(Event { name: event.event.unwrap_or_default(), data }));
            }
            match self.answer.chunk().await? {
                Some(bytes) => self.sse.push(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// A token for a server of one's own.
fn random_token() -> anyhow::Result<String> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system has no randomness to give: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A server that is told to end may take so long: it waits 10 s for calls.
const ENDS_WITHIN: Duration = Duration::from_secs(12);

/// A server that ends with the command.
pub(super) struct Started {
    child: Child,
    pub(super) url: String,
    /// What opens its API.
    pub(super) token: String,
}

impl Started {
    pub(super) fn start(config: Option<&Path>) -> anyhow::Result<Self> {
        let default = PathBuf::from("offhook.toml");
        let read = match config {
            Some(path) => Config::read(path)?,
            None if default.exists() => Config::read(&default)?,
            None => Config::default(),
        };
        let this = std::env::current_exe().context("can't find this program")?;
        let mut command = Command::new(this);
        // In a group of its own: a Ctrl-C at the terminal is ours, and the server must live to hang up.
        command.arg("serve").stdout(Stdio::piped()).process_group(0);
        let token = match read.api_token()? {
            Some(token) => token,
            None => {
                let token = random_token()?;
                command.env(&read.api.token_env, &token);
                token
            }
        };
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let mut child = command.spawn().context("the server can't be started")?;
        let output = child.stdout.take();
        let mut started = Self { child, url: String::new(), token };
        let mut lines = BufReader::new(output.context("the server has no output")?).lines();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, address)) = line.split_once("listens on ") {
                started.url =
                    address.trim().replace("://0.0.0.0", "://127.0.0.1").replace("://[::]", "://[::1]");
                break;
            }
        }
        if started.url.is_empty() {
            bail!("the server ended before it listened; its message is above");
        }
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| say(&line)));
        Ok(started)
    }

    /// Asks it to end, so that it writes down what it has to. False if it doesn't.
    fn ends(&mut self) -> bool {
        let Some(id) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return false };
        if kill_process(id, Signal::TERM).is_err() {
            return false;
        }
        let asked = Instant::now();
        while asked.elapsed() < ENDS_WITHIN {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.ends() {
            // It may have ended by itself.
            let _gone = self.child.kill();
            let _reaped = self.child.wait();
        }
    }
}
