//! Leaving the call once the last words were heard: hanging up, and handing the caller to somebody else.
//!
//! A transfer is carried out like a tool, for the conversation has no line of its own to Twilio. It is asked for only when nothing is
//! being said any more; its result comes back like any tool's. Done: the call ends. Failed: the model gets the reason, and the call goes on.

use std::sync::Arc;

use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{CallTime, Interruptible, ToolCall, ToolResult};

use crate::config::Timeouts;
use crate::conversation::{Conversation, State, Todo};
use crate::deadline::{Deadline, Why};
use crate::event::{CallEvent, EndReason};
use crate::line::{Line, LineCommand};
use crate::speech::{Occasion, Purpose};
use crate::turn::TurnState;

/// Who wants a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WantedBy {
    /// The model; its own announcement that is cut off takes it back.
    Model,
    /// The application.
    Application,
}

/// Whether, why and how the call is about to be left.
#[derive(Debug, Default)]
pub(crate) enum Leaving {
    /// It is not.
    #[default]
    No,
    /// When everything was said.
    WhenSaid(EndReason),
    /// A transfer is to be asked for when everything was said.
    Transfer { call: ToolCall, by: WantedBy },
    /// It was asked for, then.
    Asked { call: ToolCall, by: WantedBy, at: CallTime },
}

/// What is to be done, now that everything was said.
#[derive(Debug, PartialEq)]
pub(crate) enum Leave {
    HangUp(EndReason),
    Ask(ToolCall),
}

