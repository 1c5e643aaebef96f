//! Speech-to-text.

pub(crate) mod assemblyai;
pub(crate) mod flux;
pub(crate) mod nova;
mod recogniser;
pub(crate) mod vosk;
pub(crate) mod whisper;
