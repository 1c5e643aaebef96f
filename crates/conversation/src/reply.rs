//! A reply on its way from the language model to the line.

use std::sync::Arc;

use crate::turn::TurnNumber;
use offhook_speakable::ThoughtFilter;
use offhook_stage_api::{CallTime, Expectation, Interruptible, ReplyId, ReplyReason, ToolCall, UtteranceId};

/// How certain it is that a reply is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Requested before the end of the turn was certain: nothing of it may be heard.
    Speculative,
    /// It is waited for.
    Due,
    /// Its first sound went out, or it has none and is done: whatever it changes is true.
    Begun,
}

/// One attempt to answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: ReplyId,
    pub(crate) reason: ReplyReason,
    pub(crate) phase: Phase,
    /// What it says, if it has said something.
    pub(crate) utterance: Option<UtteranceId>,
    /// Takes what isn't meant for ears out of its text.
    pub(crate) filter: ThoughtFilter,
    /// What may interrupt it, if it isn't as configured.
    pub(crate) interruptible: Option<Interruptible>,
    /// It is written to its end.
    pub(crate) done: bool,
    /// Tools that it wants, once it is true.
    pub(crate) tools: Vec<ToolCall>,
    /// It has wanted tools, or is to have no words.
    pub(crate) used_tools: bool,
    pub(crate) expectation: Option<Arc<Expectation>>,
    /// The language that it was requested in, if the call was switched to one.
    pub(crate) language: Option<Arc<str>>,
    pub(crate) requested: CallTime,
    pub(crate) first_text: Option<CallTime>,
    pub(crate) first_audio: Option<CallTime>,
    /// It had no words at all, and was requested once more.
    pub(crate) again: bool,
    /// Its request did not allow any tools.
    pub(crate) told_to_speak: bool,
    /// The caller's turn that it answers.
    pub(crate) answers: Option<TurnNumber>,
    /// The words that it answers, if it answers any.
    pub(crate) basis: Option<String>,
    /// A keyed number is among what it answers.
    pub(crate) has_digits: bool,
    /// Since when the caller waits for it.
    pub(crate) since: CallTime,
}

impl Reply {
    pub(crate) fn new(id: ReplyId, reason: ReplyReason, phase: Phase, now: CallTime) -> Self {
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

    pub(crate) fn is_speculative(&self) -> bool {
        self.phase == Phase::Speculative
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.phase == Phase::Begun
    }

    /// Nothing more comes of it, and it is true.
    pub(crate) fn is_over(&self) -> bool {
        self.done && self.has_begun()
    }
}
