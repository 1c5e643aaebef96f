//! Speech over the agent: whether it is an interruption, a nod or noise, and when that is decided.

use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, Interruptible};

use super::Caller;
use crate::barge_in::{BargeIn, Judged, WORDS_WITHIN};
use crate::config::ConversationConfig;
use crate::deadline::{Deadline, Why, duration_ms};
use crate::event::{BargeInStage, CallEvent, DropReason};
use crate::line::LineCommand;
use crate::moment::Moment;
use crate::speech::Utterance;
use crate::turn::{OverAgent, TurnState};

/// With less than this left to be heard, an utterance is as good as over, and a "yes" over it is an answer.
const NEARLY_OVER: Duration = Duration::from_millis(600);
/// Nobody speaks longer without a pause; if the end isn't reported, it was lost.
const LONGEST_SPEECH: Duration = Duration::from_secs(30);

impl Caller {
    /// Speech over the agent: perhaps an interruption. `over`: what the caller hears.
    pub(crate) fn suspect(&mut self, onset: CallTime, over: Option<&Utterance>, at: &mut Moment<'_>) {
        if self.barge_in.is_some() || self.turn.is_quiet() || self.line_decides {
            return; // where the line decides, it also cuts the agent off
        }
        if over.is_some_and(|said| said.interruptible == Interruptible::Yes) {
            self.barge_in = Some(BargeIn::Over { onset, ducked: false });
            barge_event(BargeInStage::Suspected, onset, at);
        }
    }

    /// The line has cut the agent off: this was not heard.
    pub(crate) fn cut_off(&mut self, unheard: String, now: CallTime) {
        self.barge_in = Some(BargeIn::CutOff { at: now, unheard });
    }

    /// Something is to be judged.
    pub(crate) const fn barges_in(&self) -> bool {
        self.barge_in.is_some()
    }

    pub(crate) fn barge_in_deadline(&self, config: &ConversationConfig) -> Option<Deadline> {
        let config = &config.barge_in;
        let text = self.turn.words();
        let speaking = self.turn.holds_floor();
        match self.barge_in.as_ref()? {
            BargeIn::Over { onset, ducked } => {
                let duck = (speaking && !ducked).then(|| Deadline::new(*onset + config.confirm, Why::Duck));
                let resolve = match self.turn.state() {
                    // Sound without words is judged by its length only where no words can come yet.
                    TurnState::Speaking { .. } if text.is_empty() && !self.turn.has_partials() => {
                        Some(*onset + config.certain)
                    }
                    TurnState::Speaking { .. } if text.is_empty() => None,
                    TurnState::Speaking { .. } => Some(*onset + config.certain * 3),
                    TurnState::Reopening { .. } => None,
                    _ => Some(self.turn.ended().max(*onset) + config.resolve),
                };
                let resolve = resolve.map(|at| Deadline::new(at, Why::ResolveBargeIn));
                Deadline::earliest([duck, resolve])
            }
            BargeIn::CutOff { at, .. } => {
                let until = match self.turn.state() {
                    TurnState::Speaking { onset, .. } => onset + LONGEST_SPEECH,
                    TurnState::Reopening { onset, ended: None, .. } => onset + LONGEST_SPEECH,
                    TurnState::Paused(_) => self.turn.ended().max(*at) + WORDS_WITHIN,
                    _ => *at + WORDS_WITHIN,
                };
                Some(Deadline::new(until, Why::ResolveBargeIn))
            }
        }
    }

    /// The speech has lasted: the agent's voice is lowered until it is clear what it is.
    pub(crate) fn duck(&mut self, at: &mut Moment<'_>) {
        let Some(BargeIn::Over { onset, ducked }) = &mut self.barge_in else { return };
        *ducked = true;
        at.command(LineCommand::Duck(true));
        barge_event(BargeInStage::Ducked, *onset, at);
    }

    /// Judges speech over the agent by the words that there are.
    pub(crate) fn judge(&self, at: &Moment<'_>) -> Judged {
        if !matches!(self.barge_in, Some(BargeIn::Over { .. })) || self.turn.is_decided() {
            return Judged::Unclear;
        }
        let text = self.turn.words();
        let settled = self.turn.is_settled();
        if text.is_empty() {
            return if settled { Judged::Passed(DropReason::Noise) } else { Judged::Unclear };
        }
        match self.judge_words(&text, at.config) {
            OverAgent::Interruption => Judged::Interruption,
            OverAgent::Backchannel if at.line.unheard(at.now) < NEARLY_OVER => Judged::Answer,
            OverAgent::Backchannel if settled => Judged::Passed(DropReason::Backchannel),
            OverAgent::Beginning if settled => Judged::Interruption,
            OverAgent::Backchannel | OverAgent::Beginning => Judged::Unclear,
        }
    }

