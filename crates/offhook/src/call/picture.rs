//! A call as a picture: both voices over time, with the turns marked.

use std::path::Path;

use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::Rgb888;
use offhook_call::CallEvent;
use offhook_simulator::CallReport;

use super::outcome::rows;
use crate::canvas::{CALLER, CALLER_SPAN, Canvas, FAINT, GRID, INK, MARK, WIDTH};
use crate::record::Record;

const MARGIN: usize = 20;
const SECONDS_PER_ROW: f64 = 16.0;
const LANE: usize = 74;
const ROW: usize = LANE * 2 + 96;
const TOP: usize = 34;

const AGENT: Rgb888 = Rgb888::new(0xD5, 0x5E, 0x00);
const AGENT_SPAN: Rgb888 = Rgb888::new(0xFB, 0xED, 0xE1);

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
    let (last, until) = place(until_ms);
    (first..=last)
        .map(|row| {
            let left = if row == first { from } else { MARGIN };
            let right = if row == last { until } else { WIDTH - MARGIN };
            (row, left, right.max(left + 2))
        })
        .collect()
}

/// Draws a call and writes it as PNG.
pub(crate) fn draw(path: &Path, report: &CallReport, record: Option<&Record>) -> anyhow::Result<()> {
    let row_count = place(report.length_ms.max(1)).0 + 1;
    let mut canvas = Canvas::new(TOP + row_count * ROW + 8);
    let title = format!("{}   {:.1} s", report.call_sid, report.length_ms as f64 / 1_000.0);
    canvas.text(&title, MARGIN, 10, 700, &FONT_7X13_BOLD, INK);
    canvas.text("caller", WIDTH - 330, 10, 60, &FONT_7X13_BOLD, CALLER);
    canvas.text("agent", WIDTH - 260, 10, 60, &FONT_7X13_BOLD, AGENT);
    canvas.text("barge-in", WIDTH - 200, 10, 70, &FONT_7X13_BOLD, MARK);
    canvas.text("response", WIDTH - 110, 10, 80, &FONT_7X13_BOLD, INK);
    grid(&mut canvas, row_count);
    let rows = rows(report, record);
    for (index, row) in rows.iter().enumerate() {
        let next = rows.get(index + 1).map_or(report.length_ms, |next| next.reply.from_ms);
        let text = row.heard.as_deref().unwrap_or(&row.reply.said);
        span(&mut canvas, (row.reply.from_ms, row.reply.until_ms, next), 0, (CALLER_SPAN, CALLER), text);
    }
    for (index, spurt) in report.agent.iter().enumerate() {
        let text =
            record.map(|record| said_between(record, spurt.from_ms, spurt.until_ms)).unwrap_or_default();
        let next = report.agent.get(index + 1).map_or(report.length_ms, |next| next.from_ms);
        span(&mut canvas, (spurt.from_ms, spurt.until_ms, next), 1, (AGENT_SPAN, AGENT), &text);
    }
    waves(&mut canvas, &report.caller_sound, 0, CALLER);
    waves(&mut canvas, &report.agent_sound, 1, AGENT);
    for row in &rows {
        if let Some(response) = row.reply.response_ms {
            bracket(&mut canvas, row.reply.until_ms, row.reply.until_ms + response, response);
        }
        if row.reply.barge_in {
            let (line, x) = place(row.reply.from_ms);
            let top = TOP + line * ROW + 18;
            canvas.fill(x..x + 2, top..top + LANE * 2 + 46, MARK);
        }
    }
    canvas.save(path)
}

fn said_between(record: &Record, from_ms: u64, until_ms: u64) -> String {
    let begun = record.events.iter().filter_map(|event| match &event.event {
        CallEvent::Speaking { text, utterance, .. } => Some((event.t_ms, utterance, text)),
        _ => None,
    });
    let mut texts = Vec::new();
    for (at, utterance, text) in begun {
        if at + 600 >= from_ms && at < until_ms {
            let whole = record.events.iter().find_map(|event| match &event.event {
                CallEvent::Said { utterance: same, text, .. } if same == utterance => Some(text.clone()),
                _ => None,
            });
            texts.push(whole.unwrap_or_else(|| text.clone()));
        }
    }
    texts.join(" ")
}

fn grid(canvas: &mut Canvas, rows: usize) {
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
}

/// Height of a lane's middle line.
fn lane_middle(row: usize, lane: usize) -> usize {
    TOP + row * ROW + 18 + 14 + lane * (LANE + 32) + LANE / 2
}

/// A marked span, from, until and where the next one begins: its words may use the room up to that.
fn span(
    canvas: &mut Canvas,
    (from, until, next): (u64, u64, u64),
    lane: usize,
    (fill, ink): (Rgb888, Rgb888),
    text: &str,
) {
    let last_row = place(until).0;
    let mut rest: String = text.to_owned();
    for (row, left, right) in parts(from, until) {
        let middle = lane_middle(row, lane);
        canvas.fill(left..right, middle - LANE / 2..middle + LANE / 2, fill);
        let (next_row, next_x) = place(next);
        let end = if row < last_row || next_row > row { WIDTH - MARGIN } else { next_x };
        let width = end.saturating_sub(left + 6);
        let room = width / 7;
        canvas.text(&rest, left + 2, middle - LANE / 2 - 14, width, &FONT_7X13, ink);
        rest = rest.chars().skip(room.saturating_sub(2)).collect();
    }
}

fn waves(canvas: &mut Canvas, sound: &[u8], lane: usize, colour: Rgb888) {
    let columns_per_row = WIDTH - 2 * MARGIN;
    let samples_per_column = SECONDS_PER_ROW * 8_000.0 / columns_per_row as f64;
    let columns = (sound.len() as f64 / samples_per_column) as usize;
    for column in 0..columns {
        let from = (column as f64 * samples_per_column) as usize;
        let until = ((column + 1) as f64 * samples_per_column) as usize;
        let samples = sound.get(from..until).unwrap_or(&[]).iter().map(|&octet| offhook_mulaw::decode(octet));
        let peak = samples.map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        // A square-root scale: quiet sound is seen too.
        let half = ((f64::from(peak) / 32_768.0).sqrt() * (LANE / 2 - 2) as f64) as usize;
        let middle = lane_middle(column / columns_per_row, lane);
        let x = MARGIN + column % columns_per_row;
        canvas.fill(x..x + 1, middle - half..middle + half + 1, colour);
    }
}

fn bracket(canvas: &mut Canvas, from_ms: u64, until_ms: u64, response: u64) {
    for (index, (row, left, right)) in parts(from_ms, until_ms).into_iter().enumerate() {
        let y = lane_middle(row, 0) + LANE / 2 + 3;
        canvas.fill(left..right, y..y + 2, INK);
        canvas.fill(left..left + 1, y.saturating_sub(4)..y + 6, INK);
        canvas.fill(right - 1..right, y.saturating_sub(4)..y + 6, INK);
        if index == 0 {
            canvas.text(&format!("{response} ms"), right + 4, y - 8, 80, &FONT_7X13, INK);
        }
    }
}
