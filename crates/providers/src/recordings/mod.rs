//! Recordings that an application wants to be played: fetched within bounds, decoded, and given to the call in the place of a voice's
//! sound.
//!
//! - `decode`: WAV, MP3 and μ-law to 8 kHz
//! - `fetch`: from the web, with bounds on size, time, length and place
//! - `stage`: a voice that plays them

mod decode;
mod fetch;
mod stage;
#[cfg(test)]
mod tests;

pub use fetch::{Refused, fetch};
pub use stage::PlayingTts;
