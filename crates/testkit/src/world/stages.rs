//! The model and the tools: what they do with each request, and when.

use offhook_stage_api::{
    FailureKind, LlmEvent, ReplyReason, ReplyRequest, StageFailure, ToolCall, ToolResult, ToolUse,
};

use super::scene::{End, Scene};

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

impl Stages {
    /// What the model does with a request, each after so many µs.
    pub(super) fn respond(&mut self, scene: &Scene, request: &ReplyRequest) -> Vec<(u64, LlmEvent)> {
        let nth = self.requests;
        self.requests += 1;
        if self.model_ended {
            return Vec::new();
        }
        let mut does = scene.model.get(nth).cloned().unwrap_or_default();
        if request.tools == ToolUse::None || request.reason == ReplyReason::Greeting {
            does.tools = &[];
        }
        let reply = request.reply;
        let mut events: Vec<LlmEvent> = Vec::new();
        events.extend(does.interruptible.map(|by| LlmEvent::Interruptible { reply, by }));
        let words = does.text.split_inclusive(' ');
        events.extend(words.map(|word| LlmEvent::Text { reply, delta: word.to_owned() }));
        for (name, arguments) in does.tools {
            self.calls += 1;
            let arguments = serde_json::from_str(arguments).unwrap();
            let id = format!("c{}", self.calls);
            events.push(LlmEvent::Tool { reply, call: ToolCall { id, name: (*name).to_owned(), arguments } });
        }
        match does.end {
            End::Whole => events.push(LlmEvent::Done { reply }),
            End::Fails(after) => {
                events.truncate(after);
                events.push(LlmEvent::Failed { reply, failure: failure("model") });
            }
            End::Stalls(after) => events.truncate(after),
        }
        let times = (0..).map(|nth| (does.first_ms + nth * does.gap_ms) * 1_000);
        times.zip(events).collect()
    }

    /// What a tool gives, and after how many µs; `None`: nothing, ever.
    pub(super) fn run(&mut self, scene: &Scene, call: ToolCall) -> Option<(u64, ToolResult)> {
        let nth = self.tools;
        self.tools += 1;
        let work = scene.tools.get(nth).cloned().unwrap_or_default();
        let outcome =
            if work.fails { Err("it failed".to_owned()) } else { Ok(format!("result {}", nth + 1)) };
        Some((work.ms? * 1_000, ToolResult { id: call.id, name: call.name, outcome }))
    }
}
