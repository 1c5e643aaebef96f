//! What is gathered of a call for its document. The call's worker only adds to a list; the document is made of it in the store's
//! thread.

use offhook_conversation::{BargeInStage, CallEvent, ReplyTiming, ToolStage, TurnEnded, UtteranceKind};
use offhook_script::Transport;
use offhook_store::{Answer, Event, Leg, Problem, Speaker, ToolUse, Turn};
use serde::Serialize;
use serde_json::{Map, Value};

/// Events kept of a call: those of about three hours.
const MOST: usize = 20_000;

/// Everything that happened, as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) transport: Transport,
    pub(super) legs: Vec<Leg>,
    /// The time on the call's clock, the begin of its leg, what happened.
    events: Vec<(u64, u64, CallEvent)>,
    left_out: u64,
    /// It was thrown away: calls that came later need its room.
    pub(super) gone: bool,
    /// Nobody will ask for it: no document of the call is made.
    pub(super) unwanted: bool,
}

/// What a document has of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) turns: Vec<Turn>,
    pub(super) tools: Vec<ToolUse>,
    pub(super) errors: Vec<Problem>,
    pub(super) events: Vec<Event>,
    pub(super) left_out: u64,
}

impl Story {
    pub(super) fn begin_leg(&mut self, name: String, at_ms: u64, transport: Transport) {
        self.transport = transport;
        self.legs.reserve_exact(1); // few calls have another
        self.legs.push(Leg { name, at_ms, ..Leg::default() });
    }

    pub(super) fn end_leg(&mut self, until_ms: u64, ended: Option<String>) {
        if let Some(leg) = self.legs.last_mut()
            && leg.until_ms.is_none()
        {
            leg.until_ms = Some(until_ms.max(leg.at_ms));
            leg.ended = ended;
        }
    }

    /// Takes an event. `t_ms`: its time on the call's clock; `before_ms`: its leg's begin on that clock.
    pub(super) fn on_event(&mut self, t_ms: u64, before_ms: u64, event: &CallEvent) {
        // Partial transcripts are many, and the final one has their words.
        if self.unwanted || matches!(event, CallEvent::Hearing { .. }) {
            return;
        }
        if self.events.len() >= MOST {
            self.left_out += 1;
            return;
        }
        if self.events.len() == self.events.capacity() {
            // Doubling would keep much that is empty, of hundreds of calls.
            self.events.reserve_exact(4.max(self.events.len() / 4));
        }
        self.events.push((t_ms, before_ms, event.clone()));
    }

    /// Throws it away.
    pub(super) fn forget(&mut self) {
        *self = Self { gone: true, transport: self.transport, unwanted: self.unwanted, ..Self::default() };
    }

    /// Tells it in order.
    pub(super) fn told(self) -> Told {
        let mut teller =
            Teller { told: Told { left_out: self.left_out, ..Told::default() }, ..Teller::default() };
        for (t_ms, before_ms, event) in self.events {
            teller.take(t_ms, before_ms, event);
        }
        teller.told
    }
}

/// A word of an enum, as JSON has it.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

#[derive(Debug, Default)]
struct Teller {
    told: Told,
    /// Utterances that are being said, and since when.
    speaking: Vec<(offhook_stage_api::UtteranceId, u64)>,
    /// The milestones of the reply that has begun.
    timing: Option<ReplyTiming>,
}

impl Teller {
    fn take(&mut self, t_ms: u64, before_ms: u64, mut event: CallEvent) {
        let mut at_ms = t_ms;
        match &mut event {
            CallEvent::SpeechStarted { at_ms: at } | CallEvent::SpeechPaused { at_ms: at } => {
                *at += before_ms;
                at_ms = *at;
            }
            CallEvent::Waiting { until_ms, .. } => *until_ms += before_ms,
            CallEvent::TurnEnded(turn) => {
                for at in [&mut turn.began_ms, &mut turn.speech_end_ms, &mut turn.decided_ms] {
                    *at += before_ms;
                }
                at_ms = turn.decided_ms;
                self.heard(turn);
            }
            CallEvent::TurnReopened => {
                // What had been taken for a turn is the begin of a longer one.
                let last = self.told.turns.iter().rposition(|turn| turn.who == Speaker::Caller);
                if let Some(last) = last {
                    self.told.turns.remove(last);
                }
            }
            CallEvent::Speaking { utterance, .. } => self.speaking.push((*utterance, t_ms)),
            CallEvent::ReplyTimed(timing) => {
                timing.speech_end_ms += before_ms;
                self.timing = Some(*timing);
            }
            CallEvent::Said { utterance, what, heard, text, interrupted, .. } => {
                let place = self.speaking.iter().position(|(speaking, _)| speaking == utterance);
                let began = place.map_or(t_ms, |place| self.speaking.remove(place).1);
                let answer = (*what == UtteranceKind::Reply).then(|| self.timing.take()).flatten();
                if !heard.trim().is_empty() || *interrupted {
                    self.told.turns.push(Turn {
                        who: Speaker::Agent,
                        at_ms: began,
                        until_ms: t_ms,
                        text: heard.clone(),
                        planned: (*interrupted && text != heard).then(|| text.clone()),
                        kind: Some(word(what)),
                        interrupted: *interrupted,
                        answer: answer.map(milestones),
                    });
                }
            }
            CallEvent::Tool { name, stage, after_ms } => self.tool(t_ms, name, *stage, *after_ms),
            CallEvent::Trouble { message } => {
                self.told.errors.push(Problem { at_ms: t_ms, message: message.clone() });
            }
            CallEvent::BargeIn { stage: BargeInStage::Suspected, after_ms, .. } => {
                at_ms = t_ms.saturating_sub(*after_ms);
            }
            _ => {}
        }
        let mut more = match serde_json::to_value(&event) {
            Ok(Value::Object(more)) => more,
            _ => Map::new(),
        };
        let name = more.remove("event").and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        more.remove("at_ms");
        self.told.events.push(Event { at_ms, event: name, more });
    }

