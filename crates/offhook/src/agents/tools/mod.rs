//! What an agent's model may use besides the engine's own tools: tools on the web, and those of MCP servers.
//!
//! - `web`: a tool on the web
//! - `mcp`: tools of MCP servers
//! - `schema`: its arguments, checked before anything is sent
//! - `facts`: facts of the call that no model can touch
//! - `answer`: what a tool answers

mod answer;
mod facts;
mod mcp;
mod schema;
mod web;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use offhook_stage_api::ToolCall;
use offhook_stages::{BoxFuture, CallInfo, ToolSpec};

pub(crate) use answer::{Action, ToolAnswer, ToolFailure};
use mcp::McpTool;
pub(crate) use mcp::{McpTable, changed as tools_changed};
use web::WebTool;

use super::file::{OWN_TOOLS, ToolTable};

/// The tools of an agent.
pub(crate) struct ToolSet {
    web: BTreeMap<String, Arc<WebTool>>,
    mcp: BTreeMap<String, Arc<McpTool>>,
    /// Servers are watched as long as their tools may be used.
    _watches: Vec<Arc<mcp::Watch>>,
}

impl std::fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.web.keys()).entries(self.mcp.keys()).finish()
    }
}

impl ToolSet {
    /// Checks the tools, and reads their keys from the environment.
    pub(super) fn new(tables: &[ToolTable], servers: &[McpTable]) -> anyhow::Result<Self> {
        let tools = tables.iter().map(|table| {
            let tool = WebTool::new(table).with_context(|| format!("the tool `{}`", table.name))?;
            Ok((table.name.clone(), Arc::new(tool)))
        });
        let web: BTreeMap<String, Arc<WebTool>> = tools.collect::<anyhow::Result<_>>()?;
        let (mut mcp, mut watches) = (BTreeMap::new(), Vec::new());
        for table in servers {
            let joined = mcp::join(table).with_context(|| format!("the MCP server `{}`", table.name))?;
            watches.push(joined.watch);
            for (name, tool) in joined.tools {
                let taken =
                    web.contains_key(&name) || mcp.contains_key(&name) || OWN_TOOLS.contains(&name.as_str());
                anyhow::ensure!(
                    !taken,
                    "there are two tools named `{name}`: give one another name by `rename`"
                );
                mcp.insert(name, Arc::new(tool));
            }
        }
        Ok(Self { web, mcp, _watches: watches })
    }

    /// As the model is told of them.
    pub(super) fn specs(&self) -> Vec<ToolSpec> {
        let web = self.web.values().map(|tool| tool.spec());
        web.chain(self.mcp.iter().map(|(name, tool)| tool.spec(name))).collect()
    }

    /// The names of the tools of a server.
    pub(super) fn of_server(&self, server: &str) -> impl Iterator<Item = &String> {
        self.mcp.iter().filter(move |(_, tool)| tool.of == server).map(|(name, _)| name)
    }

    /// Whether the caller must have agreed before this tool is used.
    pub(crate) fn needs_consent(&self, name: &str) -> bool {
        self.mcp.get(name).is_some_and(|tool| tool.needs_consent)
    }

    /// Runs a tool for a call. What it answers, or why there is no answer.
    pub(crate) fn run(&self, call: &ToolCall, of: &CallInfo) -> BoxFuture<Result<ToolAnswer, ToolFailure>> {
        if let Some(tool) = self.mcp.get(&call.name).cloned() {
            let (call, of) = (call.clone(), of.clone());
            return Box::pin(async move { tool.run(&call, &of).await });
        }
        let Some(tool) = self.web.get(&call.name).cloned() else {
            let why = format!("there is no tool `{}` here", call.name);
            return Box::pin(std::future::ready(Err(ToolFailure::new("unknown", why))));
        };
        let (call, of) = (call.clone(), of.clone());
        Box::pin(async move { tool.run(&call, &of).await })
    }
}

#[cfg(test)]
impl offhook_session::Tools for ToolSet {
    fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>> {
        let answer = Self::run(self, call, &CallInfo::default());
        Box::pin(async move { answer.await.map(|answer| answer.result).map_err(|failure| failure.why) })
    }
}