impl Leaving {
    /// The call is about to be left.
    pub(crate) const fn is_wanted(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Hangs up when everything was said, if nothing else was wanted before.
    pub(crate) fn hang_up(&mut self, why: EndReason) {
        if matches!(self, Self::No) {
            *self = Self::WhenSaid(why);
        }
    }

    /// Transfers when everything was said. False if the call is about to be left already.
    pub(crate) fn transfer(&mut self, call: ToolCall, by: WantedBy) -> bool {
        let free = matches!(self, Self::No | Self::WhenSaid(EndReason::AgentDone));
        if free {
            *self = Self::Transfer { call, by };
        }
        free
    }

    /// A farewell that was cut off is none. Gives the transfer that is off.
    pub(crate) fn interrupted(&mut self) -> Option<ToolCall> {
        match std::mem::take(self) {
            Self::WhenSaid(EndReason::AgentDone) => None,
            Self::Transfer { call, by: WantedBy::Model } => Some(call),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Everything was said.
    pub(crate) fn all_said(&mut self, now: CallTime) -> Option<Leave> {
        match std::mem::take(self) {
            Self::WhenSaid(why) => {
                *self = Self::WhenSaid(why);
                Some(Leave::HangUp(why))
            }
            Self::Transfer { call, by } => {
                *self = Self::Asked { call: call.clone(), by, at: now };
                Some(Leave::Ask(call))
            }
            other => {
                *self = other;
                None
            }
        }
    }

    /// The transfer's result has come: gives back what was asked for.
    pub(crate) fn answered(&mut self, name: &str) -> Option<(ToolCall, WantedBy)> {
        if name != TRANSFER || !matches!(self, Self::Asked { .. }) {
            return None;
        }
        match std::mem::take(self) {
            Self::Asked { call, by, .. } => Some((call, by)),
            _ => None,
        }
    }

    /// Why the call is over when the stream stops by itself: a transfer takes the stream away.
    pub(crate) const fn stopped(&self) -> EndReason {
        match self {
            Self::Asked { .. } => EndReason::Transferred,
            _ => EndReason::StreamStopped,
        }
    }

    /// When a transfer that was asked for is given up.
    pub(crate) fn deadline(&self, timeouts: &Timeouts) -> Option<Deadline> {
        match self {
            Self::Asked { at, .. } => Some(Deadline::new(*at + timeouts.transfer, Why::TransferLate)),
            _ => None,
        }
    }

    /// A transfer was asked for and has not been answered.
    pub(crate) const fn is_asked(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }
}

impl Conversation {
    pub(crate) fn on_too_long(&mut self, line: &mut dyn Line) {
        self.drop_reply();
        self.drop_ended(Occasion::TooLong, line);
        self.leaving = Leaving::WhenSaid(EndReason::TooLong);
        let text = self.language.phrases(&self.config).too_long.clone();
        self.say(Purpose::Farewell, &text, Some(Interruptible::No), line);
    }

    /// A mailbox has answered. `beeped`: its beep was heard already.
    pub(crate) fn leave_message(&mut self, message: String, beeped: bool, line: &mut dyn Line) {
        if self.voicemail.is_there() {
            return self.trouble("a message is being left already; the second was ignored");
        }
        let asked = |text: &str| crate::voicemail::asks_who_calls(text);
        if !beeped
            && (asked(&self.turn.words())
                || self.reply.as_ref().and_then(|reply| reply.basis.as_deref()).is_some_and(asked))
        {
            // It is a phone that screens its calls, and is being answered.
            self.voicemail = crate::voicemail::Voicemail::Screened { message };
            return line.command(LineCommand::AwaitBeep, self.now);
        }
        let speaks = matches!(self.turn.state, TurnState::Speaking { .. });
        self.cancel_reply();
        self.drop_ended(Occasion::Mailbox, line);
        // Whatever was taken for a turn was the mailbox's voice.
        self.end_barge_in(line);
        self.keypad.clear();
        self.unanswered_digits = None;
        self.close_turn(line);
        self.leaving = Leaving::No;
        line.command(LineCommand::AwaitBeep, self.now);
        let config = Arc::clone(&self.config);
        if let Some(message) = self.voicemail.answered(message, beeped, speaks, self.now, &config.voicemail) {
            self.say_message(&message, line);
        }
    }

    pub(crate) fn say_message(&mut self, message: &str, line: &mut dyn Line) {
        self.say(Purpose::Message, message, Some(Interruptible::No), line);
        self.leaving.hang_up(EndReason::MessageLeft);
    }

    /// Leaves, if it is time to.
    pub(crate) fn leave_when_said(&mut self, line: &mut dyn Line) -> bool {
        let writing = self.reply.as_ref().is_some_and(|reply| !reply.done && !reply.is_speculative());
        let playing = line.plays_until(self.now) > self.now && line.audible(self.now).is_some();
        if writing || playing || !self.speech.is_idle() || !self.leaving.is_wanted() {
            return false;
        }
        match self.leaving.all_said(self.now) {
            None => false,
            Some(Leave::HangUp(why)) => {
                let handoff = self.handoff.take();
                self.hang_up(why, handoff, line);
                true
            }
            Some(Leave::Ask(call)) => {
                self.todo.push_back(Todo::Tool(call));
                true
            }
        }
    }

    /// The transfer has not come about, and nothing says that it failed: the caller is not left waiting for it.
    pub(crate) fn on_transfer_late(&mut self, line: &mut dyn Line) {
        let Leaving::Asked { call, .. } = &self.leaving else { return };
        let why = format!("it had not come about after {:?}", self.config.timeouts.transfer);
        let result = ToolResult { id: call.id.clone(), name: TRANSFER.to_owned(), outcome: Err(why) };
        self.todo.push_back(Todo::CancelTool(result.id.clone()));
        self.on_tool_result(result, line);
    }

    /// Hangs up now.
    pub(crate) fn hang_up(&mut self, why: EndReason, handoff: Option<ToolCall>, line: &mut dyn Line) {
        self.drop_reply();
        self.cut_all(line);
        line.command(LineCommand::HangUp { handoff }, self.now);
        self.event(CallEvent::Ended { why });
        self.state = State::HungUp;
    }

    pub(crate) fn end(&mut self, why: EndReason, line: &mut dyn Line) {
        self.cancel_reply();
        self.drop_pending();
        self.cut_all(line);
        self.event(CallEvent::Ended { why });
        self.state = State::Over;
    }
}
