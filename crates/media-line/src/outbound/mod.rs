//! From a synthesiser's sound, at any rate and level, to μ-law on the wire.
//!
//! Sound is made linear if it is μ-law, resampled, brought to the call's level, softly limited, and encoded.

use std::time::Duration;

use offhook_audio::{Dbov, LoudnessMatcher, SampleRate};
use offhook_resample::{Resampler, UnsupportedRate};

use offhook_stage_api::AudioChunk;

/// So much sound is converted at once: whole frames at any rate.
const PIECE: Duration = Duration::from_millis(100);

/// So many octets of a new voice's μ-law are looked at before any is let out, if they are there: 2 s.
const STUDY: usize = 16_000;

/// Converts a voice's sound; the filters' state goes from chunk to chunk, the gain from utterance to utterance.
pub(crate) struct Outbound {
    resampler: Option<(SampleRate, Resampler)>,
    loudness: LoudnessMatcher,
    linear: Vec<i16>,
    wire: Vec<u8>,
}

impl Outbound {
    /// For a voice that comes to this level; with the gain in dB that it is known to need.
    pub(crate) fn new(level: Dbov, known_gain: Option<f32>) -> Self {
        let loudness = known_gain
            .map_or_else(|| LoudnessMatcher::new(level), |gain| LoudnessMatcher::with_gain(level, gain));
        Self { resampler: None, loudness, linear: Vec::new(), wire: Vec::new() }
    }

    /// The gain that the voice needs, in hundredths of a dB, once it is known.
    pub(crate) fn voice_gain(&self) -> Option<i16> {
        self.loudness.known_gain().map(|gain| (gain * 100.0) as i16)
    }

    /// Takes the next piece of a chunk, of which `taken` samples were taken before: what to send for it, which lives until the
    /// next call. At most [`PIECE`] of sound at once, so that a sentence never stands in memory as a whole.
    pub(crate) fn convert<'a>(
        &'a mut self,
        chunk: &'a AudioChunk,
        taken: &mut usize,
    ) -> Result<&'a [u8], UnsupportedRate> {
        match chunk {
            AudioChunk::Mulaw(octets) => {
                let begins = *taken == 0 && self.loudness.is_new();
                let known = octets.len().min(if begins { STUDY } else { 0 });
                if let Some(first) = octets.get(..known).filter(|first| !first.is_empty()) {
                    decode(first, &mut self.linear);
                    self.loudness.study(&self.linear, SampleRate::HZ_8000);
                }
                decode(next_piece(octets, taken, SampleRate::HZ_8000), &mut self.linear);
                Ok(self.encode())
            }
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
        self.loudness.end_segment();
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

fn decode(octets: &[u8], linear: &mut Vec<i16>) {
    linear.resize(octets.len(), 0);
    offhook_mulaw::decode_slice(octets, linear);
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
    fn any_sound_comes_to_8_khz_in_pieces() {
        let mut outbound = Outbound::new(Dbov(-18.0), None);
        let mut taken = 0;
        let chunk = AudioChunk::Mulaw(vec![1, 2, 3].into());
        assert_eq!(outbound.convert(&chunk, &mut taken).unwrap().len(), 3);
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

    fn voice(rate: u32, amplitude: f64, seconds: f64) -> Vec<i16> {
        (0..(f64::from(rate) * seconds) as usize)
            .map(|n| {
                let t = n as f64 / f64::from(rate);
                let syllable = (std::f64::consts::TAU * 4.0 * t).sin().max(0.05);
                (amplitude * syllable * (std::f64::consts::TAU * 440.0 * t).sin()) as i16
            })
            .collect()
    }

    /// A segment's sound in chunks of so many samples, as levels in dBov of what is sent, second by second.
    fn levels(outbound: &mut Outbound, sound: &[i16], rate: Option<u32>, size: usize) -> Vec<f32> {
        let mut sent = Vec::new();
        for part in sound.chunks(size) {
            let chunk = match rate {
                Some(hz) => AudioChunk::Pcm { rate: SampleRate::new(hz).unwrap(), samples: part.into() },
                None => AudioChunk::Mulaw(part.iter().map(|sample| offhook_mulaw::encode(*sample)).collect()),
            };
            let mut taken = 0;
            loop {
                let octets = outbound.convert(&chunk, &mut taken).unwrap();
                if octets.is_empty() {
                    break;
                }
                sent.extend_from_slice(octets);
            }
        }
        sent.extend_from_slice(outbound.finish_segment());
        let mut linear = vec![0; sent.len()];
        offhook_mulaw::decode_slice(&sent, &mut linear);
        linear.chunks_exact(8_000).map(|second| Dbov::of(second).0).collect()
    }

    #[test]
    fn all_voices_come_to_one_level_mulaw_too() {
        let mut outbound = Outbound::new(Dbov(-18.0), None);
        let mut all = Vec::new();
        // One after the other takes over: their levels lie 20 dB apart.
        for (amplitude, rate) in
            [(6_000.0, Some(24_000)), (14_000.0, None), (2_500.0, None), (25_000.0, Some(11_025))]
        {
            let sound = voice(rate.unwrap_or(8_000), amplitude, 4.0);
            all.push(levels(&mut outbound, &sound, rate, 2_400)[1..].to_vec());
        }
        let all: Vec<f32> = all.concat();
        let spread =
            all.iter().copied().fold(f32::MIN, f32::max) - all.iter().copied().fold(f32::MAX, f32::min);
        assert!(spread < 1.5, "{all:?}");
    }

    #[test]
    fn a_new_voice_that_comes_in_small_pieces_does_not_begin_too_loud() {
        for size in [160, 400, 640, 800] {
            // A soft lead-in, then the voice.
            let mut sound = voice(8_000, 300.0, 0.1);
            sound.extend(voice(8_000, 9_000.0, 4.0));
            for rate in [Some(8_000), None] {
                let mut outbound = Outbound::new(Dbov(-18.0), None);
                let levels = levels(&mut outbound, &sound, rate, size);
                assert!(levels[0] < levels[3] + 3.0, "{size} {rate:?}: {levels:?}");
            }
        }
    }
}
