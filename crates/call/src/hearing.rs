//! From the caller's sound and words to turns.

use offhook_endpoint::SpeechEvent;

use crate::call::Call;
use crate::inbound::Heard;
use crate::io::{CallEvent, DropReason, Key, Output, TurnEnded};
use crate::keypad::Keyed;
use crate::timers::Timer;
use crate::turn::{Evidence, Floor, contains_words, is_sentence, same_words};
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;
use offhook_stage_api::{Party, ReplyReason, SttCommand, SttEvent, Transcript};

use offhook_audio::SamplePos;

/// So many replies are begun at most while a turn is still being spoken: each costs a request.
const MOST_EARLY: u8 = 2;

impl Call {
    pub(crate) fn on_media(&mut self, timestamp_ms: Option<u64>, payload: &[u8]) {
        self.timers.set(Timer::NoMedia, self.now + crate::patience::STARVED);
        self.patience.starved = false;
        // The inbound path is lent out for the loop, so that what it hears can change the call.
        let mut batch: [Option<Heard>; 4] = [None; 4];
        let mut rest = Vec::new();
        let mut count = 0;
        let line = (self.now, &self.playout.played);
        self.inbound.on_media(timestamp_ms, payload, line, |heard| {
            match batch.get_mut(count) {
                Some(slot) => *slot = Some(heard),
                None => rest.push(heard),
            }
            count += 1;
        });
        for heard in batch.iter().flatten().chain(&rest) {
            self.on_frame(heard);
        }
    }

    fn on_frame(&mut self, heard: &Heard) {
        if self.config.inbound.heard {
            self.out.push_back(Output::Stt(SttCommand::Audio { at: heard.at, frame: heard.wire }));
        }
        if self.on_machine_frame(heard) {
            return;
        }
        if let Some(echo) = self.echo {
            self.echo_frame(echo, &heard.wire);
        }
        if let Some(key) = heard.key {
            self.on_key(key);
        }
        if let Some(delay_ms) = heard.echo {
            self.event(CallEvent::EchoIgnored { delay_ms });
        }
        match heard.event {
            Some(SpeechEvent::Onset { at }) => self.on_onset(at),
            Some(SpeechEvent::Offset { at }) => self.on_offset(at),
            None => {}
        }
    }

    /// When a place on the caller's time line was, on the call's clock.
    fn when(&self, at: SamplePos) -> CallTime {
        self.now.back(self.inbound.position().since(at).duration())
    }

    pub(crate) fn on_onset(&mut self, at: SamplePos) {
        let when = self.when(at);
        if self.turn.floor == Floor::Decided {
            self.reopen_turn();
        }
        // Whatever was bridged before, the wait for this turn's answer is another.
        self.patience.fillers_said = 0;
        self.turn.on_onset(at, when);
        self.event(CallEvent::SpeechStarted { at_ms: ms(when) });
        self.out.push_back(Output::Stt(SttCommand::SpeechStarted { at }));
        self.timers.cancel(Timer::CallerSilent);
        if self.reply.as_ref().is_some_and(|reply| reply.speculative) {
            self.drop_reply();
        }
        self.suspect_barge_in(when);
    }

    pub(crate) fn on_offset(&mut self, at: SamplePos) {
        if self.turn.floor != Floor::Speaking {
            return;
        }
        let when = self.when(at);
        self.turn.on_pause(at, when);
        self.event(CallEvent::SpeechPaused { at_ms: ms(when) });
        self.out.push_back(Output::Stt(SttCommand::SpeechPaused { from: self.turn.from, until: at }));
        self.barge_in_paused();
        self.ask_turn_model();
    }

    fn ask_turn_model(&mut self) {
        if self.config.turn.model
            && let Some(question) = self.turn.ask()
        {
            self.out.push_back(Output::Turn(question));
        }
    }

    pub(crate) fn on_stt(&mut self, event: SttEvent) {
        match event {
            SttEvent::Partial(transcript) => self.on_transcript(transcript, false),
            SttEvent::Final(transcript) => self.on_transcript(transcript, true),
            SttEvent::EagerEndOfTurn => {
                if self.turn.floor == Floor::Paused {
                    self.speculate();
                }
            }
            SttEvent::EndOfTurn => self.turn.recogniser_end = self.turn.floor != Floor::Quiet,
            SttEvent::TurnResumed => self.turn.recogniser_end = false,
            SttEvent::Failed(failure) => {
                self.trouble(&format!("speech-to-text is lost: {failure}. The agent hears keys only."));
            }
        }
    }

