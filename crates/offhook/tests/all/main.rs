//! The program as a whole: one binary for all of its tests, which links once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod application;
mod bucket;
mod calls;
mod console;
mod dial;
mod doctor;
mod events;
mod examples;
mod fake_twilio;
mod foreign;
mod hardship;
mod history;
mod killed;
mod life;
mod lost;
#[path = "../../../objects/tests/server/mod.rs"]
mod moto;
mod outbound;
mod prometheus;
mod relay;
mod relay_app;
mod secrets;
mod server;
mod sign_in;
mod strangers;
mod systemd;
mod tenants;
mod tls;
mod transfers;
mod vad;
