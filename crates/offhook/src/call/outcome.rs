//! Did the agent really reply to what was said?

use offhook_conversation::CallEvent;
use offhook_simulator::CallReport;
use offhook_twilio::twiml::Finding;
use serde::Serialize;

use super::rows::{Evidence, TurnRow, rows};
use crate::record::Record;

/// An answer that comes later isn't in time: milliseconds.
const IN_TIME_MS: u64 = 8_000;

/// What came of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// The stream or session was opened.
    pub(crate) placed: bool,
    /// Why it wasn't.
    pub(crate) reason: Option<Reason>,
    /// In words; empty if all is well.
    pub(crate) missing: Vec<String>,
    /// What the agent said is known, so that check-ins and apologies are told from answers.
    pub(crate) answers_known: bool,
    /// What the server told of its providers' failures; `None`: its record isn't at hand.
    pub(crate) provider_failures: Option<Vec<String>>,
}

/// Why no call was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Reason {
    /// Twilio's code, if it has one for that.
    pub(crate) code: Option<u32>,
    /// What happened.
    pub(crate) what: String,
    /// What the code means, and what to do.
    pub(crate) hint: Option<String>,
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.placed && self.missing.is_empty()
    }

    /// No call, because Twilio would have ended it.
    pub(crate) fn refused(finding: &Finding) -> Self {
        let known = offhook_twilio::errors::lookup(finding.code);
        let reason = Reason {
            code: Some(finding.code).filter(|code| *code != 0),
            what: finding.detail.clone(),
            hint: known.map(|error| format!("{}; {}", error.meaning, error.fix)),
        };
        Self::not_placed(reason)
    }

    /// No call, because of what it was to be made of.
    pub(crate) fn impossible(error: &anyhow::Error) -> Self {
        Self::not_placed(Reason { code: None, what: format!("{error:#}"), hint: None })
    }

    fn not_placed(reason: Reason) -> Self {
        Self { missing: vec![format!("no call: {}", reason.what)], reason: Some(reason), ..Self::default() }
    }
}

/// Everything that the agent said, in one string.
fn all_said(record: &Record) -> String {
    let said = record.events.iter().filter_map(|event| match &event.event {
        CallEvent::Said { text, .. } => Some(text.as_str()),
        _ => None,
    });
    said.collect::<Vec<_>>().join(" ")
}

/// Judges a call.
pub(crate) fn judge(report: &CallReport, evidence: &Evidence, expect: &[String]) -> Outcome {
    let record = evidence.record.as_ref();
    let mut missing = Vec::new();
    if report.agent.is_empty() {
        missing.push("the agent said nothing".to_owned());
    }
    let rows = rows(report, evidence);
    for row in &rows {
        let said = &row.reply.said;
        match (row.reply.response_ms, row.is_answer) {
            (None, _) => missing.push(format!("“{said}” got no answer")),
            (Some(late), _) if late > IN_TIME_MS => {
                missing.push(format!("“{said}” was answered only after {:.1} s", late as f64 / 1_000.0));
            }
            (Some(_), Some(false)) => match &row.answered {
                Some(words) => missing.push(format!("“{said}” got no answer, only “{words}”")),
                None => {
                    missing.push(format!("“{said}” got no answer: what was heard then was no reply to it"))
                }
            },
            (Some(_), _) => {}
        }
    }
    for reply in
        report.replies.iter().filter(|reply| reply.barge_in && reply.stopped_ms.is_some_and(|ms| ms > 1_500))
    {
        missing.push(format!("the agent went on talking over “{}”", reply.said));
    }
    let failures = record.map(|record| {
        let troubles = record.events.iter().filter_map(|event| match &event.event {
            CallEvent::Trouble { message } => Some(message.clone()),
            _ => None,
        });
        troubles.collect::<Vec<_>>()
    });
    missing.extend(failures.iter().flatten().map(|failure| format!("on the server: {failure}")));
    let answers_known = rows.iter().all(|row| row.is_answer.is_some());
    match record {
        Some(record) => {
            let said = all_said(record);
            for wanted in expect.iter().filter(|wanted| !said.contains(wanted.as_str())) {
                missing.push(format!("the agent never said “{wanted}”"));
            }
        }
        None if !expect.is_empty() => {
            missing.push(
                "what the agent understood is unknown: the server's record (--record) is not at hand".into(),
            );
        }
        None => {}
    }
    Outcome { placed: true, reason: None, missing, answers_known, provider_failures: failures }
}

/// The whole call as one object, whatever came of it: `docs/call.schema.json`.
#[derive(Serialize)]
struct Json<'a> {
    good: bool,
    #[serde(flatten)]
    outcome: &'a Outcome,
    turns: Vec<TurnRow<'a>>,
    call: &'a CallReport,
}

/// The whole call as one object.
pub(crate) fn to_json(report: &CallReport, evidence: &Evidence, outcome: &Outcome) -> anyhow::Result<String> {
    let turns = rows(report, evidence);
    Ok(serde_json::to_string(&Json { good: outcome.is_good(), outcome, turns, call: report })?)
}

#[cfg(test)]
mod tests;
