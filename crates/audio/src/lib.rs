//! The vocabulary of telephone sound: frames, rates, positions, levels, and small per-call filters.
//!
//! Everything here keeps at most a few frames of state and holds no policy. A *frame* is 20 ms, 160 samples at
//! 8 kHz, everywhere in Offhook.
#![forbid(unsafe_code)]

mod frame;
mod level;
mod position;
mod rate;

pub use frame::{FRAME_DURATION, FRAME_SAMPLES, MULAW_SILENCE, MulawFrame, PcmFrame};
pub use level::Dbov;
pub use position::{SampleCount, SamplePos};
pub use rate::SampleRate;
