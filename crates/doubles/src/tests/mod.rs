//! The doubles as a plain client meets them.

mod faults;
mod llm;
mod realtime;
mod stt;
mod support;
mod tts;
