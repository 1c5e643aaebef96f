//! The language model or script: the conversation in, the agent's words and wishes out.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ReplyId;
use crate::{Digits, Entry, Expectation, Interruptible, News, Recording, StageFailure, ToolCall, ToolResult};

/// Commands of the call to the language model (or script).
#[derive(Clone, Debug)]
pub enum LlmCommand {
    /// Answer. Output starts at once, whether or not the reply is speculative.
    Respond(Arc<ReplyRequest>),
    /// The reply's first audio was let out to the caller: whatever state it changes is now true.
    Commit {
        /// Which reply.
        reply: ReplyId,
    },
    /// The caller interrupted this reply while it was being heard. Comes before its [`LlmCommand::Cancel`], also when the reply
    /// was complete: for models that speak themselves and keep the conversation; others learn it from the next request.
    Interrupted {
        /// Which reply.
        reply: ReplyId,
        /// How much of its sound reached the caller's ear.
        heard: Duration,
    },
    /// Stop this reply. If it was never committed, it never happened; if it was, the caller interrupted it, and the
    /// context of the next request says what was heard.
    Cancel {
        /// Which reply.
        reply: ReplyId,
    },
    /// A tool's result.
    ToolResult(ToolResult),
    /// Something happened. Only for models that are set to follow the call.
    News(News),
}

/// A request for a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyRequest {
    /// Names this attempt; comes back in every event of it.
    pub reply: ReplyId,
    /// Why a reply is wanted.
    pub reason: ReplyReason,
    /// The conversation up to this moment, oldest first, as the caller heard it, with what is being said. Has the caller's turn to be
    /// answered, where there is one.
    pub history: Vec<Entry>,
    /// BCP 47 tag of the language to answer in, if the call was switched to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// Whether it may be answered by tool calls.
    #[serde(default, skip_serializing_if = "ToolUse::is_auto")]
    pub tools: ToolUse,
    /// The end of the caller's turn is not certain yet. Told only to models that are set to follow the call.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub speculative: bool,
}

/// Whether a request may be answered by tool calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolUse {
    /// As the model thinks fit.
    #[default]
    Auto,
    /// No: it has called tools for long enough, and has to speak.
    None,
}

impl ToolUse {
    const fn is_auto(&self) -> bool {
        matches!(self, Self::Auto)
    }
}

/// Why a reply is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyReason {
    /// The call has begun: greet, unless the engine's configuration has a greeting of its own.
    Greeting,
    /// The caller said this (it is also an entry of the history).
    Caller {
        /// Everything the caller said in this turn. Empty: speech without recognisable words.
        text: String,
        /// The recogniser's confidence, 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f32>,
    },
    /// The caller keyed these digits (they are also an entry of the history). Masked in `Debug` and on tapes.
    Digits(Digits),
    /// There are tool results or notes in the history that no reply has taken up.
    Tool,
    /// The model itself has something to say ([`LlmEvent::Initiative`]).
    Initiative,
}

/// Events of the language model (or script).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LlmEvent {
    /// The model has something to say that nobody asked for. As soon as it may be said, a reply is requested for
    /// [`ReplyReason::Initiative`]; any other request before that serves as well.
    Initiative {
        /// It takes the place of the reply that is being said.
        preempt: bool,
    },
    /// The language of this reply alone. Comes before its text.
    Language {
        /// Which reply.
        reply: ReplyId,
        /// BCP 47 tag.
        language: Arc<str>,
    },
    /// This reply is to have no words: there is nothing to say.
    Silent {
        /// Which reply.
        reply: ReplyId,
    },
    /// The next piece of the reply's text, of any length; the call cuts it into speakable segments.
    Text {
        /// Which reply.
        reply: ReplyId,
        /// The piece.
        delta: String,
    },
    /// This reply is a recording, in the place of text: it has none.
    Play {
        /// Which reply.
        reply: ReplyId,
        /// The recording.
        recording: Arc<Recording>,
    },
    /// What may interrupt this reply; else the configuration says. Comes before its text.
    Interruptible {
        /// Which reply.
        reply: ReplyId,
        /// What may.
        by: Interruptible,
    },
    /// What the agent will expect to hear once this reply is out.
    Expect {
        /// Which reply.
        reply: ReplyId,
        /// The expectation.
        expectation: Arc<Expectation>,
    },
    /// The agent wants something done.
    Tool {
        /// Which reply.
        reply: ReplyId,
        /// What it wants.
        call: ToolCall,
    },
    /// The reply is complete.
    Done {
        /// Which reply.
        reply: ReplyId,
    },
    /// The reply can't be had: the chain has no link left.
    Failed {
        /// Which reply.
        reply: ReplyId,
        /// Why.
        failure: StageFailure,
    },
}

impl LlmEvent {
    /// Which reply it is of; 0, which names none, for what belongs to none.
    #[must_use]
    pub const fn reply(&self) -> ReplyId {
        match self {
            Self::Initiative { .. } => ReplyId(0),
            Self::Text { reply, .. }
            | Self::Play { reply, .. }
            | Self::Language { reply, .. }
            | Self::Silent { reply }
            | Self::Interruptible { reply, .. }
            | Self::Expect { reply, .. }
            | Self::Tool { reply, .. }
            | Self::Done { reply }
            | Self::Failed { reply, .. } => *reply,
        }
    }
}
