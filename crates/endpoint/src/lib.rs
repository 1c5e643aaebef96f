//! From 20 ms frames to speech events: voice activity, talkspurts, and keypad tones in the sound.
//!
//! A [`Detector`] gives each frame a probability of speech; [`Talkspurts`] makes of that the onset and the end of runs
//! of speech, with a noise floor and a guard against tones. [`dtmf`] finds keys.
#![forbid(unsafe_code)]

mod detector;
pub mod dtmf;
mod floor;
mod talkspurt;
mod tonality;

pub use detector::{Detector, DetectorKind, Energy, WebRtc};
pub use floor::NoiseFloor;
pub use talkspurt::{FrameVerdict, SpeechEvent, TalkspurtConfig, Talkspurts};
pub use tonality::ToneGuard;
