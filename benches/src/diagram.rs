//! Diagrams of curves, as SVG.

use std::path::Path;

use plotters::prelude::*;

pub use plotters::prelude::SeriesLabelPosition;

pub use crate::curves::resample::Point;

/// Whatever may go wrong.
pub type Fault = Box<dyn std::error::Error>;

/// A curve and its name.
#[derive(Clone, Debug)]
pub struct Curve<'a>(pub &'a str, pub Vec<Point>);

/// A diagram: titles, and the ranges of its axes.
#[derive(Clone, Debug)]
pub struct Diagram {
    /// Above it.
    pub title: &'static str,
    /// What goes to the right, and its range.
    pub x: (&'static str, std::ops::Range<f64>),
    /// What goes up, and its range.
    pub y: (&'static str, std::ops::Range<f64>),
    /// Where the curves' names are: where no curve is.
    pub names: SeriesLabelPosition,
}

const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 90, 160),
    RGBColor(210, 95, 20),
    RGBColor(60, 140, 60),
    RGBColor(150, 60, 150),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// Draws it.
///
/// # Errors
/// If the file can't be written.
pub fn draw(path: &Path, diagram: &Diagram, curves: &[Curve<'_>]) -> Result<(), Fault> {
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
            .label((*name).to_owned())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .position(diagram.names.clone())
        .draw()?;
    canvas.present()?;
    Ok(())
}
