//! What the application may want of a running call, from any thread, and what tools do for it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Aborted, abortable};
use futures_util::stream::FuturesUnordered;
use offhook_call::Control;
use offhook_stage_api::{ToolCall, ToolResult};
use offhook_stages::{BoxFuture, Notifier, Rx, Tx, WhenFull, bounded};

/// Wishes that wait for a call at most; it takes them within a frame's time.
const WAITING: usize = 16;
/// Tools that run for one call at the same time.
const MOST_TOOLS: usize = 8;
/// A tool that takes longer has failed.
const TOOL_WITHIN: Duration = Duration::from_secs(20);

/// Reaches into a running call. Clones reach the same call.
#[derive(Clone, Debug)]
pub struct ControlSender {
    wishes: Tx<Control>,
    cut: Arc<AtomicBool>,
    notifier: Arc<Notifier>,
}

/// The call's end of it.
#[derive(Debug)]
pub struct ControlReceiver {
    wishes: Rx<Control>,
    cut: Arc<AtomicBool>,
}

/// Why a wish did not reach the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The call is over.
    #[error("the call is over")]
    Over,
    /// Too many wishes at once.
    #[error("{WAITING} wishes wait for this call already: send them more slowly")]
    Full,
}

/// Both ends, for one call.
#[must_use]
pub fn control() -> (ControlSender, ControlReceiver) {
    let (sender, receiver) = bounded(WAITING, WhenFull::PushBack);
    let (cut, notifier) = (Arc::new(AtomicBool::new(false)), Arc::clone(receiver.notifier()));
    let sender = ControlSender { wishes: sender, cut: Arc::clone(&cut), notifier };
    (sender, ControlReceiver { wishes: receiver, cut })
}

impl ControlSender {
    /// Hands a wish to the call; never waits.
    ///
    /// # Errors
    /// If the call is over, or too many wishes wait for it.
    pub fn send(&self, control: Control) -> Result<(), ControlError> {
        self.wishes
            .offer(control)
            .map_err(|_| if self.is_over() { ControlError::Over } else { ControlError::Full })
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.wishes.is_closed()
    }

    /// Ends the call's stream now, whatever is being said, by closing its socket in order.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Release);
        self.notifier.notify();
    }
}

impl ControlReceiver {
    /// What is rung when a wish comes.
    pub(crate) fn notifier(&self) -> &Arc<Notifier> {
        self.wishes.notifier()
    }

    /// Whether the stream is to end now.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The next wish, if there is one.
    pub(crate) fn try_recv(&self) -> Option<Control> {
        self.wishes.try_recv().ok()
    }

    /// The next wish; `None` when the stream is to end now. Waits for ever when nobody can send one any more. Safe to drop
    /// while it waits.
    pub async fn recv(&mut self) -> Option<Control> {
        let Self { wishes, cut } = self;
        let mut wish = pin!(wishes.recv());
        let mut over = false;
        poll_fn(|context| {
            if cut.load(Ordering::Acquire) {
                return Poll::Ready(None);
            }
            if over {
                return Poll::Pending;
            }
            match wish.as_mut().poll(context) {
                Poll::Ready(Some(control)) => Poll::Ready(Some(control)),
                Poll::Ready(None) => {
                    over = true;
                    Poll::Pending
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }
}

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
        let (work, handle) = abortable(tools.run(&call));
        self.handles.push((call.id.clone(), handle));
        self.running.push(Box::pin(async move {
            let outcome = match tokio::time::timeout(TOOL_WITHIN, work).await {
                Ok(Ok(outcome)) => outcome,
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

    /// The next result; waits for ever while no tool is at work. Safe to drop while it waits.
    pub(crate) async fn result(&mut self) -> ToolResult {
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

    #[test]
    fn wishes_are_bounded_and_end_with_the_call() {
        let (sender, receiver) = control();
        for _ in 0..WAITING {
            assert_eq!(sender.send(Control::HangUp), Ok(()));
        }
        assert_eq!(sender.send(Control::HangUp), Err(ControlError::Full));
        assert!(!sender.is_over());
        drop(receiver);
        assert_eq!(sender.send(Control::HangUp), Err(ControlError::Over));
        assert!(sender.is_over());
    }

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
        assert_eq!(result.outcome.unwrap_err(), "`look` gave no result within 20s");
        assert!(Toolbox::new(None).begin(call()).unwrap().outcome.unwrap_err().contains("no tool `look`"));
    }
}
