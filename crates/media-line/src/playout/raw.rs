//! Sound as it came from a voice, waiting to be converted.
//!
//! Voices give sentences much faster than they are spoken, and cached sound is shared by all calls: only what is about to be
//! sent is converted, so that a call that speaks holds a fraction of a second of its own.

use std::collections::VecDeque;

use offhook_audio::{SampleCount, SampleRate};

use offhook_stage_api::AudioChunk;
use offhook_stage_api::id::SegmentId;

/// What a voice gave, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    /// Sound of a segment, of which so many samples (at the chunk's own rate) were converted.
    Sound { segment: SegmentId, chunk: AudioChunk, taken: usize },
    /// The segment's end.
    End { segment: SegmentId },
}

impl Raw {
    const fn segment(&self) -> SegmentId {
        match self {
            Self::Sound { segment, .. } | Self::End { segment } => *segment,
        }
    }

    /// Samples at 8 kHz that are left of it.
    fn samples(&self) -> u64 {
        let Self::Sound { chunk, taken, .. } = self else { return 0 };
        let (rate, length) = match chunk {
            AudioChunk::Mulaw(octets) => (SampleRate::HZ_8000, octets.len()),
            AudioChunk::Pcm { rate, samples } => (*rate, samples.len()),
        };
        SampleCount::from_duration(rate.duration_of(SampleCount(length.saturating_sub(*taken) as u64))).0
    }
}

/// What waits to be converted.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawSound {
    waiting: VecDeque<Raw>,
}

impl RawSound {
    pub(crate) fn push(&mut self, raw: Raw) {
        self.waiting.push_back(raw);
    }

    pub(crate) fn pop(&mut self) -> Option<Raw> {
        self.waiting.pop_front()
    }

    /// Puts back what was taken, as far as it wasn't used up.
    pub(crate) fn put_back(&mut self, raw: Raw) {
        let used_up = match &raw {
            Raw::Sound { chunk: AudioChunk::Mulaw(octets), taken, .. } => *taken >= octets.len(),
            Raw::Sound { chunk: AudioChunk::Pcm { samples, .. }, taken, .. } => *taken >= samples.len(),
            Raw::End { .. } => true,
        };
        if !used_up {
            self.waiting.push_front(raw);
        }
    }

    /// The end of a segment waits.
    pub(crate) fn ends(&self, id: SegmentId) -> bool {
        self.waiting.iter().any(|raw| matches!(raw, Raw::End { segment } if *segment == id))
    }

    /// Sound of a later segment waits.
    pub(crate) fn has_later(&self, id: SegmentId) -> bool {
        self.waiting.back().is_some_and(|raw| raw.segment() > id)
    }

    /// Samples at 8 kHz that wait.
    pub(crate) fn samples(&self) -> u64 {
        self.waiting.iter().map(Raw::samples).sum()
    }

    /// Those of one segment.
    pub(crate) fn samples_of(&self, id: SegmentId) -> u64 {
        self.waiting.iter().filter(|raw| raw.segment() == id).map(Raw::samples).sum()
    }
}
