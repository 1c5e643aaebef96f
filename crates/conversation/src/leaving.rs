//! Leaving the call once the last words were heard: hanging up, and handing the caller to somebody else.
//!
//! A transfer is carried out like a tool, for the conversation has no line of its own to Twilio. It is asked for only when nothing is
//! being said any more; its result comes back like any tool's. Done: the call ends. Failed: the model gets the reason, and the call goes on.

use offhook_stage_api::tools::TRANSFER;
use offhook_stage_api::{CallTime, ToolCall};

use crate::config::Timeouts;
use crate::deadline::{Deadline, Why};
use crate::event::EndReason;

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
