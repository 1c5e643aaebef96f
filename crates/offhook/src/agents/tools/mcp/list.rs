//! A server's list of tools: read, kept, and read again while it is used. When what it offers an agent changes, the agent is loaded
//! again, for calls that begin from then on.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use tokio::sync::{Notify, Semaphore};

use super::protocol::{McpError, Offered};
use super::table::McpTable;
use super::{Server, open};

/// So long a server may take to list its tools, altogether.
const LISTED_WITHIN: Duration = Duration::from_secs(5);
/// Tools of one server offered to a model at most: each costs tokens in every request.
const MOST_TOOLS: usize = 64;
/// The same for their schemas together, in octets.
const MOST_SCHEMAS: usize = 128 * 1024;
/// A list without end is cut.
const MOST_PAGES: usize = 64;
/// So long a list is taken for new: agents that are loaded together ask once.
const NEW: Duration = Duration::from_secs(10);
/// How often lists are read again, where the server doesn't say.
const USUALLY: Duration = Duration::from_secs(300);
/// The same, whatever it says: from, to.
const AT_MOST_EVERY: Duration = Duration::from_secs(30);
const AT_LEAST_EVERY: Duration = Duration::from_secs(3_600);
/// After a list that could not be read; each further time twice as long.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// So often it is looked whether one is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a server listed: what the table allows of it.
#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    tools: Vec<Offered>,
    /// How long it says that this holds.
    holds: Option<Duration>,
}

struct Kept {
    list: List,
    since: Instant,
}

/// Everything that is known of servers, over all agents.
#[derive(Default)]
struct Known {
    watches: Vec<Weak<Watch>>,
    lists: HashMap<String, Kept>,
    watching: bool,
}

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
static CHANGED: Notify = Notify::const_new();

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until a server offers an agent other tools than when it was loaded.
pub(crate) async fn changed() {
    CHANGED.notified().await;
}

/// Whether a server still offers what an agent was loaded with. Ends with the agent.
pub(in super::super) struct Watch {
    table: McpTable,
    headers: Vec<(String, String)>,
    server: Option<Arc<Server>>,
    room: Arc<Semaphore>,
    offered: Vec<Offered>,
    next: Mutex<Next>,
}

/// When the list is read again.
struct Next {
    due: Instant,
    failures: u32,
}

impl Watch {
    /// Reads the list, or takes it from what is known, and watches it from now on.
    pub(super) fn over(
        table: &McpTable,
        headers: Vec<(String, String)>,
        server: Option<Arc<Server>>,
    ) -> Arc<Self> {
        let now = Instant::now();
        let key = key(table);
        let new = known()
            .lists
            .get(&key)
            .filter(|kept| now.duration_since(kept.since) < NEW)
            .map(|kept| kept.list.clone());
        let asked = new.map_or_else(|| read(table, &headers, server.as_deref()), Ok);
        let (list, next) = match asked {
            Ok(list) => {
                let due = now + list.holds.unwrap_or(USUALLY);
                known().lists.insert(key, Kept { list: list.clone(), since: now });
                (list, Next { due, failures: 0 })
            }
            Err(error) => {
                let list = known().lists.get(&key).map(|kept| kept.list.clone()).unwrap_or_default();
                let instead = if list.tools.is_empty() { "no tools" } else { "those that it had" };
                tracing::error!(
                    server = table.name,
                    "an MCP server does not list its tools, the agent has {instead}, and it is asked again: {error:#}"
                );
                (list, Next { due: now + AGAIN_AFTER, failures: 1 })
            }
        };
        let watch = Arc::new(Self {
            table: table.clone(),
            headers,
            server,
            room: Arc::new(Semaphore::new(table.concurrency.max(1))),
            offered: list.tools,
            next: Mutex::new(next),
        });
        register(&watch);
        watch
    }

    /// What the agent is offered.
    pub(super) fn offered(&self) -> Vec<Offered> {
        self.offered.clone()
    }

    pub(super) const fn room(&self) -> &Arc<Semaphore> {
        &self.room
    }

