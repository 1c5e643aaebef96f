//! Tools at work: what their results lead to, and what the caller hears while they are awaited.
//!
//! A tool is begun once the reply that wants it is certain. Its result goes into the context; when all that were wanted have
//! returned and the caller isn't speaking, the model is asked to go on. Until then the caller hears a word now and then.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::call::Call;
use crate::config::{OnInterruption, PatienceConfig, ToolManners};
use crate::io::{CallEvent, Output, ToolStage, UtteranceKind};
use crate::timers::Timer;
use crate::turn::Floor;
use offhook_stage_api::CallTime;
use offhook_stage_api::tools;
use offhook_stage_api::{AnswerKind, Digits, LlmCommand, Party, ReplyReason, ToolCall, ToolResult};

/// A tool with a word of its own for the wait says it after this; a quick one has returned by then.
pub(crate) const OWN_FILLER_AFTER: Duration = Duration::from_millis(400);

/// The tools of a call, of sound or of text.
#[derive(Debug, Default)]
pub(crate) struct Working {
    pub(crate) tools: Vec<AtWork>,
    begun: u32,
    /// All have returned, and the model has not gone on yet.
    pub(crate) owed: bool,
    pub(crate) fillers_said: usize,
    /// The caller was asked to key a number.
    pub(crate) collecting: bool,
}

/// A tool at work.
#[derive(Debug)]
pub(crate) struct AtWork {
    pub(crate) id: String,
    pub(crate) name: String,
    since: CallTime,
}

impl AtWork {
    pub(crate) fn event(&self, stage: ToolStage, now: CallTime) -> CallEvent {
        let after_ms = u64::try_from(now.since(self.since).as_millis()).unwrap_or(u64::MAX);
        CallEvent::Tool { name: self.name.clone(), stage, after_ms }
    }

    /// What the conversation remembers of a tool that was given up.
    pub(crate) fn given_up(&self) -> String {
        format!("{} failed: given up, because the caller interrupted", self.name)
    }
}

impl Working {
    /// Whether any tool is at work.
    pub(crate) const fn any(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Takes a tool in, under an id that no other has. Gives what to tell whoever watches.
    pub(crate) fn begin(&mut self, call: &mut ToolCall, now: CallTime) -> CallEvent {
        // Providers count anew in every reply; two tools at work must not be taken for each other.
        self.begun += 1;
        call.id = format!("{}-{}", self.begun, call.id);
        self.fillers_said = 0;
        let tool = AtWork { id: call.id.clone(), name: call.name.clone(), since: now };
        let event = tool.event(ToolStage::Asked, now);
        self.tools.push(tool);
        event
    }

    /// A tool has returned. `None` for one that was given up: it is no longer listened to.
    pub(crate) fn end(&mut self, result: &ToolResult, now: CallTime) -> Option<CallEvent> {
        let at = self.tools.iter().position(|tool| tool.id == result.id)?;
        let stage = if result.outcome.is_ok() { ToolStage::Returned } else { ToolStage::Failed };
        Some(self.tools.remove(at).event(stage, now))
    }

    /// The caller spoke up: gives the tools that are declared to be given up then.
    pub(crate) fn interrupt(&mut self, manners: &BTreeMap<String, ToolManners>) -> Vec<AtWork> {
        let gives_up = |tool: &AtWork| {
            manners.get(&tool.name).is_some_and(|manners| manners.on_interruption == OnInterruption::Cancel)
        };
        let (given_up, kept) = std::mem::take(&mut self.tools).into_iter().partition(gives_up);
        self.tools = kept;
        given_up
    }

    /// How long the caller hears nothing before a word. `own`: a tool at work has a word for it.
    pub(crate) const fn word_after(&self, own: bool, patience: &PatienceConfig) -> Duration {
        match (self.fillers_said, own) {
            (0, true) => OWN_FILLER_AFTER,
            (0, false) => patience.reply_late,
            _ => patience.reply_very_late,
        }
    }
}

/// What the conversation remembers of a tool's result.
pub(crate) fn outcome_in_words(result: &ToolResult) -> String {
    match &result.outcome {
        Ok(text) => format!("{}: {text}", result.name),
        Err(why) => format!("{} failed: {why}", result.name),
    }
}

impl Call {
    /// Begins a tool of the application's.
    pub(crate) fn begin_tool(&mut self, mut call: ToolCall) {
        let event = self.working.begin(&mut call, self.now);
        self.event(event);
        self.out.push_back(Output::Tool(call));
    }

    /// A tool has returned. One that was given up is no longer listened to.
    pub(crate) fn on_tool_result(&mut self, result: ToolResult) {
        let Some(result) = self.on_transferred(result) else { return };
        if let Some(event) = self.working.end(&result, self.now) {
            self.event(event);
        } else if result.name != tools::TRANSFER {
            return;
        }
        self.tool_returned(result);
    }

    /// Takes a result into the conversation.
    pub(crate) fn tool_returned(&mut self, result: ToolResult) {
        let text = outcome_in_words(&result);
        self.context.push(Party::Tool, text, false, (self.now, self.now));
        self.out.push_back(Output::Llm(LlmCommand::ToolResult(result)));
        self.working.owed = true;
    }