    fn on_transcript(&mut self, transcript: Transcript, is_final: bool) {
        if self.machine.is_some() {
            return; // a mailbox's greeting is nobody's turn
        }
        let words = !transcript.text.trim().is_empty();
        if transcript.until <= self.last_turn_until {
            if is_final && words {
                self.on_late_final(&transcript);
            }
            return;
        }
        if self.turn.floor == Floor::Quiet && words && self.is_own_voice(&transcript.text) {
            return;
        }
        if self.turn.floor == Floor::Quiet && words && is_final {
            // Words without a talkspurt: too soft for our ears, not for the recogniser's.
            let (from, until) = (SamplePos(transcript.from), SamplePos(transcript.until));
            self.turn.on_onset(from, self.when(from));
            self.turn.on_pause(until, self.when(until));
        }
        let before = self.turn.text.text();
        if is_final {
            self.turn.on_final(transcript, self.now);
        } else {
            self.turn.text.on_partial(transcript);
        }
        let text = self.turn.text.text();
        if text != before && !text.is_empty() {
            self.event(CallEvent::Hearing { text: text.clone() });
            self.ask_turn_model();
        }
        self.words_over_agent(&text);
        if !is_final {
            self.speculate_in_speech(&text);
        }
        // A reply that was begun, or even decided, on other words is worth nothing.
        let stale =
            self.reply.as_ref().is_some_and(|reply| !reply.committed && !same_words(&reply.basis, &text));
        if stale && matches!(self.turn.floor, Floor::Paused | Floor::Decided) && is_final {
            self.drop_reply();
            if self.turn.floor == Floor::Decided && !text.is_empty() {
                self.request_reply(self.caller_said(text), false);
            }
        }
    }

    /// A final transcript for a turn that was already answered: it must not vanish.
    fn on_late_final(&mut self, transcript: &Transcript) {
        if same_words(&transcript.text, &self.last_turn_text)
            || self.last_turn_text.contains(transcript.text.trim())
        {
            return;
        }
        if self.last_turn_text.is_empty() {
            self.last_turn_text.clone_from(&transcript.text);
        } else {
            self.last_turn_text = transcript.text.clone();
        }
        let text = self.last_turn_text.clone();
        self.context.correct_caller(&text);
        self.trouble(&format!(
            "the final transcript came after the answer: the caller's turn is now “{text}”"
        ));
    }

    /// Words of which we heard no sound, and which the agent is saying just now: the recogniser heard its echo.
    fn is_own_voice(&self, text: &str) -> bool {
        self.config.inbound.echo_guard
            && self.playout.is_audible(self.now)
            && self.playout.current(self.now).is_some_and(|said| contains_words(&said.text(), text))
    }

    pub(crate) fn caller_said(&self, text: String) -> ReplyReason {
        ReplyReason::Caller { text, confidence: self.turn.text.confidence() }
    }

    /// Looks at a pause: is it time to begin a reply, is the turn over?
    pub(crate) fn decide_turn(&mut self) {
        let Some((end, evidence)) = self.turn.end_at(self.answer, &self.config.turn) else {
            self.timers.cancel(Timer::EndOfTurn);
            self.timers.cancel(Timer::Eager);
            self.timers.cancel(Timer::WordsLate);
            return;
        };
        self.watch_words();
        if self.barge_in.is_some() {
            // First it must be clear whether the caller wants the floor at all.
            self.timers.cancel(Timer::EndOfTurn);
            self.timers.cancel(Timer::Eager);
            return;
        }
        let eager = self.turn.ended + self.config.turn.eager;
        if self.now >= eager {
            if !matches!(evidence, Evidence::Trailing | Evidence::DigitsMissing | Evidence::Wordless) {
                self.speculate();
            }
            self.timers.cancel(Timer::Eager);
        } else {
            self.timers.set(Timer::Eager, eager);
        }
        // Final silence (no words in it) needs no longer wait than words would.
        let end = match evidence {
            Evidence::Wordless if self.turn.text.is_settled() && self.turn.settled_at.is_some() => {
                self.turn.ended + self.config.turn.plain
            }
            _ => end,
        };
        if self.now < end {
            self.timers.set(Timer::EndOfTurn, end);
            if self.turn.waits.replace((end, evidence)) != Some((end, evidence)) {
                self.event(CallEvent::Waiting { evidence, until_ms: ms(end) });
            }
            return;
        }
        self.timers.cancel(Timer::EndOfTurn);
        self.end_turn(evidence);
    }

