//! A recording as a picture: its waveform with the talkspurts, and beneath it the probability of speech.

use std::path::Path;

use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD};
use offhook_audio::{FRAME_SAMPLES, SamplePos};

use super::analysis::Analysis;
use crate::canvas::{CALLER, CALLER_SPAN, Canvas, FAINT, GRID, INK, MARK, WIDTH};

const MARGIN: usize = 20;
const COLUMNS: usize = WIDTH - 2 * MARGIN;
const SAMPLES_PER_ROW: usize = 16 * 8_000;
const TOP: usize = 34;
/// Heights of the waveform, the probability's curve, and a whole row.
const WAVE: usize = 90;
const CURVE: usize = 60;
const ROW: usize = WAVE + CURVE + 44;
/// Rows are cut off here: an hour and a half is a picture of 65 000 pixels' height.
const MOST_ROWS: usize = 330;

/// Row and column of a sample.
fn place(sample: usize) -> (usize, usize) {
    (sample / SAMPLES_PER_ROW, MARGIN + sample % SAMPLES_PER_ROW * COLUMNS / SAMPLES_PER_ROW)
}

/// Top of a row's waveform and of its curve.
fn tops(row: usize) -> (usize, usize) {
    let top = TOP + row * ROW;
    (top, top + WAVE + 8)
}

/// Draws it and writes it as PNG.
pub(super) fn draw(
    path: &Path,
    title: &str,
    sound: &[i16],
    analysis: &Analysis,
    threshold: f32,
) -> anyhow::Result<()> {
    let rows = sound.len().div_ceil(SAMPLES_PER_ROW).clamp(1, MOST_ROWS);
    let mut canvas = Canvas::new(TOP + rows * ROW + 8);
    canvas.text(title, MARGIN, 10, 1_000, &FONT_7X13_BOLD, INK);
    canvas.text("talkspurts", WIDTH - 330, 10, 80, &FONT_7X13_BOLD, CALLER);
    canvas.text("probability of speech", WIDTH - 230, 10, 200, &FONT_7X13_BOLD, MARK);
    for row in 0..rows {
        grid(&mut canvas, row, threshold);
    }
    for spurt in &analysis.spurts {
        span(&mut canvas, spurt.from, spurt.until);
    }
    wave(&mut canvas, &sound[..sound.len().min(rows * SAMPLES_PER_ROW)]);
    curve(&mut canvas, analysis, rows);
    for tone in &analysis.tones {
        label(&mut canvas, tone.at, &format!("{:?}", tone.kind));
    }
    for beep in &analysis.beeps {
        label(&mut canvas, beep.from, "Beep");
    }
    canvas.save(path)
}

fn grid(canvas: &mut Canvas, row: usize, threshold: f32) {
    let (wave, curve) = tops(row);
    for second in 0..=16 {
        let x = MARGIN + second * COLUMNS / 16;
        canvas.fill(x..x + 1, wave..curve + CURVE, GRID);
        if second < 16 {
            canvas.text(&format!("{} s", row * 16 + second), x + 3, curve + CURVE + 4, 60, &FONT_7X13, FAINT);
        }
    }
    let y = height(curve, threshold);
    canvas.fill(MARGIN..WIDTH - MARGIN, y..y + 1, FAINT);
    canvas.fill(MARGIN..WIDTH - MARGIN, curve + CURVE..curve + CURVE + 1, GRID);
}

/// Where a probability lies on the curve.
fn height(curve: usize, probability: f32) -> usize {
    curve + CURVE - (probability.clamp(0.0, 1.0) * (CURVE - 1) as f32) as usize - 1
}

fn span(canvas: &mut Canvas, from: SamplePos, until: SamplePos) {
    let (first, left) = place(from.0 as usize);
    let (last, right) = place(until.0 as usize);
    for row in first..=last {
        let (top, _) = tops(row);
        let left = if row == first { left } else { MARGIN };
        let right = if row == last { right.max(left + 1) } else { WIDTH - MARGIN };
        canvas.fill(left..right, top..top + WAVE, CALLER_SPAN);
        canvas.fill(left..right, top + WAVE - 2..top + WAVE, CALLER);
    }
}

/// Peaks by column, on a square-root scale: quiet sound is seen too.
fn wave(canvas: &mut Canvas, sound: &[i16]) {
    let columns = sound.len() * COLUMNS / SAMPLES_PER_ROW;
    for column in 0..columns {
        let from = column * SAMPLES_PER_ROW / COLUMNS;
        let until = (column + 1) * SAMPLES_PER_ROW / COLUMNS;
        let peak = sound.get(from..until).unwrap_or(&[]).iter().map(|x| x.unsigned_abs()).max().unwrap_or(0);
        let half = ((f64::from(peak) / 32_768.0).sqrt() * (WAVE / 2 - 2) as f64) as usize;
        let middle = tops(column / COLUMNS).0 + WAVE / 2;
        let x = MARGIN + column % COLUMNS;
        canvas.fill(x..x + 1, middle - half..middle + half + 1, INK);
    }
}

fn curve(canvas: &mut Canvas, analysis: &Analysis, rows: usize) {
    let mut before: Option<usize> = None;
    for (index, frame) in analysis.frames.iter().enumerate() {
        let (row, left) = place(index * FRAME_SAMPLES);
        if row >= rows {
            return;
        }
        let (next_row, right) = place((index + 1) * FRAME_SAMPLES);
        let right = if next_row == row { right } else { WIDTH - MARGIN };
        let y = height(tops(row).1, frame.probability);
        canvas.fill(left..right.max(left + 1), y..y + 1, MARK);
        if let Some(before) = before.filter(|_| left > MARGIN) {
            canvas.fill(left..left + 1, before.min(y)..before.max(y) + 1, MARK);
        }
        before = Some(y);
    }
}

fn label(canvas: &mut Canvas, at: SamplePos, text: &str) {
    let (row, x) = place(at.0 as usize);
    let (top, _) = tops(row);
    canvas.fill(x..x + 1, top..top + WAVE, MARK);
    canvas.text(text, x + 3, top, 160, &FONT_7X13, MARK);
}
