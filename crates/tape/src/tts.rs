//! What text-to-speech says, on tape.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_audio::SampleRate;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, StageFailure, TimedWord, TtsEvent};
use serde::{Deserialize, Serialize};

/// What text-to-speech says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireTts {
    utterance: UtteranceId,
    segment: SegmentId,
    what: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Mulaw(String),
    Pcm { rate: u32, samples: String },
    Words(Vec<TimedWord>),
    Done,
    Failed(StageFailure),
}

impl WireTts {
    pub(crate) fn of(event: &TtsEvent) -> Self {
        let (utterance, segment) = event.of();
        let what = match event {
            TtsEvent::Audio { chunk, .. } => Kind::of(chunk),
            TtsEvent::Words { words, .. } => Kind::Words(words.clone()),
            TtsEvent::Done { .. } => Kind::Done,
            TtsEvent::Failed { failure, .. } => Kind::Failed(failure.clone()),
        };
        Self { utterance, segment, what }
    }

    /// Why there is no sound, if there is none.
    #[must_use]
    pub const fn failure(&self) -> Option<&StageFailure> {
        match &self.what {
            Kind::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// For people; `None` for sound.
    pub(crate) fn in_words(&self) -> Option<String> {
        let (utterance, segment) = (self.utterance, self.segment);
        match &self.what {
            Kind::Mulaw(_) | Kind::Pcm { .. } => None,
            Kind::Words(words) => Some(format!("tts: {} words of {utterance}/{segment}", words.len())),
            Kind::Done => Some(format!("tts: {utterance}/{segment} is spoken")),
            Kind::Failed(failure) => Some(format!("tts: {utterance}/{segment} failed: {failure}")),
        }
    }

    /// Back from tape; `None` if its sound is damaged.
    #[must_use]
    pub fn to_event(&self) -> Option<TtsEvent> {
        let (utterance, segment) = (self.utterance, self.segment);
        Some(match &self.what {
            Kind::Mulaw(octets) => {
                let chunk = AudioChunk::Mulaw(STANDARD.decode(octets).ok()?.into());
                TtsEvent::Audio { utterance, segment, chunk }
            }
            Kind::Pcm { rate, samples } => {
                let bytes = STANDARD.decode(samples).ok()?;
                let (pairs, _) = bytes.as_chunks::<2>();
                let samples = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
                let chunk = AudioChunk::Pcm { rate: SampleRate::new(*rate)?, samples };
                TtsEvent::Audio { utterance, segment, chunk }
            }
            Kind::Words(words) => TtsEvent::Words { utterance, segment, words: words.clone() },
            Kind::Done => TtsEvent::Done { utterance, segment },
            Kind::Failed(failure) => TtsEvent::Failed { utterance, segment, failure: failure.clone() },
        })
    }
}

impl Kind {
    fn of(chunk: &AudioChunk) -> Self {
        match chunk {
            AudioChunk::Mulaw(octets) => Self::Mulaw(STANDARD.encode(octets)),
            AudioChunk::Pcm { rate, samples } => {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                Self::Pcm { rate: rate.hz(), samples: STANDARD.encode(bytes) }
            }
        }
    }
}
