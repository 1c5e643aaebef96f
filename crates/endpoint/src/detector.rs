//! Is there speech in these 20 ms?

use offhook_audio::PcmFrame;
use serde::{Deserialize, Serialize};

use crate::energy::Energy;
use crate::voice::Offhook;
use crate::webrtc::WebRtc;

/// Judges frames of one stream, in order.
pub trait Detector: Send {
    /// Name in config and reports.
    fn name(&self) -> &'static str;

    /// The probability that the frame has speech, 0 to 1.
    fn push(&mut self, frame: &PcmFrame) -> f32;

    /// Forgets the stream.
    fn reset(&mut self);

    /// A frame with this probability or more is surely speech, for detectors whose probabilities deserve that trust.
    ///
    /// Such frames begin a talkspurt sooner. By default none is.
    fn sure(&self) -> Option<f32> {
        None
    }
}

/// A detector that takes no more than its share of a frame's time: it may run in a call.
///
/// In configuration and on the command line by the names below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DetectorKind {
    /// `offhook`: our own small network, [`Offhook`].
    #[default]
    Offhook,
    /// `webrtc`: [`WebRtc`], WebRTC's at its strictest, levelled and gated.
    Webrtc,
    /// `energy`: [`Energy`], energy over the noise floor.
    Energy,
}

impl DetectorKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Offhook, Self::Webrtc, Self::Energy];

    /// Makes one.
    #[must_use]
    pub fn build(self) -> Box<dyn Detector> {
        match self {
            Self::Offhook => Box::new(Offhook::default()),
            Self::Webrtc => Box::new(WebRtc::default()),
            Self::Energy => Box::new(Energy::default()),
        }
    }
}
