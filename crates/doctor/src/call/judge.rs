//! What a call's sights mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Ended, Seen};
use super::{payload, rate};
use crate::causes::{self, Cause};
use crate::document::Stream;
use crate::finding::{Check, Report};
use crate::limits::{Limits, millis};

/// An agent that speaks on for so long, with so much queued, wasn't told that it was spoken over.
const SPEAKS_ON_MS: u64 = 2_500;
const MUCH_QUEUED_MS: u64 = 1_000;
/// An agent that clears so much of its own sound isn't heard because of that.
const LEAST_CLEARED_MS: u64 = 200;
/// A `clear` so long after the caller began is late.
const LATE_CLEAR_MS: u64 = 2_000;

/// Adds what a call showed to the report. `spoke_first_ms`: when the caller began, if the agent hadn't.
pub(crate) fn judge(seen: &Seen, stream: &Stream, limits: &Limits, report: &mut Report) {
    report.first_sound_ms = seen.first_voice_ms;
    report.answer_ms = seen.answer_ms;
    report.stopped_ms =
        seen.barge_in.filter(|over| over.paused).map(|over| over.until_ms.saturating_sub(over.at_ms));
    report.after_interruption_ms = seen.after_over_ms;
    not_examined(seen, stream, report);
    let mut say = |cause: &'static Cause, what: String| report.add(Check::Call, cause, what);
    for (cause, what) in &seen.wrong {
        say(cause, what.clone());
    }
    let one_way = stream.one_way;
    let (rough, holes) = (seen.flow.rough(), seen.flow.holes());
    let format = payload::judge(&seen.first_payload, &seen.sound)
        .or_else(|| rough.map(|what| (&causes::BROKEN_UP, what)))
        // What is in pieces has no rate of its own.
        .or_else(|| rate::judge(&seen.sound, &seen.pace).filter(|_| holes.is_none()))
        .filter(|_| !stream.other_format);
    if let Some((cause, what)) = &format {
        say(cause, what.clone());
    }
    let heard = seen.first_voice_ms.is_some();
    // What follows from a fault that is told already isn't told again.
    let blamed =
        seen.wrong.iter().any(|(cause, _)| cause.severity == crate::Severity::Fails) || format.is_some();
    if let Some(what) = holes.filter(|_| !blamed && !stream.other_format) {
        say(&causes::GAPS, what);
    }
    let deaf = seen.pinged && !seen.ponged && seen.length_ms >= 5_000;
    let mut cut = false;
    match &seen.ended {
        Some(Ended::Protocol { why }) => say(&causes::WEBSOCKET_BROKEN, why.clone()),
        Some(Ended::Broke { at_ms, why }) => {
            cut = true;
            say(
                &causes::BROKE_OFF,
                format!("{} after `start`, without a close frame: {why}", seconds(*at_ms)),
            );
        }
        Some(Ended::Closed { at_ms, code, reason }) => {
            let fault = code.is_some_and(|code| (1002..=1015).contains(&code) && code != 1005);
            cut = !heard || fault;
            if cut {
                let code = code.map_or("no code".to_owned(), |code| format!("code {code}"));
                let reason = if reason.is_empty() { String::new() } else { format!(", “{reason}”") };
                say(&causes::CLOSED_EARLY, format!("{} after `start`, with {code}{reason}", seconds(*at_ms)));
            }
        }
        None => {}
    }
    if let Some(Ended::Closed { at_ms, .. }) = &seen.ended
        && !cut
        && !one_way
        && let Some(what) = unanswered(seen, *at_ms)
    {
        say(&causes::CLOSED_UNANSWERED, what);
    }
    if deaf {
        let what = format!("a ping was not answered in {}", seconds(seen.length_ms.saturating_sub(1_000)));
        say(if heard || one_way { &causes::NO_PONG } else { &causes::NEVER_READS }, what);
    }
    let excused =
        one_way || blamed || cut || (deaf && !heard) || matches!(seen.ended, Some(Ended::Protocol { .. }));
    if !heard && !excused {
        let waited = seconds(seen.length_ms);
        if seen.media_messages == 0 {
            say(
                &causes::NEVER_SPEAKS,
                format!("not one `media` message in {waited}, though the caller spoke"),
            );
        } else if seen.octets == 0 {
            let what = format!("the payloads of all {} `media` messages are empty", seen.media_messages);
            say(&causes::NEVER_SPEAKS, what);
        } else if seen.cleared_own_ms >= LEAST_CLEARED_MS {
            let cleared = seconds(seen.cleared_own_ms);
            let what = format!(
                "{cleared} of sound were cleared before they were played, and the caller had said nothing"
            );
            say(&causes::CLEARS_OWN, what);
        } else {
            let count = seen.media_messages;
            say(
                &causes::ONLY_SILENCE,
                format!("{count} `media` messages in {waited}, and no sound above −50 dBov"),
            );
        }
    }
    if heard && !blamed && !cut {
        // One who taps the line, or has ended it in good order, owes no answer.
        if seen.waited_for_answer && seen.answer_ms.is_none() && !one_way && seen.ended.is_none() {
            let waited = limits.answer.as_secs_f64();
            let what =
                format!("the agent greeted, and said nothing in {waited:.1} s after the caller's words");
            say(&causes::NEVER_ANSWERS, what);
        }
        if seen.silent_after_over && !one_way {
            let waited = limits.answer.as_secs_f64();
            let what =
                format!("the agent stopped, and said nothing in {waited:.1} s after what was said over it");
            say(&causes::SILENT_AFTER, what);
        }
        judge_times(seen, limits, &mut say);
    }
    if seen.closed_after_stop == Some(false) && !deaf {
        say(&causes::LINGERS, "the connection was not closed".to_owned());
    }
}

