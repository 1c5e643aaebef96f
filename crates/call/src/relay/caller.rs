//! What the caller does.

use std::time::Duration;

use super::call::RelayCall;
use super::ledger::is_begin_of;
use super::reply::Answered;
use crate::hearing::ms;
use crate::io::{BargeInStage, CallEvent, DropReason, Key, TurnEnded, UtteranceKind};
use crate::keypad::Keyed;
use crate::timers::Timer;
use crate::turn::Evidence;
use offhook_stage_api::Interruptible;
use offhook_stage_api::{AnswerKind, Party, ReplyReason};

/// After an interruption, and after the caller's voice has stopped, words come within this; else there are none.
const WORDS_WITHIN: Duration = Duration::from_secs(2);
/// Nobody speaks longer without a pause; if the end isn't told, it was lost.
const LONGEST_SPEECH: Duration = Duration::from_secs(30);

impl RelayCall {
    pub(super) fn on_caller_speaking(&mut self, speaking: bool) {
        self.tells_speaking = true;
        if self.machine_spoke() {
            return;
        }
        if speaking {
            self.timers.cancel(Timer::CallerSilent);
            self.caller_began = Some(self.now);
            self.caller_ended = None;
            self.event(CallEvent::SpeechStarted { at_ms: self.now_ms() });
            // What is being said goes on until the carrier says otherwise; nothing new is begun over the caller's voice.
            self.wait_for_words(LONGEST_SPEECH);
        } else {
            self.caller_ended = Some(self.now);
            self.event(CallEvent::SpeechPaused { at_ms: self.now_ms() });
            if self.hold {
                self.wait_for_words(WORDS_WITHIN);
            }
        }
    }

    fn wait_for_words(&mut self, within: Duration) {
        self.hold = true;
        self.timers.set(Timer::ResolveBargeIn, self.now + within);
    }

    /// The caller said something.
    pub(super) fn on_prompt(&mut self, text: &str, last: bool) {
        let text = text.trim();
        if self.machine_spoke() {
            return;
        }
        self.timers.cancel(Timer::CallerSilent);
        self.patience.heard_caller();
        if !last {
            self.caller_began.get_or_insert(self.now);
            self.event(CallEvent::Hearing { text: text.to_owned() });
            return self.wait_for_words(WORDS_WITHIN);
        }
        let began = self.caller_began.take().unwrap_or(self.now);
        let ended = self.caller_ended.take().unwrap_or(self.now).max(began);
        let dropped = if text.is_empty() {
            Some(DropReason::Noise)
        } else {
            self.is_backchannel(text).then_some(DropReason::Backchannel)
        };
        if let Some(why) = dropped {
            self.event(CallEvent::TurnDropped { text: text.to_owned(), why });
            return self.go_on();
        }
        self.stop_waiting();
        self.unheard = None;
        self.interrupt_tools();
        self.event(CallEvent::TurnEnded(TurnEnded {
            text: text.to_owned(),
            began_ms: ms(began),
            speech_end_ms: ms(ended),
            decided_ms: self.now_ms(),
            evidence: Evidence::RecogniserEnd,
        }));
        // What is still being said can't have been interruptible: it is heard to its end.
        for said in self.ledger.take_as_heard() {
            self.note_said(said);
        }
        let mut turn = Answered { text: text.to_owned(), began, ended };
        // An answer of which nothing was said is for both turns.
        if let Some(before) = self.cancel_reply().and_then(|reply| reply.answered) {
            turn.text = format!("{} {text}", before.text);
            turn.began = before.began;
        }
        self.patience.decided = Some(self.now);
        let reason = ReplyReason::Caller { text: turn.text.clone(), confidence: None };
        self.request_reply(reason, Some(turn));
        self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
    }

    /// "Mm-hm" while the agent speaks, or into what it was saying. To a yes-or-no question "yeah" is an answer.
    fn is_backchannel(&self, text: &str) -> bool {
        let speaking = self.unheard.is_some() || (self.ledger.current().is_some() && !self.is_nearly_over());
        speaking && self.answer != AnswerKind::YesNo && self.config.barge_in.is_backchannel(text)
    }

