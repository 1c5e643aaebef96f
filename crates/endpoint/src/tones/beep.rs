//! The beep after which a mailbox records.
//!
//! What: a greeting, one steady tone of 150 to 1 500 ms between 400 and 2 500 Hz (under 400 some), then silence. The tone may fade, as bells do.
//! Not one: keys and ringing (two tones), the special information tone (three, one after the other), dial tone (too long), busy
//! tone (it comes again), speech and music (unsteady, or no silence after).
//! How: frames of one tone ([`super::single`]) of one frequency make a run; its ends are dated within a frame by how much of
//! the tone's power that frame has.

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};

use super::single::{power, single};

/// 20 ms less than what is wanted, for its edges.
const SHORTEST: SampleCount = SampleCount::from_millis(130);
const LONGEST: SampleCount = SampleCount::from_millis(1_500);
/// From frame to frame, and from the run's mean.
const DETUNED: f32 = 0.02;
/// Silence after it, in frames: 200 ms; 700 ms where busy tones are, which come again by then.
const SILENCE: u32 = 10;
const LONG_SILENCE: u32 = 35;
const BUSY_HZ: std::ops::Range<f32> = 380.0..640.0;
/// Silence is so far under the beep: 10 dB, as there may be noise.
const UNDER: f32 = 0.1;
/// From frame to frame it falls no faster than by 3 dB: it may fade, but what beats is two tones.
const FALL: f32 = 0.5;
/// A beep rises to its level at once, or within so many frames.
const RISE: u32 = 3;
/// So many frames of other sound must have come before: 300 ms of greeting, louder than −45 dBov.
const GREETING: u32 = 15;
const LOUD: f32 = 33_954.0;

/// A mailbox's beep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beep {
    /// Where it begins.
    pub from: SamplePos,
    /// Where it ends: from here on is recorded.
    pub until: SamplePos,
    /// Its frequency.
    pub hz: f32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Waiting,
    Sounding(Run),
    /// It has ended; so many frames of silence since.
    Ended(Beep, f32, u32),
}

#[derive(Clone, Copy, Debug)]
struct Run {
    from: SamplePos,
    hz: f32,
    frames: u32,
    most: f32,
    last: f32,
}

/// Finds the beep in a stream of frames.
#[derive(Clone, Debug, Default)]
pub struct BeepDetector {
    position: SamplePos,
    state: State,
    /// Frames of greeting, up to the number that is needed.
    greeting: u32,
    /// The power of the frame before.
    before: f32,
}

impl BeepDetector {
    /// Looks at the next frame. A beep is told when silence has lasted 200 ms after it, or 700 ms if it might be a busy tone.
    pub fn push(&mut self, frame: &PcmFrame) -> Option<Beep> {
        let start = self.position;
        self.position += SampleCount(FRAME_SAMPLES as u64);
        let power = power(frame);
        let tone = single(frame, power).map(|single| single.hz);
        let before = std::mem::replace(&mut self.before, power);
        let (state, beep) = match self.state {
            State::Waiting => (self.wait(tone, power, before, start), None),
            State::Sounding(run) => (self.go_on(run, tone, power, start), None),
            State::Ended(beep, level, frames) => self.listen(beep, level, frames + 1, tone, power),
        };
        self.state = state;
        if beep.is_some() {
            self.greeting = 0;
        }
        beep
    }

    fn wait(&mut self, tone: Option<f32>, power: f32, before: f32, start: SamplePos) -> State {
        let Some(hz) = tone.filter(|_| self.greeting >= GREETING) else {
            if tone.is_none() && power >= LOUD {
                self.greeting = (self.greeting + 1).min(GREETING);
            }
            return State::Waiting;
        };
        // The frame before may have its beginning, if there is too little of it to be a tone.
        let early = if before < power { (before / power * FRAME_SAMPLES as f32) as u64 } else { 0 };
        let from = start.back(SampleCount(early));
        State::Sounding(Run { from, hz, frames: 1, most: power, last: power })
    }

    fn go_on(&mut self, mut run: Run, tone: Option<f32>, power: f32, start: SamplePos) -> State {
        let same = tone.is_some_and(|hz| (hz - run.hz).abs() <= run.hz * DETUNED + 4.0);
        // Within 3 dB of the frame before, but for its rise and its end.
        let steady = power <= run.last * 2.0 || run.frames <= RISE;
        if same && power >= FALL * run.last {
            if !steady || start.since(run.from) > LONGEST {
                // Too long or too lively: it must be over before anything else can begin.
                run.from = SamplePos::ZERO;
            }
            if run.frames == 1 && power > run.last * 1.2 {
                // Its first frame had but part of it.
                let part = (run.last / power * FRAME_SAMPLES as f32) as u64;
                run.from = start.back(SampleCount(part));
            }
            run.frames += 1;
            if let Some(hz) = tone {
                run.hz += (hz - run.hz) / run.frames.min(8) as f32;
            }
            run.most = run.most.max(power);
            run.last = power;
            return State::Sounding(run);
        }
        let part = (power / run.last).min(1.0);
        // The frame with its end has some of it, unless what came is something else.
        let rest = if power < run.last { (part * FRAME_SAMPLES as f32) as u64 } else { 0 };
        let until = start + SampleCount(rest);
        let length = until.since(run.from);
        let beep = Beep { from: run.from, until, hz: run.hz };
        // Something else that is as loud is no silence.
        if run.from == SamplePos::ZERO || length < SHORTEST || length > LONGEST || power >= run.last {
            return State::Waiting;
        }
        State::Ended(beep, run.most, 0)
    }

    fn listen(
        &mut self,
        beep: Beep,
        level: f32,
        frames: u32,
        tone: Option<f32>,
        power: f32,
    ) -> (State, Option<Beep>) {
        if power > UNDER * level || tone.is_some() {
            if tone.is_some() {
                // It comes again, as busy tones and ringing do: only another greeting makes a beep to be expected.
                self.greeting = 0;
            }
            return (State::Waiting, None);
        }
        let wanted = if BUSY_HZ.contains(&beep.hz) { LONG_SILENCE } else { SILENCE };
        if frames < wanted {
            return (State::Ended(beep, level, frames), None);
        }
        (State::Waiting, Some(beep))
    }
}
