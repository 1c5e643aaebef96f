//! The language model or script as a running task, and the queues to and from it. A call of text needs no other stage.

use std::sync::Arc;

use offhook_stage_api::{LlmCommand, LlmEvent};
use offhook_stages::{CallInfo, Llm, Rx, StageError, Tx, WhenFull, bounded};
use tokio::task::JoinHandle;

/// Commands and events are few; more than this means that somebody doesn't read.
const QUEUE: usize = 256;

/// A running model.
pub(super) struct Thinker {
    commands: Tx<LlmCommand>,
    events: Rx<LlmEvent>,
    task: JoinHandle<()>,
}

impl Thinker {
    pub(super) fn start(llm: &dyn Llm, info: &CallInfo) -> Self {
        let (commands, to_llm) = bounded(QUEUE, WhenFull::PushBack);
        let (from_llm, events) = bounded(QUEUE, WhenFull::PushBack);
        let run = llm.run(info.clone(), to_llm, from_llm);
        let call = Arc::clone(&info.call);
        let task = tokio::spawn(async move {
            if let Err(error) = run.await {
                tracing::error!(%call, %error, "a stage ended");
            }
        });
        Self { commands, events, task }
    }

    /// Hands over a command. One that isn't taken has failed, and the call must be told this.
    pub(super) fn tell(&self, command: LlmCommand) -> Option<LlmEvent> {
        let reply = match &command {
            LlmCommand::Respond(request) => Some(request.reply),
            _ => None,
        };
        let refused = self.commands.offer(command).is_err();
        let what = "it has stopped taking requests".to_owned();
        let failure = || StageError::Broken { stage: "llm".to_owned(), what }.to_failure();
        reply.filter(|_| refused).map(|reply| LlmEvent::Failed { reply, failure: failure() })
    }

    /// The next event; waits for ever once the model is gone. Safe to drop while it waits.
    pub(super) async fn next(&self) -> LlmEvent {
        match self.events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// The next event, if it is there.
    pub(super) fn ready(&self) -> Option<LlmEvent> {
        self.events.try_recv().ok()
    }
}

impl Drop for Thinker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
