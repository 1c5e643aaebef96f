//! The detectors that need features: our 20 ms frames fit their windows, and what can't be used is named.
#![cfg(all(feature = "onnx", feature = "earshot"))]
#![allow(clippy::unwrap_used, reason = "tests")]

use offhook_audio::PcmFrame;
use offhook_detectors::{AnyDetector, DetectorError};
use offhook_endpoint::Detector;

fn buzz(loud: i16) -> PcmFrame {
    PcmFrame(std::array::from_fn(|n| (n * 7_919 % 61) as i16 * loud - 30 * loud))
}

fn tiny() -> Box<dyn Detector> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny.onnx");
    format!("silero={file}").parse::<AnyDetector>().unwrap().build().unwrap()
}

#[test]
fn an_onnx_network_hears_windows_made_of_frames() {
    let mut detector = tiny();
    assert_eq!(detector.name(), "silero");
    let quiet: Vec<f32> = (0..10).map(|_| detector.push(&buzz(0))).collect();
    // 160 samples are no window yet, 320 are one.
    assert_eq!(quiet[0], 0.0);
    assert!(quiet[1..].iter().all(|&probability| (probability - 0.047).abs() < 0.001), "{quiet:?}");
    assert!((0..10).map(|_| detector.push(&buzz(200))).last().unwrap() > 0.9);
    detector.reset();
    assert_eq!(detector.push(&buzz(200)), 0.0);
}

#[test]
fn what_is_no_such_network_is_named() {
    for file in ["/nowhere.onnx", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let error = AnyDetector::Silero(file.into()).build().err().unwrap();
        assert!(matches!(&error, DetectorError::Model { file: named, .. } if named == file), "{error}");
    }
}

#[test]
fn earshot_hears_nothing_in_silence() {
    let mut detector = AnyDetector::Earshot.build().unwrap();
    assert!((0..50).map(|_| detector.push(&PcmFrame::SILENCE)).all(|probability| probability < 0.5));
}
