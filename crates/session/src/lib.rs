//! One call's socket, clock and stage tasks: the only loop.
//!
//! Reads what Twilio and the stages say, feeds it to the [`Call`](offhook_conversation::Call) with the time, and does what the
//! call wants done. No decision is made here.
//!
//! - `driver`: a call but for its socket: clock, stages, tools, observer
//! - `session`: the loop, over whatever link carries it
//! - `interceptor`: who may answer in the model's place
//! - `guard`: what a peer may send
//! - `socket`: a WebSocket that is written without waiting
//! - `media`, [`relay`]: Media Streams and ConversationRelay: how a call begins, its messages, how it ends
#![deny(unsafe_code)]

mod control;
mod detached;
mod driver;
mod guard;
mod interceptor;
mod media;
mod prefetch;
pub mod relay;
mod report;
mod session;
mod setup;
mod socket;
mod stages;
mod toolbox;

pub use control::{ControlError, ControlReceiver, ControlSender, control};
pub use detached::{Admission, Admitted, Detached, Leave};
pub use driver::{Observer, SessionLine};
pub use guard::{StreamGuard, TooMuch};
pub use interceptor::{Intercepted, Interceptor};
pub use media::{OpenCall, open_call, serve_call};
pub use report::{SessionEnd, SessionError, SessionReport};
pub use setup::Setup;
pub use socket::socket_config;
pub use stages::StageSet;
pub use toolbox::Tools;
