//! How good a sample rate conversion is: ripple, rejection, delay, and the curve of its frequency response.
//!
//! A conversion is anything that takes samples and appends samples. It is measured from outside, with tones and a click in
//! frames of 20 ms, so that ours and other people's are held to the same rule. Rejection is that of the telephone band: on the way up, the images of
//! 300–3 400 Hz around 8 and 16 kHz; on the way down, what would land in 300–3 400 Hz, however high it was.

use std::f64::consts::TAU;

/// How loud the tones are: −8.7 dB of full scale.
const AMPLITUDE: f64 = 12_000.0;
/// Where the telephone band begins and ends, in Hz.
const BAND: (f64, f64) = (300.0, 3_400.0);

/// A conversion of one stream: takes samples, appends what comes out.
pub type Stream = Box<dyn FnMut(&[i16], &mut Vec<i16>)>;

/// What was measured of a conversion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// The largest deviation from unity gain in 300–3 400 Hz, in dB.
    pub ripple: f64,
    /// How far the loudest image or alias is under the tone that made it, in dB. Over 90 dB it says nothing: what falls
    /// below half a step of 16 bits is rounded away.
    pub rejection: f64,
    /// How much later the middle of a click comes out than it went in, in ms, what the conversion holds back included.
    pub delay: f64,
}

/// A point of a curve: a tone's frequency in Hz and its gain in dB.
pub type Point = (f64, f64);

/// Measures a conversion from one rate to another, one of which is 8 kHz. `make` begins a stream.
pub fn quality(from: u32, to: u32, make: impl Fn() -> Stream) -> Quality {
    let mut ripple = 0.0f64;
    let mut rejection = f64::INFINITY;
    for hz in steps(BAND.0, BAND.1, 155.0) {
        let output = convert(from, to, make(), &tone(hz, from)).0;
        ripple = ripple.max(gain(&output, hz, to).abs());
        for other in [8_000.0 - hz, 8_000.0 + hz, 16_000.0 - hz, 16_000.0 + hz] {
            if to > from && other < f64::from(to) / 2.0 {
                rejection = rejection.min(-gain(&output, other, to));
            }
            if to < from && other < f64::from(from) / 2.0 {
                let output = convert(from, to, make(), &tone(other, from)).0;
                rejection = rejection.min(-gain(&output, hz, to));
            }
        }
    }
    Quality { ripple, rejection, delay: delay(from, to, make()) }
}

/// The gain of tones from 50 Hz up to half the higher rate or 12 kHz, each at the frequency at which it comes out (on the
/// way up, where 8 kHz has images) or went in (on the way down, where it has aliases).
pub fn response(from: u32, to: u32, make: impl Fn() -> Stream) -> Vec<Point> {
    let top = f64::from(from.max(to)) / 2.0;
    steps(50.0, top.min(12_000.0) - 50.0, 50.0)
        .filter(|hz| hz % 4_000.0 != 0.0) // a tone at 0 or half the rate has no amplitude of its own
        .map(|hz| {
            // Where it lies below 4 kHz on the side of 8 kHz.
            let folded = (hz - (hz / 8_000.0).round() * 8_000.0).abs();
            let (input, output) = if to > from { (folded, hz) } else { (hz, folded) };
            (hz, gain(&convert(from, to, make(), &tone(input, from)).0, output, to))
        })
        .collect()
}

/// In ms: the centre of a click's energy, which for a linear phase is the delay at all frequencies; and what is held back.
fn delay(from: u32, to: u32, stream: Stream) -> f64 {
    let at = from as usize / 4;
    let mut click = vec![0i16; from as usize / 2];
    click[at] = 30_000;
    let (output, held_back) = convert(from, to, stream, &click);
    let (mut weight, mut moment) = (0.0, 0.0);
    for (n, &sample) in output.iter().enumerate() {
        let energy = f64::from(sample).powi(2);
        weight += energy;
        moment += energy * n as f64;
    }
    (moment / weight / f64::from(to) - at as f64 / f64::from(from) + held_back) * 1_000.0
}

/// A sound in frames of 20 ms, and silence after it until it is out. Also tells by how many seconds what came out was
/// behind what went in at the worst moment.
fn convert(from: u32, to: u32, mut stream: Stream, input: &[i16]) -> (Vec<i16>, f64) {
    let mut output = Vec::new();
    let mut held_back = 0.0f64;
    let silence = vec![0; from as usize / 2];
    let frame = from as usize / 50;
    for (n, frame) in input.chunks(frame).chain(silence.chunks(frame)).enumerate() {
        stream(frame, &mut output);
        let behind = (n + 1) as f64 / 50.0 - output.len() as f64 / f64::from(to);
        held_back = held_back.max(behind);
    }
    output.truncate(input.len() * to as usize / from as usize);
    (output, held_back)
}

fn steps(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    let count = ((to - from) / step).round() as usize;
    (0..=count).map(move |n| from + n as f64 * step)
}

/// Half a second.
fn tone(hz: f64, rate: u32) -> Vec<i16> {
    (0..rate / 2)
        .map(|n| (AMPLITUDE * (TAU * hz * f64::from(n) / f64::from(rate)).sin()).round() as i16)
        .collect()
}

/// How loud one frequency is in the middle of a sound relative to [`tone`], in dB, by correlation with a sine and a cosine
/// under a Blackman window.
fn gain(sound: &[i16], hz: f64, rate: u32) -> f64 {
    let middle = &sound[sound.len() / 4..sound.len() - sound.len() / 8];
    let (mut re, mut im, mut weight) = (0.0, 0.0, 0.0);
    for (n, &sample) in middle.iter().enumerate() {
        let turn = n as f64 / middle.len() as f64 * TAU;
        let window = 0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
        let (sine, cosine) = (TAU * hz * n as f64 / f64::from(rate)).sin_cos();
        re += window * f64::from(sample) * cosine;
        im += window * f64::from(sample) * sine;
        weight += window;
    }
    20.0 * (2.0 * re.hypot(im) / weight / AMPLITUDE).max(1e-9).log10()
}
