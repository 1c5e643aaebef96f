//! The caller speaks over the agent, or the line has cut the agent off: what becomes of what is being said.

use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, Interruptible, LlmCommand, UtteranceId};

use crate::barge_in::BargeIn;
use crate::conversation::{Conversation, Todo};
use crate::deadline::{Deadline, Why, duration_ms};
use crate::event::{BargeInStage, CallEvent, DropReason, ToolStage};
use crate::line::{Heard, Line, LineCommand};
use crate::speech::{By, Occasion, Purpose, Utterance, must_be_heard};
use crate::turn::{OverAgent, TurnState};

/// With less than this left to be heard, an utterance is as good as over, and a "yes" over it is an answer.
pub(crate) const NEARLY_OVER: Duration = Duration::from_millis(600);
/// After the line has cut the agent off, words come within this; else there are none.
pub(crate) const WORDS_WITHIN: Duration = Duration::from_secs(2);
/// Nobody speaks longer without a pause; if the end isn't reported, it was lost.
const LONGEST_SPEECH: Duration = Duration::from_secs(30);

impl Conversation {
    /// Words over the agent. Those that were spoken before it began, and come late, are about something else.
    pub(crate) fn suspect_by_words(&mut self, (from, until): (CallTime, CallTime), line: &mut dyn Line) {
        let audible = line.audible(self.now).and_then(|id| self.speech.get(id));
        if audible.and_then(Utterance::began_at).is_some_and(|began| until > began) {
            self.suspect_barge_in(from, line);
        }
    }

    /// Speech over the agent: perhaps an interruption.
    pub(crate) fn suspect_barge_in(&mut self, onset: CallTime, line: &mut dyn Line) {
        if self.barge_in.is_some() || self.turn.is_quiet() || self.line_decides {
            return; // where the line decides, it also cuts the agent off
        }
        let audible = line.audible(self.now).and_then(|id| self.speech.get(id));
        if audible.is_some_and(|said| said.interruptible == Interruptible::Yes) {
            self.barge_in = Some(BargeIn::Over { onset, ducked: false });
            self.barge_event(BargeInStage::Suspected, onset);
        }
    }

    fn barge_event(&mut self, stage: BargeInStage, onset: CallTime) {
        let after_ms = duration_ms(self.now.since(onset));
        self.event(CallEvent::BargeIn { stage, after_ms });
    }

    pub(crate) fn barge_in_deadline(&self) -> Option<Deadline> {
        let config = &self.config.barge_in;
        let text = self.turn.words();
        let speaking = self.turn.holds_floor();
        match self.barge_in.as_ref()? {
            BargeIn::Over { onset, ducked } => {
                let duck = (speaking && !ducked).then(|| Deadline::new(*onset + config.confirm, Why::Duck));
                let resolve = match self.turn.state {
                    // Sound without words is judged by its length only where no words can come yet.
                    TurnState::Speaking { .. } if text.is_empty() && !self.turn.has_partials() => {
                        Some(*onset + config.certain)
                    }
                    TurnState::Speaking { .. } if text.is_empty() => None,
                    TurnState::Speaking { .. } => Some(*onset + config.certain * 3),
                    TurnState::Reopening { .. } => None,
                    _ => Some(self.turn.ended.max(*onset) + config.resolve),
                };
                let resolve = resolve.map(|at| Deadline::new(at, Why::ResolveBargeIn));
                Deadline::earliest([duck, resolve])
            }
            BargeIn::CutOff { at, .. } => {
                let until = match self.turn.state {
                    TurnState::Speaking { onset, .. } => onset + LONGEST_SPEECH,
                    TurnState::Reopening { onset, ended: None, .. } => onset + LONGEST_SPEECH,
                    TurnState::Paused(_) => self.turn.ended.max(*at) + WORDS_WITHIN,
                    _ => *at + WORDS_WITHIN,
                };
                Some(Deadline::new(until, Why::ResolveBargeIn))
            }
        }
    }

    /// The speech has lasted: the agent's voice is lowered until it is clear what it is.
    pub(crate) fn duck(&mut self, line: &mut dyn Line) {
        let Some(BargeIn::Over { onset, ducked }) = &mut self.barge_in else { return };
        *ducked = true;
        let onset = *onset;
        line.command(LineCommand::Duck(true), self.now);
        self.barge_event(BargeInStage::Ducked, onset);
    }

    /// Judges speech over the agent by the words that there are.
    pub(crate) fn judge_barge_in(&mut self, line: &mut dyn Line) {
        if !matches!(self.barge_in, Some(BargeIn::Over { .. })) || self.turn.is_decided() {
            return;
        }
        let text = self.turn.words();
        let settled = self.turn.is_settled();
        if text.is_empty() {
            if settled {
                self.resume(DropReason::Noise, line);
                self.drop_turn(DropReason::Noise, line);
            }
            return;
        }
        match self.judge_words(&text) {
            OverAgent::Interruption => self.interrupt(By::Speech, line),
            // At the end of what is said it is an answer, but no reason to cut off the last words.
            OverAgent::Backchannel if line.unheard(self.now) < NEARLY_OVER => self.end_barge_in(line),
            OverAgent::Backchannel if settled => self.pass_over(DropReason::Backchannel, line),
            OverAgent::Beginning if settled => self.interrupt(By::Speech, line),
            OverAgent::Backchannel | OverAgent::Beginning => {}
        }
    }

