//! What follows from what the caller does: speech, words, keys, interruptions.

use offhook_stage_api::{CallTime, Digits, Interruptible, Key, News, Transcript, UtteranceId};

use super::Conversation;
use crate::barge_in::Judged;
use crate::caller::{Caller, EndOfTurn};
use crate::event::{BargeInStage, CallEvent, DropReason, Passing};
use crate::keypad::KeyPressed;
use crate::line::Heard;
use crate::moment::Moment;
use crate::speech::{By, Occasion, Purpose, Utterance};
use crate::turn::{Onset, WordsEffect, contains_words, same_words};

impl Conversation {
    pub(super) fn on_caller_began(&mut self, onset: CallTime, position: u64, at: &mut Moment<'_>) {
        if self.life.mailbox_speaks(None) {
            return;
        }
        if self.caller.on_onset(onset, position, at) == Onset::Speaking {
            self.agent.wait_anew();
        }
        self.agent.drop_ended(Occasion::CallerBegan, at);
        if self.caller.turn().is_decided() && !self.caller.turn().has_partials() {
            // No words will come before the speech is over: it has to be taken for speech.
            self.reopen_turn(at);
        }
        self.suspect_barge_in(onset, at);
    }

    pub(super) fn on_caller_paused(&mut self, ended: CallTime, position: u64, at: &mut Moment<'_>) {
        if self.life.mailbox_speaks(Some(at.now)) {
            return;
        }
        if self.caller.on_pause(ended, position, at) {
            self.judge_barge_in(at);
            self.caller.ask_turn_model(at);
        }
    }

    pub(super) fn on_heard(
        &mut self,
        transcript: Transcript,
        is_final: bool,
        span: (CallTime, CallTime),
        at: &mut Moment<'_>,
    ) {
        if self.life.is_mailbox() && !self.life.mailbox_asks(&transcript.text) {
            return; // a mailbox's greeting is no turn
        }
        let (quiet, silent) = (self.caller.turn().is_quiet(), !self.caller.turn().holds_floor());
        let effect = self.caller.on_words(transcript, is_final, span, at.now);
        if quiet && !self.caller.turn().is_quiet() {
            self.agent.wait_anew(); // whatever was bridged before, this turn's wait is another
        }
        if silent && self.caller.turn().holds_floor() {
            // What was taken for noise is speech.
            self.agent.drop_ended(Occasion::CallerBegan, at);
        }
        if let WordsEffect::Corrected(turn, text) = &effect {
            self.agent.correct_turn(*turn, text, span);
            let message =
                format!("the final transcript came after the answer: the caller's turn is now “{text}”");
            return at.trouble(&message);
        }
        let text = self.caller.turn().words();
        if effect != WordsEffect::None && !text.is_empty() {
            self.caller.hearing(text, at);
            // A word that no onset came before is speech all the same. Words that were spoken before the agent began, and come late, are
            // about something else.
            let audible = self.agent.audible(at).and_then(Utterance::began_at);
            if audible.is_some_and(|began| span.1 > began) {
                self.suspect_barge_in(span.0, at);
            }
        }
        if effect == WordsEffect::WentOn && !self.caller.only_nodded(at) {
            self.reopen_turn(at);
        }
        self.judge_barge_in(at);
        // A reply that was requested on other words is worth nothing.
        let outgrown = self
            .agent
            .basis()
            .is_some_and(|(basis, speculative)| self.caller.has_outgrown(basis, speculative, is_final, at));
        if outgrown {
            self.agent.drop_reply(at);
        }
    }

