//! WebRTC's voice activity detector: Gaussian mixtures over six bands (the C code of the WebRTC project).

use offhook_audio::{Dbov, PcmFrame};
use webrtc_vad::{SampleRate, Vad, VadMode};

use crate::{Detector, NoiseFloor};

/// The C detector, which nothing else holds a pointer to.
struct OwnVad(Vad);

// SAFETY: `Fvad` is memory of its own, without thread-local or global state (webrtc's vad_core.c); it is only used by its owner.
#[allow(unsafe_code, reason = "the binding says nothing of threads")]
unsafe impl Send for OwnVad {}

/// As it comes, in one of its modes, 0 (says yes most) to 3.
#[expect(missing_debug_implementations, reason = "the C detector has nothing to show")]
pub struct PlainWebRtc {
    vad: OwnVad,
    mode: u8,
}

impl PlainWebRtc {
    /// In a mode, 0 to 3; what is above 3 is 3.
    #[must_use]
    pub fn new(mode: u8) -> Self {
        Self { vad: OwnVad(Vad::new_with_rate_and_mode(SampleRate::Rate8kHz, vad_mode(mode))), mode }
    }
}

const fn vad_mode(mode: u8) -> VadMode {
    match mode {
        0 => VadMode::Quality,
        1 => VadMode::LowBitrate,
        2 => VadMode::Aggressive,
        _ => VadMode::VeryAggressive,
    }
}

impl Detector for PlainWebRtc {
    fn name(&self) -> &'static str {
        match self.mode {
            0 => "webrtc-0",
            1 => "webrtc-1",
            2 => "webrtc-2",
            _ => "webrtc-3",
        }
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        // An error means a wrong frame length, which the type excludes.
        f32::from(u8::from(self.vad.0.is_voice_segment(&frame.0).unwrap_or(false)))
    }

    fn reset(&mut self) {
        self.vad.0.reset();
        self.vad.0.set_mode(vad_mode(self.mode));
    }
}

/// At its strictest, brought to a level that suits it and gated by the noise floor.
///
/// It was made for a microphone's levels and misses callers at −45 dBov; and in steady noise it says yes too often.
/// So frames are amplified when the line is quiet, and a yes counts only above the noise floor.
#[expect(missing_debug_implementations, reason = "the C detector has nothing to show")]
pub struct WebRtc {
    vad: PlainWebRtc,
    floor: NoiseFloor,
}

/// A line whose noise lies under this is amplified up to it.
const QUIET_FLOOR: f32 = -54.0;
const MOST_GAIN_DB: f32 = 18.0;
/// How far above the floor speech must be.
const MARGIN_DB: f32 = 6.0;

impl Default for WebRtc {
    fn default() -> Self {
        Self { vad: PlainWebRtc::new(3), floor: NoiseFloor::default() }
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
        let voiced = self.vad.push(&loud) > 0.5;
        let over = level.0 - floor.0;
        if voiced && over >= MARGIN_DB { (0.5 + (over - MARGIN_DB) / 40.0).min(1.0) } else { 0.0 }
    }

    fn reset(&mut self) {
        self.vad.reset();
        self.floor = NoiseFloor::default();
    }
}
