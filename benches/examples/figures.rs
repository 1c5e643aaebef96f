//! Draws the curves of `docs/dsp.md`: `figures FOLDER`. `make docs-figures` calls it.

use std::path::{Path, PathBuf};

use offhook_audio::SampleRate;
use offhook_benches::curves::codec::{self, Signal};
use offhook_benches::curves::filters;
use offhook_benches::curves::resample::{Stream, response};
use offhook_benches::diagram::{Curve, Diagram, Fault, Point, SeriesLabelPosition, draw};
use offhook_resample::Resampler;

fn codecs(folder: &Path) -> Result<(), Fault> {
    let over = |code: codec::Codec, signal| -> Vec<Point> {
        (-120..=10)
            .map(|n| f64::from(n) / 2.0)
            .map(|dbm0| (dbm0, codec::distortion(code, signal, dbm0)))
            .collect()
    };
    draw(
        &folder.join("codec-distortion.svg"),
        &Diagram {
            title: "Signal to total distortion of G.711",
            x: ("level, dBm0", -60.0..5.0),
            y: ("dB", 0.0..45.0),
            names: SeriesLabelPosition::LowerMiddle,
        },
        &[
            Curve("μ-law, 1 020 Hz", over(codec::mulaw, Signal::Sine)),
            Curve("A-law, 1 020 Hz", over(codec::alaw, Signal::Sine)),
            Curve("μ-law, speech-like", over(codec::mulaw, Signal::SpeechLike)),
            Curve("A-law, speech-like", over(codec::alaw, Signal::SpeechLike)),
            Curve("least by G.712 for a sine", codec::G712_SINE.to_vec()),
        ],
    )
}

fn resampler(folder: &Path) -> Result<(), Fault> {
    let of = |from: u32, to: u32| -> Vec<Point> {
        response(from, to, || -> Stream {
            let rates = SampleRate::new(from).zip(SampleRate::new(to));
            match rates.and_then(|(from, to)| Resampler::new(from, to).ok()) {
                Some(mut resampler) => Box::new(move |input, output| resampler.process(input, output)),
                None => Box::new(|_, _| {}),
            }
        })
    };
    draw(
        &folder.join("resample-response.svg"),
        &Diagram {
            title: "Conversion of rates: gain of a tone, images and aliases beyond 4 kHz",
            x: ("Hz", 0.0..12_000.0),
            y: ("dB", -110.0..5.0),
            names: SeriesLabelPosition::LowerMiddle,
        },
        &[
            Curve("8 → 16 kHz", of(8_000, 16_000)),
            Curve("16 → 8 kHz", of(16_000, 8_000)),
            Curve("24 → 8 kHz", of(24_000, 8_000)),
            Curve("48 → 8 kHz", of(48_000, 8_000)),
        ],
    )
}

fn high_pass(folder: &Path) -> Result<(), Fault> {
    draw(
        &folder.join("high-pass.svg"),
        &Diagram {
            title: "The inbound high-pass",
            x: ("Hz", 0.0..1_000.0),
            y: ("dB", -60.0..5.0),
            names: SeriesLabelPosition::LowerMiddle,
        },
        &[Curve("gain", filters::high_pass())],
    )
}

fn main() -> Result<(), Fault> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: figures FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    codecs(&folder)?;
    resampler(&folder)?;
    high_pass(&folder)
}