    fn is_nearly_over(&self) -> bool {
        self.ledger.voice_until().since(self.now) < Duration::from_millis(1_000)
    }

    /// The caller spoke over the agent, or pressed a key. What was sent and not spoken is gone.
    pub(super) fn on_interrupt(&mut self, heard: &str) {
        if self.machine_spoke() {
            return;
        }
        self.timers.cancel(Timer::CallerSilent);
        self.patience.heard_caller();
        self.event(CallEvent::BargeIn { stage: BargeInStage::Interrupted, after_ms: 0 });
        if self.ledger.current().is_none() {
            // The voice was slower than reckoned.
            self.context.cut_agent(heard.trim(), |text| is_begin_of(heard, text));
        }
        let mut unheard = String::new();
        for said in self.ledger.cut(heard, self.now) {
            // What bridges a wait isn't said again.
            if !matches!(said.saying.kind, UtteranceKind::Filler | UtteranceKind::CheckIn)
                && said.interrupted()
            {
                unheard.push_str(&said.rest);
                unheard.push(' ');
            }
            self.note_said(said);
        }
        // A reply of which nothing was sent answers the caller all the same, unless other words come.
        if self.reply.as_ref().is_some_and(|reply| reply.committed) {
            self.drop_interrupted_reply();
        }
        self.unheard = Some(unheard).filter(|unheard| !unheard.trim().is_empty());
        self.stay_after_interruption();
        self.wait_for_words(WORDS_WITHIN);
    }

    /// No words came: it was a cough, or nothing.
    pub(super) fn resolve_barge_in(&mut self) {
        if self.hold {
            self.go_on();
        }
    }

    /// The caller wanted nothing: what was held, or kept from being heard, is said.
    fn go_on(&mut self) {
        self.stop_waiting();
        // Where nobody tells that the caller is silent, it is left to a check-in.
        if let Some(unheard) = self.unheard.take().filter(|_| self.tells_speaking) {
            self.event(CallEvent::BargeIn { stage: BargeInStage::Resumed, after_ms: 0 });
            self.say(UtteranceKind::Reply, unheard.trim(), self.config.barge_in.reply);
        }
        self.send_held();
    }

    fn stop_waiting(&mut self) {
        self.hold = false;
        self.timers.cancel(Timer::ResolveBargeIn);
    }

    fn drop_interrupted_reply(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.timers.cancel(Timer::ReplyLate);
            self.out.push_back(super::RelayOutput::Llm(offhook_stage_api::LlmCommand::Cancel {
                reply: reply.id,
            }));
            self.tell_language();
        }
    }

    pub(super) fn on_key(&mut self, key: Key) {
        if self.machine.is_some() {
            return;
        }
        self.timers.cancel(Timer::CallerSilent);
        self.patience.heard_caller();
        match self.keypad.press(key, self.now, self.answer, &self.config.dtmf) {
            Keyed::Whole => self.flush_digits(),
            Keyed::Until(end) => self.timers.set(Timer::DigitGap, end),
        }
    }

    /// The keys are a whole number: answer it.
    pub(super) fn flush_digits(&mut self) {
        self.timers.cancel(Timer::DigitGap);
        let Some((digits, since)) = self.keypad.take() else { return };
        let count = digits.reveal().len();
        self.event(CallEvent::Digits { count });
        self.stop_collecting();
        self.stop_waiting();
        self.unheard = None;
        for said in self.ledger.take_as_heard() {
            self.note_said(said);
        }
        if let Some(turn) = self.cancel_reply().and_then(|reply| reply.answered) {
            self.context.push(Party::Caller, turn.text, false, (turn.began, turn.ended));
        }
        let when = (since, self.now);
        self.context.push(Party::Caller, format!("(keyed {count} digits)"), false, when);
        self.patience.decided = Some(self.now);
        self.request_reply(ReplyReason::Digits(digits), None);
        self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
    }

    /// What the agent says can be interrupted by speech.
    pub(super) fn usual(&self) -> Interruptible {
        self.config.barge_in.reply
    }
}
