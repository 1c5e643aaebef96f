//! From 20 ms frames to speech events: voice activity, talkspurts, and keypad tones in the sound.
//!
//! A [`Detector`] gives each frame a probability of speech; [`Talkspurts`] makes of that the onset and the end of runs
//! of speech, with a noise floor and a guard against tones. [`dtmf`] finds keys, [`tones`] what the network says.
#![deny(unsafe_code)]

mod detector;
pub mod dtmf;
mod energy;
mod floor;
mod goertzel;
mod talkspurt;
mod tonality;
pub mod tones;
pub mod voice;
mod webrtc;

pub use detector::{Detector, DetectorKind};
pub use energy::Energy;
pub use floor::NoiseFloor;
pub use talkspurt::{FrameVerdict, SpeechEvent, TalkspurtConfig, Talkspurts};
pub use tonality::ToneGuard;
pub use voice::Offhook;
pub use webrtc::{PlainWebRtc, WebRtc};
