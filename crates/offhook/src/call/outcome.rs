//! Did the agent really reply to what was said?

use offhook_conversation::{CallEvent, ReplyTiming, TurnEnded, UtteranceKind};
use offhook_simulator::{CallReport, Reply};
use offhook_twilio::twiml::Finding;
use serde::Serialize;

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

/// A turn: what the caller said, what the server heard and answered, how long each step took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct TurnRow<'a> {
    #[serde(flatten)]
    pub(crate) reply: &'a Reply,
    /// What the server heard, if its record is at hand.
    pub(crate) heard: Option<String>,
    /// What it answered.
    pub(crate) answered: Option<String>,
    /// The answer is one: no check-in, apology or last words. `None`: what was said is unknown.
    pub(crate) is_answer: Option<bool>,
    /// How long its steps took.
    pub(crate) timing: Option<ReplyTiming>,
}

/// The caller's lines with what the server's record tells of them.
pub(crate) fn rows<'a>(report: &'a CallReport, record: Option<&Record>) -> Vec<TurnRow<'a>> {
    let turns = record.map(server_turns).unwrap_or_default();
    let mut taken = vec![false; turns.len()];
    report
        .replies
        .iter()
        .map(|reply| {
            // The server's clock starts with the stream too: the turn whose speech ended where the line did.
            let near = turns
                .iter()
                .enumerate()
                .filter(|(index, turn)| {
                    !taken[*index] && turn.ended.speech_end_ms.abs_diff(reply.until_ms) < 700
                })
                .min_by_key(|(_, turn)| turn.ended.speech_end_ms.abs_diff(reply.until_ms));
            let turn = near.map(|(index, turn)| {
                taken[index] = true;
                turn
            });
            TurnRow {
                reply,
                heard: turn.map(|turn| turn.ended.text.clone()),
                answered: turn.and_then(|turn| turn.answer.clone()),
                is_answer: match record {
                    Some(record) => answer_by_record(record, report, reply),
                    None => answer_by_words(report, reply),
                },
                timing: turn.and_then(|turn| turn.timing),
            }
        })
        .collect()
}

struct ServerTurn {
    ended: TurnEnded,
    answer: Option<String>,
    is_answer: bool,
    timing: Option<ReplyTiming>,
}

/// Whether this answers what a caller said.
const fn answers(what: UtteranceKind) -> bool {
    matches!(
        what,
        UtteranceKind::Reply | UtteranceKind::Announcement | UtteranceKind::Keys | UtteranceKind::Echo
    )
}

/// What agents say that have nothing to say, lower case. Of servers that keep no record only the words are known.
const NO_ANSWERS: [&str; 13] = [
    "are you still there",
    "are you there",
    "missed that",
    "didn't catch that",
    "did not catch that",
    "didn't hear you",
    "didn't understand that",
    "having trouble",
    "technical difficult",
    "something went wrong",
    "an error occurred",
    "an error has occurred",
    "try again later",
];

/// When the line after this one began.
fn next_line(report: &CallReport, reply: &Reply) -> Option<u64> {
    report.replies.iter().map(|other| other.from_ms).filter(|from| *from > reply.from_ms).min()
}

/// By what the server says that it said between the end of a line and the next line. The clocks are some frames apart.
fn answer_by_record(record: &Record, report: &CallReport, reply: &Reply) -> Option<bool> {
    let next = next_line(report, reply).unwrap_or(u64::MAX);
    let mut spoken = record.events.iter().filter_map(|event| match &event.event {
        CallEvent::Speaking { what, .. } => Some((event.t_ms, *what)),
        _ => None,
    });
    let mut said = spoken.clone();
    said.next()?; // an agent that tells of nothing that it says
    Some(spoken.any(|(at, what)| answers(what) && at + 300 >= reply.until_ms && at < next))
}

/// By the words between a line and the next, where they are known.
fn answer_by_words(report: &CallReport, reply: &Reply) -> Option<bool> {
    let next = next_line(report, reply);
    let mut said = report.spoken.iter().filter(|spoken| {
        spoken.at_ms > reply.until_ms && next.is_none_or(|next| spoken.at_ms <= next || spoken.interrupted)
    });
    let words = said.next()?.text.to_lowercase().replace('’', "'");
    Some(!NO_ANSWERS.iter().any(|phrase| words.contains(phrase)))
}

