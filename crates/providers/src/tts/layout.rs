//! How samples lie in a WAV file.

/// More channels are no voice.
const MOST_CHANNELS: u16 = 8;

/// One coding of samples, and how many channels there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    coding: Coding,
    channels: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Unsigned8,
    Signed16,
    Signed24,
    Signed32,
    Float32,
    Float64,
    Mulaw,
    Alaw,
}

impl Layout {
    /// 16-bit samples of one channel, little endian.
    pub(crate) const MONO_16: Self = Self { coding: Coding::Signed16, channels: 1 };

    /// From a header's format tag, channels and bits; `None` for what can't be read.
    pub(crate) const fn new(tag: u16, channels: u16, bits: u16) -> Option<Self> {
        let coding = match (tag, bits) {
            (1, 8) => Coding::Unsigned8,
            (1, 16) => Coding::Signed16,
            (1, 24) => Coding::Signed24,
            (1, 32) => Coding::Signed32,
            (3, 32) => Coding::Float32,
            (3, 64) => Coding::Float64,
            (6, 8) => Coding::Alaw,
            (7, 8) => Coding::Mulaw,
            _ => return None,
        };
        if channels == 0 || channels > MOST_CHANNELS {
            return None;
        }
        Some(Self { coding, channels: channels as usize })
    }

    /// Bytes of a sample of all channels.
    pub(crate) const fn frame(self) -> usize {
        self.channels * self.bytes()
    }

    const fn bytes(self) -> usize {
        match self.coding {
            Coding::Unsigned8 | Coding::Mulaw | Coding::Alaw => 1,
            Coding::Signed16 => 2,
            Coding::Signed24 => 3,
            Coding::Signed32 | Coding::Float32 => 4,
            Coding::Float64 => 8,
        }
    }

    /// The mean of all channels of a whole frame.
    pub(crate) fn sample(self, frame: &[u8]) -> i16 {
        if self == Self::MONO_16 {
            return i16::from_le_bytes([
                frame.first().copied().unwrap_or(0),
                frame.get(1).copied().unwrap_or(0),
            ]);
        }
        let sum: f64 = frame.chunks_exact(self.bytes()).map(|bytes| self.one(bytes)).sum();
        // A number that is none is silence.
        (sum / self.channels as f64).round().clamp(-32_768.0, 32_767.0) as i16
    }

    fn one(self, bytes: &[u8]) -> f64 {
        match (self.coding, bytes) {
            (Coding::Unsigned8, [a]) => (f64::from(*a) - 128.0) * 256.0,
            (Coding::Mulaw, [a]) => f64::from(offhook_mulaw::decode(*a)),
            (Coding::Alaw, [a]) => f64::from(offhook_mulaw::alaw::decode(*a)),
            (Coding::Signed16, [a, b]) => f64::from(i16::from_le_bytes([*a, *b])),
            (Coding::Signed24, [a, b, c]) => f64::from(i32::from_le_bytes([0, *a, *b, *c])) / 65_536.0,
            (Coding::Signed32, [a, b, c, d]) => f64::from(i32::from_le_bytes([*a, *b, *c, *d])) / 65_536.0,
            (Coding::Float32, [a, b, c, d]) => f64::from(f32::from_le_bytes([*a, *b, *c, *d])) * 32_767.0,
            (Coding::Float64, [a, b, c, d, e, f, g, h]) => {
                f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]) * 32_767.0
            }
            _ => 0.0,
        }
    }
}
