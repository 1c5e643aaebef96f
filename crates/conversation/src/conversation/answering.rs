//! What follows from what the model, its tools and the voice do: from a request to what a reply changes.

use std::sync::Arc;

use offhook_stage_api::tools::{COLLECT_DIGITS, END_CALL, HANDOFF, SEND_DTMF, SWITCH_LANGUAGE, TRANSFER};
use offhook_stage_api::{Expectation, LlmEvent, ReplyReason, StageFailure, ToolCall, ToolResult};

use super::Conversation;
use crate::agent::{Begun, TooLong, Verdict, Wordless, digits_asked_for, digits_to_press};
use crate::deadline::ms;
use crate::event::{CallEvent, EndReason, ReplyTiming};
use crate::leaving::WantedBy;
use crate::line::LineCommand;
use crate::moment::Moment;
use crate::speech::Occasion;

impl Conversation {
    // Requests.

    /// Requests the answer to a turn or number that is over and has none. True if it did something.
    pub(super) fn answer_turn(&mut self, at: &mut Moment<'_>) -> bool {
        let turn = self.caller.turn();
        let number = turn.decided().map(|_| turn.number());
        let digits = self.caller.keyed().is_some() && (turn.is_quiet() || number.is_some());
        if (number.is_none() && !digits) || self.life.is_mailbox() || self.agent.has_answer(number, digits) {
            return false;
        }
        self.agent.drop_reply(at);
        if number.is_some() {
            self.keep_words_of_turn(at);
        }
        let reason = match self.caller.keyed() {
            Some(digits) => ReplyReason::Digits(digits.clone()),
            None => self.caller.said(),
        };
        self.request(reason, false, at);
        true
    }

    /// Requests a reply.
    pub(super) fn request(&mut self, reason: ReplyReason, speculative: bool, at: &mut Moment<'_>) {
        if let Some((reply, failure)) = self.agent.request(reason, speculative, &self.caller, at) {
            self.on_llm(LlmEvent::Failed { reply, failure }, at);
        }
    }

    /// The model may speak though nobody has asked it anything.
    fn may_go_on(&self) -> bool {
        !self.life.is_leaving()
            && !self.life.is_mailbox()
            && self.caller.is_answered()
            && self.agent.is_done_replying()
    }

    /// Requests the follow-up reply once all tool results have arrived and the caller is silent. True if it did.
    pub(super) fn go_on_after_tools(&mut self, at: &mut Moment<'_>) -> bool {
        if !self.agent.has_results() {
            return false;
        }
        if self.life.is_leaving() {
            self.agent.drop_ended(Occasion::ToolsEnded, at); // nothing follows them
        }
        let ready = self.may_go_on();
        if ready {
            self.request(ReplyReason::Tool, false, at);
            self.agent.goes_on_after_tools();
        }
        ready
    }

    /// Requests what the model wants to say unasked, once the caller is silent and nothing else is being written. True if it did.
    pub(super) fn take_initiative(&mut self, at: &mut Moment<'_>) -> bool {
        let ready = self.agent.has_initiative() && self.may_go_on();
        if ready {
            self.request(ReplyReason::Initiative, false, at);
        }
        ready
    }

    // What the model writes.

    pub(super) fn on_llm_ended(&mut self, failure: StageFailure, at: &mut Moment<'_>) {
        at.trouble(&format!("the language model has ended: {failure}"));
        if let Some(reply) = self.agent.on_llm_ended(failure.clone()) {
            self.on_llm(LlmEvent::Failed { reply, failure }, at);
        }
    }

    pub(super) fn on_llm(&mut self, event: LlmEvent, at: &mut Moment<'_>) {
        if let LlmEvent::Initiative { preempt } = event {
            return self.agent.on_initiative(preempt, at);
        }
        if !self.agent.writes(event.reply()) {
            return;
        }
        match event {
            LlmEvent::Text { delta, .. } => self.agent.write(&delta, at),
            LlmEvent::Play { recording, .. } => self.agent.play(recording, at),
            LlmEvent::Interruptible { by, .. } => self.agent.on_interruptible(by, at),
            LlmEvent::Language { language, .. } => self.agent.on_language(language),
            LlmEvent::Silent { .. } => self.agent.on_silent(),
            // Belongs to no reply.
            LlmEvent::Initiative { .. } => {}
            LlmEvent::Expect { expectation, .. } => {
                if let Some(expectation) = self.agent.on_expectation(expectation) {
                    self.expect(&expectation, at);
                }
            }
            LlmEvent::Tool { call, .. } => {
                if let Some(call) = self.agent.on_tool_call(call) {
                    self.use_tool(call, at);
                }
            }
            LlmEvent::Done { .. } => self.reply_written(at),
            LlmEvent::Failed { failure, .. } => {
                at.trouble(&format!("no reply could be had: {failure}"));
                // What was written stays, but it broke off; where nothing was, the apology takes its place.
                if self.agent.broke_off() {
                    self.reply_written(at);
                    self.agent.apologise(at);
                } else {
                    self.give_up_reply(at);
                }
            }
        }
    }