    fn judge_words(&self, text: &str, config: &ConversationConfig) -> OverAgent {
        let judged = config.barge_in.judge(text);
        // "Yeah" to a yes-or-no question is an answer.
        let answer = self.expected == AnswerKind::YesNo;
        if answer && judged == OverAgent::Backchannel { OverAgent::Interruption } else { judged }
    }

    /// Time is up: decides by what there is.
    pub(crate) fn resolve(&self, at: &Moment<'_>) -> Judged {
        match &self.barge_in {
            None => return Judged::Unclear,
            Some(BargeIn::CutOff { .. }) => return Judged::CutOffInVain,
            Some(BargeIn::Over { .. }) => {}
        }
        // What was said before the end of the turn is answered already.
        let decided = self.turn.is_decided();
        let text = if decided { self.turn.words_since_decided() } else { self.turn.words() };
        let long = self.turn.is_speaking() || self.turn.spoken() >= at.config.barge_in.certain;
        if text.is_empty() {
            let lasting = long && !self.turn.has_partials();
            return if lasting { Judged::Interruption } else { Judged::Passed(DropReason::Noise) };
        }
        if at.line.unheard(at.now) < NEARLY_OVER {
            return Judged::Answer;
        }
        match self.judge_words(&text, at.config) {
            OverAgent::Interruption => Judged::Interruption,
            _ => Judged::Passed(DropReason::Backchannel),
        }
    }

    /// What the line takes for a whole turn is no more than a nod to what the agent says.
    pub(crate) fn is_nod(&self, text: &str, at: &Moment<'_>) -> bool {
        let cut_off = matches!(self.barge_in, Some(BargeIn::CutOff { .. }));
        let speaking =
            cut_off || (at.line.audible(at.now).is_some() && at.line.unheard(at.now) >= NEARLY_OVER);
        speaking
            && self.expected != AnswerKind::YesNo
            && !text.is_empty()
            && at.config.barge_in.judge(text) == OverAgent::Backchannel
    }

    /// The agent's voice is as before; nothing is judged any more. Gives when what was judged began.
    pub(crate) fn end_barge_in(&mut self, at: &mut Moment<'_>) -> Option<CallTime> {
        let barge_in = self.barge_in.take()?;
        if let BargeIn::Over { ducked: true, .. } = barge_in {
            at.command(LineCommand::Duck(false));
        }
        Some(barge_in.began())
    }

    /// Nothing is left that could be interrupted: what the caller says is a turn like any other.
    pub(crate) fn nothing_is_heard(&mut self, at: &mut Moment<'_>) {
        if matches!(self.barge_in, Some(BargeIn::Over { .. })) {
            self.end_barge_in(at);
        }
    }

    /// The line knows what it was: nothing is judged any more.
    pub(crate) fn forget_barge_in(&mut self) {
        self.barge_in = None;
    }

    /// It was an interruption.
    pub(crate) fn interrupted(onset: CallTime, at: &mut Moment<'_>) {
        barge_event(BargeInStage::Interrupted, onset, at);
    }

    /// It was none. Gives what is to be said again, if the line has cut the agent off.
    pub(crate) fn resume(&mut self, at: &mut Moment<'_>) -> Option<String> {
        let barge_in = self.barge_in.clone()?;
        self.end_barge_in(at);
        let onset = barge_in.began();
        match barge_in {
            BargeIn::Over { .. } => {
                barge_event(BargeInStage::Resumed, onset, at);
                None
            }
            BargeIn::CutOff { unheard, .. } if !unheard.is_empty() => {
                barge_event(BargeInStage::Resumed, onset, at);
                Some(unheard)
            }
            BargeIn::CutOff { .. } => None,
        }
    }
}

fn barge_event(stage: BargeInStage, onset: CallTime, at: &mut Moment<'_>) {
    let after_ms = duration_ms(at.now.since(onset));
    at.event(CallEvent::BargeIn { stage, after_ms });
}
