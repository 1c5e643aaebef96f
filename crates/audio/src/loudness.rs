//! One loudness for all voices.
//!
//! What: synthesisers differ by 10 dB and more; a call that changes provider, or has fillers from a cache, must not
//! change its loudness.
//! How: the level is measured in 20 ms blocks while there is speech (blocks above a gate 25 dB under the loudest
//! recent one, after the idea of ITU-T P.56's active speech level), and the gain moves towards the target, fast at
//! first and then slowly, at most ±15 dB. Gains are ramped over a block. The gain is kept across utterances of the same
//! voice, so only the first utterance adapts audibly; a voice whose level is known can start with [`LoudnessMatcher::with_gain`].
//! A voice that isn't known yet is raised by 6 dB at most, and never comes out 6 dB above the target: its first sound may be a soft
//! lead-in. Each segment is also measured on its own: where its level isn't that of the voice so far, another voice took over.

use crate::{Dbov, FRAME_DURATION, FRAME_SAMPLES, SampleRate, soft_limit};

const MAX_GAIN_DB: f32 = 15.0;
/// Blocks over which the first estimate is trusted fully.
const SETTLING: u32 = 15;
/// Of a voice that was heard so long the level is known: 1.2 s of speech.
const KNOWN: u32 = 4 * SETTLING;
/// So much of a segment tells its level.
const SEGMENT_TELLS: u32 = 8;
/// A segment whose level is so far from the voice's is another voice's, in dB.
const OTHER_VOICE_DB: f32 = 2.5;
/// A voice that isn't known yet is raised by so much at most: a factor on amplitude.
const CAUTIOUS_GAIN: f32 = 2.0;
/// And is at most so far above the target: a factor on energy.
const CAUTIOUS_LEVEL: f32 = 4.0;

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
    /// The same for the segment that sounds.
    segment_active: f32,
    segment_blocks: u32,
}

impl LoudnessMatcher {
    /// Brings a voice of unknown level to `target`.
    #[must_use]
    pub const fn new(target: Dbov) -> Self {
        Self { target, active: 0.0, peak: 0.0, blocks: 0, gain: 1.0, segment_active: 0.0, segment_blocks: 0 }
    }

    /// Brings a voice to `target` for which a gain in dB is known from earlier: it is no new one, and keeps that gain but for what
    /// is learnt slowly.
    #[must_use]
    pub fn with_gain(target: Dbov, gain_db: f32) -> Self {
        let gain_db = if gain_db.is_finite() { gain_db.clamp(-MAX_GAIN_DB, MAX_GAIN_DB) } else { 0.0 };
        let active = 10_f32.powf((target.0 - gain_db) / 10.0);
        // A soft lead-in is none of its speech: the loudest block of speech has about twice the mean.
        let peak = 2.0 * active;
        Self { active, peak, blocks: KNOWN, gain: Dbov(0.0).gain_to(Dbov(gain_db)), ..Self::new(target) }
    }

    /// The gain that the voice needs, in dB, once enough of it was heard to tell.
    #[must_use]
    pub fn known_gain(&self) -> Option<f32> {
        (self.blocks > KNOWN).then(|| 20.0 * self.gain.max(1e-6).log10())
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
            if self.blocks <= SETTLING {
                self.gain = self.gain.min(CAUTIOUS_GAIN);
            }
        }
    }

    /// Applies the gain in place, and learns. 8 kHz, any length; blocks are counted from its start. Never clips.
    pub fn process(&mut self, samples: &mut [i16]) {
        for block in samples.chunks_mut(FRAME_SAMPLES) {
            let before = self.gain;
            if block.len() == FRAME_SAMPLES {
                self.learn(block);
            }
            self.gain = self.gain.min(self.cautious_gain(block));
            let step = (self.gain - before) / block.len() as f32;
            let mut gain = before;
            for sample in block {
                gain += step;
                *sample = soft_limit((f32::from(*sample) * gain) as i32);
            }
        }
    }

    /// A segment has ended: the next may be another voice's.
    pub const fn end_segment(&mut self) {
        (self.segment_active, self.segment_blocks) = (0.0, 0);
    }

    /// The greatest gain for a block of a voice that isn't known well yet.
    fn cautious_gain(&self, block: &[i16]) -> f32 {
        if self.blocks > SETTLING {
            return f32::INFINITY;
        }
        let level = 10_f32.powf(self.target.0 / 10.0) * CAUTIOUS_LEVEL;
        (level / energy(block).max(1e-9)).sqrt().min(if self.blocks > 0 {
            CAUTIOUS_GAIN
        } else {
            f32::INFINITY
        })
    }

    fn learn(&mut self, block: &[i16]) {
        let energy = energy(block);
        self.peak = (self.peak * 0.995).max(energy);
        // −60 dBov is no speech; nor is what lies 25 dB under the loudest.
        if energy < 1e-6 || energy < self.peak * 0.003_16 {
            return;
        }
        self.blocks = self.blocks.saturating_add(1);
        let share = (1.0 / self.blocks as f32).max(1.0 / 200.0);
        self.active += (energy - self.active) * share;
        self.segment_blocks = self.segment_blocks.saturating_add(1);
        self.segment_active += (energy - self.segment_active) / self.segment_blocks.min(200) as f32;
        if self.segment_blocks == SEGMENT_TELLS && self.blocks > SETTLING {
            let apart = 10.0 * (self.segment_active / self.active.max(1e-12)).log10();
            if apart.abs() > OTHER_VOICE_DB {
                (self.active, self.blocks, self.peak) = (self.segment_active, SEGMENT_TELLS, energy);
            }
        }
        let speed = match self.blocks {
            0..=SETTLING => 0.4,
            // What caution held back.
            n if n < KNOWN => 0.15,
            _ => 0.02,
        };
        self.gain += (self.wanted() - self.gain) * speed;
    }

    /// The gain that brings what was heard so far to the target.
    fn wanted(&self) -> f32 {
        let level = Dbov(10.0 * self.active.max(1e-12).log10());
        Dbov(0.0).gain_to(Dbov((self.target.0 - level.0).clamp(-MAX_GAIN_DB, MAX_GAIN_DB)))
    }
}

/// Mean energy, as a fraction of full scale squared.
fn energy(block: &[i16]) -> f32 {
    let sum: f32 = block.iter().map(|&s| (f32::from(s) / 32_768.0) * (f32::from(s) / 32_768.0)).sum();
    sum / block.len().max(1) as f32
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
    fn a_known_voice_begins_as_it_ended() {
        let mut first = LoudnessMatcher::new(Dbov(-20.0));
        assert_eq!(first.known_gain(), None);
        first.process(&mut speechlike(25_000.0, 300));
        let known = first.known_gain().unwrap();
        let mut again = LoudnessMatcher::with_gain(Dbov(-20.0), known);
        assert!(!again.is_new());
        // Even behind a soft lead-in the first word is as loud as all others.
        let mut sound = [speechlike(300.0, 10), speechlike(25_000.0, 100)].concat();
        again.process(&mut sound);
        let (early, late) = (Dbov::of(&sound[1_600..4_800]).0, Dbov::of(&sound[9_600..]).0);
        assert!((early - late).abs() < 1.5, "{early} {late}");
        assert!((again.known_gain().unwrap() - known).abs() < 1.0);
        // Another voice is noticed all the same.
        again.end_segment();
        let mut other = speechlike(4_000.0, 200);
        again.process(&mut other);
        assert!((Dbov::of(&other[16_000..]).0 - late).abs() < 1.5);
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
