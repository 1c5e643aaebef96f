//! The network of the crate `earshot`, which hears 16 ms at 16 kHz.

use offhook_audio::{FRAME_SAMPLES, PcmFrame, SampleRate};
use offhook_endpoint::Detector;
use offhook_resample::Resampler;

/// Samples at 16 kHz that it takes at a time.
const WINDOW: usize = 256;

/// `earshot` behind our frames: raised to 16 kHz, gathered into its windows; a frame gets its newest window's score.
///
/// About 10 µs a frame and 8 KiB a stream: for judging recordings, not for calls by the thousand.
#[expect(missing_debug_implementations, reason = "the network has nothing to show")]
pub struct Earshot {
    network: Box<earshot::Detector>,
    /// `None` can't be: both rates are known.
    raise: Option<Resampler>,
    waiting: Vec<i16>,
    score: f32,
}

impl Default for Earshot {
    fn default() -> Self {
        Self {
            network: earshot::Detector::default_boxed(),
            raise: Resampler::new(SampleRate::HZ_8000, SampleRate::HZ_16000).ok(),
            waiting: Vec::with_capacity(WINDOW + 2 * FRAME_SAMPLES),
            score: 0.0,
        }
    }
}

impl Detector for Earshot {
    fn name(&self) -> &'static str {
        "earshot"
    }

    fn push(&mut self, frame: &PcmFrame) -> f32 {
        if let Some(raise) = &mut self.raise {
            raise.process(&frame.0, &mut self.waiting);
        }
        let (windows, _) = self.waiting.as_chunks::<WINDOW>();
        let taken = windows.len() * WINDOW;
        for window in windows {
            self.score = self.network.predict_i16(window);
        }
        self.waiting.drain(..taken);
        self.score
    }

    fn reset(&mut self) {
        self.network.reset();
        if let Some(raise) = &mut self.raise {
            raise.reset();
        }
        self.waiting.clear();
        self.score = 0.0;
    }
}