    /// The line knows that the turn is over, and its words.
    pub(super) fn on_said(&mut self, text: &str, at: &mut Moment<'_>) {
        if !self.life.mailbox_asks(text) && self.life.mailbox_speaks(Some(at.now)) {
            return;
        }
        let text = text.trim();
        self.caller_is_there(at);
        let nod = self.caller.is_nod(text, at);
        // An answer of which nothing was heard is for what was said before, too.
        let turn = self.caller.turn();
        let before = if turn.is_quiet() { String::new() } else { turn.final_words() };
        if text.is_empty() || nod {
            let why = if nod { DropReason::Backchannel } else { DropReason::Noise };
            at.event(CallEvent::TurnDropped { text: text.to_owned(), why });
            if self.caller.turn().is_decided() {
                self.caller.stay_decided();
            } else if before.is_empty() {
                self.close_turn(at);
            } else {
                self.caller.told(&before, at.now);
                self.end_turn(at);
            }
            return self.resume(at);
        }
        self.reopen_turn(at);
        let whole = before.is_empty() || contains_words(text, &before);
        let all = if whole { text.to_owned() } else { format!("{before} {text}") };
        self.caller.told(&all, at.now);
        self.caller.forget_barge_in();
        self.agent.wait_anew();
        self.agent.interrupt_tools(at);
        self.end_turn(at);
    }

    /// The caller said or keyed something.
    fn caller_is_there(&mut self, at: &Moment<'_>) {
        self.caller.heard(at.now);
        self.agent.caller_is_there();
    }

    pub(super) fn speculate(&mut self, at: &mut Moment<'_>) {
        self.caller.speculated();
        self.request(self.caller.said(), true, at);
    }

    // The turn's end.

    /// The caller's turn is over.
    pub(super) fn end_turn(&mut self, at: &mut Moment<'_>) {
        let text = match self.caller.end_turn(at) {
            EndOfTurn::Not => return,
            EndOfTurn::Noise => return self.drop_turn(DropReason::Noise, at),
            EndOfTurn::Over(text) => text,
        };
        let turn = self.caller.turn();
        self.agent.on_turn(turn.number(), &text, (turn.began(), turn.ended()));
        self.agent.drop_ended(Occasion::TurnEnded, at);
        let ready =
            self.caller.keyed().is_none() && self.agent.is_speculative_on(|basis| same_words(basis, &text));
        if ready {
            self.agent.release_reply(&self.caller, at);
            self.check_wordless(at);
        } else {
            self.agent.drop_speculation(at);
        }
    }

    /// The caller goes on although the turn had been taken for over: nothing of the answer was heard, so nothing happened.
    pub(super) fn reopen_turn(&mut self, at: &mut Moment<'_>) {
        if !self.caller.turn().is_decided() {
            return;
        }
        self.caller.reopen(at.now);
        self.agent.withdraw_turn(self.caller.turn().number());
        self.agent.drop_reply(at);
        self.agent.wait_anew();
        self.agent.drop_ended(Occasion::CallerBegan, at);
        at.event(CallEvent::TurnReopened);
    }

    /// What was heard needs no answer.
    fn drop_turn(&mut self, why: DropReason, at: &mut Moment<'_>) {
        let text = self.caller.turn().words();
        self.agent.drop_speculation(at);
        at.event(CallEvent::TurnDropped { text, why });
        self.agent.drop_ended(Occasion::TurnDropped, at);
        self.close_turn(at);
    }

    /// The turn is answered or dropped: its audio won't be asked for again.
    pub(super) fn close_turn(&mut self, at: &mut Moment<'_>) {
        if self.caller.turn().is_decided() {
            self.keep_words_of_turn(at);
        }
        self.caller.close_turn(at);
    }

    /// Words have come since the turn was taken for over: what is asked is what the history has.
    pub(super) fn keep_words_of_turn(&mut self, at: &mut Moment<'_>) {
        let turn = self.caller.turn();
        let text = turn.words();
        if self.agent.knows_turn(turn.number(), &text) {
            return;
        }
        self.agent.correct_turn(turn.number(), &text, (turn.began(), turn.ended()));
        at.trouble(&format!("words came after the end of the caller's turn, which is now “{text}”"));
    }

    /// Sound without words has lasted too long.
    pub(super) fn on_noise(&mut self, at: &mut Moment<'_>) {
        let nothing_left = self.caller.on_noise();
        if self.caller.barges_in() {
            self.resume(at);
            if nothing_left {
                self.drop_turn(DropReason::Noise, at);
            }
        }
    }

    // Keys.