/// The server closed in good order, but to what the caller had begun to say.
fn unanswered(seen: &Seen, at_ms: u64) -> Option<String> {
    let first = seen.line_began_ms.filter(|_| seen.answer_ms.is_none());
    let over = seen.barge_in.map(|over| over.at_ms).filter(|_| seen.after_over_ms.is_none());
    let since = at_ms.saturating_sub(first.or(over)?);
    Some(format!(
        "the server closed the stream {} after the caller had begun to speak, without an answer",
        seconds(since)
    ))
}

/// What the call gave no occasion to see.
fn not_examined(seen: &Seen, stream: &Stream, report: &mut Report) {
    if stream.other_format {
        report.skip("the sound: the stream asks for another format than μ-law at 8 kHz");
    } else if seen.sound.len() < super::rate::LEAST_JUDGED {
        report.skip("the rate of the sound: that needs 3 s of it");
    }
    if stream.one_way {
        return report.skip("answers and interruptions: the stream only listens");
    }
    if seen.line_end_ms.is_none() && seen.over_end_ms.is_none() {
        report.skip("answers: the stream was over before the caller had spoken");
    }
    if seen.barge_in.is_none() {
        report.skip("interruptions: nothing that the agent said lasted long enough to be spoken over");
    } else if seen.after_over_ms.is_none() {
        report.skip("the answer to an interruption: none came while it was waited for");
    }
    report.skip("keys, and a caller who stays silent");
}

