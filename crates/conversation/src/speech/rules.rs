//! Who may speak before whom, what is dropped when, and what must be heard. The only place where this is decided.
//!
//! | what | goes in front of | dropped, unbegun, when | cut off, begun, when |
//! | --- | --- | --- | --- |
//! | filler | the reply, or the rest, that it bridges the wait for | that begins, the caller begins, its reason is gone | the caller interrupts |
//! | apology, check-in | what is held | the caller begins, or has said something that is answered | the caller interrupts |
//! | reply, greeting | – | it is withdrawn, the caller interrupts | the caller interrupts, unless it is not interruptible |
//! | announcement, farewell | what is held | the caller interrupts, unless it is not interruptible | the same |
//! | keys, message | what is held | – | – |
//!
//! A model that follows the call may put something else in the place of its reply. A mailbox ends everything but keys; the end of the allowed time ends everything but keys and what is not interruptible.

use std::collections::VecDeque;

use offhook_stage_api::{Interruptible, ReplyId, UtteranceId};

use super::utterance::{Bridge, Progress, Purpose, Utterance};
use crate::event::DropCause;

/// Something on which part of what is to be said is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Sound of this reply is there, or it was given up: nothing bridges the wait for it any more.
    ReplyReady(ReplyId),
    /// Sound of the rest of this utterance is there, or none will come.
    RestReady(UtteranceId),
    /// What was heard needs no answer.
    TurnDropped,
    /// No tool runs any more.
    ToolsEnded,
    /// The caller began to speak.
    CallerBegan,
    /// The caller's turn is over, and will be answered.
    TurnEnded,
    /// The caller interrupted.
    Interrupted(By),
    /// The model itself puts something else in the place of its reply.
    Preempted,
    /// A mailbox has answered.
    Mailbox,
    /// The call has reached its greatest length.
    TooLong,
}

/// What the caller interrupts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Speech,
    Key,
}

/// Where something goes: in front of the one at this place, or (`None`) behind everything.
pub(super) fn place(purpose: &Purpose, queue: &VecDeque<Utterance>) -> Option<usize> {
    let bridged = |utterance: &Utterance| match purpose {
        Purpose::Filler(Bridge::Reply(reply)) => utterance.purpose.reply() == Some(*reply),
        Purpose::Filler(Bridge::Rest(id)) => utterance.id == *id,
        _ => false,
    };
    if purpose.reply().is_some() {
        return None;
    }
    // What is held may never go out: nothing waits behind it.
    queue.iter().position(|utterance| bridged(utterance) || utterance.progress == Progress::Held)
}

/// It is said to its end, whatever the caller says.
pub(crate) const fn must_be_heard(utterance: &Utterance) -> bool {
    matches!(utterance.purpose, Purpose::Keys(_) | Purpose::Message | Purpose::Echo)
        || matches!(utterance.interruptible, Interruptible::No)
}

/// Whether the caller may end it in this way.
const fn may_be_interrupted(utterance: &Utterance, by: By) -> bool {
    !must_be_heard(utterance)
        && match (utterance.interruptible, by) {
            (Interruptible::Yes, _) | (Interruptible::DtmfOnly, By::Key) => true,
            (Interruptible::DtmfOnly, By::Speech) | (Interruptible::No, _) => false,
        }
}

/// Whether an occasion ends something, and why.
pub(super) fn ends(utterance: &Utterance, occasion: Occasion) -> Option<DropCause> {
    let begun = utterance.has_begun();
    let bridge = match utterance.purpose {
        Purpose::Filler(bridge) => Some(bridge),
        _ => None,
    };
    let bridges = |wanted: Bridge| bridge == Some(wanted) && !begun;
    match occasion {
        Occasion::ReplyReady(reply) => bridges(Bridge::Reply(reply)).then_some(DropCause::ReplyBegan),
        Occasion::RestReady(id) => bridges(Bridge::Rest(id)).then_some(DropCause::ReasonGone),
        Occasion::TurnDropped => bridges(Bridge::Words).then_some(DropCause::ReasonGone),
        Occasion::ToolsEnded => bridges(Bridge::Tools).then_some(DropCause::ReasonGone),
        Occasion::CallerBegan => (!begun && utterance.purpose.is_own()).then_some(DropCause::CallerBegan),
        Occasion::TurnEnded => {
            let instead = matches!(utterance.purpose, Purpose::Apology | Purpose::CheckIn);
            (!begun && instead).then_some(DropCause::ReasonGone)
        }
        Occasion::Interrupted(by) => may_be_interrupted(utterance, by).then_some(DropCause::Interrupted),
        Occasion::Preempted => matches!(utterance.purpose, Purpose::Reply(_) | Purpose::Greeting(_))
            .then_some(DropCause::ReasonGone),
        Occasion::Mailbox => {
            (!matches!(utterance.purpose, Purpose::Keys(_) | Purpose::Echo)).then_some(DropCause::Leaving)
        }
        Occasion::TooLong => (!must_be_heard(utterance)).then_some(DropCause::Leaving),
    }
}
