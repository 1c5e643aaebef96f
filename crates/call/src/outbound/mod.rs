//! From a synthesiser's sound, at any rate and level, to μ-law on the wire.
//!
//! μ-law passes as it is. Linear sound is resampled, brought to the call's level, softly limited, and encoded.

use offhook_audio::{Dbov, LoudnessMatcher, SampleRate};
use offhook_resample::{Resampler, UnsupportedRate};

use crate::stage::AudioChunk;

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

    /// What to send for a chunk. The result lives until the next call.
    pub(crate) fn convert<'a>(&'a mut self, chunk: &'a AudioChunk) -> Result<&'a [u8], UnsupportedRate> {
        match chunk {
            AudioChunk::Mulaw(octets) => Ok(octets),
            AudioChunk::Pcm { rate, samples } => {
                self.linear.clear();
                let resampler = match &mut self.resampler {
                    Some((from, resampler)) if from == rate => resampler,
                    other => &mut other.insert((*rate, Resampler::new(*rate, SampleRate::HZ_8000)?)).1,
                };
                resampler.process(samples, &mut self.linear);
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
    pub(crate) fn rest(&mut self) {
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
        let chunk = AudioChunk::Mulaw(vec![1, 2, 3].into());
        assert_eq!(outbound.convert(&chunk).unwrap(), [1, 2, 3]);
        let chunk = AudioChunk::Pcm { rate: SampleRate::HZ_16000, samples: vec![500; 3_200].into() };
        assert_eq!(outbound.convert(&chunk).unwrap().len(), 1_600);
        let odd = AudioChunk::Pcm { rate: SampleRate::new(12_345).unwrap(), samples: vec![0; 10].into() };
        assert!(outbound.convert(&odd).is_err());
    }
}
