//! One call's socket, clock and stage tasks: the only loop.
//!
//! Reads what Twilio and the stages say, feeds it to the [`Call`](offhook_call::Call) with the time, and does what the
//! call wants done. No decision is made here.
#![forbid(unsafe_code)]

mod link;
mod run;
mod stages;

pub use run::{Observer, SessionEnd, SessionError, SessionReport, Setup, serve_call};
pub use stages::StageSet;
