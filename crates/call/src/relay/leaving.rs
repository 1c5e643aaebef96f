//! Leaving the call once the last words were heard: hanging up, handing the caller to somebody else, leaving a message.

use super::RelayOutput;
use super::call::RelayCall;
use crate::io::{EndReason, UtteranceKind};
use crate::leaving::Transfer;
use crate::timers::Timer;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;
use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{LlmCommand, ToolCall, ToolResult};

/// A mailbox has answered: no sound is at hand to find its beep in, so its silence is waited for.
#[derive(Debug)]
pub(super) struct Machine {
    /// Not yet said.
    message: Option<String>,
    /// Said at this time at the latest.
    until: CallTime,
}

impl RelayCall {
    /// Ends the session once everything that is being said was heard.
    pub(super) fn end_when_said(&mut self, why: EndReason) {
        self.ending.get_or_insert(why);
    }

    /// Hands the caller to somebody else once everything that is being said was heard.
    pub(super) fn transfer_when_said(&mut self, call: ToolCall, by_agent: bool) {
        if matches!(self.ending, Some(why) if why != EndReason::AgentDone) || self.transfer.is_some() {
            return self.trouble("a transfer was wanted, but the call is about to end already");
        }
        self.ending = Some(EndReason::Transferred);
        self.transfer = Some(Transfer::Waiting { call, by_agent });
    }

    /// All was said: leaves. Whether the caller may be handed over is asked first, like a tool's work; the session's end then
    /// has the carrier ask what is next.
    pub(super) fn leave(&mut self, why: EndReason) {
        match self.transfer.take() {
            None => self.hang_up(why),
            Some(Transfer::Waiting { call, .. }) => {
                self.transfer = Some(Transfer::Asked);
                self.handoff = Some(call.clone());
                self.out.push_back(RelayOutput::Tool(call));
            }
            Some(Transfer::Asked) => self.transfer = Some(Transfer::Asked),
        }
    }

    /// Takes the result of the transfer that was asked for; gives back others, and those that say no.
    pub(super) fn on_transferred(&mut self, result: ToolResult) -> Option<ToolResult> {
        if result.name != TRANSFER || !matches!(self.transfer, Some(Transfer::Asked)) {
            return Some(result);
        }
        self.transfer = None;
        if result.outcome.is_err() {
            self.ending = None;
            self.handoff = None;
            return Some(result);
        }
        self.out.push_back(RelayOutput::Llm(LlmCommand::ToolResult(result)));
        None
    }

    /// A farewell that was cut off is none.
    pub(super) fn stay_after_interruption(&mut self) {
        if matches!(self.transfer, Some(Transfer::Waiting { by_agent: true, .. })) {
            self.transfer = None;
            self.ending = None;
        }
        self.ending = self.ending.filter(|why| *why != EndReason::AgentDone);
    }

    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(super) fn leave_message(&mut self, message: String, beeped: bool) {
        if self.machine.is_some() {
            return self.trouble("a message is being left already; the second was passed over");
        }
        self.cancel_reply();
        for said in self.ledger.take_as_heard() {
            self.note_said(said);
        }
        self.keypad.clear();
        self.timers.cancel(Timer::DigitGap);
        self.unheard = None;
        self.ending = None;
        self.transfer = None;
        self.handoff = None;
        let until = self.now + self.config.machine.beep_within;
        self.machine = Some(Machine { message: Some(message), until });
        if beeped {
            self.say_message();
        } else {
            self.machine_spoke();
        }
    }

    /// The mailbox says something. True if there is one: nobody's turn.
    pub(super) fn machine_spoke(&mut self) -> bool {
        let Some(machine) = &self.machine else { return false };
        if machine.message.is_some() {
            self.timers.set(Timer::Machine, (self.now + self.config.machine.silence).min(machine.until));
        }
        true
    }

    /// The mailbox is silent, or was waited for long enough.
    pub(super) fn say_message(&mut self) {
        let Some(message) = self.machine.as_mut().and_then(|machine| machine.message.take()) else { return };
        self.timers.cancel(Timer::Machine);
        self.hold = false;
        self.say(UtteranceKind::Announcement, &message, Interruptible::No);
        self.end_when_said(EndReason::MessageLeft);
    }
}
