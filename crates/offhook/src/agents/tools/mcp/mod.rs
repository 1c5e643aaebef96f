//! Tools of MCP servers (Model Context Protocol): over streamable HTTP, or of a program on this machine.
//!
//! Both protocols of the field are spoken: the stateless one of 2026-07-28, and those with a handshake before it. The list of tools is
//! read when the agent is loaded, kept, and read again while it is used; a server that can't be reached costs its tools, not the calls.
//! What a server says is untrusted: lists, results and times are bounded, and only tools that the agent's file allows are offered.
//!
//! - `http`, `program`: how a server is spoken to
//! - `protocol`: what the messages say
//! - `list`: its list of tools, read, kept, watched
//! - `table`: `[[mcp]]`

mod http;
mod list;
mod program;
mod protocol;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use offhook_providers::net::trace;
use offhook_stage_api::ToolCall;
use offhook_stages::{CallInfo, ToolSpec};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use self::http::OverHttp;
use super::answer::{ToolAnswer, ToolFailure};
use super::facts::{check, filled};
use super::schema::{Arguments, MOST_PATTERNS};
pub(super) use list::Watch;
pub(crate) use list::changed;
use program::Program;
use protocol::{McpError, result_text};
pub(crate) use table::McpTable;

/// Names of tools at models, in characters.
const LONGEST_NAME: usize = 64;

/// A server.
enum Server {
    Http(Box<OverHttp>),
    Program(Box<Program>),
}

impl Server {
    async fn request(
        &self,
        method: &str,
        name: Option<&str>,
        params: Map<String, Value>,
    ) -> Result<Value, McpError> {
        match self {
            Self::Http(server) => server.request(method, name, params).await,
            Self::Program(program) => program.request(method, params).await,
        }
    }

    /// Whether its tools may have changed since this was asked last, as far as it said so, or came back.
    fn may_have_changed(&self) -> bool {
        match self {
            Self::Http(server) => server.may_have_changed(),
            Self::Program(program) => program.may_have_changed(),
        }
    }
}

/// A tool of a server, as an agent uses it.
pub(super) struct McpTool {
    server: Arc<Server>,
    /// The server's name in the agent's file.
    pub(super) of: String,
    /// Its name there.
    name: String,
    description: String,
    arguments: Arguments,
    fixed: BTreeMap<String, String>,
    timeout: Duration,
    longest_result: usize,
    /// Requests at the same time, over all calls.
    room: Arc<Semaphore>,
    /// The caller must have agreed.
    pub(super) needs_consent: bool,
}

impl std::fmt::Debug for McpTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "McpTool({}/{})", self.of, self.name)
    }
}

/// A server as an agent uses it: its tools, and the watch over them.
pub(super) struct Joined {
    /// By the names that the agent's model knows them by.
    pub(super) tools: BTreeMap<String, McpTool>,
    pub(super) watch: Arc<Watch>,
}

