//! Keypad tones in the sound: finding them (ITU-T Q.24) and making them (Q.23).
//!
//! Finding: eight Goertzel filters over half frames of 10 ms; a key is one low and one high tone, each well above the
//! others of its group, that together hold most of the energy, with a twist within +4/−8 dB, for 40 ms.

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleCount, SamplePos};

const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
/// Least amplitude of a tone, −42 dBov.
const LEAST_AMPLITUDE: f64 = 260.0;
/// The high tone may be 4 dB louder, or 8 dB softer, than the low one (Q.24, North America).
const TWIST_HIGH: f64 = 1.585;
const TWIST_LOW: f64 = 2.512;
/// A tone must be so much above the other tones of its group.
const SELECTIVITY: f64 = 2.5;
/// Share of the frame's energy that the two tones must hold; speech that imitates a key rarely does.
const PURITY: f64 = 0.82;
/// Frames that a key must last.
const FRAMES: u32 = 2;

/// A key of the telephone's keypad: `0`–`9`, `*`, `#`, `A`–`D`. `Debug` doesn't show which.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key(char);

impl Key {
    /// From its character; `None` if there is no such key.
    #[must_use]
    pub const fn new(key: char) -> Option<Self> {
        match key {
            '0'..='9' | '*' | '#' | 'A'..='D' => Some(Self(key)),
            'a'..='d' => Some(Self(key.to_ascii_uppercase())),
            _ => None,
        }
    }

    /// Its character. Keep it out of logs.
    #[must_use]
    pub const fn reveal(self) -> char {
        self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(•)")
    }
}

/// A key went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyDown {
    /// Which.
    pub key: Key,
    /// Where its tone begins, to a frame.
    pub at: SamplePos,
}

/// Finds keys in a stream of frames.
#[derive(Clone, Debug, Default)]
pub struct DtmfDetector {
    position: SamplePos,
    candidate: Option<(Key, u32)>,
    down: Option<Key>,
    absent: u32,
}

impl DtmfDetector {
    /// Looks at the next frame; a key is told once, when it has lasted 40 ms.
    pub fn push(&mut self, frame: &PcmFrame) -> Option<KeyDown> {
        let start = self.position;
        self.position += SampleCount(FRAME_SAMPLES as u64);
        let key = find_key(frame);
        if key.is_none() || key != self.down {
            self.absent += 1;
            if self.absent >= 2 {
                self.down = None;
            }
        } else {
            self.absent = 0;
        }
        self.candidate = match (key, self.candidate) {
            (Some(key), Some((same, frames))) if key == same => Some((key, frames + 1)),
            (Some(key), _) => Some((key, 1)),
            (None, _) => None,
        };
        let (key, frames) = self.candidate?;
        if frames != FRAMES || self.down == Some(key) {
            return None;
        }
        self.down = Some(key);
        self.absent = 0;
        Some(KeyDown { key, at: start.back(SampleCount(u64::from(FRAMES - 1) * FRAME_SAMPLES as u64)) })
    }
}

fn find_key(frame: &PcmFrame) -> Option<Key> {
    let energy: f64 =
        frame.0.iter().map(|&s| f64::from(s) * f64::from(s)).sum::<f64>() / FRAME_SAMPLES as f64;
    // Two tones at the least amplitude hold a² / 2 each.
    if energy < LEAST_AMPLITUDE * LEAST_AMPLITUDE * 0.8 {
        return None;
    }
    let (row, low) = strongest(frame, &LOW)?;
    let (column, high) = strongest(frame, &HIGH)?;
    let pure = (low * low + high * high) / 2.0 >= PURITY * energy;
    let loud = low >= LEAST_AMPLITUDE && high >= LEAST_AMPLITUDE;
    let twisted = high > low * TWIST_HIGH || low > high * TWIST_LOW;
    (pure && loud && !twisted).then(|| KEYS.get(row)?.get(column).copied().map(Key)).flatten()
}

