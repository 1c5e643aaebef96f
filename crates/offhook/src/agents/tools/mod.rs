//! What an agent's model may use besides the engine's own tools: tools on the web, and those of MCP servers.
//!
//! - `web`: a tool on the web
//! - `schema`: its arguments, checked before anything is sent
//! - `facts`: facts of the call that no model can touch
//! - `answer`: what a tool answers

mod answer;
mod facts;
mod schema;
mod web;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context;
use offhook_stage_api::ToolCall;
use offhook_stages::{BoxFuture, CallInfo, ToolSpec};

pub(crate) use answer::{Action, ToolAnswer};
use web::WebTool;

use super::file::ToolTable;

/// The tools of an agent.
pub(crate) struct ToolSet {
    web: BTreeMap<String, Arc<WebTool>>,
}

impl std::fmt::Debug for ToolSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.web.keys()).finish()
    }
}

impl ToolSet {
    /// Checks the tools, and reads their keys from the environment.
    pub(super) fn new(tables: &[ToolTable]) -> anyhow::Result<Self> {
        let tools = tables.iter().map(|table| {
            let tool = WebTool::new(table).with_context(|| format!("the tool `{}`", table.name))?;
            Ok((table.name.clone(), Arc::new(tool)))
        });
        Ok(Self { web: tools.collect::<anyhow::Result<_>>()? })
    }

    /// As the model is told of them.
    pub(super) fn specs(&self) -> Vec<ToolSpec> {
        self.web.values().map(|tool| tool.spec()).collect()
    }

    /// Runs a tool for a call. What it answers, or why there is no answer, in words for the model.
    pub(crate) fn run(&self, call: &ToolCall, of: &CallInfo) -> BoxFuture<Result<ToolAnswer, String>> {
        let Some(tool) = self.web.get(&call.name).cloned() else {
            let why = format!("there is no tool `{}` here", call.name);
            return Box::pin(std::future::ready(Err(why)));
        };
        let (call, of) = (call.clone(), of.clone());
        Box::pin(async move { tool.run(&call, &of).await })
    }
}

#[cfg(test)]
impl offhook_session::Tools for ToolSet {
    fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>> {
        let answer = Self::run(self, call, &CallInfo::default());
        Box::pin(async move { answer.await.map(|answer| answer.result) })
    }
}