/// The tools of a table's server that the agent may use.
///
/// # Errors
/// The table is wrong. A server that can't be reached is logged; it has the tools that it had when it was asked last, or none, until it
/// can be reached.
pub(super) fn join(table: &McpTable) -> anyhow::Result<Joined> {
    table.check()?;
    let headers = table.headers.iter().map(|(name, value)| {
        let value = super::web::environment(value).with_context(|| format!("its header `{name}`"))?;
        Ok((name.to_lowercase(), value))
    });
    let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
    for value in table.fixed.values() {
        check(value)?;
    }
    let server = match open(table, headers.clone()) {
        Ok(server) => Some(Arc::new(server)),
        // A program that isn't there now may be there later; an address that is none will never be.
        Err(error) if table.url.is_none() => {
            tracing::error!(server = table.name, "an MCP server can't be started: {error:#}");
            None
        }
        Err(error) => return Err(error),
    };
    let watch = Watch::over(table, headers, server.clone());
    let (mut tools, mut patterns) = (BTreeMap::new(), MOST_PATTERNS);
    for tool in watch.offered() {
        let Some(server) = &server else { break };
        let known_as = table.known_as(&tool.name);
        let arguments = match Arguments::of_a_stranger(&tool.schema, &table.fixed, &mut patterns) {
            Ok(arguments) => arguments,
            Err(error) => {
                tracing::warn!(server = table.name, tool = tool.name, "a tool is left out: {error:#}");
                continue;
            }
        };
        tools.insert(
            known_as,
            McpTool {
                server: Arc::clone(server),
                of: table.name.clone(),
                needs_consent: table.needs_consent(&tool),
                name: tool.name,
                description: tool.description,
                arguments,
                fixed: table.fixed.clone(),
                timeout: table.timeout,
                longest_result: table.longest_result,
                room: Arc::clone(watch.room()),
            },
        );
    }
    tracing::info!(server = table.name, tools = ?tools.keys().collect::<Vec<_>>(), "an MCP server's tools are offered");
    Ok(Joined { tools, watch })
}

fn open(table: &McpTable, headers: Vec<(String, String)>) -> anyhow::Result<Server> {
    match &table.url {
        Some(url) => Ok(Server::Http(Box::new(OverHttp::new(&table.name, url, headers, table.timeout)?))),
        None => Ok(Server::Program(Box::new(Program::start(&table.name, &table.command, &table.env)?))),
    }
}

impl McpTool {
    /// As the model is told of it.
    pub(super) fn spec(&self, known_as: &str) -> ToolSpec {
        ToolSpec {
            name: known_as.to_owned(),
            description: self.description.clone(),
            parameters: self.arguments.shown.clone(),
        }
    }

    /// Uses it.
    ///
    /// # Errors
    /// Why there is no result, in words for the model.
    pub(super) async fn run(&self, call: &ToolCall, of: &CallInfo) -> Result<ToolAnswer, ToolFailure> {
        let mut arguments = self.arguments.check(&call.arguments).map_err(ToolFailure::arguments)?;
        if let Value::Object(arguments) = &mut arguments {
            for (name, value) in &self.fixed {
                arguments.insert(name.clone(), filled(value, of).into());
            }
        }
        let mut params = Map::new();
        params.insert("name".to_owned(), self.name.clone().into());
        params.insert("arguments".to_owned(), arguments);
        let mut meta = serde_json::json!({ "offhook/call": &*of.call, "offhook/tool_call": call.id });
        if let Some(traceparent) = trace::traceparent(&of.call) {
            meta[trace::TRACEPARENT] = traceparent.into();
        }
        params.insert("_meta".to_owned(), meta);
        let asked = async {
            // Results may be long: so many at a time, over all calls.
            let _room = self.room.acquire().await;
            self.server.request("tools/call", Some(&self.name), params).await
        };
        let result = tokio::time::timeout(self.timeout, asked)
            .await
            .map_err(|_| {
                ToolFailure::new(
                    "too_slow",
                    format!("`{}` gave no result within {:?}", call.name, self.timeout),
                )
            })?
            .map_err(|error| {
                let reason = match error {
                    McpError::Broken { .. } => "broken",
                    McpError::Refused { .. } => "refused",
                };
                ToolFailure::new(reason, error.to_string())
            })?;
        let text = result_text(&result, self.longest_result);
        match result.get("isError").and_then(Value::as_bool) {
            Some(true) => Err(ToolFailure::new("declined", text)),
            _ => Ok(ToolAnswer::plain(&text)),
        }
    }
}

/// A name that models take: letters, digits, `_` and `-`, 64 at most.
pub(super) fn model_name(server: &str, tool: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    format!("{server}__{tool}").chars().map(plain).take(LONGEST_NAME).collect()
}

#[cfg(test)]
fn connect(table: &McpTable) -> anyhow::Result<BTreeMap<String, McpTool>> {
    join(table).map(|joined| joined.tools)
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