    fn reply_written(&mut self, at: &mut Moment<'_>) {
        self.agent.written(at);
        self.check_wordless(at);
    }

    /// A reply that is done and has no words is asked for again, unless it is to have none.
    pub(super) fn check_wordless(&mut self, at: &mut Moment<'_>) {
        match self.agent.wordless() {
            Wordless::No => {}
            Wordless::Accepted => self.begin_reply(false, at),
            Wordless::GivenUp => self.give_up_reply(at),
            Wordless::Again(reason, since) => {
                at.trouble("the model answered without a word; it is asked again");
                self.request(reason, false, at);
                self.agent.asks_again(since);
            }
        }
    }

    /// The reply, or its rest, can't be had: an apology takes its place.
    pub(super) fn give_up_reply(&mut self, at: &mut Moment<'_>) {
        if !self.agent.has_reply() {
            return;
        }
        if self.agent.is_speculating() {
            return self.agent.drop_reply(at); // it is requested again when the turn is over
        }
        let turn = self.caller.turn();
        let decided = turn.is_decided();
        if decided && turn.holds_floor() {
            return self.reopen_turn(at); // the caller has gone on: that is answered instead
        }
        self.agent.reply_failed(at);
        if decided {
            self.close_turn(at); // one that is being spoken goes on
        }
        self.caller.number_answered();
        self.agent.wait_anew();
        self.agent.apologise(at);
    }

    /// The caller has waited too long for something.
    pub(super) fn on_too_late(&mut self, at: &mut Moment<'_>) {
        match self.agent.bridge_wait(&self.caller, at) {
            TooLong::Bridged => {}
            TooLong::GiveUpReply => self.give_up_reply(at),
            TooLong::VoiceFailed => self.hang_up(EndReason::VoiceFailed, None, at),
        }
    }

    /// The reply's first sound went out: now it is true.
    pub(super) fn begin_reply(&mut self, sounded: bool, at: &mut Moment<'_>) {
        let Some(begun) = self.agent.begin_reply(sounded, at) else { return };
        if begun.answers_number {
            self.caller.number_answered();
        }
        if self.caller.turn().decided().is_some() {
            if sounded {
                self.report_timing(&begun, at);
            }
            self.close_turn(at);
        }
        if begun.answers_words {
            self.agent.interrupt_tools(at);
            self.caller.stop_collecting();
        }
        if let Some(expectation) = begun.expectation {
            self.expect(&expectation, at);
        }
        for tool in begun.tools {
            self.use_tool(tool, at);
        }
    }

    fn report_timing(&self, begun: &Begun, at: &mut Moment<'_>) {
        let Some(decided) = self.caller.turn().decided() else { return };
        let end = self.caller.turn().ended();
        let since = |time| ms(time).saturating_sub(ms(end));
        at.event(CallEvent::ReplyTimed(ReplyTiming {
            speech_end_ms: ms(end),
            transcript_ms: decided.settled_at.map(since),
            decided_ms: since(decided.at),
            requested_ms: since(begun.requested),
            first_text_ms: begun.first_text.map(since),
            first_audio_ms: begun.first_audio.map(since),
            first_frame_ms: since(at.now),
        }));
    }

    fn expect(&mut self, expectation: &Arc<Expectation>, at: &mut Moment<'_>) {
        self.caller.expect(expectation.answer);
        at.command(LineCommand::Expect(self.agent.in_language(expectation)));
    }

    // Tools.

