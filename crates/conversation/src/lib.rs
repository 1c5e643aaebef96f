//! A conversation on the telephone as a sans-IO state machine that knows no samples: inputs and `now` go in, outputs come out.
//!
//! [`Call::handle`] takes one thing that happened; [`Call::poll_output`] gives what is to be done about it; [`Call::deadline`] says
//! when to come back if nothing happens, and why. There is no socket, clock, task or randomness inside, so the same inputs give the
//! same outputs, on the phone and in a replay.
//!
//! A call is a conversation on a [line](mod@line). The line knows samples or tokens; the conversation decides who may speak.
//!
//! | module | decides |
//! | --- | --- |
//! | `turn` | when the caller is done, and whether words over the agent ask for the floor |
//! | `speech` | who speaks before whom, what is dropped when, what must be heard |
//! | `listening` | what follows from what the caller does |
//! | `interrupting` | what becomes of speech over the agent |
//! | `answering` | when a reply is requested, held, thrown away |
//! | `following` | what an application in the model's place gets, and when it speaks unasked |
//! | `tooling`, `tools` | what tools may do, and how the model goes on |
//! | `speaking` | what becomes of what is said |
//! | `waiting` | what the caller is waiting for, and what is said into a wait or a silence |
//! | `history` | what a model gets to know |
//! | `leaving`, `voicemail`, `reconnecting` | how a call ends, or goes on |
#![forbid(unsafe_code)]

mod answering;
mod barge_in;
mod call;
pub mod config;
mod conversation;
mod deadline;
mod ending;
mod event;
mod following;
mod history;
mod interrupting;
mod keypad;
mod language;
mod leaving;
pub mod line;
mod listening;
mod pending;
mod phrases;
mod reconnecting;
mod reply;
mod silence;
mod speaking;
mod speech;
mod tooling;
mod tools;
mod turn;
mod voicemail;
mod waiting;

pub use call::{Call, Input, Output, Transport};
pub use config::ConversationConfig;
pub use deadline::{Deadline, Why, duration_ms, ms};
pub use event::{
    BargeInStage, CallEvent, Control, DropCause, DropReason, EndReason, ReplyTiming, ToolStage, TurnEnded,
    UtteranceKind,
};
pub use phrases::{LanguagePhrases, Phrases};
pub use turn::{Evidence, contains_words};
