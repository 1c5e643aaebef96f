//! What the caller does: speech, words, keys, and what becomes of them.

use std::time::Duration;

use offhook_stage_api::{AnswerKind, CallTime, Interruptible, Key, News, ReplyReason, Transcript};

use crate::barge_in::BargeIn;
use crate::conversation::Conversation;
use crate::deadline::{Deadline, Why, ms};
use crate::event::{CallEvent, DropReason, TurnEnded};
use crate::interrupting::{NEARLY_OVER, WORDS_WITHIN};
use crate::keypad::KeyPressed;
use crate::line::{Line, LineCommand, TurnHint};
use crate::speech::{By, Occasion};
use crate::turn::{Evidence, Onset, OverAgent, TurnState, WordsEffect, same_words};

/// So many replies are requested before the end of a turn is certain: each costs money.
const MOST_SPECULATIONS: u8 = 2;

impl Conversation {
    pub(crate) fn on_caller_began(&mut self, at: CallTime, position: u64, line: &mut dyn Line) {
        if self.voicemail.on_speech(None) {
            return;
        }
        self.event(CallEvent::SpeechStarted { at_ms: ms(at) });
        self.news(|| News::CallerBegan);
        self.silence.caller = self.silence.caller.max(self.now);
        if self.turn.on_onset(at, position) == Onset::Speaking {
            self.silence.bridged = 0;
        }
        self.drop_ended(Occasion::CallerBegan, line);
        if self.turn.decided().is_some() && !self.turn.has_partials() {
            // No words will come before the speech is over: it has to be taken for speech.
            self.reopen_turn(line);
        }
        self.suspect_barge_in(at, line);
    }

    pub(crate) fn on_caller_paused(&mut self, at: CallTime, position: u64, line: &mut dyn Line) {
        if self.voicemail.on_speech(Some(self.now)) {
            return;
        }
        self.silence.caller = self.silence.caller.max(self.now);
        if !self.turn.on_pause(at, position) {
            return;
        }
        self.event(CallEvent::SpeechPaused { at_ms: ms(at) });
        self.news(|| News::CallerPaused);
        self.judge_barge_in(line);
        self.ask_turn_model(line);
    }

    fn ask_turn_model(&mut self, line: &mut dyn Line) {
        if self.config.turn.model
            && let Some(question) = self.turn.ask()
        {
            line.command(LineCommand::Ask(question), self.now);
        }
    }

    pub(crate) fn on_hint(&mut self, hint: TurnHint) {
        match hint {
            TurnHint::Eager => {}
            TurnHint::End => self.turn.on_recogniser_end(true),
            TurnHint::Resumed => self.turn.on_recogniser_end(false),
        }
    }

    pub(crate) fn on_heard(
        &mut self,
        transcript: Transcript,
        is_final: bool,
        span: (CallTime, CallTime),
        line: &mut dyn Line,
    ) {
        if self.voicemail.is_there() && !self.voicemail.on_words(&transcript.text) {
            return; // a mailbox's greeting is no turn
        }
        let (quiet, silent) = (self.turn.is_quiet(), !self.turn.holds_floor());
        let effect = self.turn.on_words(transcript, is_final, span, self.now);
        if quiet && !self.turn.is_quiet() {
            self.silence.bridged = 0; // whatever was bridged before, this turn's wait is another
        }
        if silent && self.turn.holds_floor() {
            // What was taken for noise is speech.
            self.drop_ended(Occasion::CallerBegan, line);
        }
        if let WordsEffect::Corrected(turn, text) = &effect {
            self.history.caller(*turn, text, span);
            let message =
                format!("the final transcript came after the answer: the caller's turn is now “{text}”");
            return self.trouble(&message);
        }
        let text = self.turn.words();
        if effect != WordsEffect::None && !text.is_empty() {
            self.silence.caller = self.silence.caller.max(self.now);
            self.news(|| News::Hearing { text: text.clone() });
            self.event(CallEvent::Hearing { text });
            self.ask_turn_model(line);
            // A word that no onset came before is speech all the same.
            self.suspect_by_words(span, line);
        }
        if effect == WordsEffect::WentOn {
            let more = self.turn.words_since_decided();
            if line.audible(self.now).is_some() && self.config.barge_in.judge(&more) == OverAgent::Backchannel
            {
                // "Okay" to "one moment, please" changes nothing.
                self.event(CallEvent::TurnDropped { text: more, why: DropReason::Backchannel });
                self.turn.stay_decided();
            } else {
                self.reopen_turn(line);
            }
        }
        self.judge_barge_in(line);
        self.check_basis(is_final);
    }

