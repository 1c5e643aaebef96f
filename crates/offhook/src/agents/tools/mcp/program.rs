//! MCP over the standard streams of a program on this machine: a line of JSON each. Threads of its own read and write, so that calls on
//! all workers can use one program. One that ends, or answers no more, is started again: at once the first time, then later and later.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{OnceCell, oneshot};

use super::protocol::{CHANGED, McpError, initialize, initialized, parsed, request, result};

/// Longest line read.
const LONGEST: u64 = 1024 * 1024;
/// Requests that wait to be written.
const WAITING: usize = 256;
/// So many requests without an answer, one after the other, and the program is given up.
const MOST_UNANSWERED: u32 = 3;
/// Before the second start; each further one waits twice as long.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// A program that ran for so long was well.
const STEADY: Duration = Duration::from_secs(60);

/// A program that is kept running.
pub(super) struct Program {
    name: String,
    command: Vec<String>,
    env: BTreeMap<String, String>,
    state: Mutex<State>,
    /// Its tools may be others now.
    changed: Arc<AtomicBool>,
}

/// What is known of it.
struct State {
    running: Option<Arc<Running>>,
    /// Starts that came to nothing, one after the other.
    failures: u32,
    began: Instant,
    /// It isn't started again before this.
    not_before: Instant,
}

impl Program {
    /// Starts it. It gets `PATH`, `HOME` and what `env` says: no key of this server's by accident.
    pub(super) fn start(
        name: &str,
        command: &[String],
        env: &BTreeMap<String, String>,
    ) -> anyhow::Result<Self> {
        let changed = Arc::<AtomicBool>::default();
        let running = Running::start(name, command, env, &changed)?;
        let began = Instant::now();
        let state = State { running: Some(Arc::new(running)), failures: 0, began, not_before: began };
        let (name, command, env) = (name.to_owned(), command.to_vec(), env.clone());
        Ok(Self { name, command, env, state: Mutex::new(state), changed })
    }

    pub(super) async fn request(&self, method: &str, params: Map<String, Value>) -> Result<Value, McpError> {
        self.running()?.request(method, params).await
    }

    /// Whether its tools may have changed since this was asked last. One that has ended is started again.
    pub(super) fn may_have_changed(&self) -> bool {
        let ended = self.running().is_err();
        !ended && self.changed.swap(false, Ordering::Relaxed)
    }

    /// The program as it runs; started again, if it may be by now.
    fn running(&self) -> Result<Arc<Running>, McpError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match &state.running {
            Some(running) if !running.has_ended() => return Ok(Arc::clone(running)),
            Some(_) => {
                let was_well = now.duration_since(state.began) >= STEADY;
                state.failures = if was_well { 0 } else { state.failures };
                state.fail(now);
                tracing::warn!(server = self.name, "the program of an MCP server has ended");
            }
            None => {}
        }
        if now < state.not_before {
            let wait = state.not_before.duration_since(now).as_secs_f32().ceil();
            let why = format!("the program has ended; it is started again in {wait} s");
            return Err(McpError::broken(&self.name, why));
        }
        match Running::start(&self.name, &self.command, &self.env, &self.changed) {
            Ok(running) => {
                let running = Arc::new(running);
                (state.running, state.began) = (Some(Arc::clone(&running)), now);
                self.changed.store(true, Ordering::Relaxed);
                tracing::info!(server = self.name, "the program of an MCP server was started again");
                Ok(running)
            }
            Err(error) => {
                state.fail(now);
                Err(McpError::broken(&self.name, format!("{error:#}")))
            }
        }
    }
}

impl State {
    fn fail(&mut self, now: Instant) {
        self.running = None;
        // The first end is an accident: it may start at once.
        let wait = match self.failures {
            0 => Duration::ZERO,
            again => AGAIN_AFTER.saturating_mul(1 << (again - 1).min(16)).min(LONGEST_WAIT),
        };
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + wait;
    }
}

/// Who waits for which answer. `None` once the program has ended.
type Pending = Arc<Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>>;