    /// Reads the list if that is due. True if it is another one.
    pub(super) fn look(&self, now: Instant) -> bool {
        let said_so = self.server.as_ref().is_some_and(|server| server.may_have_changed());
        {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            if said_so {
                // It may say so as often as it likes.
                let read = known().lists.get(&key(&self.table)).map(|kept| kept.since + AT_MOST_EVERY);
                next.due = next.due.min(read.map_or(now, |soonest| soonest.max(now)));
            }
            if now < next.due {
                return false;
            }
        }
        let read = read(&self.table, &self.headers, self.server.as_deref());
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Ok(list) => {
                *next = Next { due: now + list.holds.unwrap_or(USUALLY), failures: 0 };
                let is_other = digest(&list.tools) != digest(&self.offered);
                known().lists.insert(key(&self.table), Kept { list, since: now });
                is_other
            }
            Err(error) => {
                tracing::debug!(server = self.table.name, "an MCP server does not list its tools: {error:#}");
                let wait = AGAIN_AFTER.saturating_mul(1 << next.failures.min(10)).min(USUALLY);
                *next = Next { due: now + wait, failures: next.failures + 1 };
                false
            }
        }
    }
}

/// Names a server: what is asked, and what of its answer is taken.
fn key(table: &McpTable) -> String {
    format!("{:?}", (&table.url, &table.command, &table.env, &table.headers, &table.allow))
}

fn digest(tools: &[Offered]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for tool in tools {
        (&tool.name, &tool.description, tool.schema.to_string(), tool.destructive).hash(&mut hasher);
    }
    hasher.finish()
}

/// Watches it from now on, by a thread that there is as long as there is something to watch.
fn register(watch: &Arc<Watch>) {
    let mut known = known();
    known.watches.push(Arc::downgrade(watch));
    if !known.watching {
        let started = std::thread::Builder::new().name("mcp-watch".into()).spawn(keep_looking);
        known.watching =
            started.inspect_err(|error| tracing::error!(%error, "MCP servers are not watched")).is_ok();
    }
}

fn keep_looking() {
    loop {
        std::thread::sleep(LOOK_EVERY);
        let watches: Vec<Arc<Watch>> = {
            let mut known = known();
            known.watches.retain(|watch| watch.strong_count() > 0);
            if known.watches.is_empty() {
                (known.watching, known.lists) = (false, HashMap::new());
                return;
            }
            known.watches.iter().filter_map(Weak::upgrade).collect()
        };
        for watch in watches {
            if watch.look(Instant::now()) {
                tracing::info!(server = watch.table.name, "an MCP server offers other tools than before");
                CHANGED.notify_one();
            }
        }
    }
}

/// All pages of a server's list, as far as the table allows what is on them.
fn read(table: &McpTable, headers: &[(String, String)], server: Option<&Server>) -> anyhow::Result<List> {
    // A thread of its own: whoever loads an agent may be a task itself, which must not wait for another.
    let list = std::thread::scope(|scope| scope.spawn(|| ask(table, headers, server)).join());
    list.map_err(|_| anyhow::anyhow!("reading its list broke"))?
}

fn ask(table: &McpTable, headers: &[(String, String)], server: Option<&Server>) -> anyhow::Result<List> {
    let own;
    let server = match server {
        Some(program @ Server::Program(_)) => program,
        // A client of its own: connections belong to the runtime that they were opened on.
        _ => {
            own = open(table, headers.to_vec())?;
            &own
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = async { tokio::time::timeout(LISTED_WITHIN, pages(table, server)).await };
    let list = runtime.block_on(asked);
    Ok(list.map_err(|_| anyhow::anyhow!("it did not list its tools within {LISTED_WITHIN:?}"))??)
}

async fn pages(table: &McpTable, server: &Server) -> Result<List, McpError> {
    let mut list = List::default();
    let mut cursor: Option<String> = None;
    let (mut listed, mut schemas) = (0, 0);
    for _ in 0..MOST_PAGES {
        let mut params = Map::new();
        if let Some(cursor) = cursor.take() {
            params.insert("cursor".to_owned(), cursor.into());
        }
        let page = server.request("tools/list", None, params).await?;
        let tools = page.get("tools").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        listed += tools.len();
        for tool in tools {
            let Some((tool, length)) = Offered::read(tool) else { continue };
            let is_there = list.tools.iter().any(|known| known.name == tool.name);
            if is_there || !table.allows(&tool) {
                continue;
            }
            schemas += length;
            if list.tools.len() >= MOST_TOOLS || schemas > MOST_SCHEMAS {
                tracing::warn!(
                    server = table.name,
                    "an MCP server has more tools than a model can be offered: the first {} are",
                    list.tools.len()
                );
                return Ok(list);
            }
            list.tools.push(tool);
        }
        let holds = page.get("ttlMs").and_then(Value::as_u64).map(Duration::from_millis);
        list.holds = holds.map(|holds| holds.clamp(AT_MOST_EVERY, AT_LEAST_EVERY)).or(list.holds);
        cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    if listed == 0 {
        return Err(McpError::broken(&table.name, "it lists no tools"));
    }
    Ok(list)
}
