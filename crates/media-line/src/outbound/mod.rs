//! From a synthesiser's sound, at any rate and level, to μ-law on the wire.
//!
//! μ-law passes as it is. Linear sound is resampled, brought to the call's level, softly limited, and encoded.

use std::time::Duration;

use offhook_audio::{Dbov, LoudnessMatcher, SampleRate};
use offhook_resample::{Resampler, UnsupportedRate};

use offhook_stage_api::AudioChunk;

/// So much sound is converted at once: whole frames at any rate.
const PIECE: Duration = Duration::from_millis(100);

/// Converts a voice's sound; the filters' state goes from chunk to chunk, the gain from utterance to utterance.
pub(crate) struct Outbound {
    resampler: Option<(SampleRate, Resampler)>,
    loudness: LoudnessMatcher,
    linear: Vec<i16>,
    wire: Vec<u8>,
}

impl Outbound {
    pub(crate) fn new(level: Dbov) -> Self {
        Self { resampler: None, loudness: LoudnessMatcher::new(level), linear: Vec::new(), wire: Vec::new() }
    }

    /// Takes the next piece of a chunk, of which `taken` samples were taken before: what to send for it, which lives until the
    /// next call. At most [`PIECE`] of sound at once, so that a sentence never stands in memory as a whole.
    pub(crate) fn convert<'a>(
        &'a mut self,
        chunk: &'a AudioChunk,
        taken: &mut usize,
    ) -> Result<&'a [u8], UnsupportedRate> {
        match chunk {
            AudioChunk::Mulaw(octets) => Ok(next_piece(octets, taken, SampleRate::HZ_8000)),
            AudioChunk::Pcm { rate, samples } => {
                self.linear.clear();
                let resampler = match &mut self.resampler {
                    Some((from, resampler)) if from == rate => resampler,
                    other => &mut other.insert((*rate, Resampler::new(*rate, SampleRate::HZ_8000)?)).1,
                };
                if *taken == 0 && self.loudness.is_new() {
                    self.loudness.study(samples, *rate);
                }
                resampler.process(next_piece(samples, taken, *rate), &mut self.linear);
                Ok(self.encode())
            }
        }
    }

    /// The sound that is still inside the resampler at a segment's end.
    pub(crate) fn finish_segment(&mut self) -> &[u8] {
        self.linear.clear();
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.flush(&mut self.linear);
        }
        self.encode()
    }

    /// Forgets sound inside the resampler: the utterance was cut off.
    pub(crate) fn reset(&mut self) {
        if let Some((_, resampler)) = &mut self.resampler {
            resampler.reset();
        }
    }

    /// Gives back the room that chunks took: a call that listens has none.
    pub(crate) fn shrink(&mut self) {
        if self.linear.capacity() > 0 {
            (self.resampler, self.linear, self.wire) = (None, Vec::new(), Vec::new());
        }
    }

    fn encode(&mut self) -> &[u8] {
        self.loudness.process(&mut self.linear);
        self.wire.resize(self.linear.len(), 0);
        offhook_mulaw::encode_slice(&self.linear, &mut self.wire);
        &self.wire
    }
}

fn next_piece<'a, T>(samples: &'a [T], taken: &mut usize, rate: SampleRate) -> &'a [T] {
    let from = (*taken).min(samples.len());
    let until = from.saturating_add(rate.samples_in(PIECE).max(1)).min(samples.len());
    *taken = until;
    samples.get(from..until).unwrap_or(&[])
}

/// Lets μ-law sound rise from silence over its first 5 ms.
pub(crate) fn fade_in_mulaw(octets: &mut [u8]) {
    fade(octets, offhook_audio::fade_in, 0);
}

/// Lets μ-law sound fall to silence over its last 5 ms.
pub(crate) fn fade_out_mulaw(octets: &mut [u8]) {
    fade(octets, offhook_audio::fade_out, octets.len().saturating_sub(offhook_audio::FADE_SAMPLES));
}

fn fade(octets: &mut [u8], how: fn(&mut [i16]), from: usize) {
    let mut linear = [0i16; offhook_audio::FADE_SAMPLES];
    let Some(part) = octets.get_mut(from..) else { return };
    let count = part.len().min(linear.len());
    let (Some(part), Some(linear)) = (part.get_mut(..count), linear.get_mut(..count)) else { return };
    offhook_mulaw::decode_slice(part, linear);
    how(linear);
    offhook_mulaw::encode_slice(linear, part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mulaw_passes_untouched_and_linear_sound_comes_to_8_khz() {
        let mut outbound = Outbound::new(Dbov(-18.0));
        let mut taken = 0;
        let chunk = AudioChunk::Mulaw(vec![1, 2, 3].into());
        assert_eq!(outbound.convert(&chunk, &mut taken).unwrap(), [1, 2, 3]);
        assert!(outbound.convert(&chunk, &mut taken).unwrap().is_empty());
        let chunk = AudioChunk::Pcm { rate: SampleRate::HZ_16000, samples: vec![500; 3_000].into() };
        taken = 0;
        assert_eq!(outbound.convert(&chunk, &mut taken).unwrap().len(), 800);
        assert_eq!(outbound.convert(&chunk, &mut taken).unwrap().len(), 700);
        assert_eq!(taken, 3_000);
        for (hz, fits) in [(12_345, true), (32_000, true), (7, false), (400_000, false)] {
            let odd = AudioChunk::Pcm { rate: SampleRate::new(hz).unwrap(), samples: vec![0; 10].into() };
            assert_eq!(outbound.convert(&odd, &mut 0).is_ok(), fits, "{hz}");
        }
    }
}