/// A running program; ended when dropped.
struct Running {
    name: String,
    child: Mutex<Child>,
    lines: mpsc::SyncSender<String>,
    pending: Pending,
    ids: AtomicU64,
    /// Requests in a row that nobody waited for long enough.
    unanswered: Arc<AtomicU32>,
    /// How it wants to be spoken to: whether each request is to stand alone.
    modern: OnceCell<bool>,
}

impl Running {
    fn start(
        name: &str,
        command: &[String],
        env: &BTreeMap<String, String>,
        changed: &Arc<AtomicBool>,
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
        let unanswered = Arc::<AtomicU32>::default();
        let reader = Reader {
            pending: Arc::clone(&pending),
            unanswered: Arc::clone(&unanswered),
            changed: Arc::clone(changed),
        };
        std::thread::Builder::new().name("mcp-read".into()).spawn(move || {
            reader.read(BufReader::new(stdout));
            // Whoever waits, waits in vain.
            drop(reader.pending.lock().unwrap_or_else(PoisonError::into_inner).take());
        })?;
        let (name, child, modern) = (name.to_owned(), Mutex::new(child), OnceCell::new());
        Ok(Self { name, child, lines, pending, ids: AtomicU64::new(1), unanswered, modern })
    }

    fn has_ended(&self) -> bool {
        let ended = self.pending.lock().unwrap_or_else(PoisonError::into_inner).is_none();
        ended || self.unanswered.load(Ordering::Relaxed) >= MOST_UNANSWERED
    }

    async fn request(&self, method: &str, params: Map<String, Value>) -> Result<Value, McpError> {
        let shake_hands = || async {
            let id = self.ids.fetch_add(1, Ordering::Relaxed);
            let response = self.ask(id, &initialize(id)).await?;
            match result(&self.name, response) {
                Ok(_) => self.write(initialized().to_string()).map(|()| false),
                // It may know no handshake any more.
                Err(McpError::Refused { .. }) => Ok(true),
                Err(error) => Err(error),
            }
        };
        let modern = *self.modern.get_or_try_init(shake_hands).await?;
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let response = self.ask(id, &request(id, method, params, modern)).await?;
        result(&self.name, response)
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
    program: &'a Running,
    id: u64,
}

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        let mut pending = self.program.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = pending.as_mut().and_then(|pending| pending.remove(&self.id)).is_some();
        drop(pending);
        if waited {
            self.program.unanswered.fetch_add(1, Ordering::Relaxed);
            let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": self.id } });
            // A program that takes nothing isn't told.
            let _told = self.program.write(cancel.to_string()).is_ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself.
        let _over = child.kill().and_then(|()| child.wait()).is_err();
    }
}

/// What of a line tells whether the rest of it is wanted.
#[derive(Deserialize)]
struct Head {
    id: Option<Value>,
    method: Option<String>,
}

/// Reads what a program says.
struct Reader {
    pending: Pending,
    unanswered: Arc<AtomicU32>,
    changed: Arc<AtomicBool>,
}

impl Reader {
    /// To the program's end.
    fn read(&self, mut output: impl BufRead) {
        loop {
            let mut line = Vec::new();
            match output.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line.last() != Some(&b'\n') => return, // longer than any answer may be
                Ok(_) => {}
            }
            let Ok(head) = serde_json::from_slice::<Head>(&line) else { continue };
            if let Some(method) = head.method {
                // Requests of the server's aren't answered: nothing was offered.
                if method == CHANGED {
                    self.changed.store(true, Ordering::Relaxed);
                }
                continue;
            }
            let Some(id) = head.id.as_ref().and_then(Value::as_u64) else { continue };
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = pending.as_mut().and_then(|all| all.remove(&id));
            drop(pending);
            let Some(waiting) = waiting else { continue };
            self.unanswered.store(0, Ordering::Relaxed);
            let message = parsed(&line).unwrap_or_else(|why| json!({ "error": { "message": why } }));
            // Nobody may wait any more.
            let _unheard = waiting.send(message).is_err();
        }
    }
}
