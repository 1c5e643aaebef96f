//! 20 ms of sound, on the wire and as linear samples.

use std::time::Duration;

/// Samples in a frame: 20 ms at 8 kHz.
pub const FRAME_SAMPLES: usize = 160;

/// How long a frame lasts.
pub const FRAME_DURATION: Duration = Duration::from_millis(20);

/// The μ-law octet of (positive) zero, ITU-T G.711 table 2b; what silence looks like on Twilio's wire.
pub const MULAW_SILENCE: u8 = 0xFF;

/// 20 ms of linear speech: 160 samples at 8 kHz, full scale ±32 767.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PcmFrame(pub [i16; FRAME_SAMPLES]);

/// The same 20 ms on the wire: 160 G.711 μ-law octets.
///
/// Twilio promises no payload length, so a framer cuts whatever arrives onto this grid and nothing behind it knows
/// odd lengths.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MulawFrame(pub [u8; FRAME_SAMPLES]);

impl PcmFrame {
    /// 20 ms of digital silence.
    pub const SILENCE: Self = Self([0; FRAME_SAMPLES]);
}

impl MulawFrame {
    /// 20 ms of digital silence, `0xFF` throughout.
    pub const SILENCE: Self = Self([MULAW_SILENCE; FRAME_SAMPLES]);

    /// Decodes to linear samples (G.711 expansion, exact).
    #[must_use]
    pub fn decode(&self) -> PcmFrame {
        let mut pcm = PcmFrame::SILENCE;
        offhook_mulaw::decode_frame(&self.0, &mut pcm.0);
        pcm
    }
}

impl PcmFrame {
    /// Encodes to μ-law (G.711 compression).
    #[must_use]
    pub fn encode(&self) -> MulawFrame {
        let mut wire = MulawFrame::SILENCE;
        offhook_mulaw::encode_frame(&self.0, &mut wire.0);
        wire
    }
}

impl Default for PcmFrame {
    fn default() -> Self {
        Self::SILENCE
    }
}

impl Default for MulawFrame {
    fn default() -> Self {
        Self::SILENCE
    }
}

// Frames carry people's voices; their `Debug` shows no samples.
impl std::fmt::Debug for PcmFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PcmFrame(…)")
    }
}

impl std::fmt::Debug for MulawFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MulawFrame(…)")
    }
}
