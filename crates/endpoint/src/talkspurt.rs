//! From frames to runs of speech (talkspurts, ITU-T P.59).
//!
//! How: a talkspurt begins when enough of the newest frames have speech (or one less, if the detector is sure of those),
//! and its onset is dated back to the first of them; it ends when speech has been missing for the hangover, and its end is dated back to the last frame that had
//! some. Clicks and coughs shorter than the onset rule never begin one.

use std::time::Duration;

use offhook_audio::{Dbov, FRAME_DURATION, FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};
use serde::{Deserialize, Serialize};

use crate::{Detector, DetectorKind, NoiseFloor, ToneGuard};

/// `[inbound.speech]`: what counts as speech.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TalkspurtConfig {
    /// Which detector. Default `offhook`.
    pub detector: DetectorKind,
    /// A frame with at least this probability has speech. Default 0.5.
    pub threshold: f32,
    /// So much speech within the newest `onset` plus one frame begins a talkspurt. Default 60 ms. If the detector is sure
    /// of it ([`Detector::sure`]), a frame less without a gap does. At most 620 ms: more counts as that.
    #[serde(with = "humantime_serde")]
    pub onset: Duration,
    /// Silence that ends a talkspurt: what it means is decided above. Default 100 ms. Shorter silences are closures of stops within words
    /// (p, t, k): a final transcript asked for there costs money and may split the word.
    #[serde(with = "humantime_serde")]
    pub hangover: Duration,
}

impl TalkspurtConfig {
    /// For taking turns: short hangover.
    #[must_use]
    pub fn turn_taking() -> Self {
        Self {
            detector: DetectorKind::default(),
            threshold: 0.5,
            onset: Duration::from_millis(60),
            hangover: Duration::from_millis(100),
        }
    }

    /// For labelling recordings: gaps between words don't end a talkspurt.
    #[must_use]
    pub fn labelling() -> Self {
        Self { hangover: Duration::from_millis(240), ..Self::turn_taking() }
    }
}

impl Default for TalkspurtConfig {
    fn default() -> Self {
        Self::turn_taking()
    }
}

/// Speech begins or ends. Positions are dated back to where it really did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechEvent {
    /// A talkspurt begins.
    Onset {
        /// Its first sample.
        at: SamplePos,
    },
    /// A talkspurt has ended.
    Offset {
        /// The sample after its last.
        at: SamplePos,
    },
}

/// What is known of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrameVerdict {
    /// The detector's probability of speech.
    pub probability: f32,
    /// A talkspurt is going on.
    pub speaking: bool,
    /// The frame's level.
    pub level: Dbov,
    /// The line's noise floor.
    pub noise_floor: Dbov,
    /// What changed.
    pub event: Option<SpeechEvent>,
}

/// Finds talkspurts in a stream of frames.
#[expect(missing_debug_implementations, reason = "a detector may be foreign code with nothing to show")]
pub struct Talkspurts {
    detector: Box<dyn Detector>,
    config: TalkspurtConfig,
    guard: ToneGuard,
    floor: NoiseFloor,
    position: SamplePos,
    /// The newest frames, newest in bit 0: had speech.
    recent: u32,
    /// How many frames without a gap, up to the newest, surely had speech.
    sure_run: u32,
    speaking: bool,
    silent_frames: u32,
}

impl Talkspurts {
    /// Starts at the stream's first sample.
    #[must_use]
    pub fn new(detector: Box<dyn Detector>, config: TalkspurtConfig) -> Self {
        Self {
            detector,
            config,
            guard: ToneGuard::default(),
            floor: NoiseFloor::default(),
            position: SamplePos::ZERO,
            recent: 0,
            sure_run: 0,
            speaking: false,
            silent_frames: 0,
        }
    }

    /// With the detector that the configuration names.
    #[must_use]
    pub fn from_config(config: TalkspurtConfig) -> Self {
        Self::new(config.detector.build(), config)
    }

