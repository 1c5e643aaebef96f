//! Stages that do the work.
//!
//! [`embedded`]: speech-to-text by PocketSphinx and text-to-speech by flite, without keys and without the internet:
//! for trying things out, and as the last link of every chain.
#![deny(unsafe_code)]

pub mod embedded;
pub mod llm;
pub mod net;
pub mod realtime;
pub mod recordings;
pub mod relay_app;
pub mod sniff;
pub mod stt;
pub mod tts;
