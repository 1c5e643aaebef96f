//! The loop itself, on tokio's paused clock, over sockets in memory: what it does with stages that end, peers that misbehave, and
//! tools at work. No decision of the conversation is judged here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod media;
mod peer;
mod relay;
mod stages;
mod watch;
