//! The program as a whole: one binary for all of its tests, which links once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod calls;
mod console;
mod dial;
mod doctor;
mod fake_twilio;
mod history;
mod life;
mod outbound;
mod relay;
mod secrets;
mod server;
mod strangers;
mod transfers;
mod vad;
