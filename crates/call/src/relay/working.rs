//! Tools at work: what their results lead to, and what the caller hears while they are awaited.

use std::time::Duration;

use super::RelayOutput;
use super::call::RelayCall;
use crate::CallTime;
use crate::config::OnInterruption;
use crate::io::{CallEvent, EndReason, ToolStage};
use crate::leaving::TRANSFER;
use crate::stage::{AnswerKind, Digits, LlmCommand, Party, ReplyReason, ToolCall, ToolResult};
use crate::timers::Timer;
use crate::working::{COLLECT_DIGITS, OWN_FILLER_AFTER, digits_asked_for};

/// The tools of a call.
#[derive(Debug, Default)]
pub(super) struct Working {
    tools: Vec<AtWork>,
    begun: u32,
    /// All have returned, and the model has not gone on yet.
    pub(super) owed: bool,
    /// The caller was asked to key a number.
    collecting: bool,
}

#[derive(Debug)]
struct AtWork {
    id: String,
    name: String,
    since: CallTime,
}

impl Working {
    /// Whether any tool is at work.
    pub(super) const fn any(&self) -> bool {
        !self.tools.is_empty()
    }
}

impl RelayCall {
    pub(super) fn use_tool(&mut self, call: ToolCall) {
        // Keys are nobody's business, the model's own later turns included.
        let arguments = if call.name == "send_dtmf" { "keys".to_owned() } else { call.arguments.to_string() };
        let text = format!("{}({arguments})", call.name);
        self.context.push(Party::Tool, text, false, (self.now, self.now));
        match call.name.as_str() {
            "end_call" => self.end_when_said(EndReason::AgentDone),
            TRANSFER => self.transfer_when_said(call, true),
            "send_dtmf" => {
                let keys = call.arguments.get("digits").and_then(|digits| digits.as_str()).unwrap_or("");
                let outcome = self.press(&Digits::new(keys)).map(|()| "pressed".to_owned());
                self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
            }
            COLLECT_DIGITS => self.collect_digits(call),
            _ => self.begin_tool(call),
        }
    }

    fn begin_tool(&mut self, mut call: ToolCall) {
        // Providers count anew in every reply; two tools at work must not be taken for each other.
        self.working.begun += 1;
        call.id = format!("{}-{}", self.working.begun, call.id);
        self.tool_event(&call.name, ToolStage::Asked, self.now);
        let (id, name) = (call.id.clone(), call.name.clone());
        self.working.tools.push(AtWork { id, name, since: self.now });
        self.out.push_back(RelayOutput::Tool(call));
        self.watch_tools();
    }

    fn tool_event(&mut self, name: &str, stage: ToolStage, since: CallTime) {
        let after_ms = u64::try_from(self.now.since(since).as_millis()).unwrap_or(u64::MAX);
        self.event(CallEvent::Tool { name: name.to_owned(), stage, after_ms });
    }

    /// A tool has returned. One that was given up is no longer listened to.
    pub(super) fn on_tool_result(&mut self, result: ToolResult) {
        let Some(result) = self.on_transferred(result) else { return };
        if let Some(at) = self.working.tools.iter().position(|tool| tool.id == result.id) {
            let tool = self.working.tools.remove(at);
            let stage = if result.outcome.is_ok() { ToolStage::Returned } else { ToolStage::Failed };
            self.tool_event(&tool.name, stage, tool.since);
        } else if result.name != TRANSFER {
            return;
        }
        self.tool_returned(result);
    }

    /// Takes a result into the conversation.
    fn tool_returned(&mut self, result: ToolResult) {
        let text = match &result.outcome {
            Ok(text) => format!("{}: {text}", result.name),
            Err(why) => format!("{} failed: {why}", result.name),
        };
        self.context.push(Party::Tool, text, false, (self.now, self.now));
        self.out.push_back(RelayOutput::Llm(LlmCommand::ToolResult(result)));
        self.working.owed = true;
    }

    /// Has the model go on, once everything that it wanted is there and nobody speaks.
    pub(super) fn go_on_after_tools(&mut self) {
        let ready = self.working.owed
            && !self.working.any()
            && !self.hold
            && self.ending.is_none()
            && self.machine.is_none()
            && self.reply.as_ref().is_none_or(|reply| reply.committed && reply.done);
        if ready {
            self.request_reply(ReplyReason::Tool, None);
            let late = self.now.max(self.ledger.voice_until()) + self.config.patience.reply_late;
            self.timers.set(Timer::ReplyLate, late);
        }
    }

    /// The caller spoke up: tools that are declared so are given up.
    pub(super) fn interrupt_tools(&mut self) {
        let manners = &self.config.tools;
        let gives_up = |tool: &AtWork| {
            manners.get(&tool.name).is_some_and(|manners| manners.on_interruption == OnInterruption::Cancel)
        };
        let (given_up, kept): (Vec<AtWork>, Vec<AtWork>) =
            std::mem::take(&mut self.working.tools).into_iter().partition(gives_up);
        self.working.tools = kept;
        for tool in given_up {
            self.tool_event(&tool.name, ToolStage::Cancelled, tool.since);
            let text = format!("{} failed: given up, because the caller interrupted", tool.name);
            self.context.push(Party::Tool, text, false, (self.now, self.now));
            self.out.push_back(RelayOutput::CancelTool { id: tool.id });
        }
    }

    /// Nobody waits for the tools at work any more.
    pub(super) fn forget_tools(&mut self) {
        for tool in std::mem::take(&mut self.working.tools) {
            self.tool_event(&tool.name, ToolStage::Failed, tool.since);
            self.out.push_back(RelayOutput::CancelTool { id: tool.id });
        }
        self.working.owed = false;
    }

    /// Sets the time for a word into the silence in which a tool works.
    pub(super) fn watch_tools(&mut self) {
        let replying = self.reply.as_ref().is_some_and(|reply| !reply.done || !reply.committed);
        if self.working.any() && !replying && !self.timers.is_set(Timer::ReplyLate) {
            let late = self.now.max(self.ledger.voice_until()) + self.late_after();
            self.timers.set(Timer::ReplyLate, late);
        }
    }

    /// How long a silence may last before a word is said into it.
    pub(super) fn late_after(&self) -> Duration {
        let own = self.patience.fillers_said == 0 && self.tools_filler().is_some();
        if own { OWN_FILLER_AFTER } else { self.config.patience.reply_late }
    }

    /// The word that a tool at work has for its wait.
    pub(super) fn tools_filler(&self) -> Option<String> {
        let mut tools = self.working.tools.iter();
        tools.find_map(|tool| self.config.tools.get(&tool.name)?.filler.clone())
    }

    /// The keys come as the caller's next turn, so that they stay out of tapes.
    fn collect_digits(&mut self, call: ToolCall) {
        self.answer = digits_asked_for(&call, self.config.dtmf.most);
        self.working.collecting = true;
        // The caller was asked in the same reply, or is asked now.
        let asked = self.reply.as_ref().is_some_and(super::reply::Reply::speaks);
        let outcome = Ok("the caller's keys will come as a note".to_owned());
        self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
        self.working.owed &= !asked;
    }

    /// The answer to a collection came, in keys or otherwise: what is said next is anything again.
    pub(super) fn stop_collecting(&mut self) {
        if std::mem::take(&mut self.working.collecting) {
            self.answer = AnswerKind::Open;
        }
    }
}
