//! What the agent's side tells the conversation, where something follows from it for the others.

use std::sync::Arc;

use offhook_stage_api::{CallTime, Expectation, Interruptible, ReplyReason, ToolCall};

use crate::speech::Purpose;

/// A reply that is true from now on, and what it changes.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) requested: CallTime,
    pub(crate) first_text: Option<CallTime>,
    pub(crate) first_audio: Option<CallTime>,
    /// It answers something that the caller has said.
    pub(crate) answers_words: bool,
    /// It answers a number that the caller has keyed.
    pub(crate) answers_number: bool,
    pub(crate) expectation: Option<Arc<Expectation>>,
    pub(crate) tools: Vec<ToolCall>,
}

/// A reply that is done and has no words: only tools make it true; nothing at all is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Wordless {
    /// It has words, or isn't done.
    No,
    /// There is nothing to be said.
    Accepted,
    /// It is to be asked for again, for this reason. The caller has waited since then.
    Again(ReplyReason, CallTime),
    /// It was asked for again already.
    GivenUp,
}

/// What a wait that has lasted too long has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLong {
    /// It is bridged, or what was waited for was given up.
    Bridged,
    /// The reply is to be given up.
    GiveUpReply,
    /// The voice gives no sound any more.
    VoiceFailed,
}

/// What it means that an utterance has no sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Soundless {
    /// It is not said, and that is all.
    Skipped,
    /// It was the answer: the caller still waits for one.
    Reply,
    /// The voice gives no sound any more.
    VoiceFailed,
}

/// What was to be said and has not been heard: what for, the text, and what may interrupt it.
pub(crate) type Unheard = (Purpose, String, Interruptible);