    /// A reply that was requested on other words is worth nothing.
    fn check_basis(&mut self, is_final: bool) {
        let text = self.turn.words();
        let Some(reply) = self.reply.as_ref().filter(|reply| !reply.has_begun()) else { return };
        let Some(basis) = reply.basis.as_deref().filter(|basis| !same_words(basis, &text)) else { return };
        // What comes over a filler ("okay") is no reason to ask again; the rest of what was said is.
        let over_filler = self.turn.is_decided()
            && text.starts_with(basis)
            && self.config.barge_in.judge(&self.turn.words_since_decided()) == OverAgent::Backchannel;
        let speculative = reply.is_speculative();
        if speculative || (is_final && self.turn.is_decided() && !over_filler) {
            self.drop_reply();
        }
    }

    /// The line knows that the turn is over, and its words.
    pub(crate) fn on_said(&mut self, text: &str, line: &mut dyn Line) {
        if !self.voicemail.on_words(text) && self.voicemail.on_speech(Some(self.now)) {
            return;
        }
        let text = text.trim();
        self.silence.heard_caller(self.now);
        let cut_off = matches!(self.barge_in, Some(BargeIn::CutOff { .. }));
        let speaking = cut_off || (line.audible(self.now).is_some() && line.unheard(self.now) >= NEARLY_OVER);
        let backchannel = speaking
            && self.answer != AnswerKind::YesNo
            && !text.is_empty()
            && self.config.barge_in.judge(text) == OverAgent::Backchannel;
        // An answer of which nothing was heard is for what was said before, too.
        let before = if self.turn.is_quiet() { String::new() } else { self.turn.final_words() };
        if text.is_empty() || backchannel {
            let why = if backchannel { DropReason::Backchannel } else { DropReason::Noise };
            self.event(CallEvent::TurnDropped { text: text.to_owned(), why });
            if self.turn.is_decided() {
                self.turn.stay_decided();
            } else if before.is_empty() {
                self.close_turn(line);
            } else {
                self.turn.said(&before, self.now);
                self.end_turn(line);
            }
            return self.resume(why, line);
        }
        if self.turn.is_decided() {
            self.reopen_turn(line);
        }
        let whole = before.is_empty() || crate::turn::contains_words(text, &before);
        let all = if whole { text.to_owned() } else { format!("{before} {text}") };
        self.turn.said(&all, self.now);
        self.barge_in = None;
        self.silence.bridged = 0;
        self.interrupt_tools(line);
        self.end_turn(line);
    }

    /// When something is done about the present pause.
    pub(crate) fn turn_deadline(&self) -> Option<Deadline> {
        if self.barge_in.is_some() {
            // First it must be clear whether the caller wants the floor at all.
            return None;
        }
        let wait = self.turn.wait(self.answer, &self.config.turn)?;
        if self.line_decides {
            // Its word should have come by then.
            return Some(Deadline::new(self.turn.ended + WORDS_WITHIN, Why::EndOfTurn));
        }
        let end = Deadline::new(self.turn.ended + wait.decide, Why::EndOfTurn);
        let eager = self
            .wants_speculation(wait.evidence)
            .then(|| Deadline::new(self.turn.ended + self.config.turn.eager, Why::Eager));
        Deadline::earliest([eager.filter(|eager| eager.at < end.at), Some(end)])
    }

    /// Whether a reply is to be requested before the turn's end is certain.
    fn wants_speculation(&self, evidence: Evidence) -> bool {
        let unlikely = matches!(
            evidence,
            Evidence::Trailing | Evidence::DigitsMissing | Evidence::Wordless | Evidence::Hanging
        );
        // Once was in vain: only on words that won't change.
        let sure = self.turn.speculations == 0 || self.turn.is_settled();
        self.config.turn.speculate
            && !unlikely
            && sure
            && self.turn.speculations < MOST_SPECULATIONS
            && self.unanswered_digits.is_none()
            && self.keypad.is_empty()
            && !self.leaving.is_wanted()
            && self.llm_ended.is_none()
            && !self.turn.words().is_empty()
            && self.reply.as_ref().is_none_or(|reply| reply.is_over())
    }

    pub(crate) fn speculate(&mut self, line: &mut dyn Line) {
        self.turn.speculations += 1;
        let reason = self.caller_said();
        self.request(reason, true, line);
    }

    pub(crate) fn caller_said(&self) -> ReplyReason {
        ReplyReason::Caller { text: self.turn.words(), confidence: self.turn.confidence() }
    }

    /// Reports how long the present pause will last at most.
    pub(crate) fn report_wait(&mut self) {
        if self.barge_in.is_some() || self.line_decides {
            return;
        }
        if let Some(wait) = self.turn.wait(self.answer, &self.config.turn) {
            let until = self.turn.ended + wait.decide;
            if until > self.now && self.turn.report(until, wait.evidence) {
                self.event(CallEvent::Waiting { evidence: wait.evidence, until_ms: ms(until) });
            }
        }
    }