    pub(super) fn on_key(&mut self, key: Key, at: &mut Moment<'_>) {
        if self.life.is_mailbox() {
            return;
        }
        self.caller_is_there(at);
        if at.config.follows {
            // A key goes to the model at once: what numbers mean, the application knows.
            self.interrupt_by_key(at);
            at.event(CallEvent::Digits { count: 1, agrees: Passing(key.reveal() == '1') });
            // Whoever takes over from the application gets to know it as well.
            let digits = Digits::new(&key.reveal().to_string());
            self.agent.on_keys(digits, (at.now, at.now));
            return at.news(|| News::Keyed(key));
        }
        let pressed = self.caller.on_key(key, at);
        if pressed == KeyPressed::Swallowed {
            return;
        }
        self.interrupt_by_key(at);
        if pressed == KeyPressed::Whole {
            self.on_number(at);
        }
    }

    fn interrupt_by_key(&mut self, at: &mut Moment<'_>) {
        self.agent.drop_ended(Occasion::CallerBegan, at);
        if self.agent.audible(at).is_some_and(|said| said.interruptible != Interruptible::No) {
            self.interrupt(By::Key, at);
        }
    }

    /// The keys are a whole number: it is to be answered, with whatever is said beside it.
    pub(super) fn on_number(&mut self, at: &mut Moment<'_>) {
        let Some((digits, span)) = self.caller.take_number(at) else { return };
        self.agent.allow_tools();
        self.agent.drop_reply(at);
        self.agent.wait_anew();
        self.agent.on_keys(digits, span);
        self.agent.drop_ended(Occasion::TurnEnded, at);
    }

    // Speech over the agent.

    fn suspect_barge_in(&mut self, onset: CallTime, at: &mut Moment<'_>) {
        let over = self.agent.audible(at);
        self.caller.suspect(onset, over, at);
    }

    fn judge_barge_in(&mut self, at: &mut Moment<'_>) {
        let judged = self.caller.judge(at);
        self.on_judged(judged, at);
    }

    /// What speech over the agent was.
    pub(super) fn on_judged(&mut self, judged: Judged, at: &mut Moment<'_>) {
        match judged {
            Judged::Unclear => {}
            Judged::Interruption => self.interrupt(By::Speech, at),
            Judged::Answer => {
                self.caller.end_barge_in(at);
            }
            Judged::Passed(why) => {
                self.resume(at);
                if !self.caller.turn().is_decided() {
                    self.drop_turn(why, at);
                }
            }
            Judged::CutOffInVain => {
                let turn = self.caller.turn();
                if turn.words().is_empty() && !turn.is_quiet() && !turn.is_decided() {
                    self.drop_turn(DropReason::Noise, at);
                }
                self.caller.stay_decided();
                self.resume(at);
            }
        }
    }

    /// It was an interruption: the agent stops, and what was heard stands.
    fn interrupt(&mut self, by: By, at: &mut Moment<'_>) {
        self.agent.drop_ended(Occasion::Interrupted(by), at);
        let onset = self.caller.end_barge_in(at);
        self.call_off_leaving(at);
        self.agent.interrupt_tools(at);
        if let Some(onset) = onset {
            Caller::interrupted(onset, at);
        }
    }

    /// It was none: the agent goes on.
    fn resume(&mut self, at: &mut Moment<'_>) {
        if let Some(unheard) = self.caller.resume(at) {
            self.agent.say(Purpose::Reply(None), &unheard, None, at);
        }
    }

    /// The line has cut the agent off.
    pub(super) fn on_cut_off(&mut self, cut: Vec<(UtteranceId, Heard)>, at: &mut Moment<'_>) {
        if self.life.is_mailbox() {
            return;
        }
        self.caller_is_there(at);
        at.event(CallEvent::BargeIn { stage: BargeInStage::Interrupted, after_ms: 0 });
        let unheard = self.agent.cut_off(cut, at);
        self.call_off_leaving(at);
        // A key has been taken for an interruption already.
        if !self.caller.has_keys() {
            self.caller.cut_off(unheard, at.now);
        }
    }
}
