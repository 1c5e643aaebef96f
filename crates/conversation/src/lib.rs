//! A conversation on the telephone as a sans-IO state machine that knows no samples: inputs and `now` go in, outputs come out.
//!
//! [`Call::handle`] takes one thing that happened; [`Call::poll_output`] gives what is to be done about it; [`Call::deadline`] says
//! when to come back if nothing happens, and why. There is no socket, clock, task or randomness inside, so the same inputs give the
//! same outputs, on the phone and in a replay.
//!
//! A call is a conversation on a [line](mod@line). The line knows samples or tokens; the conversation decides who may speak.
//!
//! A conversation has three parts. Each owns its state, and only it changes it; `conversation` takes what happens, and tells the parts
//! what the others' news mean to them. All act at a `moment`: the time, the settings, the line, and what is to be done.
//!
//! | part | owns | decides |
//! | --- | --- | --- |
//! | `caller` | `turn`, `barge_in`, `keypad` | when the caller is done, whether words over the agent ask for the floor, when a number is whole |
//! | `agent` | `speech`, `history`, the reply, tools, language | what is said, dropped and said again; what a model gets to know; what is said into a wait or a silence |
//! | `life` | `leaving`, `voicemail` | how a call ends, is lost or goes on |
//!
//! Who may speak before whom, what is dropped when, and what must be heard is decided in one place: the rules of `speech`.
#![forbid(unsafe_code)]

mod agent;
mod barge_in;
mod call;
mod caller;
pub mod config;
mod conversation;
mod deadline;
mod event;
mod history;
mod keypad;
mod leaving;
mod life;
pub mod line;
mod moment;
mod phrases;
mod speech;
mod turn;
mod voicemail;

pub use call::{Call, Input, Output, Transport};
pub use config::ConversationConfig;
pub use deadline::{Deadline, Why, duration_ms, ms};
pub use event::{
    BargeInStage, CallEvent, Control, DropCause, DropReason, EndReason, Passing, ReplyTiming, ToolStage,
    TurnEnded, UtteranceKind,
};
pub use phrases::{LanguagePhrases, Phrases};
pub use turn::{Evidence, contains_words};
