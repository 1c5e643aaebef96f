//! The vocabulary of telephone sound: frames, rates, positions, levels, and small per-call filters.
//!
//! Everything here keeps at most a few frames of state and holds no policy. A *frame* is 20 ms, 160 samples at
//! 8 kHz, everywhere in Offhook.
#![forbid(unsafe_code)]

mod comfort_noise;
mod container;
mod fade;
mod frame;
mod framer;
mod high_pass;
mod level;
mod limiter;
mod loudness;
mod plc;
mod position;
mod rate;

pub use comfort_noise::ComfortNoise;
pub use container::container;
pub use fade::{FADE_SAMPLES, cross_fade, fade_in, fade_out};
pub use frame::{FRAME_DURATION, FRAME_SAMPLES, MULAW_SILENCE, MulawFrame, PcmFrame};
pub use framer::Framer;
pub use high_pass::HighPass;
pub use level::Dbov;
pub use limiter::soft_limit;
pub use loudness::LoudnessMatcher;
pub use plc::Plc;
pub use position::{SampleCount, SamplePos};
pub use rate::SampleRate;
