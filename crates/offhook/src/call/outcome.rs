//! Did the agent really reply to what was said?

use offhook_conversation::{CallEvent, ReplyTiming, TurnEnded};
use offhook_simulator::{CallReport, Reply};
use serde::Serialize;

use crate::record::Record;

/// What is wanted of a call, and what of it is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Outcome {
    /// In words; empty if all is well.
    pub(crate) missing: Vec<String>,
}

impl Outcome {
    pub(crate) const fn is_good(&self) -> bool {
        self.missing.is_empty()
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
                timing: turn.and_then(|turn| turn.timing),
            }
        })
        .collect()
}

struct ServerTurn {
    ended: TurnEnded,
    answer: Option<String>,
    timing: Option<ReplyTiming>,
}

fn server_turns(record: &Record) -> Vec<ServerTurn> {
    let mut turns: Vec<ServerTurn> = Vec::new();
    for event in &record.events {
        match (&event.event, turns.last_mut()) {
            (CallEvent::TurnEnded(ended), _) => {
                turns.push(ServerTurn { ended: ended.clone(), answer: None, timing: None });
            }
            (CallEvent::TurnReopened, Some(_)) => {
                turns.pop();
            }
            (CallEvent::Speaking { text, .. }, Some(turn)) if turn.answer.is_none() => {
                turn.answer = Some(text.clone());
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
    for reply in report.replies.iter().filter(|reply| reply.response_ms.is_none()) {
        missing.push(format!("“{}” got no answer", reply.said));
    }
    for reply in
        report.replies.iter().filter(|reply| reply.barge_in && reply.stopped_ms.is_some_and(|ms| ms > 1_500))
    {
        missing.push(format!("the agent went on talking over “{}”", reply.said));
    }
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
    Outcome { missing }
}

#[derive(Serialize)]
struct Json<'a> {
    call: &'a CallReport,
    turns: Vec<TurnRow<'a>>,
    good: bool,
    missing: &'a [String],
}

/// The whole call as one object.
pub(crate) fn to_json(
    report: &CallReport,
    record: Option<&Record>,
    outcome: &Outcome,
) -> anyhow::Result<String> {
    let turns = rows(report, record);
    Ok(serde_json::to_string(&Json {
        call: report,
        turns,
        good: outcome.is_good(),
        missing: &outcome.missing,
    })?)
}
