//! What the stages of a taped call said, and how long each took: the parts that are played again.

use std::collections::{BTreeMap, VecDeque};

use offhook_stage_api::id::{ReplyId, SegmentId, UtteranceId};
use offhook_stage_api::{LlmEvent, TtsEvent};

use crate::wire::{Line, WireInput, WireOutput};

/// A reply as the model gave it: its events, each so many microseconds after the request.
pub(super) type Reply = Vec<(u64, LlmEvent)>;

/// A spoken segment: its events, each so many microseconds after the request.
pub(super) type Spoken = Vec<(u64, TtsEvent)>;

/// The parts.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// Replies to the caller that were spoken, in order.
    pub(super) replies: VecDeque<Reply>,
    /// The reply to the beginning of the call.
    pub(super) greeting: Option<Reply>,
    /// Sound by text.
    pub(super) spoken: BTreeMap<String, Spoken>,
}

impl Parts {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut asked: BTreeMap<ReplyId, (u64, bool, Reply)> = BTreeMap::new();
        let mut committed: Vec<ReplyId> = Vec::new();
        let mut speak: BTreeMap<(UtteranceId, SegmentId), (u64, String, Spoken)> = BTreeMap::new();
        for line in lines {
            match (&line.input, &line.output) {
                (_, Some(WireOutput::Stage(words))) => {
                    if let Some((reply, greets)) = responds(words) {
                        asked.insert(reply, (line.t, greets, Reply::new()));
                    } else if let Some(reply) = words.strip_prefix("llm commit r").and_then(number) {
                        committed.push(ReplyId(reply));
                    } else if let Some((utterance, segment, text)) = speaks(words) {
                        speak.insert((utterance, segment), (line.t, text.to_owned(), Spoken::new()));
                    }
                }
                (Some(WireInput::Llm(event)), _) => {
                    if let Some((since, _, reply)) = asked.get_mut(&reply_of(event)) {
                        reply.push((line.t.saturating_sub(*since), event.clone()));
                    }
                }
                (Some(WireInput::Tts(event)), _) => {
                    if let Some(event) = event.to_event()
                        && let Some((since, _, spoken)) = speak.get_mut(&segment_of(&event))
                    {
                        spoken.push((line.t.saturating_sub(*since), event));
                    }
                }
                _ => {}
            }
        }
        let mut parts = Self::default();
        for reply in committed {
            match asked.remove(&reply) {
                Some((_, true, events)) => parts.greeting = Some(events),
                Some((_, false, events)) => parts.replies.push_back(events),
                None => {}
            }
        }
        for (_, text, spoken) in speak.into_values() {
            // A segment that was cut off by a cancel is no whole one.
            let whole = spoken.iter().any(|(_, event)| matches!(event, TtsEvent::Done { .. }));
            if whole || !parts.spoken.contains_key(&text) {
                parts.spoken.insert(text, spoken);
            }
        }
        parts
    }
}

/// `llm respond r2 to …`, and whether to the call's beginning.
fn responds(words: &str) -> Option<(ReplyId, bool)> {
    let rest = words.strip_prefix("llm respond r")?;
    let (reply, reason) = rest.split_once(" to ")?;
    Some((ReplyId(number(reply)?), reason == "Greeting"))
}

/// `tts speak u1/s1: text`
fn speaks(words: &str) -> Option<(UtteranceId, SegmentId, &str)> {
    let (ids, text) = words.strip_prefix("tts speak u")?.split_once(": ")?;
    let (utterance, segment) = ids.split_once("/s")?;
    Some((UtteranceId(number(utterance)?), SegmentId(number(segment)?), text))
}

fn number(digits: &str) -> Option<u32> {
    digits.parse().ok()
}

pub(super) fn reply_of(event: &LlmEvent) -> ReplyId {
    match event {
        LlmEvent::Text { reply, .. }
        | LlmEvent::Expect { reply, .. }
        | LlmEvent::Tool { reply, .. }
        | LlmEvent::Interruptible { reply, .. }
        | LlmEvent::Done { reply }
        | LlmEvent::Failed { reply, .. } => *reply,
    }
}

/// The same event of another reply.
pub(super) fn for_reply(event: &LlmEvent, to: ReplyId) -> LlmEvent {
    let mut event = event.clone();
    match &mut event {
        LlmEvent::Text { reply, .. }
        | LlmEvent::Expect { reply, .. }
        | LlmEvent::Tool { reply, .. }
        | LlmEvent::Interruptible { reply, .. }
        | LlmEvent::Done { reply }
        | LlmEvent::Failed { reply, .. } => *reply = to,
    }
    event
}

fn segment_of(event: &TtsEvent) -> (UtteranceId, SegmentId) {
    match event {
        TtsEvent::Audio { utterance, segment, .. }
        | TtsEvent::Words { utterance, segment, .. }
        | TtsEvent::Done { utterance, segment }
        | TtsEvent::Failed { utterance, segment, .. } => (*utterance, *segment),
    }
}

/// The same event of another segment.
pub(super) fn for_segment(event: &TtsEvent, to: (UtteranceId, SegmentId)) -> TtsEvent {
    let mut event = event.clone();
    match &mut event {
        TtsEvent::Audio { utterance, segment, .. }
        | TtsEvent::Words { utterance, segment, .. }
        | TtsEvent::Done { utterance, segment }
        | TtsEvent::Failed { utterance, segment, .. } => (*utterance, *segment) = to,
    }
    event
}
