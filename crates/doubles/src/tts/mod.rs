//! Text-to-speech.

pub(crate) mod aura;
pub(crate) mod cartesia;
pub(crate) mod eleven_input;
pub(crate) mod eleven_multi;
pub(crate) mod elevenlabs;
pub(crate) mod speech;

use std::time::Duration;

use bytes::Bytes;

use crate::hearing::Encoding;
use crate::latency::Pace;
use crate::speaker::SpokenWord;
use crate::state::State;

/// A spoken text, encoded.
#[derive(Clone, Debug, Default)]
pub(crate) struct SynthResult {
    pub(crate) bytes: Bytes,
    pub(crate) words: Vec<SpokenWord>,
    /// Bytes per second.
    pub(crate) bytes_per_second: u32,
    /// Bytes per sample.
    pub(crate) width: usize,
}

impl SynthResult {
    pub(crate) fn new(state: &State, text: &str, encoding: Encoding, rate: u32) -> Self {
        let speech = state.speaker.speak(text, rate);
        let width = encoding.width();
        let bytes_per_second = rate * if width == 2 { 2 } else { 1 };
        Self { bytes: encoding.encode(&speech.samples).into(), words: speech.words, bytes_per_second, width }
    }

    pub(crate) fn length(&self) -> Duration {
        self.time(self.bytes.len())
    }

    fn time(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second.max(1)))
    }

    /// Whole samples, cut every so often: where each piece starts, and its bytes.
    pub(crate) fn chunks(&self, every: Duration) -> Vec<(Duration, Bytes)> {
        let size = (every.as_secs_f64() * f64::from(self.bytes_per_second)) as usize;
        let size = (size - size % self.width.max(1)).max(self.width.max(1));
        let starts = (0..self.bytes.len()).step_by(size);
        starts.map(|at| (self.time(at), self.bytes.slice(at..(at + size).min(self.bytes.len())))).collect()
    }
}

/// How long it takes to make some sound, at a multiple of real time.
pub(crate) fn making(pace: Pace, sound: Duration) -> Duration {
    if pace.rate > 0.0 { sound.div_f64(pace.rate) } else { Duration::ZERO }
}

/// Whether a text ends where a sentence ends.
pub(crate) fn is_sentence(text: &str) -> bool {
    text.trim_end().ends_with(['.', '!', '?', ';', ':', '…', '。'])
}

/// Whether there is anything to say in a text.
pub(crate) fn is_speakable(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}