    fn judge_words(&self, text: &str) -> OverAgent {
        let judged = self.config.barge_in.judge(text);
        // "Yeah" to a yes-or-no question is an answer.
        let answer = self.answer == AnswerKind::YesNo;
        if answer && judged == OverAgent::Backchannel { OverAgent::Interruption } else { judged }
    }

    /// Time is up: decides by what there is.
    pub(crate) fn resolve_barge_in(&mut self, line: &mut dyn Line) {
        match &self.barge_in {
            None => {}
            Some(BargeIn::CutOff { .. }) => {
                let nothing = self.turn.words().is_empty();
                if nothing && !self.turn.is_quiet() && !self.turn.is_decided() {
                    self.drop_turn(DropReason::Noise, line);
                }
                self.turn.stay_decided();
                self.resume(DropReason::Noise, line);
            }
            Some(BargeIn::Over { .. }) => {
                // What was said before the end of the turn is answered already.
                let decided = self.turn.is_decided();
                let text = if decided { self.turn.words_since_decided() } else { self.turn.words() };
                let long = self.turn.is_speaking() || self.turn.spoken >= self.config.barge_in.certain;
                if text.is_empty() {
                    if long && !self.turn.has_partials() {
                        self.interrupt(By::Speech, line);
                    } else {
                        self.pass_over(DropReason::Noise, line);
                    }
                } else if line.unheard(self.now) < NEARLY_OVER {
                    self.end_barge_in(line);
                } else if self.judge_words(&text) == OverAgent::Interruption {
                    self.interrupt(By::Speech, line);
                } else {
                    self.pass_over(DropReason::Backchannel, line);
                }
            }
        }
    }

    /// It asks for no answer: the agent goes on, and the turn is dropped.
    pub(crate) fn pass_over(&mut self, why: DropReason, line: &mut dyn Line) {
        self.resume(why, line);
        if !self.turn.is_decided() {
            self.drop_turn(why, line);
        }
    }

    /// It was an interruption: the agent stops, and what was heard stands.
    pub(crate) fn interrupt(&mut self, by: By, line: &mut dyn Line) {
        let onset = self.barge_in.as_ref().map(BargeIn::began);
        self.drop_ended(Occasion::Interrupted(by), line);
        self.end_barge_in(line);
        self.call_off_leaving();
        self.interrupt_tools(line);
        if let Some(onset) = onset {
            self.barge_event(BargeInStage::Interrupted, onset);
        }
    }

    fn call_off_leaving(&mut self) {
        if let Some(call) = self.leaving.interrupted() {
            let why = "the transfer was called off: the caller interrupted its announcement".to_owned();
            self.tool_result(call.id, call.name, Err(why));
        }
    }

    /// The line has cut the agent off.
    pub(crate) fn on_cut_off(&mut self, cut: Vec<(UtteranceId, Heard)>, line: &mut dyn Line) {
        if self.voicemail.is_there() {
            return;
        }
        self.silence.heard_caller(self.now);
        self.event(CallEvent::BargeIn { stage: BargeInStage::Interrupted, after_ms: 0 });
        let mut unheard = String::new();
        let mut due = Vec::new();
        for (id, heard) in cut {
            if let Some(said) = self.speech.get(id).filter(|_| !heard.is_whole()) {
                if must_be_heard(said) && !matches!(said.purpose, Purpose::Keys(_)) {
                    due.push((said.purpose.clone(), heard.rest.clone()));
                } else if said.purpose.is_worth_repeating() {
                    unheard.push_str(heard.rest.trim());
                    unheard.push(' ');
                }
            }
            self.note_cut(id, &heard);
        }
        // What must be heard is said again, as far as it wasn't.
        for (purpose, rest) in due {
            self.say(purpose.again(), &rest, Some(Interruptible::No), line);
        }
        self.call_off_leaving();
        if !self.keypad.is_empty() || self.unanswered_digits.is_some() {
            return; // by a key, which has been taken for an interruption already
        }
        self.barge_in = Some(BargeIn::CutOff { at: self.now, unheard: unheard.trim().to_owned() });
    }

    /// The agent's voice is as before; nothing is judged any more.
    pub(crate) fn end_barge_in(&mut self, line: &mut dyn Line) {
        if let Some(BargeIn::Over { ducked: true, .. }) = self.barge_in.take() {
            line.command(LineCommand::Duck(false), self.now);
        }
    }

    /// It was none: the agent goes on.
    pub(crate) fn resume(&mut self, _why: DropReason, line: &mut dyn Line) {
        let Some(barge_in) = self.barge_in.clone() else { return };
        self.end_barge_in(line);
        let onset = barge_in.began();
        match barge_in {
            BargeIn::Over { .. } => self.barge_event(BargeInStage::Resumed, onset),
            BargeIn::CutOff { unheard, .. } if !unheard.is_empty() => {
                self.barge_event(BargeInStage::Resumed, onset);
                self.say(Purpose::Reply(None), &unheard, None, line);
            }
            BargeIn::CutOff { .. } => {}
        }
    }

    /// The caller spoke up: tools that are declared so are cancelled.
    pub(crate) fn interrupt_tools(&mut self, line: &mut dyn Line) {
        for tool in self.tools.interrupt(&self.config.tools) {
            self.event(tool.event(ToolStage::Cancelled, self.now));
            let result = tool.cancelled();
            self.todo.push_back(Todo::CancelTool(result.id.clone()));
            self.todo.push_back(Todo::Llm(LlmCommand::ToolResult(result.clone())));
            self.history.tool_result(result, self.now);
        }
        if !self.tools.any() {
            self.drop_ended(Occasion::ToolsEnded, line);
        }
    }
}
