//! A call of text: whoever carries it hears and speaks (ConversationRelay); words come in, words go out.
//!
//! The same agents, context, patience and tools as in [`Call`](crate::Call), without the voice path. What the carrier decides
//! here is taken as it comes: when the caller's turn is over, and when the agent is interrupted. What is left to decide: what
//! was heard, when silence has lasted too long, what becomes of an answer that is late, interrupted, or cut off by a lost
//! connection.
//!
//! - `call`: the state machine
//! - `caller`: what the caller does: words, keys, interruptions
//! - `reply`: from the language model to the carrier
//! - `ledger`: what was sent, and what of it was heard
//! - `language`: which is spoken
//! - `leaving`: hanging up, handing over, leaving a message
//! - `working`: tools
//! - `lost`: when the connection breaks, and the call comes back

mod call;
mod caller;
mod language;
mod leaving;
mod ledger;
mod lost;
mod reply;
mod working;

use std::time::Duration;

pub use call::RelayCall;

use crate::io::{CallEvent, Control, Key};
use offhook_stage_api::{Digits, LlmCommand, LlmEvent, ToolCall, ToolResult};

/// One thing that happened to the call.
#[derive(Clone, Debug)]
pub enum RelayInput<'a> {
    /// A session began: the first of the call, or, after [`RelayInput::Lost`], another.
    Setup,
    /// What the caller says: all words of the turn so far.
    Prompt {
        /// The words; they replace those of an earlier prompt of the turn.
        text: &'a str,
        /// BCP 47 tag of the language that they were recognised in, if that is told.
        lang: Option<&'a str>,
        /// The turn is over.
        last: bool,
    },
    /// The caller pressed a key.
    Dtmf(Key),
    /// The caller interrupted the agent; what was sent and not spoken is gone.
    Interrupt {
        /// What was heard of what the agent was saying.
        heard: &'a str,
        /// How long the agent had been speaking, if that is told.
        after: Option<Duration>,
    },
    /// The agent's voice began, or stopped. Not every carrier tells.
    AgentSpeaking(bool),
    /// The caller's voice began, or stopped. Not every carrier tells.
    CallerSpeaking(bool),
    /// These words of the agent's were spoken. Not every carrier tells.
    Played(&'a str),
    /// The carrier could not use something that was sent; in its words, without what was said.
    Refused(&'a str),
    /// The language model or script speaks.
    Llm(LlmEvent),
    /// A tool has returned.
    Tool(ToolResult),
    /// The application wants something, from outside the conversation.
    Control(Control),
    /// The connection broke; the call may come back.
    Lost,
    /// The call is over.
    Stop,
    /// Nothing happened, but the time that [`RelayCall::deadline`] named has come.
    Timeout,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub enum RelayOutput {
    /// Speak this: a piece of an utterance, with its spaces.
    Text {
        /// The piece; may be empty.
        token: String,
        /// It is the utterance's last.
        last: bool,
        /// The caller may interrupt it.
        interruptible: bool,
    },
    /// Play a sound until something else is said.
    Play {
        /// Its URL.
        source: String,
    },
    /// From here on speak, and listen for, another language.
    Language {
        /// BCP 47 tag.
        tag: String,
    },
    /// Press these keys, behind what is being said. Only such as the carrier can press.
    Press(Digits),
    /// Tell the language model or script.
    Llm(LlmCommand),
    /// Run a tool that isn't the call's own.
    Tool(ToolCall),
    /// Give up a tool: nobody waits for its result any more.
    CancelTool {
        /// The [`ToolCall::id`].
        id: String,
    },
    /// Tell whoever watches.
    Event(CallEvent),
    /// End the session. Comes once, last, when all was said.
    End {
        /// The tool call that another party is to carry out, such as a transfer.
        handoff: Option<ToolCall>,
    },
}
