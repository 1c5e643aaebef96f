//! The vocabulary of telephone sound: frames, rates, positions, levels, and small per-call filters.
//!
//! Everything here keeps at most a few frames of state and holds no policy. A *frame* is 20 ms, 160 samples at
//! 8 kHz, everywhere in Offhook.
#![forbid(unsafe_code)]

#[cfg(feature = "dsp")]
mod comfort_noise;
mod container;
#[cfg(feature = "dsp")]
mod fade;
mod frame;
#[cfg(feature = "dsp")]
mod framer;
#[cfg(feature = "dsp")]
mod high_pass;
mod key;
mod level;
#[cfg(feature = "dsp")]
mod limiter;
#[cfg(feature = "dsp")]
mod loudness;
#[cfg(feature = "dsp")]
mod plc;
mod position;
mod rate;

#[cfg(feature = "dsp")]
pub use comfort_noise::ComfortNoise;
pub use container::container;
#[cfg(feature = "dsp")]
pub use fade::{FADE_SAMPLES, cross_fade, fade_in, fade_out};
pub use frame::{FRAME_DURATION, FRAME_SAMPLES, MULAW_SILENCE, MulawFrame, PcmFrame};
#[cfg(feature = "dsp")]
pub use framer::Framer;
#[cfg(feature = "dsp")]
pub use high_pass::HighPass;
pub use key::Key;
pub use level::Dbov;
#[cfg(feature = "dsp")]
pub use limiter::soft_limit;
#[cfg(feature = "dsp")]
pub use loudness::LoudnessMatcher;
#[cfg(feature = "dsp")]
pub use plc::Plc;
pub use position::{SampleCount, SamplePos};
pub use rate::SampleRate;
