//! Keypad tones in the sound: finding them (ITU-T Q.24) and making them (Q.23).

mod find;
mod make;

pub use offhook_audio::Key;

pub use find::{DtmfDetector, KeyDown};
pub use make::{KeySound, tones};

/// Q.23's tones in Hz, rows and columns of the keypad.
const LOW: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
const HIGH: [f64; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];
const KEYS: [[char; 4]; 4] =
    [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