    /// Where the next frame begins.
    #[must_use]
    pub const fn position(&self) -> SamplePos {
        self.position
    }

    /// Whether a talkspurt is going on.
    #[must_use]
    pub const fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// Ends a talkspurt that can't be ended by frames because none come; gives its end.
    pub fn reset(&mut self) -> Option<SpeechEvent> {
        self.detector.reset();
        self.recent = 0;
        self.sure_run = 0;
        let at = self.position.back(frames(self.silent_frames));
        self.silent_frames = 0;
        std::mem::take(&mut self.speaking).then_some(SpeechEvent::Offset { at })
    }

    /// Judges the next frame.
    pub fn push(&mut self, frame: &PcmFrame) -> FrameVerdict {
        let level = Dbov::of_frame(frame);
        let noise_floor = self.floor.push(level);
        let tone = self.guard.push(frame);
        let probability = if tone { 0.0 } else { self.detector.push(frame) };
        // A network's memory outlasts the voice. On a quiet line stillness is the better witness.
        let still = noise_floor.0 < QUIET_LINE && level.0 < self.floor.least() + STILL_DB;
        let voiced = probability >= self.config.threshold && !still;
        let sure = voiced && self.detector.sure().is_some_and(|sure| probability >= sure);
        self.sure_run = if sure { self.sure_run + 1 } else { 0 };
        let start = self.position;
        self.position += SampleCount(FRAME_SAMPLES as u64);
        self.recent = (self.recent << 1) | u32::from(voiced);
        let event = if self.speaking { self.look_for_end(voiced) } else { self.look_for_onset(start) };
        FrameVerdict { probability, speaking: self.speaking, level, noise_floor, event }
    }

    fn look_for_onset(&mut self, start: SamplePos) -> Option<SpeechEvent> {
        let needed = whole_frames(self.config.onset).clamp(1, MOST_ONSET);
        let window = self.recent & (u32::MAX >> (MOST_ONSET - needed));
        let enough = window.count_ones() >= needed || self.sure_run >= (needed - 1).max(1);
        if !enough {
            return None;
        }
        let first = 31 - window.leading_zeros();
        self.speaking = true;
        self.silent_frames = 0;
        Some(SpeechEvent::Onset { at: start.back(frames(first)) })
    }

    fn look_for_end(&mut self, voiced: bool) -> Option<SpeechEvent> {
        if voiced {
            self.silent_frames = 0;
            return None;
        }
        self.silent_frames += 1;
        if self.silent_frames < whole_frames(self.config.hangover).max(1) {
            return None;
        }
        self.speaking = false;
        self.recent = 0;
        let at = self.position.back(frames(self.silent_frames));
        self.silent_frames = 0;
        Some(SpeechEvent::Offset { at })
    }
}

/// A line whose noise floor is under this is quiet, in dBov.
const QUIET_LINE: f32 = -50.0;
/// So close to the floor of a quiet line nobody speaks.
const STILL_DB: f32 = 6.0;

/// The longest onset in frames: with one more they fill [`Talkspurts::recent`].
const MOST_ONSET: u32 = 31;

fn whole_frames(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis() / FRAME_DURATION.as_millis()).unwrap_or(u32::MAX)
}

