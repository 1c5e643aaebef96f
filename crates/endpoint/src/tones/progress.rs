//! Ringback, busy, congestion and dial tone, and the special information tone.

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};

use super::burst::{Bursts, Change};
use super::cadence::Cadence;
use super::single::{power, single};

/// What the network says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ToneKind {
    /// Dial tone: 350 + 440 Hz (North America, United Kingdom), or about 425 Hz for 2.8 s without a break.
    Dial,
    /// The called telephone rings: 440 + 480 Hz, 400 + 450 Hz (United Kingdom and others), or about 425 Hz for a second, twice.
    Ringback,
    /// The called party is on the telephone: 480 + 620 Hz or about 425 Hz, on and off for half a second or so.
    Busy,
    /// No line could be had (reorder, congestion): the same, twice as fast.
    Congestion,
    /// Three rising tones, 950, 1 400 and 1 800 Hz: an announcement follows, the number can't be reached.
    SpecialInformation,
}

/// A tone of the network was recognised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ToneEvent {
    /// Which.
    pub kind: ToneKind,
    /// Where its first burst begins, within 20 ms.
    pub at: SamplePos,
    /// Its frequencies as measured, in Hz, within 1 %: one or two. Of the special information tone the first.
    pub hz: (f32, Option<f32>),
}

/// Finds call-progress tones in a stream of frames.
///
/// Each is told once, when its cadence is certain: ringback of two tones after 0.85 s (a double ring at its end), dial tone after 0.7 s, busy and congestion
/// at the end of the second burst (congestion of one tone: of the third), ringback of one tone at the second ring, as a single tone
/// of a second may be a mailbox's beep. About 1 µs a frame.
#[derive(Clone, Debug, Default)]
pub struct ProgressDetector {
    bursts: Bursts,
    cadence: Cadence,
    rising: Rising,
}

impl ProgressDetector {
    /// Looks at the next frame.
    pub fn push(&mut self, frame: &PcmFrame) -> Option<ToneEvent> {
        let (told, hz) = match self.bursts.push(frame) {
            Change::None => (None, (0.0, None)),
            Change::Sounds(burst) => (self.cadence.sounds(&burst), burst.hz),
            Change::Ended(burst) => (self.cadence.ended(&burst), burst.hz),
        };
        let rising = self.rising.push(frame);
        told.map(|(kind, at)| ToneEvent { kind, at, hz }).or(rising)
    }
}

/// The special information tone's three tones: E.180/Q.35 has 950, 1 400 and 1 800 Hz, each ±50, of 330 ms each, ±70, and up to
/// 30 ms between them. North America's vary in frequency (914 to 985 Hz …) and length (274 and 380 ms) with the cause.
const RISING: [std::ops::Range<f32>; 3] = [890.0..1_010.0, 1_340.0..1_460.0, 1_740.0..1_860.0];
/// In frames.
const SHORTEST: u32 = 11;
const LONGEST: u32 = 21;
const GAP: u32 = 3;

#[derive(Clone, Debug, Default)]
struct Rising {
    position: SamplePos,
    at: SamplePos,
    first_hz: f32,
    /// Which of the three sounds, for how many frames, and how many since it last did.
    step: usize,
    frames: u32,
    gap: u32,
}

impl Rising {
    fn push(&mut self, frame: &PcmFrame) -> Option<ToneEvent> {
        let start = self.position;
        self.position += SampleCount(FRAME_SAMPLES as u64);
        let hz = single(frame, power(frame)).map(|single| single.hz);
        let which = hz.and_then(|hz| RISING.iter().position(|range| range.contains(&hz)));
        let whole = (SHORTEST..=LONGEST).contains(&self.frames);
        match (which, hz) {
            (Some(which), _) if which == self.step && self.frames > 0 && self.gap <= 1 => {
                self.frames += 1;
                self.gap = 0;
            }
            (Some(which), _) if which == self.step + 1 && whole && self.gap <= GAP => {
                (self.step, self.frames, self.gap) = (which, 1, 0);
            }
            (Some(0), Some(hz)) => {
                *self =
                    Self { position: self.position, at: start, first_hz: hz, frames: 1, ..Self::default() };
            }
            _ => self.gap += 1,
        }
        // Once: when the third has lasted long enough.
        let found = self.step == 2 && self.frames == SHORTEST && self.gap == 0;
        if found {
            self.frames = LONGEST + 1;
        }
        found.then_some(ToneEvent {
            kind: ToneKind::SpecialInformation,
            at: self.at,
            hz: (self.first_hz, None),
        })
    }
}
