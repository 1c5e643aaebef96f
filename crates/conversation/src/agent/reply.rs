//! A reply on its way from the language model to the line.

use std::sync::Arc;

use crate::turn::TurnNumber;
use offhook_speakable::ThoughtFilter;
use offhook_stage_api::{CallTime, Expectation, Interruptible, ReplyId, ReplyReason, ToolCall, UtteranceId};

/// How certain it is that a reply is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Requested before the end of the turn was certain: nothing of it may be heard.
    Speculative,
    /// It is waited for.
    Due,
    /// Its first sound went out, or it has none and is done: whatever it changes is true.
    Begun,
}

/// One attempt to answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: ReplyId,
    pub(super) reason: ReplyReason,
    pub(super) phase: Phase,
    /// What it says, if it has said something.
    pub(super) utterance: Option<UtteranceId>,
    /// Takes what isn't meant for ears out of its text.
    pub(super) filter: ThoughtFilter,
    /// What may interrupt it, if it isn't as configured.
    pub(super) interruptible: Option<Interruptible>,
    /// It is written to its end.
    pub(super) done: bool,
    /// Tools that it wants, once it is true.
    pub(super) tools: Vec<ToolCall>,
    /// It has wanted tools, or is to have no words.
    pub(super) used_tools: bool,
    pub(super) expectation: Option<Arc<Expectation>>,
    /// The language that it was requested in, if the call was switched to one.
    pub(super) language: Option<Arc<str>>,
    pub(super) requested: CallTime,
    pub(super) first_text: Option<CallTime>,
    pub(super) first_audio: Option<CallTime>,
    /// It had no words at all, and was requested once more.
    pub(super) again: bool,
    /// Its request did not allow any tools.
    pub(super) told_to_speak: bool,
    /// The caller's turn that it answers.
    pub(super) answers: Option<TurnNumber>,
    /// The words that it answers, if it answers any.
    pub(super) basis: Option<String>,
    /// A keyed number is among what it answers.
    pub(super) has_digits: bool,
    /// Since when the caller waits for it.
    pub(super) since: CallTime,
}

impl Reply {
    pub(super) fn new(id: ReplyId, reason: ReplyReason, phase: Phase, now: CallTime) -> Self {
        Self {
            id,
            reason,
            phase,
            utterance: None,
            filter: ThoughtFilter::default(),
            interruptible: None,
            done: false,
            tools: Vec::new(),
            used_tools: false,
            expectation: None,
            language: None,
            requested: now,
            first_text: None,
            first_audio: None,
            again: false,
            told_to_speak: false,
            answers: None,
            basis: None,
            has_digits: false,
            since: now,
        }
    }

    pub(super) fn is_speculative(&self) -> bool {
        self.phase == Phase::Speculative
    }

    pub(super) fn has_begun(&self) -> bool {
        self.phase == Phase::Begun
    }

    /// Nothing more comes of it, and it is true.
    pub(super) fn is_over(&self) -> bool {
        self.done && self.has_begun()
    }
}
