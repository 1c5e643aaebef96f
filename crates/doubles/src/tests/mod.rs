//! The doubles as a plain client meets them.

mod faults;
mod live;
mod llm;
mod realtime;
mod services;
mod stt;
mod support;
mod tts;
