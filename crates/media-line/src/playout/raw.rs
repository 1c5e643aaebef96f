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

/// What waits to be converted. A voice may give its sound octet by octet, so nothing here looks at every piece each time.
#[derive(Clone, Debug, Default)]
pub(crate) struct RawSound {
    waiting: VecDeque<Raw>,
    /// Samples at 8 kHz of all that waits.
    samples: u64,
    /// The segments whose end waits: few, and in order.
    ending: Vec<SegmentId>,
}

impl RawSound {
    pub(crate) fn push(&mut self, raw: Raw) {
        self.samples += raw.samples();
        if let Raw::End { segment } = &raw {
            self.ending.push(*segment);
        }
        self.waiting.push_back(raw);
    }

    pub(crate) fn pop(&mut self) -> Option<Raw> {
        let raw = self.waiting.pop_front()?;
        self.samples = self.samples.saturating_sub(raw.samples());
        if let Raw::End { segment } = &raw {
            self.ending.retain(|ending| ending != segment);
        }
        Some(raw)
    }

    /// Puts back what was taken, as far as it wasn't used up.
    pub(crate) fn put_back(&mut self, raw: Raw) {
        let used_up = match &raw {
            Raw::Sound { chunk: AudioChunk::Mulaw(octets), taken, .. } => *taken >= octets.len(),
            Raw::Sound { chunk: AudioChunk::Pcm { samples, .. }, taken, .. } => *taken >= samples.len(),
            Raw::End { .. } => true,
        };
        if !used_up {
            self.samples += raw.samples();
            self.waiting.push_front(raw);
        }
    }

    /// The end of a segment waits.
    pub(crate) fn ends(&self, id: SegmentId) -> bool {
        self.ending.contains(&id)
    }

    /// Sound of a later segment waits.
    pub(crate) fn has_later(&self, id: SegmentId) -> bool {
        self.waiting.back().is_some_and(|raw| raw.segment() > id)
    }

    /// Samples at 8 kHz that wait.
    pub(crate) const fn samples(&self) -> u64 {
        self.samples
    }

    /// Those of one segment.
    pub(crate) fn samples_of(&self, id: SegmentId) -> u64 {
        self.waiting.iter().filter(|raw| raw.segment() == id).map(Raw::samples).sum()
    }
}

#[cfg(test)]
#[allow(clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_counted_as_it_comes_and_goes() {
        let mut raw = RawSound::default();
        let pcm =
            |length: usize| AudioChunk::Pcm { rate: SampleRate::HZ_16000, samples: vec![0; length].into() };
        let sound = |segment, chunk| Raw::Sound { segment: SegmentId(segment), chunk, taken: 0 };
        raw.push(sound(0, AudioChunk::Mulaw(vec![0; 100].into())));
        raw.push(Raw::End { segment: SegmentId(0) });
        raw.push(sound(1, pcm(320)));
        assert_eq!((raw.samples(), raw.samples_of(SegmentId(1))), (260, 160));
        assert!(raw.ends(SegmentId(0)) && !raw.ends(SegmentId(1)) && raw.has_later(SegmentId(0)));
        let Some(Raw::Sound { segment, chunk, .. }) = raw.pop() else { panic!("sound is first") };
        assert_eq!(raw.samples(), 160);
        raw.put_back(Raw::Sound { segment, chunk, taken: 40 });
        assert_eq!(raw.samples(), 220);
        while raw.pop().is_some() {}
        assert_eq!(raw.samples(), 0);
        assert!(!raw.ends(SegmentId(0)));
    }
}
