//! A call of text on a virtual clock, with a model that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use offhook_call::relay::{RelayCall, RelayInput, RelayOutput};
use offhook_call::{CallConfig, CallEvent, CallTime};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{FailureKind, LlmCommand, LlmEvent, ReplyReason, StageFailure, ToolCall, ToolResult};

/// What the model does with a request.
#[derive(Clone)]
pub(crate) enum Does {
    /// Says this in pieces, so many milliseconds apart, and is done.
    Says(&'static str, u64),
    /// Says this and no more, without being done.
    Stalls(&'static str),
    /// Never answers.
    Sleeps,
    Fails,
    /// Says this, and uses a tool.
    Uses(&'static str, &'static str, serde_json::Value),
}

pub(crate) struct Phone {
    pub(crate) call: RelayCall,
    pub(crate) now: u64,
    model: VecDeque<Does>,
    later: BTreeMap<(u64, usize), RelayInput<'static>>,
    count: usize,
    pub(crate) timeline: String,
    /// What the model was last asked.
    pub(crate) asked: String,
    pub(crate) texts: String,
    /// Tools give no result but this error, so late.
    pub(crate) tools_fail_after: Option<u64>,
}

impl Phone {
    pub(crate) fn new(config: CallConfig, model: &[Does]) -> Self {
        let mut phone = Self {
            call: RelayCall::new(config),
            now: 0,
            model: model.to_vec().into(),
            later: BTreeMap::new(),
            count: 0,
            timeline: String::new(),
            asked: String::new(),
            texts: String::new(),
            tools_fail_after: None,
        };
        phone.feed(RelayInput::Setup);
        phone
    }

    pub(crate) fn feed(&mut self, input: RelayInput<'_>) {
        self.call.handle(input, CallTime::from_millis(self.now));
        while let Some(output) = self.call.poll_output() {
            self.take(output);
        }
    }

    fn line(&mut self, what: impl std::fmt::Display) {
        writeln!(self.timeline, "{:>6} {what}", self.now).unwrap();
    }

    fn take(&mut self, output: RelayOutput) {
        match output {
            RelayOutput::Text { token, last, interruptible } => {
                self.texts.push_str(&token);
                let (last, fixed) = (if last { " ." } else { "" }, if interruptible { "" } else { " !" });
                self.line(format_args!("text “{token}”{last}{fixed}"));
            }
            RelayOutput::Play { source } => self.line(format_args!("play {source}")),
            RelayOutput::Language { tag } => self.line(format_args!("language {tag}")),
            RelayOutput::Press(digits) => self.line(format_args!("press {digits:?}")),
            RelayOutput::Llm(LlmCommand::Respond(request)) => {
                self.asked = request.turns.iter().fold(String::new(), |mut asked, turn| {
                    let cut = if turn.interrupted { " —" } else { "" };
                    writeln!(asked, "{:?}: {}{cut}", turn.who, turn.text).unwrap();
                    asked
                });
                let reason = match &request.reason {
                    ReplyReason::Caller { text, .. } => format!("“{text}”"),
                    other => format!("{other:?}"),
                };
                self.line(format_args!("ask {} {reason}", request.reply));
                let does = self.model.pop_front().unwrap_or(Does::Says("Yes.", 0));
                self.plan(request.reply, does);
            }
            RelayOutput::Llm(LlmCommand::Commit { reply }) => self.line(format_args!("commit {reply}")),
            RelayOutput::Llm(LlmCommand::Interrupted { reply, .. }) => {
                self.line(format_args!("interrupted {reply}"))
            }
            RelayOutput::Llm(LlmCommand::Cancel { reply }) => {
                self.later.retain(|_, event| !matches!(event, RelayInput::Llm(LlmEvent::Text { reply: of, .. } | LlmEvent::Done { reply: of }) if *of == reply));
                self.line(format_args!("cancel {reply}"));
            }
            RelayOutput::Llm(LlmCommand::ToolResult(result)) => {
                self.line(format_args!("result of {}", result.name))
            }
            RelayOutput::Tool(call) => {
                self.line(format_args!("tool {}", call.name));
                if let Some(after) = self.tools_fail_after {
                    let outcome = Err("it takes too long".to_owned());
                    let result = ToolResult { id: call.id, name: call.name, outcome };
                    self.later.insert((self.now + after, self.count), RelayInput::Tool(result));
                    self.count += 1;
                }
            }
            RelayOutput::CancelTool { id } => self.line(format_args!("give up tool {id}")),
            RelayOutput::Event(event) => match event {
                CallEvent::Said { heard, interrupted, .. } => {
                    self.line(format_args!("heard “{heard}”{}", if interrupted { " —" } else { "" }));
                }
                CallEvent::Trouble { message } => self.line(format_args!("trouble: {message}")),
                CallEvent::TurnDropped { text, why } => self.line(format_args!("dropped “{text}” {why:?}")),
                CallEvent::BargeIn { stage, .. } => self.line(format_args!("barge-in {stage:?}")),
                CallEvent::Ended { why } => self.line(format_args!("ended {why:?}")),
                CallEvent::Digits { count } => self.line(format_args!("{count} digits")),
                _ => {}
            },
            RelayOutput::End { handoff } => {
                let handoff = handoff
                    .map_or(String::new(), |call| format!(", hands over {} {}", call.name, call.arguments));
                self.line(format_args!("end{handoff}"));
            }
        }
    }

    fn plan(&mut self, reply: ReplyId, does: Does) {
        let mut at = self.now + 200;
        let mut events = Vec::new();
        match does {
            Does::Says(text, apart) => {
                for piece in text.split_inclusive(' ') {
                    events.push((at, LlmEvent::Text { reply, delta: piece.into() }));
                    at += apart;
                }
                events.push((at, LlmEvent::Done { reply }));
            }
            Does::Stalls(text) => events.push((at, LlmEvent::Text { reply, delta: text.into() })),
            Does::Sleeps => {}
            Does::Fails => {
                let failure = StageFailure {
                    stage: "model".into(),
                    message: "no".into(),
                    kind: FailureKind::Broken,
                    retry_after_ms: None,
                };
                events.push((at, LlmEvent::Failed { reply, failure }));
            }
            Does::Uses(text, name, arguments) => {
                events.push((at, LlmEvent::Text { reply, delta: text.into() }));
                let call = ToolCall { id: "t".into(), name: name.into(), arguments };
                events.push((at, LlmEvent::Tool { reply, call }));
                events.push((at, LlmEvent::Done { reply }));
            }
        }
        for (at, event) in events {
            self.later.insert((at, self.count), RelayInput::Llm(event));
            self.count += 1;
        }
    }

    /// Lets time pass.
    pub(crate) fn until(&mut self, ms: u64) {
        loop {
            let model = self.later.keys().next().map(|(at, _)| *at);
            let clock = self
                .call
                .deadline()
                .map(|at| u64::try_from(at.since_start().as_micros().div_ceil(1_000)).unwrap());
            let next = [model, clock].into_iter().flatten().min().filter(|at| *at <= ms);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if model == Some(next) {
                let (_, input) = self.later.pop_first().unwrap();
                self.feed(input);
            } else {
                self.feed(RelayInput::Timeout);
            }
        }
        self.now = ms;
    }

    pub(crate) fn says(&mut self, at: u64, text: &str) {
        self.until(at);
        self.line(format_args!("    caller “{text}”"));
        self.feed(RelayInput::Prompt { text, lang: None, last: true });
    }

    pub(crate) fn interrupts(&mut self, at: u64, heard: &str) {
        self.until(at);
        self.feed(RelayInput::Interrupt { heard, after: Some(Duration::from_millis(400)) });
    }
}
