//! Both voices of a call over time, in rows of 16 s, and what is drawn on them.

use std::path::Path;

use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::Rgb888;

use crate::canvas::{CALLER, CALLER_SPAN, Canvas, FAINT, GRID, INK, MARK, WIDTH};

const MARGIN: usize = 20;
const SECONDS_PER_ROW: f64 = 16.0;
const LANE: usize = 74;
const ROW: usize = LANE * 2 + 96;
const TOP: usize = 34;
/// Rows are cut off here: an hour is a picture of 55 000 pixels' height.
const MOST_ROWS: usize = 240;

const AGENT: Rgb888 = Rgb888::new(0xD5, 0x5E, 0x00);
const AGENT_SPAN: Rgb888 = Rgb888::new(0xFB, 0xED, 0xE1);

/// Whose voice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Caller,
    Agent,
}

impl Lane {
    const fn colours(self) -> (Rgb888, Rgb888) {
        match self {
            Self::Caller => (CALLER_SPAN, CALLER),
            Self::Agent => (AGENT_SPAN, AGENT),
        }
    }
}

/// The picture as it grows.
pub(crate) struct Timeline {
    canvas: Canvas,
}

/// Where a moment lies: row, and column in pixels.
fn place(ms: u64) -> (usize, usize) {
    let seconds = ms as f64 / 1_000.0;
    let row = (seconds / SECONDS_PER_ROW) as usize;
    let within = seconds - row as f64 * SECONDS_PER_ROW;
    (row, MARGIN + (within / SECONDS_PER_ROW * (WIDTH - 2 * MARGIN) as f64) as usize)
}

/// The parts of a span, row by row: row, from, to.
fn parts(from_ms: u64, until_ms: u64) -> Vec<(usize, usize, usize)> {
    let (first, from) = place(from_ms);
    let (last, until) = place(until_ms.max(from_ms));
    (first..=last)
        .map(|row| {
            let left = if row == first { from } else { MARGIN };
            let right = if row == last { until } else { WIDTH - MARGIN };
            (row, left, right.max(left + 2))
        })
        .collect()
}

/// Height of a lane's middle line.
fn lane_middle(row: usize, lane: Lane) -> usize {
    TOP + row * ROW + 18 + 14 + lane as usize * (LANE + 32) + LANE / 2
}

impl Timeline {
    /// An empty one: a title, a legend and the grid.
    pub(crate) fn new(title: &str, length_ms: u64) -> Self {
        let rows = (place(length_ms.max(1)).0 + 1).min(MOST_ROWS);
        let mut canvas = Canvas::new(TOP + rows * ROW + 8);
        canvas.text(title, MARGIN, 10, 1_100, &FONT_7X13_BOLD, INK);
        canvas.text("caller", WIDTH - 330, 10, 60, &FONT_7X13_BOLD, CALLER);
        canvas.text("agent", WIDTH - 260, 10, 60, &FONT_7X13_BOLD, AGENT);
        canvas.text("barge-in", WIDTH - 200, 10, 70, &FONT_7X13_BOLD, MARK);
        canvas.text("response", WIDTH - 110, 10, 80, &FONT_7X13_BOLD, INK);
        for row in 0..rows {
            let top = TOP + row * ROW;
            for second in 0..=SECONDS_PER_ROW as usize {
                let x = MARGIN + second * (WIDTH - 2 * MARGIN) / SECONDS_PER_ROW as usize;
                canvas.fill(x..x + 1, top + 18..top + ROW - 26, GRID);
                let label = format!("{} s", row * SECONDS_PER_ROW as usize + second);
                if second < SECONDS_PER_ROW as usize {
                    canvas.text(&label, x + 3, top + ROW - 24, 60, &FONT_7X13, FAINT);
                }
            }
        }
        Self { canvas }
    }

    /// A marked span, from, until and where the next one begins: its words may use the room up to that.
    pub(crate) fn span(&mut self, lane: Lane, (from, until, next): (u64, u64, u64), text: &str) {
        let (fill, ink) = lane.colours();
        let last_row = place(until).0;
        let mut rest: String = text.to_owned();
        for (row, left, right) in parts(from, until) {
            let middle = lane_middle(row, lane);
            self.canvas.fill(left..right, middle - LANE / 2..middle + LANE / 2, fill);
            let (next_row, next_x) = place(next);
            let end = if row < last_row || next_row > row { WIDTH - MARGIN } else { next_x };
            let width = end.saturating_sub(left + 6);
            let room = width / 7;
            self.canvas.text(&rest, left + 2, middle - LANE / 2 - 14, width, &FONT_7X13, ink);
            rest = rest.chars().skip(room.saturating_sub(2)).collect();
        }
    }

    /// A voice's waveform, of μ-law octets from the call's begin on. Goes over the spans.
    pub(crate) fn wave(&mut self, lane: Lane, sound: &[u8]) {
        let columns_per_row = WIDTH - 2 * MARGIN;
        let samples_per_column = SECONDS_PER_ROW * 8_000.0 / columns_per_row as f64;
        let columns = (sound.len() as f64 / samples_per_column) as usize;
        for column in 0..columns {
            let from = (column as f64 * samples_per_column) as usize;
            let until = ((column + 1) as f64 * samples_per_column) as usize;
            let samples =
                sound.get(from..until).unwrap_or(&[]).iter().map(|&octet| offhook_mulaw::decode(octet));
            let peak = samples.map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            // A square-root scale: quiet sound is seen too.
            let half = ((f64::from(peak) / 32_768.0).sqrt() * (LANE / 2 - 2) as f64) as usize;
            let middle = lane_middle(column / columns_per_row, lane);
            let x = MARGIN + column % columns_per_row;
            self.canvas.fill(x..x + 1, middle - half..middle + half + 1, lane.colours().1);
        }
    }

    /// The caller interrupted here.
    pub(crate) fn barge_in(&mut self, at_ms: u64) {
        let (row, x) = place(at_ms);
        let top = TOP + row * ROW + 18;
        self.canvas.fill(x..x + 2, top..top + LANE * 2 + 46, MARK);
    }

    /// A bracket under the caller's lane, and words behind it, which may use the room up to the next.
    pub(crate) fn bracket(&mut self, (from_ms, until_ms, next_ms): (u64, u64, u64), words: &str) {
        let (next_row, next_x) = place(next_ms);
        for (index, (row, left, right)) in parts(from_ms, until_ms).into_iter().enumerate() {
            let y = lane_middle(row, Lane::Caller) + LANE / 2 + 3;
            self.canvas.fill(left..right, y..y + 2, INK);
            self.canvas.fill(left..left + 1, y.saturating_sub(4)..y + 6, INK);
            self.canvas.fill(right - 1..right, y.saturating_sub(4)..y + 6, INK);
            if index == 0 {
                let end = if next_row > row { WIDTH } else { next_x };
                self.canvas.text(words, right + 4, y - 8, end.saturating_sub(right + 4), &FONT_7X13, INK);
            }
        }
    }

    /// Writes it as PNG.
    pub(crate) fn save(&self, path: &Path) -> anyhow::Result<()> {
        self.canvas.save(path)
    }
}