    fn use_tool(&mut self, mut call: ToolCall, at: &mut Moment<'_>) {
        if let Verdict::Refuse(why) = self.agent.judge_tool(&mut call, at) {
            at.trouble(&format!("the tool `{}` was not run: {why}", call.name));
            return self.refuse_tool(&call, why, at);
        }
        match call.name.as_str() {
            END_CALL => {
                // An application that ends the call has said its last word: no interruption calls it off.
                self.life.hang_up(match at.config.follows {
                    true => EndReason::HungUp,
                    false => EndReason::AgentDone,
                });
                self.agent.last_result(&call, "the call ends when you have finished speaking", at);
                if call.arguments.get(HANDOFF).is_some() {
                    self.life.carry(call);
                }
            }
            SEND_DTMF => {
                let pressed = digits_to_press(&call)
                    .and_then(|digits| self.agent.press(&digits, Some(call.id.clone()), at));
                match pressed {
                    // Its result comes when they were sent.
                    Ok(()) => self.agent.tool_runs(&call, at),
                    Err(why) => self.agent.own_result(&call, Err(why), false, at),
                }
            }
            TRANSFER => {
                if !self.transfer(call.clone(), WantedBy::Model, at) {
                    let why = "the call is about to end already".to_owned();
                    self.agent.own_result(&call, Err(why), false, at);
                }
            }
            COLLECT_DIGITS => self.collect_digits(&call, at),
            SWITCH_LANGUAGE => self.switch_language(&call, at),
            _ => {
                self.agent.tool_runs(&call, at);
                at.run_tool(call);
            }
        }
    }

    /// A model that was asked to speak and calls tools all the same won't: an apology takes the place of its words.
    fn refuse_tool(&mut self, call: &ToolCall, why: String, at: &mut Moment<'_>) {
        self.agent.own_result(call, Err(why), false, at);
        if self.agent.was_told_to_speak() && self.agent.is_wordless() && !self.agent.apologises() {
            self.agent.results_need_no_words();
            self.agent.apologise(at);
        }
    }

    /// The tool `collect_digits`: the keys come as the caller's next turn.
    fn collect_digits(&mut self, call: &ToolCall, at: &mut Moment<'_>) {
        self.caller.collect(digits_asked_for(call, &at.config.dtmf));
        // The caller was asked in the same reply, or is asked now.
        let asked = self.agent.has_spoken();
        let outcome = Ok("the caller's keys will come as a note".to_owned());
        self.agent.own_result(call, outcome, false, at);
        if asked {
            self.agent.results_need_no_words();
        }
    }

    /// The tool `switch_language`.
    fn switch_language(&mut self, call: &ToolCall, at: &mut Moment<'_>) {
        if at.config.follows {
            return self.follow_language(call, at);
        }
        let outcome = self.agent.switch_language(call, at).map(|(tag, changed)| {
            if changed {
                // Grammars and the like were for the other language.
                self.expect_language(&tag, at);
                at.event(CallEvent::Language { language: tag.clone() });
            }
            format!("from now on the call is in {tag}: go on in that language")
        });
        self.agent.own_result(call, outcome, true, at);
    }

    fn expect_language(&self, tag: &str, at: &mut Moment<'_>) {
        at.command(LineCommand::Language(tag.into()));
        self.listen_for(tag, at);
    }

    fn listen_for(&self, tag: &str, at: &mut Moment<'_>) {
        let (language, answer) = (Some(tag.to_owned()), self.caller.expected());
        let expectation = Expectation { language, answer, ..Expectation::default() };
        at.command(LineCommand::Expect(Arc::new(expectation)));
    }

    /// The application changes the language that is spoken, that is heard, or both; also to one that isn't declared.
    fn follow_language(&mut self, call: &ToolCall, at: &mut Moment<'_>) {
        let tag = |name: &str| call.arguments.get(name).and_then(serde_json::Value::as_str);
        if let Some(tag) = tag("language") {
            self.agent.speak_language(tag, at);
            at.command(LineCommand::Language(tag.into()));
            at.event(CallEvent::Language { language: tag.to_owned() });
        }
        if let Some(tag) = tag("transcription") {
            self.listen_for(tag, at);
        }
        self.agent.own_result(call, Ok("done".to_owned()), false, at);
    }

    /// A tool has returned. One that was cancelled is ignored.
    pub(super) fn on_tool_result(&mut self, result: ToolResult, at: &mut Moment<'_>) {
        match self.life.transferred(&result.name) {
            Some((call, by)) => self.on_transferred(call, by, result.outcome, at),
            None => self.agent.on_tool_result(result, at),
        }
    }
}