fn frames(count: u32) -> SampleCount {
    SampleCount(u64::from(count) * FRAME_SAMPLES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Given(Vec<bool>, usize, Option<f32>);

    impl Detector for Given {
        fn name(&self) -> &'static str {
            "given"
        }
        fn push(&mut self, _: &PcmFrame) -> f32 {
            self.1 += 1;
            f32::from(u8::from(self.0[self.1 - 1]))
        }
        fn reset(&mut self) {}
        fn sure(&self) -> Option<f32> {
            self.2
        }
    }

    fn events(voiced: &[bool]) -> Vec<SpeechEvent> {
        verdicts(voiced, None).iter().filter_map(|verdict| verdict.event).collect()
    }

    fn verdicts(voiced: &[bool], sure: Option<f32>) -> Vec<FrameVerdict> {
        let given = Given(voiced.to_vec(), 0, sure);
        let mut spurts = Talkspurts::new(Box::new(given), TalkspurtConfig::turn_taking());
        // No tone, and louder than stillness.
        let loud = PcmFrame(std::array::from_fn(|n| (n * n % 211) as i16 * 40 - 4_000));
        let frame = |voiced: &bool| if *voiced { loud } else { PcmFrame::SILENCE };
        voiced.iter().map(|voiced| spurts.push(&frame(voiced))).collect()
    }

    fn at(frame: u64) -> SamplePos {
        SamplePos(frame * 160)
    }

    #[test]
    fn onset_and_end_are_dated_back() {
        let mut voiced = vec![false; 5];
        voiced.extend([true, false, true, true]);
        voiced.extend([false; 10]);
        assert_eq!(events(&voiced), [SpeechEvent::Onset { at: at(5) }, SpeechEvent::Offset { at: at(9) }]);
    }

    #[test]
    fn a_sure_detector_begins_a_frame_sooner() {
        let voiced = [false, false, false, true, true, true, true];
        let begun = |sure| verdicts(&voiced, sure).iter().position(|verdict| verdict.speaking);
        assert_eq!(begun(None), Some(5));
        assert_eq!(begun(Some(0.8)), Some(4));
        assert_eq!(verdicts(&voiced, Some(0.8))[4].event, Some(SpeechEvent::Onset { at: at(3) }));
        // One sure frame alone is a click.
        assert!(verdicts(&[false, true, false, false, true, false], Some(0.8)).iter().all(|v| !v.speaking));
    }

    #[test]
    fn a_long_onset_is_as_long_as_the_frames_that_are_remembered() {
        for (ms, begun) in [(20, 0), (600, 29), (620, 30), (700, 30), (u64::MAX, 30)] {
            let config =
                TalkspurtConfig { onset: Duration::from_millis(ms), ..TalkspurtConfig::turn_taking() };
            let mut spurts = Talkspurts::new(Box::new(Given(vec![true; 40], 0, None)), config);
            let loud = PcmFrame(std::array::from_fn(|n| (n * n % 211) as i16 * 40 - 4_000));
            assert_eq!((0..40).position(|_| spurts.push(&loud).event.is_some()), Some(begun), "{ms} ms");
        }
    }

    #[test]
    fn a_click_begins_nothing() {
        let voiced: Vec<bool> = (0..100).map(|n| n % 10 < 2).collect();
        assert_eq!(events(&voiced), []);
    }

    #[test]
    fn a_soft_voice_on_a_line_without_noise_is_no_stillness() {
        // Some −69 dBov, in digital silence.
        let soft = PcmFrame(std::array::from_fn(|n| (n * n % 41) as i16 - 20));
        assert!((-75.0..-64.0).contains(&Dbov::of_frame(&soft).0), "{}", Dbov::of_frame(&soft).0);
        let given = Given(vec![true; 100], 0, None);
        let mut spurts = Talkspurts::new(Box::new(given), TalkspurtConfig::turn_taking());
        assert!((0..80).all(|_| !spurts.push(&PcmFrame::SILENCE).speaking), "stillness is no speech");
        assert!((0..4).any(|_| spurts.push(&soft).speaking));
    }

    proptest! {
        #[test]
        fn onsets_and_ends_alternate_and_never_go_back(voiced in proptest::collection::vec(any::<bool>(), 0..300)) {
            let mut last = (None, SamplePos::ZERO);
            for event in events(&voiced) {
                let (onset, place) = match event {
                    SpeechEvent::Onset { at } => (true, at),
                    SpeechEvent::Offset { at } => (false, at),
                };
                prop_assert_ne!(last.0, Some(onset));
                prop_assert!(place >= last.1);
                last = (Some(onset), place);
            }
        }
    }
}
