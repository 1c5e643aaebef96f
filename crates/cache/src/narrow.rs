//! A voice's linear sound at 8 kHz, as it goes over the wire: what is kept of it, what waits in a call, and what is on tape is a half to
//! a sixth of what came. μ-law stays as it is, and so does a rate that can't be converted: the call says so.

use offhook_audio::SampleRate;
use offhook_resample::Resampler;
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, TtsEvent};

/// Converts the sound of one call. Segments come one behind the other.
#[derive(Default)]
pub(crate) struct Narrow {
    at: Option<(UtteranceId, SegmentId, SampleRate, Resampler)>,
}

impl Narrow {
    /// The event as it goes on, and before it what its segment still had inside the filter.
    pub(crate) fn convert(&mut self, event: TtsEvent) -> (Option<TtsEvent>, TtsEvent) {
        match event {
            TtsEvent::Audio { utterance, segment, chunk: AudioChunk::Pcm { rate, samples } } => {
                let chunk = match self.resampler((utterance, segment), rate) {
                    Some(resampler) => {
                        pcm(resampler.output_len(samples.len()), |out| resampler.process(&samples, out))
                    }
                    None => AudioChunk::Pcm { rate, samples },
                };
                (None, TtsEvent::Audio { utterance, segment, chunk })
            }
            TtsEvent::Done { utterance, segment } => {
                let rest = self.at.take().filter(|at| (at.0, at.1) == (utterance, segment));
                let rest = rest.map(|(_, _, _, mut resampler)| {
                    let chunk = pcm(resampler.max_flush_len(), |out| resampler.flush(out));
                    TtsEvent::Audio { utterance, segment, chunk }
                });
                (rest, TtsEvent::Done { utterance, segment })
            }
            other => (None, other),
        }
    }

    fn resampler(
        &mut self,
        (utterance, segment): (UtteranceId, SegmentId),
        rate: SampleRate,
    ) -> Option<&mut Resampler> {
        if rate == SampleRate::HZ_8000 {
            return None;
        }
        let same = self.at.as_ref().is_some_and(|at| (at.0, at.1, at.2) == (utterance, segment, rate));
        if !same {
            let resampler = Resampler::new(rate, SampleRate::HZ_8000).ok()?;
            self.at = Some((utterance, segment, rate, resampler));
        }
        self.at.as_mut().map(|(.., resampler)| resampler)
    }
}

fn pcm(room: usize, fill: impl FnOnce(&mut Vec<i16>)) -> AudioChunk {
    let mut samples = Vec::with_capacity(room);
    fill(&mut samples);
    AudioChunk::Pcm { rate: SampleRate::HZ_8000, samples: samples.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: (UtteranceId, SegmentId) = (UtteranceId(1), SegmentId(2));

    fn audio(chunk: AudioChunk) -> TtsEvent {
        TtsEvent::Audio { utterance: OF.0, segment: OF.1, chunk }
    }

    /// What comes of a segment, joined, and whether all of it is at 8 kHz.
    fn converted(chunks: Vec<AudioChunk>) -> (Vec<i16>, bool) {
        let mut narrow = Narrow::default();
        let (mut all, mut at_8_khz) = (Vec::new(), true);
        let done = TtsEvent::Done { utterance: OF.0, segment: OF.1 };
        for event in chunks.into_iter().map(audio).chain([done]) {
            let (rest, event) = narrow.convert(event);
            for event in rest.into_iter().chain([event]) {
                if let TtsEvent::Audio { chunk: AudioChunk::Pcm { rate, samples }, .. } = event {
                    at_8_khz &= rate == SampleRate::HZ_8000;
                    all.extend_from_slice(&samples);
                }
            }
        }
        (all, at_8_khz)
    }

    #[test]
    fn sound_comes_to_8_khz_the_same_however_it_is_cut() {
        let sound: Vec<i16> = (0..24_000).map(|n| ((f64::from(n) * 0.05).sin() * 9_000.0) as i16).collect();
        let rate = SampleRate::new(24_000).unwrap();
        let chunks =
            |size| sound.chunks(size).map(|part| AudioChunk::Pcm { rate, samples: part.into() }).collect();
        let (whole, at_8_khz) = converted(chunks(24_000));
        assert!(at_8_khz && (8_000..=8_040).contains(&whole.len()), "{}", whole.len());
        assert_eq!(converted(chunks(777)), (whole, true));
    }

    #[test]
    fn what_is_at_8_khz_or_of_an_odd_rate_stays() {
        let mut narrow = Narrow::default();
        for rate in [8_000, 7, 400_000] {
            let chunk =
                AudioChunk::Pcm { rate: SampleRate::new(rate).unwrap(), samples: vec![1, 2, 3].into() };
            assert_eq!(narrow.convert(audio(chunk.clone())), (None, audio(chunk)));
        }
        let chunk = AudioChunk::Mulaw(vec![1, 2, 3].into());
        assert_eq!(narrow.convert(audio(chunk.clone())), (None, audio(chunk)));
    }

    #[test]
    fn a_segment_that_was_cut_off_leaves_nothing_to_the_next() {
        let mut narrow = Narrow::default();
        let chunk = |rate| AudioChunk::Pcm { rate, samples: vec![9_000; 1_600].into() };
        drop(narrow.convert(audio(chunk(SampleRate::HZ_16000))));
        let (utterance, segment) = (UtteranceId(3), SegmentId(0));
        let (rest, _) = narrow.convert(TtsEvent::Done { utterance, segment });
        assert_eq!(rest, None);
    }
}
