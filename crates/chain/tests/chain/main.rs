//! Chains of stages that fail in every way and at every moment: what is asked for ends, nothing is said twice or lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod faults;
mod llm;
mod stt;
mod tts;
