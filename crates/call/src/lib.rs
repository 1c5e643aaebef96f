//! One phone call as a sans-IO state machine: inputs and `now` go in, outputs come out.
//!
//! [`Call::handle`] takes one thing that happened; [`Call::poll_output`] gives what is to be done about it;
//! [`Call::deadline`] tells when to come back if nothing happens. There is no socket, clock, task or randomness inside,
//! so the same inputs give the same outputs, on the phone and in a replay.
//!
//! - `inbound`: the caller's sound becomes speech events
//! - `echo`: whether the line returns the agent's own voice
//! - `keypad`: keys become whole numbers
//! - `turn`: speech events and transcripts become decisions about whose turn it is; never sees a sample
//! - `reply`: requests to the language model, and their text on its way to the voice
//! - `playout`: the ledger of what was sent and what of it was heard
//! - `outbound`: the voice's sound becomes μ-law
//! - `context`: the conversation as the model is told of it
//! - [`relay`]: a call of text, whose sound is somebody else's
#![forbid(unsafe_code)]

mod barge_in;
mod call;
pub mod config;
mod context;
mod echo;
mod hearing;
mod histogram;
mod inbound;
mod io;
mod keypad;
mod language;
mod leaving;
mod machine;
mod outbound;
mod patience;
mod playout;
pub mod relay;
mod reply;
mod sentence;
mod speaking;
mod timers;
mod turn;
mod working;

pub use call::{Call, CallTotals};
pub use config::{CallConfig, CallMode};
pub use histogram::Histogram;
pub use inbound::InboundTotals;
pub use io::{
    BargeInStage, CallEvent, Control, DropReason, EndReason, Input, Key, MarkName, Output, ReplyTiming,
    ToolStage, TurnEnded, UtteranceKind,
};
pub use language::LanguageTexts;
pub use offhook_stage_api::CallTime;
pub use playout::PlayoutTotals;
pub use turn::Evidence;