    fn heard(&mut self, turn: &TurnEnded) {
        if !turn.text.trim().is_empty() {
            self.told.turns.push(Turn {
                who: Speaker::Caller,
                at_ms: turn.began_ms,
                until_ms: turn.speech_end_ms,
                text: turn.text.clone(),
                ..Turn::default()
            });
        }
    }

    fn tool(&mut self, t_ms: u64, name: &str, stage: ToolStage, after_ms: u64) {
        let at_ms = t_ms.saturating_sub(after_ms);
        if stage == ToolStage::Asked {
            let result = word(&stage);
            self.told.tools.push(ToolUse { name: name.to_owned(), at_ms, took_ms: None, result });
            return;
        }
        let open = self.told.tools.iter_mut().find(|tool| tool.name == name && tool.took_ms.is_none());
        if let Some(tool) = open {
            tool.took_ms = Some(after_ms);
            tool.result = word(&stage);
        }
    }
}

const fn milestones(timing: ReplyTiming) -> Answer {
    Answer {
        transcript_ms: timing.transcript_ms,
        decided_ms: timing.decided_ms,
        requested_ms: timing.requested_ms,
        first_text_ms: timing.first_text_ms,
        first_audio_ms: timing.first_audio_ms,
        first_frame_ms: timing.first_frame_ms,
    }
}

#[cfg(test)]
mod tests {
    use offhook_conversation::Evidence;
    use offhook_stage_api::UtteranceId;

    use super::*;

    fn said(id: u32, heard: &str, text: &str) -> CallEvent {
        CallEvent::Said {
            utterance: UtteranceId(id),
            what: UtteranceKind::Reply,
            heard: heard.into(),
            text: text.into(),
            interrupted: heard != text,
            timed: true,
        }
    }

    fn turn(text: &str, began_ms: u64) -> CallEvent {
        CallEvent::TurnEnded(TurnEnded {
            text: text.into(),
            began_ms,
            speech_end_ms: began_ms + 500,
            decided_ms: began_ms + 800,
            evidence: Evidence::Plain,
        })
    }

    #[test]
    fn events_become_turns_whose_times_mean_the_same() {
        let mut story = Story::default();
        // A second leg, which began 10 s after the first.
        let mut at = |t_ms: u64, event: CallEvent| story.on_event(10_000 + t_ms, 10_000, &event);
        at(120, CallEvent::SpeechStarted { at_ms: 100 });
        at(900, turn("Two", 100));
        at(950, CallEvent::TurnReopened);
        at(1_900, turn("Two pizzas", 100));
        at(1_950, CallEvent::Tool { name: "menu".into(), stage: ToolStage::Asked, after_ms: 0 });
        at(2_050, CallEvent::Tool { name: "menu".into(), stage: ToolStage::Failed, after_ms: 100 });
        at(
            2_100,
            CallEvent::ReplyTimed(ReplyTiming {
                speech_end_ms: 600,
                first_frame_ms: 700,
                ..ReplyTiming::default()
            }),
        );
        at(
            2_100,
            CallEvent::Speaking {
                utterance: UtteranceId(4),
                what: UtteranceKind::Reply,
                text: "Sure".into(),
            },
        );
        at(2_900, said(4, "Sure, two", "Sure, two pizzas"));
        at(3_000, CallEvent::Trouble { message: "the voice stalled".into() });
        let told = story.told();
        insta::assert_json_snapshot!(told.turns, @r#"
[
  {
    "who": "caller",
    "at_ms": 10100,
    "until_ms": 10600,
    "text": "Two pizzas"
  },
  {
    "who": "agent",
    "at_ms": 12100,
    "until_ms": 12900,
    "text": "Sure, two",
    "planned": "Sure, two pizzas",
    "kind": "reply",
    "interrupted": true,
    "answer": {
      "decided_ms": 0,
      "requested_ms": 0,
      "first_frame_ms": 700
    }
  }
]
"#);
        let (name, result) = ("menu".to_owned(), "failed".to_owned());
        assert_eq!(told.tools, [ToolUse { name, at_ms: 11_950, took_ms: Some(100), result }]);
        assert_eq!(told.errors, [Problem { at_ms: 13_000, message: "the voice stalled".into() }]);
        assert_eq!((told.events[0].at_ms, told.events[1].at_ms), (10_100, 10_900));
        assert!(told.events.iter().all(|event| !event.event.is_empty()));
    }
}