fn server_turns(record: &Record) -> Vec<ServerTurn> {
    let mut turns: Vec<ServerTurn> = Vec::new();
    for event in &record.events {
        match (&event.event, turns.last_mut()) {
            (CallEvent::TurnEnded(ended), _) => {
                turns.push(ServerTurn { ended: ended.clone(), answer: None, is_answer: false, timing: None });
            }
            (CallEvent::TurnReopened, Some(_)) => {
                turns.pop();
            }
            (CallEvent::Speaking { text, what, .. }, Some(turn)) if !turn.is_answer => {
                // A filler bridges the time to an answer; a check-in or an apology stands if nothing better comes.
                if turn.answer.is_none() || answers(*what) {
                    turn.answer = Some(text.clone());
                }
                turn.is_answer = answers(*what);
            }
            (CallEvent::ReplyTimed(timing), Some(turn)) => turn.timing = Some(*timing),
            // The text of an utterance is whole only when it is over.
            (CallEvent::Said { text, .. }, Some(turn))
                if turn.answer.as_ref().is_some_and(|had| text.starts_with(had.as_str())) =>
            {
                turn.answer = Some(text.clone());
            }
            _ => {}
        }
    }
    turns
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
pub(crate) fn judge(report: &CallReport, record: Option<&Record>, expect: &[String]) -> Outcome {
    let mut missing = Vec::new();
    if report.agent.is_empty() {
        missing.push("the agent said nothing".to_owned());
    }
    let rows = rows(report, record);
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
pub(crate) fn to_json(
    report: &CallReport,
    record: Option<&Record>,
    outcome: &Outcome,
) -> anyhow::Result<String> {
    let turns = rows(report, record);
    Ok(serde_json::to_string(&Json { good: outcome.is_good(), outcome, turns, call: report })?)
}

#[cfg(test)]
mod tests {
    use offhook_simulator::{Spoken, Talkspurt};
    use serde_json::{Value, json};

    use super::*;
    use crate::record::RecordedEvent;

    fn report() -> CallReport {
        let reply = Reply {
            said: "two pizzas".into(),
            barge_in: false,
            from_ms: 2_000,
            until_ms: 3_000,
            response_ms: Some(700),
            stopped_ms: None,
        };
        let agent =
            vec![Talkspurt { from_ms: 0, until_ms: 1_500 }, Talkspurt { from_ms: 3_700, until_ms: 5_000 }];
        CallReport { replies: vec![reply], agent, ..CallReport::default() }
    }

    fn record(events: Value) -> Record {
        let events: Vec<RecordedEvent> = serde_json::from_value(events).unwrap();
        serde_json::from_value(json!({"call": "CA1", "agent": "a", "events": []}))
            .map(|record: Record| Record { events, ..record })
            .unwrap()
    }

    fn with(what: &str, text: &str) -> Record {
        let ended = json!({"t_ms": 3_400, "event": "turn_ended", "text": "two pizzas", "began_ms": 2_000,
                           "speech_end_ms": 3_000, "decided_ms": 3_400, "evidence": "yes_no"});
        record(
            json!([ended, {"t_ms": 3_700, "event": "speaking", "utterance": 2, "what": what, "text": text}]),
        )
    }

    #[test]
    fn only_an_answer_is_an_answer() {
        let good = |record: &Record| judge(&report(), Some(record), &[]);
        assert!(good(&with("reply", "Two pizzas, got it.")).is_good());
        for what in ["apology", "check_in", "farewell", "filler"] {
            let outcome = good(&with(what, "I'm sorry, I missed that."));
            assert!(outcome.missing[0].contains("got no answer, only"), "{what}: {outcome:?}");
        }
        // Nothing was understood by the server: what the caller heard then is no answer.
        let greeting =
            json!([{"t_ms": 20, "event": "speaking", "utterance": 1, "what": "greeting", "text": "Hello."}]);
        assert!(!good(&record(greeting)).is_good());
        let mut troubled = with("reply", "Two pizzas, got it.");
        troubled
            .events
            .extend(record(json!([{"t_ms": 1, "event": "trouble", "message": "openai: 401"}])).events);
        assert_eq!(good(&troubled).missing, ["on the server: openai: 401"]);
    }

    #[test]
    fn without_a_record_words_are_judged_and_sound_is_unknown() {
        let outcome = judge(&report(), None, &[]);
        assert!(outcome.is_good() && !outcome.answers_known && outcome.provider_failures.is_none());
        let mut report = report();
        let text = "I’m sorry, I missed that. Could you say it once more?".to_owned();
        report.spoken.push(Spoken { at_ms: 5_000, text, interrupted: false });
        assert!(!judge(&report, None, &[]).is_good());
        report.replies[0].response_ms = Some(9_000);
        assert!(judge(&report, None, &[]).missing[0].contains("only after 9.0 s"));
    }

    /// What a schema of this kind says of a value: types, required members, no others.
    fn fits(schema: &Value, value: &Value, all: &Value, at: &str) {
        let schema = match schema["$ref"].as_str() {
            Some(name) => all.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let kinds: Vec<&str> = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        assert!(
            kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number")),
            "{at}: {kind}, not {kinds:?}"
        );
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            fits(&schema["items"], item, all, &format!("{at}[{index}]"));
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let known = &schema["properties"][name];
            assert!(!known.is_null(), "{at}.{name} is not in the schema");
            assert!(
                known["description"].is_string() || known["$ref"].is_string(),
                "{at}.{name} is not described"
            );
            fits(known, member, all, &format!("{at}.{name}"));
        }
        for name in schema["required"].as_array().into_iter().flatten().filter(|_| value.is_object()) {
            assert!(value.get(name.as_str().unwrap()).is_some(), "{at}.{name} is missing");
        }
    }

    #[test]
    fn every_outcome_has_the_documented_shape() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/call.schema.json");
        let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let whole = with("reply", "Two pizzas, got it.");
        let mut spoken = report();
        spoken.spoken.push(Spoken { at_ms: 5_000, text: "Got it.".into(), interrupted: true });
        spoken.gaps.push(offhook_simulator::Gap { at_ms: 20, length_ms: 40 });
        let refused = Outcome::refused(&Finding::new(11200, "status 500"));
        assert_eq!(refused.reason.as_ref().map(|reason| reason.code), Some(Some(11200)));
        let cases = [
            to_json(&spoken, Some(&whole), &judge(&spoken, Some(&whole), &[])),
            to_json(&report(), None, &judge(&report(), None, &["x".into()])),
            to_json(&CallReport::default(), None, &refused),
            to_json(&CallReport::default(), None, &Outcome::impossible(&anyhow::anyhow!("a.txt is text"))),
        ];
        let mut members: Option<Vec<String>> = None;
        for case in cases {
            let value: Value = serde_json::from_str(&case.unwrap()).unwrap();
            fits(&schema, &value, &schema, "$");
            let names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            assert_eq!(*members.get_or_insert_with(|| names.clone()), names, "one shape for all");
        }
    }
}
