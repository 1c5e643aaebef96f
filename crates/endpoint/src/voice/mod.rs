//! Offhook's own detector: features of the telephone band before a small recurrent network.
//!
//! It was trained on talkers mixed with street, car, train, café, music, babble and made-up noises at 28 to −3 dB, and on
//! tones, clicks and hum as what isn't speech; `training/` holds how. Its arithmetic is fixed to the bit.

mod correlation;
mod features;
mod fft;
pub(crate) mod math;
mod net;
mod whole;

use offhook_audio::PcmFrame;

pub use features::{FEATURES, Features};
use net::{Memory, Weights};
use whole::{Multiply, Plain};

use crate::Detector;

/// From this on, one frame less begins a talkspurt. On recordings of noise that gave no false talkspurt that there wasn't
/// without.
const SURE: f32 = 0.63;

/// What a frame of a long calm leaves of the network's memory is so much less.
const FADING: f32 = 0.2;

/// How long nobody has spoken and the line has been steady.
///
/// The network was trained on clips of 10 s. What its memory gathers in a longer silence it never met, and it grew deaf to single
/// words. So in a calm the memory fades to what it is at a stream's start, and the voice that was last heard is forgotten.
#[derive(Clone, Copy, Debug, Default)]
struct Calm(u32);

impl Calm {
    /// Less than this is no speech, and no doubt.
    const DOUBT: f32 = 0.3;
    /// After so many frames (1.5 s) a calm counts.
    const FRAMES: u32 = 75;

    /// Whether the calm has lasted long with this frame.
    #[inline(always)]
    fn lasts(&mut self, probability: f32, features: &Features) -> bool {
        let calm = probability < Self::DOUBT && features.is_steady();
        self.0 = if calm { (self.0 + 1).min(Self::FRAMES) } else { 0 };
        self.0 == Self::FRAMES
    }
}

/// The detector of this crate's own making. A stream's state is about 1 KiB; the weights are shared.
#[derive(Clone, Debug)]
pub struct Offhook {
    features: Features,
    memory: Memory,
    calm: Calm,
    weights: &'static Weights,
}

impl Default for Offhook {
    fn default() -> Self {
        Self {
            features: Features::default(),
            memory: Memory::new(),
            calm: Calm::default(),
            weights: Weights::shipped(),
        }
    }
}

impl Offhook {
    /// With other weights, as `training/train.py` writes them: for judging a training's outcome.
    #[must_use]
    pub fn with_weights(stored: &[u8]) -> Self {
        // Kept for the rest of the program: a stream's state holds only a reference.
        let weights = Box::leak(Box::new(Weights::read(stored)));
        Self { weights, ..Self::default() }
    }
}

impl Offhook {
    /// Every sum is one output's, and of whole numbers or in the same order whatever the vectors' width: with AVX2 the bits are
    /// the same.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn step_avx2(&mut self, frame: &PcmFrame) -> f32 {
        // SAFETY: the processor has AVX2, or this function could not be called.
        #[allow(unsafe_code, reason = "wider vectors, only where the processor has them")]
        self.step(frame, unsafe { whole::Avx2::new() })
    }

    #[inline(always)]
    fn step(&mut self, frame: &PcmFrame, by: impl Multiply) -> f32 {
        let features = self.features.push(frame);
        let probability = self.memory.step(self.weights, &features, by);
        if self.calm.lasts(probability, &self.features) {
            self.memory.fade(FADING);
            self.features.lower_peak(FADING / 2.0);
        }
        probability
    }
}

impl Detector for Offhook {
    fn name(&self) -> &'static str {
        "offhook"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            #[allow(unsafe_code, reason = "wider vectors, only where the processor has them")]
            return unsafe { self.step_avx2(frame) };
        }
        self.step(frame, Plain)
    }

    fn reset(&mut self) {
        self.features = Features::default();
        self.memory = Memory::new();
        self.calm = Calm::default();
    }

    fn sure(&self) -> Option<f32> {
        Some(SURE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_same_on_every_machine() {
        // A buzz with a pause in it, by whole numbers. A new figure means other weights or another order of sums.
        let mut detector = Offhook::default();
        let mut plain = Offhook::default();
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for frame in 0..200u32 {
            let mut pcm = PcmFrame::SILENCE;
            for (n, sample) in pcm.0.iter_mut().enumerate() {
                let t = frame * 160 + n as u32;
                let pulse =
                    (t * 7_919 % 61) as i16 * 40 - 1_200 + (t.wrapping_mul(2_654_435_761) >> 24) as i16;
                *sample = if frame % 50 < 30 { pulse } else { pulse / 64 };
            }
            let probability = detector.push(&pcm);
            assert_eq!(
                plain.step(&pcm, Plain).to_bits(),
                probability.to_bits(),
                "wider vectors change no bit"
            );
            assert!((0.0..=1.0).contains(&probability));
            for octet in probability.to_bits().to_le_bytes() {
                hash = (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        assert_eq!(format!("{hash:016x}"), "aab47387a479d182");
        detector.reset();
        assert!(detector.push(&PcmFrame::SILENCE) < 0.5);
    }
}
