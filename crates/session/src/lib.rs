//! One call's socket, clock and stage tasks: the only loop.
//!
//! Reads what Twilio and the stages say, feeds it to the [`Call`](offhook_call::Call) with the time, and does what the
//! call wants done. No decision is made here.
#![deny(unsafe_code)]

mod ahead;
mod control;
mod guard;
mod link;
pub mod relay;
mod report;
mod run;
mod setup;
mod stages;

pub use control::{ControlError, ControlReceiver, ControlSender, Tools, control};
pub use guard::{StreamGuard, TooMuch};
pub use link::socket_config;
pub use report::{SessionEnd, SessionError, SessionReport};
pub use run::{Observer, OpenCall, open_call, serve_call};
pub use setup::Setup;
pub use stages::StageSet;
