//! One phone call as a sans-IO state machine: inputs and `now` go in, outputs come out.
#![forbid(unsafe_code)]

pub mod id;
pub mod stage;
mod time;

pub use time::CallTime;