/// The strongest of a group, if it stands out: its index and amplitude.
fn strongest(frame: &PcmFrame, group: &[f64; 4]) -> Option<(usize, f64)> {
    let mut best = (0, 0.0);
    let mut second = 0.0;
    for (index, &hz) in group.iter().enumerate() {
        let amplitude = goertzel(frame, hz);
        if amplitude > best.1 {
            second = best.1;
            best = (index, amplitude);
        } else if amplitude > second {
            second = amplitude;
        }
    }
    (best.1 >= second * SELECTIVITY).then_some(best)
}

/// The amplitude of a sine of this frequency in the frame (Goertzel 1958).
fn goertzel(frame: &PcmFrame, hz: f64) -> f64 {
    let coefficient = 2.0 * (std::f64::consts::TAU * hz / 8_000.0).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for &sample in &frame.0 {
        let s0 = f64::from(sample) + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 * power.max(0.0).sqrt() / FRAME_SAMPLES as f64
}

/// The sound of keys: 100 ms of tone each, 100 ms apart, −10 dBov a tone, edges rounded. Unknown characters are pauses
/// of half a second (`w`, as Twilio has it).
#[must_use]
pub fn tones(keys: &str) -> Vec<i16> {
    let mut sound = Vec::new();
    for key in keys.chars() {
        let place =
            KEYS.iter().enumerate().find_map(|(row, keys)| Some((row, keys.iter().position(|&k| k == key)?)));
        let Some((low, high)) = place.and_then(|(row, column)| Some((LOW.get(row)?, HIGH.get(column)?)))
        else {
            sound.resize(sound.len() + 4_000, 0);
            continue;
        };
        let mut tone: Vec<i16> = (0..800)
            .map(|n| {
                let t = std::f64::consts::TAU * f64::from(n) / 8_000.0;
                (7_300.0 * ((low * t).sin() + (high * t).sin())) as i16
            })
            .collect();
        offhook_audio::fade_in(&mut tone);
        offhook_audio::fade_out(&mut tone);
        sound.extend(tone);
        sound.resize(sound.len() + 800, 0);
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_in(sound: &[i16]) -> String {
        let mut detector = DtmfDetector::default();
        sound
            .chunks_exact(160)
            .filter_map(|chunk| {
                let frame = PcmFrame(chunk.try_into().unwrap());
                detector.push(&frame.encode().decode()).map(|down| down.key.reveal())
            })
            .collect()
    }

    #[test]
    fn every_key_is_found_once_also_off_the_frame_grid() {
        for offset in [0, 37, 80, 111] {
            let mut sound = vec![0; offset];
            sound.extend(tones("123A456B789C*0#D11"));
            sound.resize(sound.len() + 320, 0);
            assert_eq!(keys_in(&sound), "123A456B789C*0#D11");
        }
    }

    #[test]
    fn twist_short_tones_and_single_tones_are_refused() {
        let sine = |hz: f64, amplitude: f64, count: usize| -> Vec<i16> {
            (0..count)
                .map(|n| (amplitude * (std::f64::consts::TAU * hz * n as f64 / 8_000.0).sin()) as i16)
                .collect()
        };
        let sum = |a: Vec<i16>, b: Vec<i16>| -> Vec<i16> { a.iter().zip(b).map(|(a, b)| a + b).collect() };
        assert_eq!(
            keys_in(&sum(sine(697.0, 8_000.0, 1_600), sine(1_209.0, 2_000.0, 1_600))),
            "",
            "−12 dB of twist"
        );
        assert_eq!(
            keys_in(&sum(sine(697.0, 8_000.0, 1_600), sine(1_209.0, 5_000.0, 1_600))),
            "1",
            "−4 dB of twist"
        );
        assert_eq!(keys_in(&sine(697.0, 8_000.0, 1_600)), "");
        assert_eq!(keys_in(&sum(sine(440.0, 8_000.0, 1_600), sine(480.0, 8_000.0, 1_600))), "", "ringback");
        let mut short = sum(sine(697.0, 8_000.0, 160), sine(1_209.0, 8_000.0, 160));
        short.resize(1_600, 0);
        assert_eq!(keys_in(&short), "", "20 ms");
    }
}
