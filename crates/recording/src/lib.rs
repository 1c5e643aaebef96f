//! Both sides of a call as the parties heard them, in a file that grows while the call lasts.
//!
//! What comes in: the caller's frames, with the carrier's timestamps; the frames sent to the caller, ahead of their playing; `clear`.
//! What goes out: stereo, caller left, agent right, 8 kHz, with the gaps that there were, and without what a `clear` threw away. The
//! file can be played at any moment up to some seconds ago, so a crash costs those seconds and no more.
//!
//! - [`pieces`]: what a call's worker notes, at the cost of a copy
//! - [`Recording`]: a file that takes such notes, in a thread that may wait for the disk
//! - [`Mixer`]: puts both sides on one time line; holds a second or two of it
//! - [`Wav`], [`Flac`]: the files' octets. WAV holds the very octets that went over the wire (G.711 μ-law); FLAC the same sound as
//!   16-bit samples, in about half the room
#![forbid(unsafe_code)]

mod file;
mod flac;
mod mixer;
pub mod pieces;
mod wav;

pub use file::{Form, Recording, Seal};
pub use flac::{Flac, FlacError};
pub use mixer::Mixer;
pub use pieces::Piece;
pub use wav::Wav;

/// Sound of both sides is so many frames of a left and a right octet a second.
pub const RATE: u32 = 8_000;
/// μ-law silence.
pub const SILENCE: u8 = 0xFF;