    fn end_turn(&mut self, evidence: Evidence) {
        let text = self.turn.text.text();
        if text.is_empty() && self.turn.spoken < self.config.turn.shortest_wordless {
            self.drop_turn(DropReason::Noise);
            return;
        }
        self.turn.floor = Floor::Decided;
        self.patience.heard_caller();
        self.patience.decided = Some(self.now);
        self.event(CallEvent::TurnEnded(TurnEnded {
            text: text.clone(),
            began_ms: ms(self.turn.began),
            speech_end_ms: ms(self.turn.ended),
            decided_ms: ms(self.now),
            evidence,
        }));
        self.timers.cancel(Timer::WordsLate);
        self.timers.set(Timer::ReplyLate, self.reply_late_at());
        let ready =
            self.reply.as_ref().is_some_and(|reply| reply.speculative && same_words(&reply.basis, &text));
        if ready {
            self.release_reply();
        } else {
            self.drop_reply();
            self.request_reply(self.caller_said(text), false);
        }
    }

    /// Begins a reply before the turn's end is certain.
    fn speculate(&mut self) {
        let text = self.turn.text.text();
        if !self.config.turn.speculate
            || text.is_empty()
            || self.turn.floor != Floor::Paused
            || self.ending.is_some()
        {
            return;
        }
        match &self.reply {
            Some(reply) if !reply.committed && same_words(&reply.basis, &text) => return,
            // Still being written, and may not be interrupted: first things first.
            Some(reply) if reply.committed && !reply.done => return,
            _ => {}
        }
        self.drop_reply();
        self.request_reply(self.caller_said(text), true);
    }

    /// Begins a reply while the caller still speaks, if the words so far are a whole sentence: recognisers are nearly as quick as
    /// the end of speech is found, and often it is the end. One that was begun on fewer words is worth nothing.
    fn speculate_in_speech(&mut self, text: &str) {
        if self.turn.floor != Floor::Speaking {
            return;
        }
        if self.reply.as_ref().is_some_and(|reply| reply.speculative && !same_words(&reply.basis, text)) {
            self.drop_reply();
        }
        let wanted = self.config.turn.speculate
            && self.config.turn.early
            && self.turn.early < MOST_EARLY
            && is_sentence(text)
            && self.barge_in.is_none()
            && !self.playout.is_audible(self.now)
            && self.ending.is_none()
            && self.reply.as_ref().is_none_or(|reply| reply.committed && reply.done);
        if wanted {
            self.turn.early += 1;
            self.request_reply(self.caller_said(text.to_owned()), true);
        }
    }

    /// The caller goes on although the turn had been taken for over: nothing of the answer was heard, so nothing happened.
    fn reopen_turn(&mut self) {
        self.drop_reply();
        self.timers.cancel(Timer::ReplyLate);
        self.patience.fillers_said = 0;
        self.event(CallEvent::TurnReopened);
    }

    /// What was heard needs no answer.
    pub(crate) fn drop_turn(&mut self, why: DropReason) {
        let text = self.turn.text.text();
        if self.reply.as_ref().is_some_and(|reply| reply.speculative) {
            self.drop_reply();
        }
        self.event(CallEvent::TurnDropped { text, why });
        self.patience.fillers_said = 0;
        self.close_turn();
    }

    /// The turn is answered or dropped: its audio won't be asked for again.
    pub(crate) fn close_turn(&mut self) {
        if self.turn.floor == Floor::Quiet {
            return;
        }
        let until = self.turn.until.max(self.turn.from);
        self.out.push_back(Output::Stt(SttCommand::TurnEnded { until }));
        self.last_turn_until = until.0.max(self.turn.text.settled_until());
        self.last_turn_text = self.turn.text.text();
        self.turn.close();
    }

    pub(crate) fn on_key(&mut self, key: Key) {
        if self.machine.is_some() {
            return;
        }
        self.timers.cancel(Timer::CallerSilent);
        self.patience.heard_caller();
        if self.playout.is_audible(self.now)
            && self.playout.current(self.now).is_some_and(|said| said.interruptible != Interruptible::No)
        {
            self.interrupt();
        }
        match self.keypad.press(key, self.now, self.answer, &self.config.dtmf) {
            Keyed::Whole => self.flush_digits(),
            Keyed::Until(end) => self.timers.set(Timer::DigitGap, end),
        }
    }

    /// The keys are a whole number: answer it.
    pub(crate) fn flush_digits(&mut self) {
        self.timers.cancel(Timer::DigitGap);
        let Some((digits, since)) = self.keypad.take() else { return };
        let count = digits.reveal().len();
        self.event(CallEvent::Digits { count });
        self.stop_collecting();
        self.drop_reply();
        if self.turn.floor != Floor::Quiet {
            self.close_turn();
        }
        self.turn.ended = self.now;
        self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_late);
        let when = (since, self.now);
        self.context.push(Party::Caller, format!("(keyed {count} digits)"), false, when);
        self.request_reply(ReplyReason::Digits(digits), false);
    }
}

pub(crate) fn ms(time: CallTime) -> u64 {
    u64::try_from(time.since_start().as_millis()).unwrap_or(u64::MAX)
}
