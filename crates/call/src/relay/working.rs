//! Tools at work: what their results lead to, and what the caller hears while they are awaited.

use super::RelayOutput;
use super::call::RelayCall;
use crate::io::{EndReason, ToolStage, UtteranceKind};
use crate::timers::Timer;
use crate::working::{AtWork, digits_asked_for, outcome_in_words};
use offhook_stage_api::Interruptible;
use offhook_stage_api::tools::{self, COLLECT_DIGITS, TRANSFER};
use offhook_stage_api::{AnswerKind, Digits, LlmCommand, Party, ReplyReason, ToolCall, ToolResult};

impl RelayCall {
    pub(super) fn use_tool(&mut self, call: ToolCall) {
        // Keys are nobody's business, the model's own later turns included.
        let arguments =
            if call.name == tools::SEND_DTMF { "keys".to_owned() } else { call.arguments.to_string() };
        let text = format!("{}({arguments})", call.name);
        self.context.push(Party::Tool, text, false, (self.now, self.now));
        match call.name.as_str() {
            tools::END_CALL => self.end_when_said(EndReason::AgentDone),
            TRANSFER => self.transfer_when_said(call, true),
            tools::SEND_DTMF => {
                let keys = call.arguments.get("digits").and_then(|digits| digits.as_str()).unwrap_or("");
                let outcome = self.press(&Digits::new(keys)).map(|()| "pressed".to_owned());
                self.tool_returned(ToolResult { id: call.id, name: call.name, outcome });
            }
            COLLECT_DIGITS => self.collect_digits(call),
            tools::SWITCH_LANGUAGE => self.switch_language(call),
            _ => self.begin_tool(call),
        }
    }

    fn begin_tool(&mut self, mut call: ToolCall) {
        let event = self.working.begin(&mut call, self.now);
        self.event(event);
        self.out.push_back(RelayOutput::Tool(call));
    }

    /// A tool has returned. One that was given up is no longer listened to.
    pub(super) fn on_tool_result(&mut self, result: ToolResult) {
        let Some(result) = self.on_transferred(result) else { return };
        if let Some(event) = self.working.end(&result, self.now) {
            self.event(event);
        } else if result.name != TRANSFER {
            return;
        }
        self.tool_returned(result);
    }

    /// Takes a result into the conversation.
    pub(super) fn tool_returned(&mut self, result: ToolResult) {
        let text = outcome_in_words(&result);
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
        for tool in self.working.interrupt(&self.config.tools) {
            self.event(tool.event(ToolStage::Cancelled, self.now));
            self.context.push(Party::Tool, tool.given_up(), false, (self.now, self.now));
            self.out.push_back(RelayOutput::CancelTool { id: tool.id });
        }
    }

    /// Sets the time for a word into the silence in which a tool works.
    pub(super) fn watch_tools(&mut self) {
        let silent = self.working.any()
            && !self.hold
            && self.ledger.is_idle(self.now)
            && self.ending.is_none()
            && self.machine.is_none()
            && self.reply.as_ref().is_none_or(|reply| reply.done && reply.committed);
        if !silent {
            return self.timers.cancel(Timer::ToolLate);
        }
        if self.timers.is_set(Timer::ToolLate) {
            return;
        }
        let own = self.tools_filler().is_some();
        let wait = self.working.word_after(own, &self.config.patience);
        // Without a word to its call, the caller has waited since the end of the turn.
        let first = self.working.fillers_said == 0;
        let unannounced = first && !own && self.reply.as_ref().is_some_and(|reply| !reply.speaks());
        let since = self.patience.decided.filter(|_| unannounced).unwrap_or(self.now);
        self.timers.set(Timer::ToolLate, (since + wait).max(self.now));
    }

    /// The word that a tool at work has for its wait.
    fn tools_filler(&self) -> Option<&String> {
        let mut tools = self.working.tools.iter();
        tools.find_map(|tool| {
            let usual = self.config.tools.get(&tool.name).and_then(|manners| manners.filler.as_ref());
            self.language.spoken.tool_filler(&self.config.languages, &tool.name, usual)
        })
    }

    pub(super) fn on_tool_late(&mut self) {
        let own = self.tools_filler().filter(|_| self.working.fillers_said == 0).cloned();
        let texts = self.language.spoken.patience(&self.config.patience);
        let filler = own.or_else(|| self.patience.next_filler(texts));
        self.working.fillers_said += 1;
        if let Some(filler) = filler {
            self.say(UtteranceKind::Filler, &filler, Interruptible::Yes);
        }
        let sound = |tool: &AtWork| self.config.tools.get(&tool.name)?.sound.clone();
        if let Some(source) = self.working.tools.iter().find_map(sound) {
            self.out.push_back(RelayOutput::Play { source });
        }
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
