//! Is there speech in these 20 ms?

use offhook_audio::{Dbov, PcmFrame};
use serde::Deserialize;
use webrtc_vad::{SampleRate, Vad, VadMode};

use crate::NoiseFloor;

/// Judges frames of one stream, in order.
pub trait Detector {
    /// Name in config and reports.
    fn name(&self) -> &'static str;

    /// The probability that the frame has speech, 0 to 1.
    fn push(&mut self, frame: &PcmFrame) -> f32;

    /// Forgets the stream.
    fn reset(&mut self);
}

/// Which detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorKind {
    /// WebRTC's Gaussian mixtures at their strictest, brought to a level that suits them and gated by the noise floor.
    #[default]
    Webrtc,
    /// Energy over the noise floor.
    Energy,
}

impl DetectorKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Webrtc, Self::Energy];

    /// Makes one.
    #[must_use]
    pub fn build(self) -> Box<dyn Detector> {
        match self {
            Self::Webrtc => Box::new(WebRtc::default()),
            Self::Energy => Box::new(Energy::default()),
        }
    }
}

/// WebRTC's voice activity detector (`webrtc-vad`, the C code of the WebRTC project).
///
/// It was made for a microphone's levels and misses callers at −45 dBov; and in steady noise it says yes too often.
/// So frames are amplified when the line is quiet, and a yes counts only above the noise floor.
#[expect(missing_debug_implementations, reason = "the C detector has nothing to show")]
pub struct WebRtc {
    vad: Vad,
    floor: NoiseFloor,
}

/// A line whose noise lies under this is amplified up to it.
const QUIET_FLOOR: f32 = -54.0;
const MOST_GAIN_DB: f32 = 18.0;
/// How far above the floor speech must be.
const MARGIN_DB: f32 = 6.0;

impl Default for WebRtc {
    fn default() -> Self {
        Self {
            vad: Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, VadMode::VeryAggressive),
            floor: NoiseFloor::default(),
        }
    }
}

impl Detector for WebRtc {
    fn name(&self) -> &'static str {
        "webrtc"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        let level = Dbov::of_frame(frame);
        let floor = self.floor.push(level);
        let gain_db = (QUIET_FLOOR - floor.0).clamp(0.0, MOST_GAIN_DB);
        let gain = (Dbov(0.0).gain_to(Dbov(gain_db)) * 256.0) as i32;
        let mut loud = *frame;
        for sample in &mut loud.0 {
            *sample = ((i32::from(*sample) * gain) >> 8).clamp(-32_768, 32_767) as i16;
        }
        // An error means a wrong frame length, which the type excludes.
        let voiced = self.vad.is_voice_segment(&loud.0).unwrap_or(false);
        let over = level.0 - floor.0;
        if voiced && over >= MARGIN_DB { (0.5 + (over - MARGIN_DB) / 40.0).min(1.0) } else { 0.0 }
    }

    fn reset(&mut self) {
        self.vad.reset();
        self.vad.set_mode(VadMode::VeryAggressive);
        self.floor = NoiseFloor::default();
    }
}

/// Energy over the noise floor: cheap, fair in quiet, fooled by any sound that comes and goes.
#[derive(Clone, Debug, Default)]
pub struct Energy {
    floor: NoiseFloor,
}

impl Detector for Energy {
    fn name(&self) -> &'static str {
        "energy"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        let level = Dbov::of_frame(frame);
        let over = level.0 - self.floor.push(level).0;
        // 12 dB over the floor is an even chance.
        ((over - 4.0) / 16.0).clamp(0.0, 1.0)
    }

    fn reset(&mut self) {
        self.floor = NoiseFloor::default();
    }
}
