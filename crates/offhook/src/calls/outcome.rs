//! What came of a call that had a goal.

use std::collections::BTreeMap;

use offhook_conversation::EndReason;
use offhook_twilio::calls::CallStatus;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest text that is kept of a report.
const LONGEST: usize = 2_000;
/// Most fields that are kept.
const MOST_FIELDS: usize = 64;

/// The verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The goal was reached.
    Achieved,
    /// The other side would not.
    Refused,
    /// Nobody answered, or nobody spoke.
    NoAnswer,
    /// A machine answered.
    Voicemail,
    /// Neither: the call broke off, or nothing was settled.
    Failed,
}

/// The verdict, what was learned, and what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// What was learned, by name.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Value>,
    /// The words of the call that prove it, or what happened.
    #[serde(default)]
    pub(crate) evidence: String,
    /// The agent said so itself; otherwise it was concluded from how the call went.
    #[serde(default)]
    pub(crate) reported: bool,
}

impl Outcome {
    /// Reads what an agent reported by the tool `report_outcome`.
    pub(crate) fn reported(arguments: &Value) -> Result<Self, String> {
        let verdict = arguments.get("verdict").cloned().unwrap_or_default();
        let verdict = serde_json::from_value(verdict)
            .map_err(|_| "`verdict` must be achieved, refused, no_answer, voicemail or failed".to_owned())?;
        let fields = match arguments.get("fields") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(fields)) if fields.len() <= MOST_FIELDS => {
                fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
            }
            Some(_) => return Err(format!("`fields` must be an object of at most {MOST_FIELDS} fields")),
        };
        let evidence = match arguments.get("evidence") {
            Some(Value::String(text)) => text.chars().take(LONGEST).collect(),
            Some(Value::Array(lines)) => {
                let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
                lines.join(" / ").chars().take(LONGEST).collect()
            }
            _ => String::new(),
        };
        if verdict == Verdict::Achieved && evidence.trim().is_empty() {
            return Err("`evidence` is missing: quote the words of the call that show it".to_owned());
        }
        let size = serde_json::to_string(&fields).map_or(usize::MAX, |text| text.len());
        if size > 8 * LONGEST {
            return Err("`fields` are too long".to_owned());
        }
        Ok(Self { verdict, fields, evidence, reported: true })
    }

    /// What can be said of a call whose agent reported nothing. `spoken`: the other side said something.
    pub(crate) fn concluded(
        status: CallStatus,
        machine: bool,
        ended: Option<EndReason>,
        spoken: bool,
    ) -> Self {
        let (verdict, evidence) = match (status, ended) {
            (CallStatus::Busy, _) => (Verdict::NoAnswer, "the line was busy"),
            (CallStatus::NoAnswer, _) => (Verdict::NoAnswer, "nobody answered"),
            (CallStatus::Canceled, _) => {
                (Verdict::NoAnswer, "the call was called off before it was answered")
            }
            (CallStatus::Failed, _) => (Verdict::Failed, "the call could not be placed"),
            (_, Some(EndReason::MessageLeft)) => (Verdict::Voicemail, "a message was left on a mailbox"),
            _ if machine => (Verdict::Voicemail, "a machine answered"),
            (_, Some(EndReason::CallerSilent)) => (Verdict::NoAnswer, "it was answered, but nobody spoke"),
            // Whoever ended it.
            (_, Some(_)) if !spoken => (Verdict::NoAnswer, "it was answered, but nobody spoke"),
            (_, Some(EndReason::Transferred)) => {
                (Verdict::Failed, "the call was handed over before anything was settled")
            }
            (_, Some(EndReason::TooLong)) => (Verdict::Failed, "the call reached its greatest length"),
            (_, None) => (Verdict::Failed, "the call was answered, but its sound never came"),
            _ => (Verdict::Failed, "the call ended, and the agent reported no outcome"),
        };
        Self { verdict, fields: BTreeMap::new(), evidence: evidence.to_owned(), reported: false }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reports_are_checked() {
        let good =
            json!({"verdict": "achieved", "fields": {"time": "8 pm"}, "evidence": "See you at eight."});
        let outcome = Outcome::reported(&good).unwrap();
        assert_eq!((outcome.verdict, outcome.fields["time"].clone()), (Verdict::Achieved, json!("8 pm")));
        assert!(outcome.reported);
        for bad in [
            json!({}),
            json!({"verdict": "great"}),
            json!({"verdict": "achieved"}),
            json!({"verdict": "failed", "fields": [1]}),
            json!({"verdict": "failed", "fields": {"x": "y".repeat(20_000)}}),
        ] {
            assert!(Outcome::reported(&bad).is_err(), "{bad:.80}");
        }
        assert!(Outcome::reported(&json!({"verdict": "refused", "fields": null})).is_ok());
    }

    #[test]
    fn without_a_report_the_call_itself_tells() {
        let verdict = |status, machine, ended| Outcome::concluded(status, machine, ended, true).verdict;
        assert_eq!(verdict(CallStatus::Busy, false, None), Verdict::NoAnswer);
        assert_eq!(verdict(CallStatus::Failed, false, None), Verdict::Failed);
        assert_eq!(verdict(CallStatus::Completed, true, Some(EndReason::StreamStopped)), Verdict::Voicemail);
        assert_eq!(verdict(CallStatus::Completed, false, Some(EndReason::MessageLeft)), Verdict::Voicemail);
        assert_eq!(verdict(CallStatus::Completed, false, Some(EndReason::CallerSilent)), Verdict::NoAnswer);
        assert_eq!(verdict(CallStatus::Completed, false, Some(EndReason::AgentDone)), Verdict::Failed);
        let silent = Outcome::concluded(CallStatus::Completed, false, Some(EndReason::AgentDone), false);
        assert_eq!(silent.verdict, Verdict::NoAnswer);
    }
}