    /// The caller's turn is over.
    pub(crate) fn end_turn(&mut self, line: &mut dyn Line) {
        let Some(wait) = self.turn.wait(self.answer, &self.config.turn) else { return };
        let text = self.turn.words();
        let too_short = self.turn.spoken < self.config.turn.shortest_wordless;
        // A recogniser that sends partial transcripts and is certain that there are no words has heard noise.
        let certain = self.turn.pause().is_none_or(|pause| !self.recogniser_in_trouble(pause));
        let noise = self.turn.has_partials() && self.turn.is_settled() && certain;
        if text.is_empty() && (too_short || noise || self.line_decides) {
            return self.drop_turn(DropReason::Noise, line);
        }
        let span = (self.turn.began, self.turn.ended);
        let answer = if self.line_decides { Duration::ZERO } else { wait.answer };
        self.turn.decide(self.now, answer);
        self.silence.heard_caller(self.now);
        self.tools.new_turn();
        self.history.caller(self.turn.number, &text, span);
        self.event(CallEvent::TurnEnded(TurnEnded {
            text: text.clone(),
            began_ms: ms(span.0),
            speech_end_ms: ms(span.1),
            decided_ms: ms(self.now),
            evidence: wait.evidence,
        }));
        self.drop_ended(Occasion::TurnEnded, line);
        let ready = self.unanswered_digits.is_none()
            && self.reply.as_ref().is_some_and(|reply| {
                reply.is_speculative() && reply.basis.as_deref().is_some_and(|basis| same_words(basis, &text))
            });
        if ready {
            self.release_reply(line);
        } else {
            self.drop_speculation();
        }
    }

    /// When the answer to a turn that is over may be heard.
    pub(crate) fn answer_deadline(&self) -> Option<Deadline> {
        let TurnState::Decided(decided) = self.turn.state else { return None };
        let waits = decided.answer_from > self.now;
        waits.then(|| Deadline::new(decided.answer_from, Why::Answer))
    }

    /// The caller goes on although the turn had been taken for over: nothing of the answer was heard, so nothing happened.
    pub(crate) fn reopen_turn(&mut self, line: &mut dyn Line) {
        if !self.turn.is_decided() {
            return;
        }
        self.turn.reopen(self.now);
        self.history.withdraw(self.turn.number);
        self.drop_reply();
        self.silence.bridged = 0;
        self.drop_ended(Occasion::CallerBegan, line);
        self.event(CallEvent::TurnReopened);
    }

    /// What was heard needs no answer.
    pub(crate) fn drop_turn(&mut self, why: DropReason, line: &mut dyn Line) {
        let text = self.turn.words();
        self.drop_speculation();
        self.event(CallEvent::TurnDropped { text, why });
        self.drop_ended(Occasion::TurnDropped, line);
        self.close_turn(line);
    }

    /// The turn is answered or dropped: its audio won't be asked for again.
    pub(crate) fn close_turn(&mut self, line: &mut dyn Line) {
        if self.turn.is_decided() {
            self.keep_words_of_turn();
        }
        if !self.turn.is_quiet() {
            let until = self.turn.close_in_speech(self.now);
            line.command(LineCommand::TurnEnded { until }, self.now);
        }
    }

    /// Sound without words has lasted too long.
    pub(crate) fn on_noise(&mut self, line: &mut dyn Line) {
        let nothing_left = self.turn.on_noise();
        if self.barge_in.is_some() {
            self.resume(DropReason::Noise, line);
            if nothing_left {
                self.drop_turn(DropReason::Noise, line);
            }
        }
    }

    pub(crate) fn on_key(&mut self, key: Key, line: &mut dyn Line) {
        if self.voicemail.is_there() {
            return;
        }
        self.silence.heard_caller(self.now);
        if self.config.follows {
            return self.follow_key(key, line);
        }
        let answer = self.answer;
        let pressed = self.keypad.press(key, self.now, answer, &self.config.dtmf);
        if pressed == KeyPressed::Swallowed {
            return;
        }
        self.drop_ended(Occasion::CallerBegan, line);
        let audible = line.audible(self.now).and_then(|id| self.speech.get(id));
        if audible.is_some_and(|said| said.interruptible != Interruptible::No) {
            self.interrupt(By::Key, line);
        }
        if pressed == KeyPressed::Whole {
            self.flush_digits(line);
        }
    }

    /// The keys are a whole number: it is to be answered, with whatever is said beside it.
    pub(crate) fn flush_digits(&mut self, line: &mut dyn Line) {
        let Some((digits, span)) = self.keypad.take() else { return };
        self.event(CallEvent::Digits { count: digits.reveal().len() });
        self.stop_collecting();
        self.tools.new_turn();
        self.drop_speculation();
        if self.reply.as_ref().is_some_and(|reply| !reply.has_begun()) {
            self.drop_reply();
        }
        self.silence.bridged = 0;
        self.history.digits(digits.clone(), span);
        self.unanswered_digits = Some(digits);
        self.drop_ended(Occasion::TurnEnded, line);
    }

    /// The answer to a collection came, in keys or otherwise: what is expected next is anything again.
    pub(crate) fn stop_collecting(&mut self) {
        if std::mem::take(&mut self.tools.collecting) {
            self.answer = AnswerKind::Open;
        }
    }
}
