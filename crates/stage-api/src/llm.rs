//! The language model or script: the conversation in, the agent's words and wishes out.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ReplyId;
use crate::{Digits, Expectation, Interruptible, StageFailure, ToolCall, ToolResult};

/// What the call tells the language model (or script).
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
    /// context of the next request tells what was heard.
    Cancel {
        /// Which reply.
        reply: ReplyId,
    },
    /// A tool's result.
    ToolResult(ToolResult),
}

/// A request for a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyRequest {
    /// Names this attempt; comes back in every event of it.
    pub reply: ReplyId,
    /// Why a reply is wanted.
    pub reason: ReplyReason,
    /// The conversation so far, oldest first, as the caller heard it. Ends with the caller's turn to be answered,
    /// where there is one.
    pub turns: Vec<Turn>,
    /// BCP 47 tag of the language to answer in, if the call was switched to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
}

/// Why a reply is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReplyReason {
    /// The call has begun: greet, unless the engine's configuration has a greeting of its own.
    Greeting,
    /// The caller said this (the text is also the last of the turns).
    Caller {
        /// Everything the caller said in this turn. Empty: speech without recognisable words.
        text: String,
        /// The recogniser's confidence, 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f32>,
    },
    /// The caller keyed these digits. Masked in `Debug` and on tapes.
    Digits(Digits),
    /// A tool has returned, see the turns.
    Tool,
}

/// One party's turn in the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who had the floor.
    pub who: Party,
    /// What was said; for the agent exactly what reached the caller's ear.
    pub text: String,
    /// The caller interrupted: `text` is only the heard part of what was meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// When the turn began, milliseconds on the call's clock.
    pub began_ms: u64,
    /// When it ended.
    #[serde(default)]
    pub ended_ms: u64,
}

/// The two parties of a call, and the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The human on the line.
    Caller,
    /// Us.
    Agent,
    /// A tool that the agent used; the text is its call or its result.
    Tool,
    /// Nobody: what was said further back, in short, a line a turn.
    Summary,
}

/// What the language model (or script) tells the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LlmEvent {
    /// The next piece of the reply's text, of any length; the call cuts it into speakable segments.
    Text {
        /// Which reply.
        reply: ReplyId,
        /// The piece.
        delta: String,
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
