//! Tools of MCP servers (Model Context Protocol): over streamable HTTP, or of a program on this machine.
//!
//! Both protocols of the field are spoken: the stateless one of 2026-07-28, and those with a handshake before it. The list of tools is
//! read when the agent is loaded; a server that can't be reached then costs its tools, not the calls. What a server says is
//! untrusted: lists, results and times are bounded, and only tools that the agent's file allows are offered.

mod http;
mod program;
mod protocol;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use offhook_stage_api::ToolCall;
use offhook_stages::{CallInfo, ToolSpec};
use serde_json::{Map, Value};

use self::http::OverHttp;
use super::answer::ToolAnswer;
use super::facts::{check, filled};
use super::schema::Arguments;
use program::Program;
use protocol::{McpError, Offered, result_text};
pub(crate) use table::McpTable;

/// So long a server may take to list its tools, altogether.
const LISTED_WITHIN: Duration = Duration::from_secs(5);
/// Tools of one server offered to a model at most: each costs tokens in every request.
const MOST_TOOLS: usize = 64;
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
    /// The caller must have agreed.
    pub(super) needs_consent: bool,
}

impl std::fmt::Debug for McpTool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "McpTool({}/{})", self.of, self.name)
    }
}

/// The tools of a table's server that the agent may use, by the names that its model knows them by.
///
/// # Errors
/// The table is wrong. A server that can't be reached is logged, and has no tools.
pub(super) fn connect(table: &McpTable) -> anyhow::Result<BTreeMap<String, McpTool>> {
    table.check()?;
    let headers = table.headers.iter().map(|(name, value)| {
        let value = super::web::environment(value).with_context(|| format!("its header `{name}`"))?;
        Ok((name.to_lowercase(), value))
    });
    let headers = headers.collect::<anyhow::Result<Vec<_>>>()?;
    for value in table.fixed.values() {
        check(value)?;
    }
    // A client of its own for the list: connections belong to the runtime that they were opened on.
    let list = match listed(table, &headers) {
        Ok(list) => list,
        Err(error) => {
            tracing::error!(server = table.name, %error, "an MCP server does not list its tools: the agent goes without them");
            return Ok(BTreeMap::new());
        }
    };
    let server = Arc::new(open(table, headers)?);
    let allowed: Vec<Offered> = list.into_iter().filter(|tool| table.allows(tool)).collect();
    if allowed.len() > MOST_TOOLS {
        tracing::warn!(
            server = table.name,
            tools = allowed.len(),
            "an MCP server has more tools than a model can be offered: the first {MOST_TOOLS} are"
        );
    }
    let mut tools = BTreeMap::new();
    for tool in allowed.into_iter().take(MOST_TOOLS) {
        let known_as = table.known_as(&tool.name);
        let arguments = match Arguments::new(&tool.schema, &table.fixed) {
            Ok(arguments) => arguments,
            Err(error) => {
                tracing::warn!(server = table.name, tool = tool.name, "a tool is left out: {error:#}");
                continue;
            }
        };
        tools.insert(
            known_as,
            McpTool {
                server: Arc::clone(&server),
                of: table.name.clone(),
                needs_consent: table.needs_consent(&tool),
                name: tool.name,
                description: tool.description,
                arguments,
                fixed: table.fixed.clone(),
                timeout: table.timeout,
                longest_result: table.longest_result,
            },
        );
    }
    tracing::info!(server = table.name, tools = ?tools.keys().collect::<Vec<_>>(), "an MCP server's tools are offered");
    Ok(tools)
}

fn open(table: &McpTable, headers: Vec<(String, String)>) -> anyhow::Result<Server> {
    match &table.url {
        Some(url) => Ok(Server::Http(Box::new(OverHttp::new(&table.name, url, headers, table.timeout)?))),
        None => Ok(Server::Program(Box::new(Program::start(&table.name, &table.command, &table.env)?))),
    }
}

/// All pages of a server's list.
fn listed(table: &McpTable, headers: &[(String, String)]) -> anyhow::Result<Vec<Offered>> {
    // A thread of its own: whoever loads an agent may be a task itself, which must not wait for another.
    let list = std::thread::scope(|scope| scope.spawn(|| ask_for_list(table, headers)).join());
    let list = list.map_err(|_| anyhow::anyhow!("reading its list broke"))??;
    ensure!(!list.is_empty(), "it lists no tools");
    Ok(list)
}

fn ask_for_list(table: &McpTable, headers: &[(String, String)]) -> anyhow::Result<Vec<Offered>> {
    let server = open(table, headers.to_vec())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let pages = async {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        // A list without end is cut.
        for _ in 0..MOST_TOOLS {
            let mut params = Map::new();
            if let Some(cursor) = cursor.take() {
                params.insert("cursor".to_owned(), cursor.into());
            }
            let page = server.request("tools/list", None, params).await?;
            let tools = page.get("tools").and_then(Value::as_array).cloned().unwrap_or_default();
            all.extend(tools.iter().filter_map(Offered::read));
            cursor = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if cursor.is_none() || all.len() >= 8 * MOST_TOOLS {
                break;
            }
        }
        Ok::<_, McpError>(all)
    };
    let list = runtime.block_on(async { tokio::time::timeout(LISTED_WITHIN, pages).await });
    Ok(list.map_err(|_| anyhow::anyhow!("it did not list its tools within {LISTED_WITHIN:?}"))??)
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
    pub(super) async fn run(&self, call: &ToolCall, of: &CallInfo) -> Result<ToolAnswer, String> {
        let mut arguments = self.arguments.check(&call.arguments)?;
        if let Value::Object(arguments) = &mut arguments {
            for (name, value) in &self.fixed {
                arguments.insert(name.clone(), filled(value, of).into());
            }
        }
        let mut params = Map::new();
        params.insert("name".to_owned(), self.name.clone().into());
        params.insert("arguments".to_owned(), arguments);
        params.insert(
            "_meta".to_owned(),
            serde_json::json!({ "offhook/call": &*of.call, "offhook/tool_call": call.id }),
        );
        let asked = self.server.request("tools/call", Some(&self.name), params);
        let result = tokio::time::timeout(self.timeout, asked)
            .await
            .map_err(|_| format!("`{}` gave no result within {:?}", call.name, self.timeout))?
            .map_err(|error| error.to_string())?;
        let text = result_text(&result, self.longest_result);
        match result.get("isError").and_then(Value::as_bool) {
            Some(true) => Err(text),
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
mod real;
#[cfg(test)]
mod tests;
