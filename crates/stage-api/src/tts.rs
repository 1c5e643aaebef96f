//! Text-to-speech: text in, sound and the times of its words out.

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::SampleRate;
use serde::{Deserialize, Serialize};

use crate::id::{SegmentId, UtteranceId};
use crate::{Recording, StageFailure};

/// Commands of the call to the text-to-speech stage.
#[derive(Clone, Debug)]
pub enum TtsCommand {
    /// Speak this. Segments of an utterance come in order and are spoken in order.
    Speak(SpeakRequest),
    /// Stop everything of this utterance; audio of it that still arrives is dropped.
    Cancel {
        /// Which utterance.
        utterance: UtteranceId,
    },
}

/// A piece of text to speak.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpeakRequest {
    /// Of which utterance.
    pub utterance: UtteranceId,
    /// Which piece of it.
    pub segment: SegmentId,
    /// The text, speakable as it is.
    pub text: String,
    /// No segment of this utterance follows.
    pub last: bool,
    /// BCP 47 tag of the text's language, if the call was switched to one: the voice of that language is to speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
    /// Play this in the place of a text, which is empty then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Arc<Recording>>,
}

/// Events of the text-to-speech stage.
#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    /// The segment's next sound.
    Audio {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// The sound, of any length.
        chunk: AudioChunk,
    },
    /// When words of the segment are spoken. May come before, with, or after their audio.
    Words {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// The words, in order; each call adds to the earlier ones.
        words: Vec<TimedWord>,
    },
    /// All audio of the segment has been given.
    Done {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
    },
    /// The segment's (remaining) audio can't be had: the chain has no link left.
    Failed {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// Why.
        failure: StageFailure,
    },
}

/// Sound of any length from a provider, without container bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum AudioChunk {
    /// G.711 μ-law at 8 kHz, mono; passes without transcoding.
    Mulaw(Arc<[u8]>),
    /// Linear 16-bit samples, mono.
    Pcm {
        /// Their rate.
        rate: SampleRate,
        /// The samples.
        samples: Arc<[i16]>,
    },
}

impl AudioChunk {
    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let (count, rate) = match self {
            Self::Mulaw(octets) => (octets.len(), SampleRate::HZ_8000),
            Self::Pcm { rate, samples } => (samples.len(), *rate),
        };
        rate.duration_of(offhook_audio::SampleCount(count as u64))
    }
}

impl std::fmt::Debug for AudioChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mulaw(octets) => write!(f, "Mulaw({} octets)", octets.len()),
            Self::Pcm { rate, samples } => write!(f, "Pcm({} samples at {rate})", samples.len()),
        }
    }
}

/// A word and when it sounds, relative to its segment's first sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedWord {
    /// The word as in the segment's text, without surrounding spaces.
    pub word: String,
    /// Its onset.
    pub start_ms: u32,
    /// Its end.
    pub end_ms: u32,
}

impl TtsEvent {
    /// Which piece of which utterance it is of.
    #[must_use]
    pub const fn of(&self) -> (UtteranceId, SegmentId) {
        match self {
            Self::Audio { utterance, segment, .. }
            | Self::Words { utterance, segment, .. }
            | Self::Done { utterance, segment }
            | Self::Failed { utterance, segment, .. } => (*utterance, *segment),
        }
    }
}
