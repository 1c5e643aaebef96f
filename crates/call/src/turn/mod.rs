//! The caller's side of the conversation: when a turn begins, pauses and ends, and what was said in it.
//!
//! Sees speech events and transcripts, never samples.

mod evidence;
mod transcript;

use std::time::Duration;

use offhook_audio::SamplePos;

use crate::config::TurnConfig;
use offhook_stage_api::CallTime;
use offhook_stage_api::{AnswerKind, Transcript, TurnEvent, TurnQuestion};

pub use evidence::Evidence;
pub(crate) use evidence::{Known, is_sentence, wait};
pub(crate) use transcript::{TurnText, contains_words, same_words};

/// Where the caller's turn stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Floor {
    /// The caller has said nothing since the last turn.
    #[default]
    Quiet,
    /// The caller speaks.
    Speaking,
    /// The caller has spoken and is silent; perhaps the turn is over.
    Paused,
    /// The turn is over, but nothing of the answer was sent: it can be reopened.
    Decided,
}

/// The caller's turn.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerTurn {
    pub(crate) floor: Floor,
    pub(crate) text: TurnText,
    /// The first onset, on the caller's time line.
    pub(crate) from: SamplePos,
    /// The end of the latest speech, on the caller's time line.
    pub(crate) until: SamplePos,
    /// The first onset, on the call's clock.
    pub(crate) began: CallTime,
    /// The latest onset, on the call's clock.
    pub(crate) onset: CallTime,
    /// The end of the latest speech, on the call's clock.
    pub(crate) ended: CallTime,
    /// Speech heard in this turn, pauses left out.
    pub(crate) spoken: Duration,
    /// When the final transcript of the latest speech came.
    pub(crate) settled_at: Option<CallTime>,
    pub(crate) recogniser_end: bool,
    /// Until when the turn waits at the present pause, and why, as was last told.
    pub(crate) waits: Option<(CallTime, Evidence)>,
    pub(crate) model: Option<f32>,
    /// Replies begun while the caller still spoke.
    pub(crate) early: u8,
    /// The latest question that the turn model was asked; counts over the call.
    question: u32,
}

impl CallerTurn {
    /// The caller began to speak, or went on.
    pub(crate) fn on_onset(&mut self, at: SamplePos, when: CallTime) {
        if self.floor == Floor::Quiet {
            let text = std::mem::take(&mut self.text);
            let question = self.question;
            *self = Self { from: at, began: when, text, question, ..Self::default() };
        }
        self.floor = Floor::Speaking;
        // A gap that was filled moves the caller's time line against the clock; a turn's times still don't go back.
        self.onset = when.max(self.began).max(self.ended);
        self.recogniser_end = false;
        self.waits = None;
        self.model = None;
        self.settled_at = None;
    }

    /// The caller fell silent.
    pub(crate) fn on_pause(&mut self, at: SamplePos, when: CallTime) {
        if self.floor != Floor::Speaking {
            return;
        }
        self.floor = Floor::Paused;
        self.until = at;
        self.ended = when.max(self.onset);
        self.spoken += self.ended.since(self.onset);
    }

    /// The next question for the turn model, about the pause that there is now.
    pub(crate) fn ask(&mut self) -> Option<TurnQuestion> {
        if self.floor != Floor::Paused {
            return None;
        }
        self.question = self.question.wrapping_add(1);
        let (question, text) = (self.question, self.text.text());
        Some(TurnQuestion { question, from: self.from.0, until: self.until.0, text })
    }

    /// The turn model's answer; an old one, or one that is no probability, is none.
    pub(crate) fn on_model(&mut self, event: TurnEvent) {
        let current = event.question == self.question && self.floor == Floor::Paused;
        if current && (0.0..=1.0).contains(&event.probability) {
            self.model = Some(event.probability);
        }
    }

    pub(crate) fn on_final(&mut self, transcript: Transcript, now: CallTime) {
        self.text.on_final(transcript);
        if self.floor == Floor::Paused || self.floor == Floor::Decided {
            self.settled_at.get_or_insert(now);
        }
    }

    /// When the turn is over if nothing else happens, and why.
    pub(crate) fn end_at(&self, answer: AnswerKind, config: &TurnConfig) -> Option<(CallTime, Evidence)> {
        if self.floor != Floor::Paused {
            return None;
        }
        let text = self.text.text();
        let (wait, evidence) = wait(
            Known {
                text: &text,
                settled: self.text.is_settled() && self.settled_at.is_some(),
                complete: self.text.complete(),
                answer,
                recogniser_end: self.recogniser_end,
                model: self.model,
            },
            config,
        );
        Some((self.ended + wait, evidence))
    }

    /// Forgets the turn: it was answered, or needs no answer.
    pub(crate) fn close(&mut self) {
        *self = Self { question: self.question, ..Self::default() };
    }
}
