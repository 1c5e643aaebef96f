//! The network in Rust says what the network that was trained says.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use offhook_audio::PcmFrame;
use offhook_endpoint::{Detector, Offhook};

/// By `training/expect.py`, of these recordings in this order.
const EXPECTED: &str = include_str!("data/probabilities.txt");
/// Our hyperbolic tangent is within 2·10⁻⁴ of jax's; the memory carries that on.
const TOLERANCE: f32 = 1e-3;
const RECORDINGS: [&str; 3] = ["noisy", "quiet", "clicks"];

fn frames(name: &str) -> Vec<PcmFrame> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/callers/{name}.wav"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let mut frames = Vec::new();
    for octets in wav[data..].as_chunks::<160>().0 {
        let mut frame = PcmFrame::SILENCE;
        offhook_mulaw::decode_frame(octets, &mut frame.0);
        frames.push(frame);
    }
    frames
}

#[test]
fn probabilities_are_those_of_the_trained_network() {
    let mut expected = EXPECTED.lines().map(|line| line.parse::<f32>().unwrap());
    let (mut spoken, mut silent) = (0, 0);
    for name in RECORDINGS {
        let mut detector = Offhook::default();
        for (index, frame) in frames(name).iter().enumerate() {
            let (ours, theirs) = (detector.push(frame), expected.next().unwrap());
            assert!((ours - theirs).abs() < TOLERANCE, "{name}, frame {index}: {ours}, trained {theirs}");
            spoken += u32::from(theirs > 0.9);
            silent += u32::from(theirs < 0.1);
        }
    }
    assert_eq!(expected.next(), None, "the recordings have become shorter");
    assert!(spoken > 50 && silent > 50, "{spoken} frames of speech, {silent} without: too few to tell");
}
