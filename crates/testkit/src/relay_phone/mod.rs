//! A ConversationRelay call on a virtual clock, with a model that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::time::Duration;

use offhook_conversation::{CallEvent, ConversationConfig, Input, Output};
use offhook_relay_line::{RelayCall, RelayInput, RelayWire, relay_call};
use offhook_stage_api::{
    CallTime, FailureKind, LlmCommand, LlmEvent, ReplyId, ReplyReason, StageFailure, ToolCall, ToolResult,
};

/// What the model does with a request.
#[derive(Clone)]
pub enum Does {
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

enum Later {
    Llm(LlmEvent),
    Tool(ToolResult),
}

/// Twilio's side of ConversationRelay.
pub struct RelayPhone {
    pub call: RelayCall,
    pub now: u64,
    model: VecDeque<Does>,
    later: BTreeMap<(u64, usize), Later>,
    count: usize,
    pub timeline: String,
    /// What the model was last asked.
    pub asked: String,
    pub texts: String,
    /// Tools give no result but this error, so late.
    pub tools_fail_after: Option<u64>,
}

impl RelayPhone {
    pub fn new(config: ConversationConfig, model: &[Does]) -> Self {
        let mut phone = Self {
            call: relay_call(config),
            now: 0,
            model: model.to_vec().into(),
            later: BTreeMap::new(),
            count: 0,
            timeline: String::new(),
            asked: String::new(),
            texts: String::new(),
            tools_fail_after: None,
        };
        phone.input(Input::Start);
        phone
    }

    /// Something comes over the wire.
    pub fn feed(&mut self, input: RelayInput<'_>) {
        self.input(Input::Line(input));
    }

    pub fn input(&mut self, input: Input<RelayInput<'_>>) {
        self.call.handle(input, CallTime::from_millis(self.now));
        while let Some(output) = self.call.poll_output() {
            self.take(output);
        }
    }

    fn line(&mut self, what: impl std::fmt::Display) {
        writeln!(self.timeline, "{:>6} {what}", self.now).unwrap();
    }

    fn take(&mut self, output: Output<RelayWire>) {
        match output {
            Output::Wire(RelayWire::Text { token, last, interruptible }) => {
                self.texts.push_str(&token);
                let (last, fixed) = (if last { " ." } else { "" }, if interruptible { "" } else { " !" });
                self.line(format_args!("text “{token}”{last}{fixed}"));
            }
            Output::Wire(RelayWire::PlayRecording { recording, .. }) => {
                self.line(format_args!("play {} ×{}", recording.source, recording.times));
            }
            Output::Wire(RelayWire::Play { source }) => self.line(format_args!("play {source}")),
            Output::Wire(RelayWire::Language { tag }) => self.line(format_args!("language {tag}")),
            Output::Wire(RelayWire::Hints { message }) => self.line(format_args!("hints {message}")),
            Output::Wire(RelayWire::Press(digits)) => self.line(format_args!("press {digits:?}")),
            Output::Llm(LlmCommand::Respond(request)) => {
                self.asked = crate::shown(&request.history);
                let reason = match &request.reason {
                    ReplyReason::Caller { text, .. } => format!("“{text}”"),
                    other => format!("{other:?}"),
                };
                self.line(format_args!("ask {} {reason}", request.reply));
                let does = self.model.pop_front().unwrap_or(Does::Says("Yes.", 0));
                self.plan(request.reply, does);
            }
            Output::Llm(LlmCommand::Commit { reply }) => self.line(format_args!("commit {reply}")),
            Output::Llm(LlmCommand::Interrupted { reply, .. }) => {
                self.line(format_args!("interrupted {reply}"))
            }
            Output::Llm(LlmCommand::Cancel { reply }) => {
                self.later.retain(|_, event| !matches!(event, Later::Llm(event) if event.reply() == reply));
                self.line(format_args!("cancel {reply}"));
            }
            Output::Llm(LlmCommand::ToolResult(result)) => {
                self.line(format_args!("result of {}", result.name))
            }
            Output::Llm(LlmCommand::News(news)) => self.line(format_args!("news {news:?}")),
            Output::Tool(call) => {
                self.line(format_args!("tool {}", call.name));
                if let Some(after) = self.tools_fail_after {
                    let outcome = Err("it takes too long".to_owned());
                    let result = ToolResult { id: call.id, name: call.name, outcome };
                    self.later.insert((self.now + after, self.count), Later::Tool(result));
                    self.count += 1;
                }
            }
            Output::CancelTool { id } => self.line(format_args!("give up tool {id}")),
            Output::Event(event) => match event {
                CallEvent::Said { heard, interrupted, .. } => {
                    self.line(format_args!("heard “{heard}”{}", if interrupted { " —" } else { "" }));
                }
                CallEvent::Trouble { message } => self.line(format_args!("trouble: {message}")),
                CallEvent::TurnDropped { text, why } => self.line(format_args!("dropped “{text}” {why:?}")),
                CallEvent::BargeIn { stage, .. } => self.line(format_args!("barge-in {stage:?}")),
                CallEvent::Ended { why } => self.line(format_args!("ended {why:?}")),
                CallEvent::Digits { count, .. } => self.line(format_args!("{count} digits")),
                CallEvent::Dropped { what, why, .. } => self.line(format_args!("dropped {what:?}: {why:?}")),
                _ => {}
            },
            Output::Stt(_) | Output::Turn(_) | Output::Tts(_) => {
                unreachable!("ConversationRelay has no such stages")
            }
            Output::HangUp { handoff } => {
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
            self.later.insert((at, self.count), Later::Llm(event));
            self.count += 1;
        }
    }

    /// Lets time pass.
    pub fn until(&mut self, ms: u64) {
        loop {
            let model = self.later.keys().next().map(|(at, _)| *at);
            let clock = self
                .call
                .deadline()
                .map(|due| u64::try_from(due.at.since_start().as_micros().div_ceil(1_000)).unwrap());
            let next = [model, clock].into_iter().flatten().min().filter(|at| *at <= ms);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            if model == Some(next) {
                let (_, later) = self.later.pop_first().unwrap();
                self.input(match later {
                    Later::Llm(event) => Input::Llm(event),
                    Later::Tool(result) => Input::Tool(result),
                });
            } else {
                self.input(Input::Timeout);
            }
        }
        self.now = ms;
    }

    pub fn says(&mut self, at: u64, text: &str) {
        self.until(at);
        self.line(format_args!("    caller “{text}”"));
        self.feed(RelayInput::Prompt { text, lang: None, last: true });
    }

    pub fn interrupts(&mut self, at: u64, heard: &str) {
        self.until(at);
        self.feed(RelayInput::Interrupt { heard, after: Some(Duration::from_millis(400)) });
    }
}
