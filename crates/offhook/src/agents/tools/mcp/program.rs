//! MCP over the standard streams of a program on this machine: a line of JSON each. Threads of its own read and write, so that calls on
//! all workers can use one program.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use anyhow::Context;
use serde_json::{Map, Value, json};
use tokio::sync::{OnceCell, oneshot};

use super::protocol::{McpError, initialize, initialized, request, result};

/// Longest line read.
const LONGEST: u64 = 1024 * 1024;
/// Requests that wait to be written.
const WAITING: usize = 256;

type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// A running program; ended when dropped.
pub(super) struct Program {
    name: String,
    child: Mutex<Child>,
    lines: mpsc::SyncSender<String>,
    /// `None` once it has ended.
    pending: Pending,
    ids: AtomicU64,
    /// It has shaken hands.
    ready: OnceCell<()>,
}

impl Program {
    /// Starts it. It gets `PATH`, `HOME` and what `env` says: no key of this server's by accident.
    pub(super) fn start(
        name: &str,
        command: &[String],
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("its `command` is empty")?;
        let mut start = Command::new(program);
        start.args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        for variable in ["PATH", "HOME"] {
            if let Some(value) = std::env::var_os(variable) {
                start.env(variable, value);
            }
        }
        for (variable, value) in env {
            start.env(variable, super::super::web::environment(value)?);
        }
        let mut child = start.spawn().with_context(|| format!("`{program}` can't be started"))?;
        let mut stdin = child.stdin.take().context("it has no standard input")?;
        let stdout = child.stdout.take().context("it has no standard output")?;
        let (lines, to_write) = mpsc::sync_channel::<String>(WAITING);
        std::thread::Builder::new().name("mcp-write".into()).spawn(move || {
            for line in to_write {
                if writeln!(stdin, "{line}").and_then(|()| stdin.flush()).is_err() {
                    break;
                }
            }
        })?;
        let pending: Pending = Arc::new(Mutex::new(Some(HashMap::new())));
        let answered = Arc::clone(&pending);
        std::thread::Builder::new().name("mcp-read".into()).spawn(move || {
            read(BufReader::new(stdout), &answered);
            // Whoever waits, waits in vain.
            drop(answered.lock().unwrap_or_else(PoisonError::into_inner).take());
        })?;
        let (name, child, ready) = (name.to_owned(), Mutex::new(child), OnceCell::new());
        Ok(Self { name, child, lines, pending, ids: AtomicU64::new(1), ready })
    }

    pub(super) async fn request(&self, method: &str, params: Map<String, Value>) -> Result<Value, McpError> {
        self.ready
            .get_or_try_init(|| async {
                let id = self.ids.fetch_add(1, Ordering::Relaxed);
                let response = self.ask(id, &initialize(id)).await?;
                result(&self.name, &response)?;
                self.write(initialized().to_string())
            })
            .await?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let response = self.ask(id, &request(id, method, params, false)).await?;
        result(&self.name, &response)
    }

    async fn ask(&self, id: u64, message: &Value) -> Result<Value, McpError> {
        let ended = || McpError::broken(&self.name, "the program has ended");
        let (answer, wait) = oneshot::channel();
        {
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            pending.as_mut().ok_or_else(ended)?.insert(id, answer);
        }
        let forgets = Forgets { program: self, id };
        self.write(message.to_string())?;
        let response = wait.await.map_err(|_| ended())?;
        drop(forgets);
        Ok(response)
    }

    fn write(&self, line: String) -> Result<(), McpError> {
        self.lines.try_send(line).map_err(|_| McpError::broken(&self.name, "the program takes no requests"))
    }
}

/// Forgets a request that nobody waits for any more, and says so to the program.
struct Forgets<'a> {
    program: &'a Program,
    id: u64,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        let mut pending = self.program.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = pending.as_mut().and_then(|pending| pending.remove(&self.id)).is_some();
        drop(pending);
        if waited {
            let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": self.id } });
            // A program that takes nothing isn't told.
            let _told = self.program.write(cancel.to_string()).is_ok();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _over = child.kill().and_then(|()| child.wait()).is_err();
    }
}

/// Reads responses to the program's end.
fn read(mut output: impl BufRead, pending: &Pending) {
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) if line.last() != Some(&b'\n') => return, // longer than any answer may be
            Ok(_) => {}
        }
        let Ok(message) = serde_json::from_slice::<Value>(&line) else { continue };
        let Some(id) = message.get("id").and_then(Value::as_u64) else { continue };
        if message.get("method").is_some() {
            continue; // a request of the server's: nothing was offered
        }
        let waiting =
            pending.lock().unwrap_or_else(PoisonError::into_inner).as_mut().and_then(|all| all.remove(&id));
        if let Some(waiting) = waiting {
            // Nobody may wait any more.
            let _unheard = waiting.send(message).is_err();
        }
    }
}
