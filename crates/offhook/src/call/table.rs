//! The call as a table.

use offhook_simulator::CallReport;

use super::outcome::Outcome;
use super::rows::{Evidence, rows};
use crate::console::{paint, say};

/// Prints the turns, and what Twilio would say.
pub(crate) fn print(report: &CallReport, evidence: &Evidence, outcome: &Outcome) {
    say("");
    let rows = rows(report, evidence);
    if !rows.is_empty() {
        say(&paint("turns: times in ms after the end of the caller's speech", "1"));
        say(&format!(
            "  {:<34} {:<34} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "heard", "answered", "words", "decided", "text", "audio", "sent", "heard"
        ));
    }
    for row in &rows {
        let number = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
        let timing = row.timing;
        say(&format!(
            "  {:<34} {:<34} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            short(row.heard.as_deref().unwrap_or(&row.reply.said), 34),
            short(row.answered.as_deref().unwrap_or("–"), 34),
            number(timing.and_then(|timing| timing.transcript_ms)),
            number(timing.map(|timing| timing.decided_ms)),
            number(timing.and_then(|timing| timing.first_text_ms)),
            number(timing.and_then(|timing| timing.first_audio_ms)),
            number(timing.map(|timing| timing.first_frame_ms)),
            number(row.reply.response_ms),
        ));
        if let Some(stopped) = row.reply.stopped_ms {
            say(&paint(
                &format!("  {:<34} spoken over the agent, who fell silent after {stopped} ms", ""),
                "2",
            ));
        }
    }
    say("");
    let mut responses: Vec<u64> = report.replies.iter().filter_map(|reply| reply.response_ms).collect();
    responses.sort_unstable();
    if let (Some(median), Some(worst)) = (median(&responses), responses.last()) {
        say(&format!(
            "answer   {median} ms after the end of speech (median of {}), {worst} ms at most",
            responses.len()
        ));
    }
    let level = report.agent_level_dbov.map_or_else(|| "–".to_owned(), |level| format!("{level:.1} dBov"));
    say(&format!(
        "agent    level {level}, {} clipped samples, {} gaps in playout, {} messages, {} marks, {} clears",
        report.clipped_samples,
        report.gaps.len(),
        report.media_messages,
        report.marks,
        report.clears
    ));
    say(&format!(
        "call     {:.1} s, ended by the {}; webhook {} ms, handshake {} ms; then {}",
        report.length_ms as f64 / 1_000.0,
        report.ended_by,
        report.webhook_ms,
        report.handshake_ms,
        if report.after.is_empty() { "nothing".to_owned() } else { report.after.join(", ") }
    ));
    if report.findings.is_empty() {
        say("twilio   would have nothing to say");
    }
    for finding in &report.findings {
        say(&paint(&format!("twilio   {finding}"), "31"));
    }
    if report.own_lateness_ms > 20 {
        let late = report.own_lateness_ms;
        say(&paint(
            &format!("note     this machine was slow: the simulator's own frames left up to {late} ms late"),
            "33",
        ));
    }
    if !outcome.answers_known && outcome.is_good() {
        say(&paint(
            "note     whether the answers were more than an apology is unknown: give the server's --record",
            "33",
        ));
    }
    if outcome.is_good() {
        say(&paint("good     the agent answered what was said", "32"));
    }
    for missing in &outcome.missing {
        say(&paint(&format!("bad      {missing}"), "31"));
    }
}

fn short(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let cut: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// The middle one; of an even number what lies between the two in the middle.
fn median(sorted: &[u64]) -> Option<u64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(u64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[7]), Some(7));
        assert_eq!(median(&[240, 280, 520, 840]), Some(400));
        assert_eq!(median(&[1, 2, 9]), Some(2));
    }
}
