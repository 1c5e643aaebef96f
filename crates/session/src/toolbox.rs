//! What the agent's tools do for a running call.

#[cfg(test)]
use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{AbortHandle, Aborted, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use offhook_stage_api::{ToolCall, ToolResult};
use offhook_stages::BoxFuture;

/// Tools that run for one call at the same time.
const MOST_TOOLS: usize = 8;
/// A tool that takes longer has failed, whatever its own bound is.
const TOOL_WITHIN: Duration = Duration::from_secs(60);

/// Does what the agent's tools do. Shared by calls; knows which call it serves.
pub trait Tools: Send + Sync {
    /// Runs a tool. The result is text for the model, or why there is none. Dropping the future gives it up.
    fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>>;
}

/// A call's tools at work.
pub(crate) struct Toolbox {
    tools: Option<Arc<dyn Tools>>,
    running: FuturesUnordered<BoxFuture<Option<ToolResult>>>,
    /// Ends those that are given up.
    handles: Vec<(String, AbortHandle)>,
}

impl Toolbox {
    pub(crate) fn new(tools: Option<Arc<dyn Tools>>) -> Self {
        Self { tools, running: FuturesUnordered::new(), handles: Vec::new() }
    }

    /// Begins a tool's work. Gives the result if there is one at once: that it can't be done.
    pub(crate) fn begin(&mut self, call: ToolCall) -> Option<ToolResult> {
        let refused = |call: ToolCall, why: String| {
            Some(ToolResult { id: call.id, name: call.name, outcome: Err(why) })
        };
        let Some(tools) = &self.tools else {
            let why = format!("there is no tool `{}` here", call.name);
            return refused(call, why);
        };
        if self.running.len() >= MOST_TOOLS {
            return refused(call, format!("{MOST_TOOLS} tools are at work for this call already"));
        }
        let tools = Arc::clone(tools);
        let wanted = call.clone();
        // Begun in the future, so that what goes wrong then is caught as well.
        let work = AssertUnwindSafe(async move { tools.run(&wanted).await }).catch_unwind();
        let (work, handle) = abortable(work);
        self.handles.push((call.id.clone(), handle));
        self.running.push(Box::pin(async move {
            let outcome = match tokio::time::timeout(TOOL_WITHIN, work).await {
                Ok(Ok(Ok(outcome))) => outcome,
                Ok(Ok(Err(_panic))) => Err(format!("`{}` failed by a fault of this program", call.name)),
                Ok(Err(Aborted)) => return None,
                Err(_) => Err(format!("`{}` gave no result within {TOOL_WITHIN:?}", call.name)),
            };
            Some(ToolResult { id: call.id, name: call.name, outcome })
        }));
        None
    }

    /// Whether there is a result to wait for.
    pub(crate) fn at_work(&self) -> bool {
        !self.running.is_empty()
    }

    /// The next result; waits for ever while no tool is at work.
    #[cfg(test)]
    async fn result(&mut self) -> ToolResult {
        poll_fn(|context| self.poll_result(context)).await
    }

    /// The next result, if there is one yet.
    pub(crate) fn poll_result(&mut self, context: &mut Context<'_>) -> Poll<ToolResult> {
        loop {
            match self.running.poll_next_unpin(context) {
                Poll::Ready(Some(Some(result))) => {
                    self.handles.retain(|(id, _)| *id != result.id);
                    return Poll::Ready(result);
                }
                Poll::Ready(Some(None)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Ends a tool's work.
    pub(crate) fn give_up(&mut self, wanted: &str) {
        self.handles.retain(|(id, handle)| {
            if id == wanted {
                handle.abort();
            }
            id != wanted
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Stuck;

    impl Tools for Stuck {
        fn run(&self, _call: &ToolCall) -> BoxFuture<Result<String, String>> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_tool_that_hangs_has_failed_and_there_are_never_too_many() {
        let mut tools = Toolbox::new(Some(Arc::new(Stuck)));
        let call = || ToolCall { id: "1".into(), name: "look".into(), arguments: serde_json::Value::Null };
        for _ in 0..MOST_TOOLS {
            assert_eq!(tools.begin(call()), None);
        }
        assert!(tools.begin(call()).unwrap().outcome.unwrap_err().contains("at work"));
        let result = tools.result().await;
        assert_eq!(result.outcome.unwrap_err(), "`look` gave no result within 60s");
        assert!(Toolbox::new(None).begin(call()).unwrap().outcome.unwrap_err().contains("no tool `look`"));
    }

    struct Faulty;

    impl Tools for Faulty {
        fn run(&self, call: &ToolCall) -> BoxFuture<Result<String, String>> {
            assert!(call.id != "now", "at once");
            Box::pin(async { panic!("later") })
        }
    }

    #[tokio::test]
    async fn a_tool_that_panics_has_failed() {
        let mut tools = Toolbox::new(Some(Arc::new(Faulty)));
        for id in ["now", "later"] {
            let call = ToolCall { id: id.into(), name: "look".into(), arguments: serde_json::Value::Null };
            assert_eq!(tools.begin(call), None);
            let result = tools.result().await;
            assert_eq!(result.outcome.unwrap_err(), "`look` failed by a fault of this program");
        }
    }
}