    /// Has the model go on, once everything that it wanted is there and nobody speaks.
    pub(crate) fn go_on_after_tools(&mut self) {
        let ready = self.working.owed
            && !self.working.any()
            && !self.is_leaving()
            && self.turn.floor == Floor::Quiet
            && self.reply.as_ref().is_none_or(|reply| reply.committed && reply.done);
        if ready {
            self.request_reply(ReplyReason::Tool, false);
            self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
        }
    }

    /// A reply is asked for, with all results so far in its context.
    pub(crate) fn tools_are_answered(&mut self) {
        self.working.owed = false;
        self.timers.cancel(Timer::ToolLate);
    }

    /// The caller spoke up: tools that are declared so are given up.
    pub(crate) fn interrupt_tools(&mut self) {
        for tool in self.working.interrupt(&self.config.tools) {
            self.event(tool.event(ToolStage::Cancelled, self.now));
            self.context.push(Party::Tool, tool.given_up(), false, (self.now, self.now));
            self.out.push_back(Output::CancelTool { id: tool.id });
        }
    }

    /// Sets the time for a word into the silence in which a tool works.
    pub(crate) fn watch_tools(&mut self) {
        let silent = self.working.any()
            && self.turn.floor == Floor::Quiet
            && self.playout.is_idle()
            && self.ending.is_none()
            && self.reply.as_ref().is_none_or(|reply| reply.done && reply.committed);
        if !silent {
            return self.timers.cancel(Timer::ToolLate);
        }
        if self.timers.is_set(Timer::ToolLate) {
            return;
        }
        let first = self.working.fillers_said == 0;
        let wait = self.working.word_after(self.own_filler().is_some(), &self.config.patience);
        // Without a word to its call, the caller has waited since the end of the turn.
        let unannounced = first && self.reply.as_ref().is_some_and(|reply| reply.utterance.is_none());
        let since = self.patience.decided.filter(|_| unannounced && self.own_filler().is_none());
        self.timers.set(Timer::ToolLate, (since.unwrap_or(self.now) + wait).max(self.now));
    }

    fn own_filler(&self) -> Option<&String> {
        let mut tools = self.working.tools.iter();
        tools.find_map(|tool| {
            let usual = self.config.tools.get(&tool.name).and_then(|manners| manners.filler.as_ref());
            self.spoken.tool_filler(&self.config.languages, &tool.name, usual)
        })
    }

    pub(crate) fn on_tool_late(&mut self) {
        let said = self.working.fillers_said;
        let fillers = &self.spoken.patience(&self.config.patience).fillers;
        let usual = || fillers.get(said % fillers.len().max(1)).cloned();
        let filler = if said == 0 { self.own_filler().cloned().or_else(usual) } else { usual() };
        self.working.fillers_said += 1;
        if let Some(filler) = filler {
            self.say(UtteranceKind::Filler, &filler);
        }
    }

    /// The tool [`COLLECT_DIGITS`](tools::COLLECT_DIGITS): the keys come as the caller's next turn, so that they stay out of tapes.
    pub(crate) fn collect_digits(&mut self, call: ToolCall) {
        self.answer = digits_asked_for(&call, self.config.dtmf.most);
        self.working.collecting = true;
        // The caller was asked in the same reply, or is asked now.
        let asked = self.reply.as_ref().is_some_and(|reply| reply.utterance.is_some());
        let outcome = Ok("the caller's keys will come as a note".to_owned());
        self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
        if asked {
            self.working.owed = false;
        }
    }

    /// The answer to a collection came, in keys or otherwise: what is said next is anything again.
    pub(crate) fn stop_collecting(&mut self) {
        if std::mem::take(&mut self.working.collecting) {
            self.answer = AnswerKind::Open;
        }
    }

    /// The tool `send_dtmf`: argument `digits`.
    pub(crate) fn send_keys(&mut self, call: ToolCall) {
        let digits =
            Digits::new(call.arguments.get("digits").and_then(|digits| digits.as_str()).unwrap_or(""));
        let outcome = if digits.reveal().is_empty() {
            Err("`digits` must hold keys: 0 to 9, *, #, A to D".to_owned())
        } else {
            self.press(&digits);
            Ok("pressed".to_owned())
        };
        self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
    }
}

/// How many digits a call of [`COLLECT_DIGITS`](tools::COLLECT_DIGITS) wants.
pub(crate) fn digits_asked_for(call: &ToolCall, most: usize) -> AnswerKind {
    let count = |name: &str| call.arguments.get(name).and_then(serde_json::Value::as_u64);
    let most = most as u64;
    let max = count("max").unwrap_or(most).clamp(1, most.max(1));
    let min = count("min").unwrap_or(1).clamp(1, max);
    let narrow = |count: u64| u8::try_from(count).unwrap_or(u8::MAX);
    AnswerKind::Digits { min: narrow(min), max: narrow(max) }
}
