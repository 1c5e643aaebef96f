//! The dialog in place of a language model.

use std::sync::Arc;

use offhook_stage_api::Interruptible;
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, ReplyReason};

use super::report::report;
use super::{Dialog, Script};
use offhook_stages::{BoxFuture, CallInfo, Llm, Rx, StageError, Tx};

/// A script as a stage.
#[derive(Clone, Debug)]
pub struct ScriptedAgent {
    start: Dialog,
}

impl ScriptedAgent {
    /// An agent by this script.
    #[must_use]
    pub fn new(script: Arc<Script>) -> Self {
        Self { start: Dialog::new(script) }
    }
}

impl Llm for ScriptedAgent {
    fn name(&self) -> &str {
        "script"
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let mut now = self.start.clone();
        Box::pin(async move {
            let mut pending: Option<(ReplyId, Dialog)> = None;
            while let Some(command) = commands.recv().await {
                match command {
                    LlmCommand::Respond(request) => {
                        // A caller who comes back: what was said before was said to another state.
                        if now.is_fresh() && request.reason == ReplyReason::Tool {
                            now = now.carried_on(&request.history);
                        }
                        let (answer, next) = now.answer(&request.history, &request.reason);
                        let report = call.goal.as_ref().and_then(|_| report(&answer, &next, &request.reason));
                        pending = Some((request.reply, next));
                        let reply = request.reply;
                        let expectation = Arc::new(answer.expectation);
                        let mut out = Vec::new();
                        if answer.must_be_heard {
                            out.push(LlmEvent::Interruptible { reply, by: Interruptible::DtmfOnly });
                        }
                        out.push(LlmEvent::Text { reply, delta: answer.text });
                        out.push(LlmEvent::Expect { reply, expectation });
                        // First the report: the call ends with the other tool.
                        out.extend(report.map(|call| LlmEvent::Tool { reply, call }));
                        out.extend(answer.tools.into_iter().map(|call| LlmEvent::Tool { reply, call }));
                        out.push(LlmEvent::Done { reply });
                        for event in out {
                            if events.send(event).await.is_err() {
                                return Ok(());
                            }
                        }
                    }
                    LlmCommand::Commit { reply } => {
                        if let Some((id, next)) = pending.take() {
                            if id == reply {
                                now = next;
                            } else {
                                pending = Some((id, next));
                            }
                        }
                    }
                    // What was heard was said; a reply of which nothing was heard was never committed.
                    LlmCommand::Interrupted { .. }
                    | LlmCommand::Cancel { .. }
                    | LlmCommand::ToolResult(_)
                    | LlmCommand::News(_) => {}
                }
            }
            Ok(())
        })
    }
}
