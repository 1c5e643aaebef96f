//! Samples of a voice, and the silence before its first word.

use offhook_audio::SampleRate;

/// Silence before the first word that is left alone.
const TRIM_ABOVE_MS: usize = 80;
/// What is left of a longer one, so that no soft onset is cut.
pub(super) const KEEP_MS: usize = 30;
/// Samples (full scale 32 767) that are no silence.
const LOUD: u16 = 160;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sample {
    Mulaw(u8),
    Linear(i16),
}

impl Sample {
    pub(super) const fn linear(self) -> i16 {
        match self {
            Self::Mulaw(octet) => offhook_mulaw::decode(octet),
            Self::Linear(sample) => sample,
        }
    }

    pub(super) const fn octet(self) -> u8 {
        match self {
            Self::Mulaw(octet) => octet,
            Self::Linear(sample) => offhook_mulaw::encode(sample),
        }
    }
}

/// Leaves out a long silence before the first sound.
#[derive(Debug)]
pub(super) struct Trim {
    pub(super) held: Vec<Sample>,
    pub(super) cut: usize,
    pub(super) open: bool,
}

impl Trim {
    pub(super) fn push(&mut self, samples: Vec<Sample>, rate: SampleRate) -> Vec<Sample> {
        if self.open {
            return samples;
        }
        let per_ms = rate.hz() as usize / 1_000;
        let (keep, above) = (KEEP_MS * per_ms, TRIM_ABOVE_MS * per_ms);
        let quiet_before = self.held.len();
        let first = samples.iter().position(|sample| sample.linear().unsigned_abs() > LOUD);
        self.held.extend(samples);
        let quiet = first.map_or(self.held.len(), |first| quiet_before + first);
        if self.cut > 0 || quiet > above {
            let out = quiet.saturating_sub(keep);
            self.held.drain(..out);
            self.cut += out;
        }
        self.open = first.is_some();
        if self.open { std::mem::take(&mut self.held) } else { Vec::new() }
    }

    pub(super) fn finish(&mut self) -> Vec<Sample> {
        self.open = true;
        std::mem::take(&mut self.held)
    }
}
