//! One loudness for all voices.
//!
//! What: synthesisers differ by 10 dB and more; a call that changes provider, or has fillers from a cache, must not
//! change its loudness.
//! How: the level is measured in 20 ms blocks while there is speech (blocks above a gate 25 dB under the loudest
//! recent one, after the idea of ITU-T P.56's active speech level), and the gain moves towards the target, fast at
//! first and then slowly, at most ±15 dB. Gains are ramped over a block. The gain is kept across utterances of the same
//! voice, so only the first utterance adapts audibly; a voice whose level is known can start with [`LoudnessMatcher::with_gain`].

use crate::{Dbov, FRAME_DURATION, FRAME_SAMPLES, SampleRate, soft_limit};

const MAX_GAIN_DB: f32 = 15.0;
/// Blocks over which the first estimate is trusted fully.
const SETTLING: u32 = 15;

/// Measures a voice and moves it to the target level.
#[derive(Clone, Debug)]
pub struct LoudnessMatcher {
    target: Dbov,
    /// Mean energy of active speech, as fraction of full scale squared.
    active: f32,
    /// Loudest recent block's energy.
    peak: f32,
    blocks: u32,
    gain: f32,
}

impl LoudnessMatcher {
    /// Brings a voice of unknown level to `target`.
    #[must_use]
    pub const fn new(target: Dbov) -> Self {
        Self { target, active: 0.0, peak: 0.0, blocks: 0, gain: 1.0 }
    }

    /// Brings a voice to `target` for which a gain (a factor on amplitude) is known from earlier.
    #[must_use]
    pub const fn with_gain(target: Dbov, gain: f32) -> Self {
        Self { target, active: 0.0, peak: 0.0, blocks: 0, gain }
    }

    /// The gain now: a factor on amplitude.
    #[must_use]
    pub const fn gain(&self) -> f32 {
        self.gain
    }

    /// Nothing was heard of the voice yet: its first sound is to be [studied](Self::study) as a whole before any of it is let
    /// out, so that its first syllable isn't louder or softer than the rest.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.blocks == 0
    }

    /// Learns a voice's level from sound at `rate`, and takes the gain for it at once. Less than 80 ms tell too little.
    pub fn study(&mut self, samples: &[i16], rate: SampleRate) {
        let block = rate.samples_in(FRAME_DURATION).max(1);
        if samples.len() < 4 * block {
            return;
        }
        samples.chunks_exact(block).for_each(|block| self.learn(block));
        if self.blocks > 0 {
            self.gain = self.wanted();
        }
    }

    /// Applies the gain in place, and learns. 8 kHz, any length; blocks are counted from its start. Never clips.
    pub fn process(&mut self, samples: &mut [i16]) {
        for block in samples.chunks_mut(FRAME_SAMPLES) {
            let before = self.gain;
            if block.len() == FRAME_SAMPLES {
                self.learn(block);
            }
            let step = (self.gain - before) / block.len() as f32;
            let mut gain = before;
            for sample in block {
                gain += step;
                *sample = soft_limit((f32::from(*sample) * gain) as i32);
            }
        }
    }

    fn learn(&mut self, block: &[i16]) {
        let energy: f32 = block.iter().map(|&s| (f32::from(s) / 32_768.0) * (f32::from(s) / 32_768.0)).sum();
        let energy = energy / block.len() as f32;
        self.peak = (self.peak * 0.995).max(energy);
        // −60 dBov is no speech; nor is what lies 25 dB under the loudest.
        if energy < 1e-6 || energy < self.peak * 0.003_16 {
            return;
        }
        self.blocks = self.blocks.saturating_add(1);
        let share = (1.0 / self.blocks as f32).max(1.0 / 200.0);
        self.active += (energy - self.active) * share;
        let speed = if self.blocks <= SETTLING { 0.4 } else { 0.02 };
        self.gain += (self.wanted() - self.gain) * speed;
    }

    /// The gain that brings what was heard so far to the target.
    fn wanted(&self) -> f32 {
        let level = Dbov(10.0 * self.active.max(1e-12).log10());
        Dbov(0.0).gain_to(Dbov((self.target.0 - level.0).clamp(-MAX_GAIN_DB, MAX_GAIN_DB)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speechlike(amplitude: f32, blocks: usize) -> Vec<i16> {
        (0..blocks * 160)
            .map(|n| {
                let t = n as f32 / 8_000.0;
                let syllable = (std::f32::consts::TAU * 4.0 * t).sin().max(0.05);
                (amplitude * syllable * (std::f32::consts::TAU * 440.0 * t).sin()) as i16
            })
            .collect()
    }

    #[test]
    fn quiet_and_loud_voices_come_to_the_same_level() {
        let mut levels = Vec::new();
        for amplitude in [1_200.0, 6_000.0, 25_000.0] {
            let mut matcher = LoudnessMatcher::new(Dbov(-20.0));
            let mut sound = speechlike(amplitude, 300);
            matcher.study(&sound, SampleRate::HZ_8000);
            matcher.process(&mut sound);
            levels.push(Dbov::of(&sound[24_000..]).0);
        }
        let spread =
            levels.iter().fold(f32::MIN, |a, &b| a.max(b)) - levels.iter().fold(f32::MAX, |a, &b| a.min(b));
        assert!(spread < 1.5, "{levels:?}");
    }

    #[test]
    fn the_first_syllable_is_as_loud_as_the_rest() {
        let mut matcher = LoudnessMatcher::new(Dbov(-20.0));
        let mut sound = speechlike(25_000.0, 50);
        assert!(matcher.is_new());
        matcher.study(&sound, SampleRate::HZ_8000);
        assert!(!matcher.is_new());
        matcher.process(&mut sound);
        let (first, rest) = sound.split_at(2_000);
        assert!((Dbov::of(first).0 - Dbov::of(rest).0).abs() < 1.5, "{} {}", Dbov::of(first), Dbov::of(rest));
    }

    #[test]
    fn silence_does_not_pump_the_gain() {
        let mut matcher = LoudnessMatcher::new(Dbov(-20.0));
        matcher.process(&mut speechlike(6_000.0, 100));
        let gain = matcher.gain();
        matcher.process(&mut vec![3; 16_000]);
        assert_eq!(matcher.gain(), gain);
    }
}
