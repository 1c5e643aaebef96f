//! The caller's lines, with what is known of their answers.

use offhook_conversation::{CallEvent, ReplyTiming, TurnEnded, UtteranceKind};
use offhook_simulator::{CallReport, Reply};
use serde::Serialize;

use crate::record::Record;

/// What is known of the server's side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The server's own record, if it is at hand.
    pub(crate) record: Option<Record>,
    /// For each line the phrase without an answer that was heard in place of one, by its sound.
    pub(crate) phrases: Vec<Option<String>>,
}

impl From<Option<Record>> for Evidence {
    fn from(record: Option<Record>) -> Self {
        Self { record, phrases: Vec::new() }
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
pub(crate) fn rows<'a>(report: &'a CallReport, evidence: &Evidence) -> Vec<TurnRow<'a>> {
    let record = evidence.record.as_ref();
    let turns = record.map(server_turns).unwrap_or_default();
    let mut taken = vec![false; turns.len()];
    let phrase = |nth: usize| evidence.phrases.get(nth).cloned().flatten();
    report
        .replies
        .iter()
        .enumerate()
        .map(|(nth, reply)| {
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
                answered: turn.and_then(|turn| turn.answer.clone()).or_else(|| phrase(nth)),
                is_answer: match record {
                    Some(record) => answer_by_record(record, report, reply),
                    None => answer_by_words(report, reply).or_else(|| phrase(nth).map(|_| false)),
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
const NO_ANSWERS: [&str; 25] = [
    "are you still there",
    "are you there",
    "missed that",
    "didn't catch that",
    "did not catch that",
    "didn't hear you",
    "can't hear you",
    "can't hear anything",
    "didn't understand that",
    "didn't get that",
    "having trouble",
    "having difficult",
    "technical difficult",
    "technical issue",
    "something went wrong",
    "an error occurred",
    "an error has occurred",
    "try again later",
    "call again a little later",
    "call back later",
    "can't help you at the moment",
    "unable to process your request",
    "our time is up",
    "i'll hang up now",
    "currently unavailable",
];
/// What bridges the time to an answer, whole, lower case and without marks.
const FILLERS: [&str; 9] = [
    "one moment please",
    "one moment",
    "just a second",
    "just a moment",
    "let me check",
    "let me see",
    "hold on",
    "please hold",
    "let me look that up",
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

/// By the words between a line and the next, where they are known: one answer among them is enough.
fn answer_by_words(report: &CallReport, reply: &Reply) -> Option<bool> {
    let next = next_line(report, reply);
    let said = report.spoken.iter().filter(|spoken| {
        spoken.at_ms > reply.until_ms && next.is_none_or(|next| spoken.at_ms <= next || spoken.interrupted)
    });
    let said: Vec<bool> = said.map(|spoken| is_answer(&spoken.text)).collect();
    (!said.is_empty()).then(|| said.contains(&true))
}

fn is_answer(text: &str) -> bool {
    let words = text.to_lowercase().replace('’', "'");
    let bare: String = words.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '\'').collect();
    !NO_ANSWERS.iter().any(|phrase| words.contains(phrase)) && !FILLERS.contains(&bare.trim())
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
