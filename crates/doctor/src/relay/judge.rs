//! What a session's sights mean.

use serde_json::Value;

use super::Seen;
use crate::Severity;
use crate::call::Ended;
use crate::causes::{self, Cause};
use crate::finding::{Check, Report};
use crate::limits::{Limits, millis};

/// Adds what a session showed to the report.
pub(crate) fn judge(seen: &Seen, greeted_by_twilio: bool, limits: &Limits, report: &mut Report) {
    let mut say = |cause: &'static Cause, what: String| report.add(Check::Call, cause, what);
    for (cause, what) in &seen.wrong {
        say(cause, what.clone());
    }
    if seen.too_many_wrong {
        say(&causes::RELAY_TEN, "ten in a row".to_owned());
    }
    match &seen.ended {
        Some(Ended::Protocol { why }) => {
            say(&causes::WEBSOCKET_BROKEN, why.clone());
            report_code(report, 64105);
            return;
        }
        Some(Ended::Broke { at_ms, why }) => {
            say(
                &causes::RELAY_ENDS,
                format!("{} after `setup`, without a close frame: {why}", seconds(*at_ms)),
            );
        }
        Some(Ended::Closed { at_ms, code, reason }) => {
            let code = code.map_or("no code".to_owned(), |code| format!("code {code}"));
            let reason = if reason.is_empty() { String::new() } else { format!(", “{reason}”") };
            say(&causes::RELAY_ENDS, format!("{} after `setup`, with {code}{reason}", seconds(*at_ms)));
        }
        None => {}
    }
    // What follows from a fault that is told already isn't told again.
    let blamed =
        seen.ended.is_some() || seen.wrong.iter().any(|(cause, _)| cause.severity == Severity::Fails);
    if !blamed {
        judge_answers(seen, greeted_by_twilio, limits, &mut say);
    }
    if seen.closed_after_end == Some(false) {
        say(&causes::LINGERS, "the connection was not closed after Twilio's close frame".to_owned());
    }
}

fn judge_answers(
    seen: &Seen,
    greeted_by_twilio: bool,
    limits: &Limits,
    say: &mut impl FnMut(&'static Cause, String),
) {
    let name = |which: usize| match which {
        0 => "the greeting",
        1 => "the answer",
        _ => "the answer after an interruption",
    };
    if let Some(which) = seen.unfinished.first() {
        let what = format!("{}: `text` messages came, and none with \"last\": true", name(*which));
        say(&causes::RELAY_NO_LAST, what);
    }
    if let Some(place) = seen.answers_ms.iter().position(Option::is_none)
        && !seen.handed_over
    {
        let what = format!("{} did not come within {:?}", name(place + 1), limits.answer);
        say(&causes::RELAY_SILENT, what);
    }
    if let Some(first) = seen.first_words_ms.filter(|first| *first > millis(limits.late_greeting))
        && !greeted_by_twilio
    {
        say(&causes::LATE_SOUND, format!("the first words came {} after `setup`", seconds(first)));
    }
    if let Some(answer) =
        seen.answers_ms.iter().flatten().max().filter(|ms| **ms > millis(limits.late_answer))
    {
        say(&causes::LATE_ANSWER, format!("the answer began {} after the caller's words", seconds(*answer)));
    }
}

fn report_code(report: &mut Report, code: u32) {
    if let Some(finding) = report.findings.last_mut() {
        finding.code = Some(code);
    }
}

/// Why Twilio would object to a message.
pub(super) fn message_cause(text: &str) -> &'static Cause {
    let Ok(Value::Object(fields)) = serde_json::from_str(text) else { return &causes::RELAY_NOT_JSON };
    match fields.get("type").and_then(Value::as_str) {
        None if fields.get("event").and_then(Value::as_str).is_some() => &causes::RELAY_IS_STREAM,
        Some("text") if fields.get("token").is_some_and(Value::is_string) && well_typed(&fields) => {
            &causes::RELAY_EXTRA
        }
        Some("text" | "play" | "sendDigits" | "language" | "end") => &causes::RELAY_FIELD,
        _ => &causes::RELAY_TYPE,
    }
}

/// Its documented fields are of their kind, so that others are what is wrong.
fn well_typed(fields: &serde_json::Map<String, Value>) -> bool {
    let flags = ["last", "interruptible", "preemptible"];
    flags.iter().all(|name| fields.get(*name).is_none_or(Value::is_boolean))
        && fields.get("lang").is_none_or(Value::is_string)
}

fn seconds(ms: u64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        for (text, id) in [
            ("Internal error", "relay-not-json"),
            ("[1]", "relay-not-json"),
            (r#"{"event":"media","streamSid":"MZ1","media":{"payload":""}}"#, "relay-speaks-media-streams"),
            (r#"{"error":"KeyError"}"#, "relay-unknown-type"),
            (r#"{"type":"message","text":"hi"}"#, "relay-unknown-type"),
            (r#"{"type":"text","text":"hi","last":true}"#, "relay-wrong-field"),
            (r#"{"type":"text","token":null}"#, "relay-wrong-field"),
            (r#"{"type":"text","token":"hi","last":"true"}"#, "relay-wrong-field"),
            (r#"{"type":"text","token":"hi","isFinal":true}"#, "relay-extra-field"),
            (r#"{"type":"end","handoffData":{"a":1}}"#, "relay-wrong-field"),
        ] {
            assert!(offhook_twilio::relay::parse_outbound(text).is_err(), "{text}");
            assert_eq!(message_cause(text).id, id, "{text}");
        }
    }
}