fn judge_times(seen: &Seen, limits: &Limits, say: &mut impl FnMut(&'static Cause, String)) {
    let spoke_unasked = seen.first_voice_ms.filter(|first| seen.line_end_ms.is_none_or(|end| *first < end));
    if let Some(first) =
        spoke_unasked.filter(|first| (millis(limits.late_greeting)..millis(limits.greeting)).contains(first))
    {
        say(&causes::LATE_SOUND, format!("the first sound came {} after `start`", seconds(first)));
    }
    let answer = seen.answer_ms.or(seen.after_over_ms.filter(|_| seen.long_greeting));
    if let Some(answer) = answer.filter(|answer| *answer > millis(limits.late_answer)) {
        say(&causes::LATE_ANSWER, format!("the answer began {} after the caller's words", seconds(answer)));
    }
    if let Some(over) = seen.barge_in {
        let on = over.until_ms.saturating_sub(over.at_ms);
        let late = over.cleared_ms.map(|cleared| cleared.saturating_sub(over.at_ms));
        if !over.paused && on >= SPEAKS_ON_MS && late.is_none_or(|late| late >= LATE_CLEAR_MS) {
            let clear = match late {
                Some(late) => format!("`clear` came after {}", seconds(late)),
                None => "no `clear` came".to_owned(),
            };
            let queued = seconds(over.queued_ms);
            let what = format!(
                "the agent spoke on for {} over the caller; {queued} were queued, and {clear}",
                seconds(on)
            );
            let queued = over.queued_ms >= MUCH_QUEUED_MS;
            say(if queued { &causes::NO_CLEAR } else { &causes::SPEAKS_ON }, what);
        }
    }
}

/// Why Twilio would object to a message; `why` in its reader's words.
pub(crate) fn message_cause(text: &str, why: &str) -> &'static Cause {
    // Engine.IO's first packet.
    if text.starts_with("0{\"sid\"") {
        return &causes::SOCKET_IO;
    }
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return &causes::NOT_JSON };
    let Some(event) = fields.get("event").and_then(Value::as_str) else { return &causes::UNKNOWN_EVENT };
    if !matches!(event, "media" | "mark" | "clear") {
        return &causes::UNKNOWN_EVENT;
    }
    if fields.get("streamSid").is_none_or(|sid| sid.is_null() || sid == "") {
        &causes::NO_STREAM_SID
    } else if why.contains("not this stream") || why.contains("no `streamSid`") {
        &causes::WRONG_STREAM_SID
    } else if why.contains("must not have") && has_payload(event, &fields) {
        &causes::EXTRA_FIELD
    } else if why.contains("base64") {
        &causes::BAD_BASE64
    } else {
        &causes::BAD_SHAPE
    }
}

/// Beside what is too much there is what is needed.
fn has_payload(event: &str, fields: &serde_json::Map<String, Value>) -> bool {
    let text =
        |object: &str, key: &str| fields.get(object).and_then(|of| of.get(key)).is_some_and(Value::is_string);
    match event {
        "media" => text("media", "payload"),
        "mark" => text("mark", "name"),
        _ => true,
    }
}

/// The sound of a `media` message that has fields in excess.
pub(crate) fn media_with_more(text: &str) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_str(text).ok()?;
    STANDARD.decode(value.get("media")?.get("payload")?.as_str()?).ok()
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let sid = r#""streamSid":"MZ1""#;
        let stream = offhook_twilio::StreamSid::parse("MZ1").unwrap();
        for (text, id) in [
            ("oops".to_owned(), "not-json"),
            (r#"0{"sid":"x","upgrades":[],"pingInterval":25000}"#.to_owned(), "socket-io"),
            (r#"{"type":"error"}"#.to_owned(), "unknown-event"),
            (format!(r#"{{"event":"audio",{sid}}}"#), "unknown-event"),
            (r#"{"event":"media","media":{"payload":""}}"#.to_owned(), "stream-sid-missing"),
            (r#"{"event":"media","streamSid":null,"media":{"payload":""}}"#.to_owned(), "stream-sid-missing"),
            (r#"{"event":"clear","streamSid":"CA1"}"#.to_owned(), "stream-sid-wrong"),
            (
                format!(r#"{{"event":"media",{sid},"media":{{"payload":"","track":"outbound"}}}}"#),
                "extra-field",
            ),
            (format!(r#"{{"event":"media",{sid},"media":{{"payload":"_-"}}}}"#), "bad-base64"),
            (format!(r#"{{"event":"mark",{sid}}}"#), "bad-shape"),
        ] {
            let why = offhook_twilio::stream::parse_outbound(&text, &stream).unwrap_err().why;
            assert_eq!(message_cause(&text, &why).id, id, "{text}");
        }
    }
}
