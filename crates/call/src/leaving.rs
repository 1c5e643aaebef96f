//! Leaving the call once the last words were heard: hanging up, and handing the caller to somebody else.
//!
//! A transfer is a tool's work, for the call has no line of its own to Twilio. It is asked for only when nothing is being said
//! any more; its result comes back like any tool's. Done: we leave. Failed: the agent is told, and the call goes on.

use crate::call::{Call, State};
use crate::io::{EndReason, Output};
use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{LlmCommand, ToolCall, ToolResult};

/// A transfer on its way.
#[derive(Debug)]
pub(crate) enum Transfer {
    /// To be asked for when all is said. An agent's own is off when the caller interrupts its announcement.
    Waiting { call: ToolCall, by_agent: bool },
    /// Asked for.
    Asked,
}

impl Call {
    /// Hands the caller to somebody else once everything that is being said was heard.
    pub(crate) fn transfer_when_said(&mut self, call: ToolCall, by_agent: bool) {
        if matches!(self.ending, Some(why) if why != EndReason::AgentDone) || self.transfer.is_some() {
            return self.trouble("a transfer was wanted, but the call is about to end already");
        }
        self.ending = Some(EndReason::Transferred);
        self.transfer = Some(Transfer::Waiting { call, by_agent });
    }

    /// A farewell that was cut off is none.
    pub(crate) fn stay_after_interruption(&mut self) {
        if matches!(self.transfer, Some(Transfer::Waiting { by_agent: true, .. })) {
            self.transfer = None;
            self.ending = None;
        }
        self.ending = self.ending.filter(|why| *why != EndReason::AgentDone);
    }

    /// Leaves, if it is time to.
    pub(crate) fn leave_when_said(&mut self) {
        let Some(why) = self.ending else { return };
        let saying = !self.playout.utterances().all(|utterance| utterance.held);
        let replying = self.reply.as_ref().is_some_and(|reply| !reply.done && !reply.speculative);
        if saying || replying {
            return;
        }
        match self.transfer.take() {
            None => self.hang_up(why),
            Some(Transfer::Waiting { call, .. }) => {
                self.transfer = Some(Transfer::Asked);
                self.out.push_back(Output::Tool(call));
            }
            Some(Transfer::Asked) => self.transfer = Some(Transfer::Asked),
        }
    }

    /// Takes the result of the transfer that was asked for; gives back others.
    pub(crate) fn on_transferred(&mut self, result: ToolResult) -> Option<ToolResult> {
        if result.name != TRANSFER || !matches!(self.transfer, Some(Transfer::Asked)) {
            return Some(result);
        }
        self.transfer = None;
        if result.outcome.is_err() {
            self.ending = None;
            return Some(result);
        }
        self.out.push_back(Output::Llm(LlmCommand::ToolResult(result)));
        self.hang_up(EndReason::Transferred);
        None
    }

    /// Why the call is over, when the stream has stopped by itself: a transfer takes the stream away.
    pub(crate) fn stopped_because(&self) -> EndReason {
        match self.transfer {
            Some(Transfer::Asked) => EndReason::Transferred,
            _ => EndReason::StreamStopped,
        }
    }

    /// The call is about to end, or talks to a machine: what a tool returned needs no answer.
    pub(crate) fn is_leaving(&self) -> bool {
        self.state != State::Running || self.ending.is_some() || self.machine.is_some()
    }
}
