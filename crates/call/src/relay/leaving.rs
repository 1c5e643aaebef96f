//! Leaving the call once the last words were heard: hanging up, handing the caller to somebody else, leaving a message.

use super::call::RelayCall;
use crate::CallTime;
use crate::config::Interruptible;
use crate::io::{EndReason, UtteranceKind};
use crate::stage::ToolCall;
use crate::timers::Timer;

/// What is handed to whoever is asked what is next.
#[derive(Debug)]
pub(super) struct Handoff {
    pub(super) call: ToolCall,
    /// The agent's own wish: off when the caller interrupts its announcement.
    by_agent: bool,
}

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

    /// Hands the caller to somebody else once everything that is being said was heard. The carrier asks what is next.
    pub(super) fn transfer_when_said(&mut self, call: ToolCall, by_agent: bool) {
        if matches!(self.ending, Some(why) if why != EndReason::AgentDone) {
            return self.trouble("a transfer was wanted, but the call is about to end already");
        }
        self.ending = Some(EndReason::Transferred);
        self.handoff = Some(Handoff { call, by_agent });
    }

    /// A farewell that was cut off is none.
    pub(super) fn stay_after_interruption(&mut self) {
        if self.handoff.as_ref().is_some_and(|handoff| handoff.by_agent) {
            self.handoff = None;
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
        self.digits.clear();
        self.timers.cancel(Timer::DigitGap);
        self.unheard = None;
        self.ending = None;
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
