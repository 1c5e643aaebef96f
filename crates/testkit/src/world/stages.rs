//! The model and the tools: what they do with each request, and when.

use offhook_stage_api::{
    FailureKind, LlmCommand, LlmEvent, ReplyReason, StageFailure, ToolCall, ToolResult, ToolUse,
};

use super::scene::End;
use super::{Later, Side, World};

/// How far the stages have got in what the scene tells them.
#[derive(Debug, Default)]
pub struct Stages {
    requests: usize,
    tools: usize,
    calls: usize,
    pub model_ended: bool,
}

pub(super) fn failure(stage: &str) -> StageFailure {
    StageFailure {
        stage: stage.into(),
        message: "it broke".into(),
        kind: FailureKind::Broken,
        retry_after_ms: None,
    }
}

impl<S: Side> World<S> {
    pub(super) fn on_llm(&mut self, command: LlmCommand) {
        match command {
            LlmCommand::Respond(request) => {
                let nth = self.stages.requests;
                self.stages.requests += 1;
                if self.stages.model_ended {
                    return;
                }
                let mut does = self.scene.model.get(nth).cloned().unwrap_or_default();
                if request.tools == ToolUse::None || request.reason == ReplyReason::Greeting {
                    does.tools = &[];
                }
                let reply = request.reply;
                let mut at = self.now + does.first_ms * 1_000;
                let mut events: Vec<LlmEvent> = Vec::new();
                events.extend(does.interruptible.map(|by| LlmEvent::Interruptible { reply, by }));
                let words = does.text.split_inclusive(' ');
                events.extend(words.map(|word| LlmEvent::Text { reply, delta: word.to_owned() }));
                for (name, arguments) in does.tools {
                    self.stages.calls += 1;
                    let arguments = serde_json::from_str(arguments).unwrap();
                    let id = format!("c{}", self.stages.calls);
                    events.push(LlmEvent::Tool {
                        reply,
                        call: ToolCall { id, name: (*name).to_owned(), arguments },
                    });
                }
                match does.end {
                    End::Whole => events.push(LlmEvent::Done { reply }),
                    End::Fails(after) => {
                        events.truncate(after);
                        events.push(LlmEvent::Failed { reply, failure: failure("model") });
                    }
                    End::Stalls(after) => events.truncate(after),
                }
                for event in events {
                    self.schedule(at, Later::Llm(event));
                    at += does.gap_ms * 1_000;
                }
            }
            LlmCommand::Cancel { reply } => {
                // What is on its way still comes.
                let soon = self.now + 20_000;
                self.forget(|at, later| {
                    at > soon && matches!(later, Later::Llm(event) if event.reply() == reply)
                });
            }
            LlmCommand::Commit { .. }
            | LlmCommand::Interrupted { .. }
            | LlmCommand::ToolResult(_)
            | LlmCommand::News(_) => {}
        }
    }

    pub(super) fn on_tool(&mut self, call: ToolCall) {
        let nth = self.stages.tools;
        self.stages.tools += 1;
        let work = self.scene.tools.get(nth).cloned().unwrap_or_default();
        let Some(ms) = work.ms else { return };
        let outcome =
            if work.fails { Err("it failed".to_owned()) } else { Ok(format!("result {}", nth + 1)) };
        let result = ToolResult { id: call.id, name: call.name, outcome };
        self.schedule(self.now + ms * 1_000, Later::Tool(result));
    }
}
