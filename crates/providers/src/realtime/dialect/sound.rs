//! Sound on its way to a service that takes no μ-law, and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_audio::SampleRate;
use offhook_mulaw::{decode, encode};
use offhook_resample::Resampler;

/// What the service hears: 16 kHz, linear, little endian.
#[derive(Debug)]
pub(super) struct Up(Option<Resampler>);

impl Up {
    pub(super) fn new() -> Self {
        Self(SampleRate::new(16_000).and_then(|rate| Resampler::new(SampleRate::HZ_8000, rate).ok()))
    }

    /// The μ-law of a message, converted for another.
    pub(super) fn convert(&mut self, mulaw: &str) -> String {
        let octets = STANDARD.decode(mulaw).unwrap_or_default();
        let samples: Vec<i16> = octets.into_iter().map(decode).collect();
        let mut wide = Vec::new();
        match &mut self.0 {
            Some(resampler) => resampler.process(&samples, &mut wide),
            None => wide = samples.iter().flat_map(|sample| [*sample, *sample]).collect(),
        }
        STANDARD.encode(wide.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<u8>>())
    }
}

/// What the service says: linear, little endian, at a rate that each piece tells.
#[derive(Debug, Default)]
pub(super) struct Down {
    rate: u32,
    resampler: Option<Resampler>,
    half: Option<u8>,
}

impl Down {
    /// A piece of sound as μ-law. `None`: of a rate that can't be converted, or no sound.
    pub(super) fn convert(&mut self, kind: &str, data: &str) -> Option<String> {
        let rate = kind.split("rate=").nth(1).and_then(|rate| rate.trim().parse().ok()).unwrap_or(24_000);
        if self.rate != rate {
            let from = SampleRate::new(rate)?;
            *self = Self { rate, resampler: Resampler::new(from, SampleRate::HZ_8000).ok(), half: None };
        }
        let octets = STANDARD.decode(data).ok()?;
        let mut samples = Vec::with_capacity(octets.len() / 2 + 1);
        for octet in octets {
            match self.half.take() {
                None => self.half = Some(octet),
                Some(low) => samples.push(i16::from_le_bytes([low, octet])),
            }
        }
        let mut narrow = Vec::new();
        self.resampler.as_mut()?.process(&samples, &mut narrow);
        Some(STANDARD.encode(narrow.into_iter().map(encode).collect::<Vec<u8>>()))
    }

    /// Another answer begins.
    pub(super) fn reset(&mut self) {
        self.half = None;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
    }
}
