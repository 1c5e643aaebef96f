//! What the measurements share: numbers that look random, sound from files, louder and softer sound, percentiles.

use std::path::Path;

/// Numbers that look random and are the same each time (xorshift64*).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % n.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// The sound of a μ-law WAV file.
pub(crate) fn octets_of(path: &Path) -> Vec<u8> {
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let length = u32::from_le_bytes(wav[data - 4..data].try_into().unwrap()) as usize;
    wav[data..data + length].to_vec()
}

/// The same sound, so many dB louder.
pub(crate) fn louder(octets: &[u8], gain_db: f64) -> Vec<u8> {
    let gain = 10f64.powf(gain_db / 20.0);
    let scaled = |octet: &u8| (f64::from(offhook_mulaw::decode(*octet)) * gain).clamp(-32_000.0, 32_000.0);
    octets.iter().map(|octet| offhook_mulaw::encode(scaled(octet) as i16)).collect()
}

pub(crate) fn percentile(values: &mut [u64], percent: usize) -> u64 {
    values.sort_unstable();
    values.get((values.len().saturating_sub(1) * percent + 50) / 100).copied().unwrap_or(0)
}
