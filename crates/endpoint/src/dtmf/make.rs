//! The sound of keys.

use std::time::Duration;

use offhook_audio::Dbov;

use super::{HIGH, KEYS, LOW};

/// How keys sound.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeySound {
    /// Each of the two tones' level. Default −13 dBov, about −7 dBm0.
    pub level: Dbov,
    /// Length of a tone; Q.24 asks receivers for 40 ms. Default 100 ms.
    pub tone: Duration,
    /// Silence after it. Default 100 ms.
    pub pause: Duration,
}

impl Default for KeySound {
    fn default() -> Self {
        Self { level: Dbov(-13.0), tone: Duration::from_millis(100), pause: Duration::from_millis(100) }
    }
}

impl KeySound {
    /// The keys' sound at 8 kHz, edges rounded over 5 ms. `w` is half a second of silence and `W` a whole one, as in Twilio's
    /// `sendDigits`; other characters are left out.
    #[must_use]
    pub fn make(&self, keys: &str) -> Vec<i16> {
        let samples = |duration: Duration| duration.as_millis() as usize * 8;
        let amplitude = f64::from(Dbov(-3.01).gain_to(self.level)) * 32_767.0;
        let mut sound = Vec::new();
        for key in keys.chars() {
            let pause = match key {
                'w' => Some(4_000),
                'W' => Some(8_000),
                _ => None,
            };
            if let Some(pause) = pause {
                sound.resize(sound.len() + pause, 0);
                continue;
            }
            let key = key.to_ascii_uppercase();
            let place = KEYS
                .iter()
                .enumerate()
                .find_map(|(row, keys)| Some((row, keys.iter().position(|&other| other == key)?)));
            let tones = place.and_then(|(row, column)| Some((LOW.get(row)?, HIGH.get(column)?)));
            let Some((low, high)) = tones else { continue };
            let mut tone: Vec<i16> = (0..samples(self.tone))
                .map(|n| {
                    let t = std::f64::consts::TAU * n as f64 / 8_000.0;
                    (amplitude * ((low * t).sin() + (high * t).sin())).clamp(-32_768.0, 32_767.0) as i16
                })
                .collect();
            offhook_audio::fade_in(&mut tone);
            offhook_audio::fade_out(&mut tone);
            sound.extend(tone);
            sound.resize(sound.len() + samples(self.pause), 0);
        }
        sound
    }
}

/// The sound of keys as phones make it: [`KeySound`]'s defaults.
#[must_use]
pub fn tones(keys: &str) -> Vec<i16> {
    KeySound::default().make(keys)
}
