//! Draws the curves of `docs/dsp.md`: `figures FOLDER`. `make docs-figures` calls it.

use std::path::{Path, PathBuf};

use offhook_audio::SampleRate;
use offhook_benches::curves::codec::{self, Signal};
use offhook_benches::curves::filters;
use offhook_benches::curves::resample::{Point, Stream, response};
use offhook_resample::Resampler;
use plotters::prelude::*;

type Fault = Box<dyn std::error::Error>;

/// A curve and its name.
struct Curve(&'static str, Vec<Point>);

/// A diagram: titles, and the ranges of its axes.
struct Diagram {
    title: &'static str,
    x: (&'static str, std::ops::Range<f64>),
    y: (&'static str, std::ops::Range<f64>),
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(210, 95, 20),
    RGBColor(60, 140, 60),
    RGBColor(150, 60, 150),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

fn draw(path: &Path, diagram: &Diagram, curves: &[Curve]) -> Result<(), Fault> {
    let canvas = SVGBackend::new(path, (860, 420)).into_drawing_area();
    canvas.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&canvas)
        .caption(diagram.title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(52)
        .build_cartesian_2d(diagram.x.1.clone(), diagram.y.1.clone())?;
    chart.configure_mesh().light_line_style(WHITE).x_desc(diagram.x.0).y_desc(diagram.y.0).draw()?;
    for (Curve(name, points), colour) in curves.iter().zip(COLOURS.into_iter().cycle()) {
        // What lies outside isn't drawn over the frame.
        let inside = |&(x, y): &Point| (x, y.clamp(diagram.y.1.start, diagram.y.1.end));
        chart
            .draw_series(LineSeries::new(points.iter().map(inside), colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .position(SeriesLabelPosition::LowerMiddle)
        .draw()?;
    canvas.present()?;
    Ok(())
}

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
        &Diagram { title: "The inbound high-pass", x: ("Hz", 0.0..1_000.0), y: ("dB", -60.0..5.0) },
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
