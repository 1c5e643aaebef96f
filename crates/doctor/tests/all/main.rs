//! The doctor's tests: one binary for all, which links once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

mod agents;
mod examined;
mod mistakes;
mod rates;
mod redirects;
mod relay;
mod relay_mistakes;
mod server;
mod servers;
mod signatures;
mod tls;
mod waits;
