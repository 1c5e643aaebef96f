//! Both sides of the line at 2 kHz, and what was played when.

use offhook_audio::{FRAME_SAMPLES, MulawFrame};

use offhook_stage_api::CallTime;

/// Half a millisecond of the call's clock.
pub(crate) type Tick = u64;
/// Of 20 ms.
pub(crate) const TICKS_PER_FRAME: usize = FRAME_SAMPLES / 4;

/// From 8 kHz to pre-emphasised 2 kHz: twice a binomial low-pass of five taps before every other sample is dropped, then
/// 1 − 0.9 z⁻¹. Results stay under 12 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decimator {
    last: [i32; 4],
    last_half: [i32; 4],
    emphasis: i32,
}

impl Decimator {
    pub(crate) const fn new() -> Self {
        Self { last: [0; 4], last_half: [0; 4], emphasis: 0 }
    }

    pub(crate) fn frame(&mut self, samples: &[i16; FRAME_SAMPLES], out: &mut [i16; TICKS_PER_FRAME]) {
        let mut line = [0i32; FRAME_SAMPLES + 4];
        line[..4].copy_from_slice(&self.last);
        for (to, &sample) in line[4..].iter_mut().zip(samples) {
            *to = i32::from(sample);
        }
        self.last.copy_from_slice(&line[FRAME_SAMPLES..]);
        let mut half = [0i32; FRAME_SAMPLES / 2 + 4];
        half[..4].copy_from_slice(&self.last_half);
        for (n, to) in half[4..].iter_mut().enumerate() {
            *to = binomial(&line, 2 * n);
        }
        self.last_half.copy_from_slice(&half[FRAME_SAMPLES / 2..]);
        for (n, to) in out.iter_mut().enumerate() {
            let quarter = binomial(&half, 2 * n);
            let emphasised = quarter - ((self.emphasis * 230) >> 8);
            self.emphasis = quarter;
            *to = (emphasised >> 4).clamp(-2_047, 2_047) as i16;
        }
    }
}

fn binomial(line: &[i32], at: usize) -> i32 {
    match line.get(at..at + 5) {
        Some(&[a, b, c, d, e]) => (a + e + 4 * (b + d) + 6 * c) >> 4,
        _ => 0,
    }
}

/// What the caller hears, and heard: the newest seconds of it on the call's clock.
///
/// A ring whose slot for a tick is overwritten one turn later. Sound is put in ahead of its playing, by the lead.
#[derive(Debug)]
pub(crate) struct Played {
    /// Empty until something is said.
    ring: Vec<i16>,
    /// How long it will be, in ticks; 0 where nobody looks at it.
    length: usize,
    decimator: Option<Decimator>,
    /// The first tick after the newest sound.
    end: Tick,
}

/// The caller's sound is looked at so much after it was spoken, at most: 40 ms.
const LATE: usize = 80;

/// The longest ring, 8.192 s. With a lead so long that the longest delays don't fit, these aren't looked for.
const LONGEST_RING: usize = 16_384;

impl Played {
    /// For sound that is sent up to so long ahead of its playing.
    pub(crate) fn new(lead: std::time::Duration) -> Self {
        let ahead = usize::try_from(lead.as_millis() * 2).unwrap_or(LONGEST_RING).min(LONGEST_RING);
        let length = (ahead + super::MAX_LAG + super::WINDOW + LATE).min(LONGEST_RING);
        Self { ring: Vec::new(), length, decimator: None, end: 0 }
    }

    /// For a line on which nobody looks for echo.
    pub(crate) const fn unused() -> Self {
        Self { ring: Vec::new(), length: 0, decimator: None, end: 0 }
    }

    /// A time on the call's clock as a tick.
    pub(crate) fn tick(at: CallTime) -> Tick {
        u64::try_from(at.since_start().as_micros() / 500).unwrap_or(u64::MAX)
    }

    /// A frame was sent that will be played from `at` on.
    pub(crate) fn push(&mut self, at: CallTime, frame: &MulawFrame) {
        if self.length == 0 {
            return;
        }
        if self.ring.is_empty() {
            self.ring.resize(self.length, 0);
        }
        let from = Self::tick(at).max(self.end);
        self.silence_until(from);
        let mut ticks = [0; TICKS_PER_FRAME];
        self.decimator.get_or_insert(Decimator::new()).frame(&frame.decode().0, &mut ticks);
        for (tick, value) in (from..).zip(ticks) {
            if let Some(slot) = self.ring.get_mut(tick as usize % self.length) {
                *slot = value;
            }
        }
        self.end = from + TICKS_PER_FRAME as Tick;
    }

    /// Nothing was played from the newest sound's end until `tick`.
    fn silence_until(&mut self, tick: Tick) {
        let pause = tick.saturating_sub(self.end);
        if pause > 0 {
            self.decimator = None;
        }
        for tick in tick.saturating_sub(pause.min(self.length as Tick))..tick {
            if let Some(slot) = self.ring.get_mut(tick as usize % self.length) {
                *slot = 0;
            }
        }
    }

    /// What should have been played after `at` won't be.
    pub(crate) fn clear_from(&mut self, at: CallTime) {
        let from = Self::tick(at);
        for tick in from..self.end {
            if let Some(slot) = self.ring.get_mut(tick as usize % self.length) {
                *slot = 0;
            }
        }
        self.end = self.end.min(from);
        self.decimator = None;
    }

    /// Gives back the ring's room once nothing in it can come back any more.
    pub(crate) fn shrink(&mut self, now: CallTime) {
        if !self.ring.is_empty() && self.end + (self.length as Tick) < Self::tick(now) {
            self.ring = Vec::new();
            self.decimator = None;
        }
    }

    /// Whether something was played after this tick.
    pub(crate) fn reaches(&self, tick: Tick) -> bool {
        self.end > tick
    }

    /// Copies what was played from a tick on; silence where nothing was.
    pub(crate) fn read(&self, from: Tick, to: &mut [i16]) {
        let oldest = self.end.saturating_sub(self.length as Tick);
        for (tick, to) in (from..).zip(to) {
            let known = (oldest..self.end).contains(&tick);
            *to = if known { self.ring.get(tick as usize % self.length).copied().unwrap_or(0) } else { 0 };
        }
    }
}
