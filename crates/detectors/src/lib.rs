//! Voice activity detectors that no call uses: they cost too much, or hear too little. For judging recordings (`offhook vad`), and our
//! own detector beside them (`cargo run --release --package offhook-detectors --features earshot,onnx --example score`).
#![forbid(unsafe_code)]

#[cfg(feature = "earshot")]
mod earshot;
#[cfg(feature = "onnx")]
mod silero;

use std::path::PathBuf;
use std::str::FromStr;

use offhook_endpoint::{Detector, DetectorKind, PlainWebRtc};

#[cfg(feature = "earshot")]
pub use earshot::Earshot;
#[cfg(feature = "onnx")]
pub use silero::Silero;

/// Any detector, for judging recordings: those that may run in a call, and those that take longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyDetector {
    /// One that may run in a call.
    Light(DetectorKind),
    /// `webrtc-0` to `webrtc-3`: WebRTC's as it comes, [`PlainWebRtc`].
    PlainWebrtc(u8),
    /// `earshot`: the network of the crate of that name. Needs the feature `earshot`.
    Earshot,
    /// `silero=FILE`: Silero's network from an ONNX file. Needs the feature `onnx`.
    Silero(PathBuf),
}

/// Why there is no such detector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetectorError {
    /// The name is unknown.
    #[error(
        "there is no detector “{0}”: say offhook, webrtc, webrtc-0 to webrtc-3, energy, earshot, or silero=FILE.onnx"
    )]
    Unknown(String),
    /// This build lacks it.
    #[error("this build has no {0}: build it with `--features {0}`")]
    NotBuilt(&'static str),
    /// Its model can't be used.
    #[error("the model {file} can't be used: {why}")]
    Model {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}

impl FromStr for AnyDetector {
    type Err = DetectorError;

    fn from_str(name: &str) -> Result<Self, DetectorError> {
        Ok(match name {
            "offhook" => Self::Light(DetectorKind::Offhook),
            "webrtc" => Self::Light(DetectorKind::Webrtc),
            "energy" => Self::Light(DetectorKind::Energy),
            "webrtc-0" => Self::PlainWebrtc(0),
            "webrtc-1" => Self::PlainWebrtc(1),
            "webrtc-2" => Self::PlainWebrtc(2),
            "webrtc-3" => Self::PlainWebrtc(3),
            "earshot" => Self::Earshot,
            _ => match name.strip_prefix("silero=") {
                Some(file) if !file.is_empty() => Self::Silero(file.into()),
                _ => return Err(DetectorError::Unknown(name.to_owned())),
            },
        })
    }
}

impl AnyDetector {
    /// Makes one.
    ///
    /// # Errors
    /// If this build lacks it, or its model can't be read.
    pub fn build(&self) -> Result<Box<dyn Detector>, DetectorError> {
        match self {
            Self::Light(kind) => Ok(kind.build()),
            Self::PlainWebrtc(mode) => Ok(Box::new(PlainWebRtc::new(*mode))),
            #[cfg(feature = "earshot")]
            Self::Earshot => Ok(Box::new(Earshot::default())),
            #[cfg(not(feature = "earshot"))]
            Self::Earshot => Err(DetectorError::NotBuilt("earshot")),
            #[cfg(feature = "onnx")]
            Self::Silero(file) => Ok(Box::new(Silero::open(file)?)),
            #[cfg(not(feature = "onnx"))]
            Self::Silero(_) => Err(DetectorError::NotBuilt("onnx")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use offhook_audio::PcmFrame;

    #[test]
    fn names_are_understood_or_answered() {
        for name in ["offhook", "webrtc", "energy", "webrtc-0", "webrtc-3"] {
            let mut detector = name.parse::<AnyDetector>().unwrap().build().unwrap();
            assert_eq!(detector.name(), name);
            assert!(detector.push(&PcmFrame::SILENCE) < 0.5, "{name} hears speech in silence");
        }
        assert_eq!("silero=a.onnx".parse(), Ok(AnyDetector::Silero("a.onnx".into())));
        for wrong in ["", "silero", "silero=", "webrtc-4", "Offhook"] {
            assert_eq!(wrong.parse::<AnyDetector>(), Err(DetectorError::Unknown(wrong.to_owned())));
        }
    }
}
