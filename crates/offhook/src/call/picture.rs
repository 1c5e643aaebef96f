//! A call as a picture: both voices over time, with the turns marked.

use std::path::Path;

use offhook_conversation::CallEvent;
use offhook_simulator::CallReport;

use super::rows::{Evidence, rows};
use crate::record::Record;
use crate::timeline::{Lane, Timeline};

/// Draws a call and writes it as PNG.
pub(crate) fn draw(path: &Path, report: &CallReport, evidence: &Evidence) -> anyhow::Result<()> {
    let record = evidence.record.as_ref();
    let title = format!("{}   {:.1} s", report.call_sid, report.length_ms as f64 / 1_000.0);
    let mut picture = Timeline::new(&title, report.length_ms);
    let rows = rows(report, evidence);
    for (index, row) in rows.iter().enumerate() {
        let next = rows.get(index + 1).map_or(report.length_ms, |next| next.reply.from_ms);
        let text = row.heard.as_deref().unwrap_or(&row.reply.said);
        picture.span(Lane::Caller, (row.reply.from_ms, row.reply.until_ms, next), text);
    }
    for (index, spurt) in report.agent.iter().enumerate() {
        let text =
            record.map(|record| said_between(record, spurt.from_ms, spurt.until_ms)).unwrap_or_default();
        let next = report.agent.get(index + 1).map_or(report.length_ms, |next| next.from_ms);
        picture.span(Lane::Agent, (spurt.from_ms, spurt.until_ms, next), &text);
    }
    picture.wave(Lane::Caller, &report.caller_sound);
    picture.wave(Lane::Agent, &report.agent_sound);
    for (index, row) in rows.iter().enumerate() {
        if let Some(response) = row.reply.response_ms {
            let ended = row.reply.until_ms;
            let next = rows.get(index + 1).map_or(u64::MAX, |next| next.reply.until_ms);
            picture.bracket((ended, ended + response, next), &format!("{response} ms"));
        }
        if row.reply.barge_in {
            picture.barge_in(row.reply.from_ms);
        }
    }
    picture.save(path)
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
