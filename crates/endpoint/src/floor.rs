//! The level of the line when nobody speaks.
//!
//! How: minimum statistics (R. Martin, 2001, greatly reduced): the smallest smoothed level of the newest 1.5 s, kept
//! in six windows of 250 ms. Falls at once, rises when a louder noise has lasted; speech, which has gaps every few
//! hundred milliseconds, doesn't raise it.

use offhook_audio::Dbov;

const WINDOWS: usize = 6;
const FRAMES_PER_WINDOW: u32 = 12;
/// A muted line would make anything look loud.
const LOWEST: f32 = -70.0;
/// A line noisier than this is taken for one with a voice in it.
const HIGHEST: f32 = -30.0;

/// Tracks the noise floor of a stream of frames.
#[derive(Clone, Debug)]
pub struct NoiseFloor {
    smoothed: f32,
    current: f32,
    frames: u32,
    windows: [f32; WINDOWS],
    next: usize,
    started: bool,
}

impl Default for NoiseFloor {
    fn default() -> Self {
        Self { smoothed: -60.0, current: 0.0, frames: 0, windows: [-60.0; WINDOWS], next: 0, started: false }
    }
}

impl NoiseFloor {
    /// Takes a frame's level, gives the floor.
    pub fn push(&mut self, level: Dbov) -> Dbov {
        let level = level.0.max(LOWEST - 10.0);
        // Falls fast, so that the gaps between syllables are seen; rises slowly.
        let speed = if level < self.smoothed || !self.started { 0.5 } else { 0.2 };
        self.started = true;
        self.smoothed += (level - self.smoothed) * speed;
        self.current = self.current.min(self.smoothed);
        self.frames += 1;
        if self.frames == FRAMES_PER_WINDOW {
            self.frames = 0;
            if let Some(slot) = self.windows.get_mut(self.next) {
                *slot = self.current;
            }
            self.next = (self.next + 1) % WINDOWS;
            self.current = self.smoothed;
        }
        self.get()
    }

    /// The floor now.
    #[must_use]
    pub fn get(&self) -> Dbov {
        Dbov(self.least().clamp(LOWEST, HIGHEST))
    }

    /// The same for lines of any noise, down to −80 dBov: on a line without any, a soft voice may be under −64 dBov.
    pub(crate) fn least(&self) -> f32 {
        self.windows.iter().fold(self.current, |least, &window| least.min(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_a_louder_line_within_two_seconds_but_not_speech() {
        let mut floor = NoiseFloor::default();
        for _ in 0..100 {
            floor.push(Dbov(-40.0));
        }
        assert!((floor.get().0 + 40.0).abs() < 1.0, "{}", floor.get());
        for frame in 0..200 {
            // 300 ms syllables, 80 ms gaps.
            floor.push(Dbov(if frame % 19 < 15 { -15.0 } else { -40.0 }));
        }
        assert!(floor.get().0 < -33.0, "{}", floor.get());
        floor.push(Dbov(-55.0));
        floor.push(Dbov(-55.0));
        floor.push(Dbov(-55.0));
        assert!(floor.get().0 < -48.0);
    }
}
