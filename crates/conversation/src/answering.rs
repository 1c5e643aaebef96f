//! From the caller's turn to the model's reply and its tools.

use std::sync::Arc;

use offhook_stage_api::{
    Expectation, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, StageFailure, ToolUse,
};

use crate::conversation::{Conversation, Todo};
use crate::deadline::ms;
use crate::event::{CallEvent, ReplyTiming};
use crate::line::{Line, LineCommand};
use crate::reply::{Phase, Reply};
use crate::speech::{Occasion, Progress, Purpose, must_be_heard};

impl Conversation {
    /// Requests the answer to a turn or number that is over and has none. True if it did something.
    pub(crate) fn answer_turn(&mut self, line: &mut dyn Line) -> bool {
        let turn = self.turn.decided().map(|_| self.turn.number);
        let digits = self.unanswered_digits.is_some() && (self.turn.is_quiet() || turn.is_some());
        if (turn.is_none() && !digits) || self.voicemail.is_there() {
            return false;
        }
        if let Some(reply) = &self.reply {
            let asked = reply.answers == turn && (reply.has_digits || !digits);
            if asked && !reply.has_begun() {
                return false;
            }
            // What must be heard is written to its end first.
            let said = reply.utterance.and_then(|id| self.speech.get(id));
            if reply.has_begun() && !reply.done && said.is_some_and(must_be_heard) {
                return false;
            }
        }
        self.drop_reply();
        if turn.is_some() {
            self.keep_words_of_turn();
        }
        let reason = match &self.unanswered_digits {
            Some(digits) => ReplyReason::Digits(digits.clone()),
            None => self.caller_said(),
        };
        self.request(reason, false, line);
        true
    }

    /// Words have come since the turn was taken for over: what is asked is what the history has.
    pub(crate) fn keep_words_of_turn(&mut self) {
        let text = self.turn.words();
        if self.history.words_of(self.turn.number).unwrap_or_default() == text {
            return;
        }
        self.history.caller(self.turn.number, &text, (self.turn.began, self.turn.ended));
        self.trouble(&format!("words came after the end of the caller's turn, which is now “{text}”"));
    }

    /// Requests a reply.
    pub(crate) fn request(&mut self, reason: ReplyReason, speculative: bool, line: &mut dyn Line) {
        // Where nothing was said before its tools were called, the caller has waited for longer.
        let unannounced = self.reply.as_ref().filter(|old| old.has_begun() && old.utterance.is_none());
        let waited = unannounced.map_or_else(|| self.waits_on(), |old| old.since);
        self.close_reply(line);
        self.last_reply = self.last_reply.next();
        let id = self.last_reply;
        let may_use_tools = match reason {
            ReplyReason::Tool => {
                self.silence.bridged = 0;
                self.tools.step(&self.config.tool_limits)
            }
            _ => true,
        };
        if !may_use_tools {
            self.trouble("the model has used tools for long enough; it is asked to speak");
        }
        self.tools.results_due = false;
        self.initiative = false;
        let words = self.turn.words();
        let has_turn = speculative || self.turn.is_decided();
        let span = (self.turn.began, self.turn.ended);
        let unanswered = speculative.then_some((words.as_str(), span));
        let speech = &self.speech;
        let texts = |id| speech.get(id).map(|said| said.text.clone());
        let history = self.history.render(&*line, texts, unanswered, self.now);
        let phase = if speculative { Phase::Speculative } else { Phase::Due };
        let mut reply = Reply::new(id, reason.clone(), phase, self.now);
        reply.language = self.language.tag();
        reply.has_digits = self.unanswered_digits.is_some();
        reply.answers = has_turn.then_some(self.turn.number);
        reply.since = match reason {
            ReplyReason::Caller { .. } => self.turn.ended,
            ReplyReason::Tool => waited,
            ReplyReason::Digits(_) if self.turn.is_decided() => self.turn.ended,
            ReplyReason::Digits(_) | ReplyReason::Greeting | ReplyReason::Initiative => self.now,
        };
        reply.basis = has_turn.then_some(words);
        self.reply = Some(reply);
        if speculative {
            self.event(CallEvent::Speculated { reply: id });
        } else {
            self.speech.rebridge(id);
        }
        if let Some(failure) = self.llm_ended.clone() {
            let failed = LlmEvent::Failed { reply: id, failure };
            return self.on_llm(failed, line);
        }
        let tools = if may_use_tools { ToolUse::Auto } else { ToolUse::None };
        let language = self.language.tag();
        let speculative = speculative && self.config.follows;
        let request = ReplyRequest { reply: id, reason, history, language, tools, speculative };
        self.todo.push_back(Todo::Llm(LlmCommand::Respond(Arc::new(request))));
    }

    /// Another reply takes the place of one that is being spoken: what was written of it is said, no more comes.
    fn close_reply(&mut self, line: &mut dyn Line) {
        let Some(old) = self.reply.take().filter(|old| !old.is_over()) else { return };
        self.todo.push_back(Todo::Llm(LlmCommand::Cancel { reply: old.id }));
        if let Some(said) = old.utterance.and_then(|id| self.speech.get_mut(id)) {
            said.closed = true;
            line.command(LineCommand::Close(said.id), self.now);
        }
    }

    /// The turn is over: a reply that was held may be heard.
    pub(crate) fn release_reply(&mut self, line: &mut dyn Line) {
        let Some(reply) = &mut self.reply else { return };
        reply.phase = Phase::Due;
        self.speech.rebridge(reply.id);
        reply.since = self.turn.ended;
        reply.answers = Some(self.turn.number);
        if let Some(said) = reply.utterance.and_then(|id| self.speech.get_mut(id)) {
            said.progress =
                if said.has_sound { Progress::Ready } else { Progress::Waiting { since: self.now } };
            line.command(LineCommand::Release(said.id), self.now);
        }
        self.check_wordless(line);
    }

    /// Throws away a reply that was requested before the turn was over.
    pub(crate) fn drop_speculation(&mut self) {
        if self.reply.as_ref().is_some_and(Reply::is_speculative) {
            self.drop_reply();
        }
    }

    /// Throws away a reply of which nothing was heard.
    pub(crate) fn drop_reply(&mut self) {
        if self.reply.as_ref().is_none_or(Reply::has_begun) {
            return;
        }
        self.cancel_reply();
    }

    /// No more of the reply is wanted. What was heard of it stays.
    pub(crate) fn cancel_reply(&mut self) {
        let Some(reply) = self.reply.take() else { return };
        if reply.is_speculative() {
            self.event(CallEvent::SpeculationDropped { reply: reply.id });
        }
        self.todo.push_back(Todo::Llm(LlmCommand::Cancel { reply: reply.id }));
        let unbegun = reply.utterance.and_then(|id| self.speech.get(id)).filter(|said| !said.has_begun());
        if let Some(id) = unbegun.map(|said| said.id) {
            self.speech.remove(id);
            self.discarded.push(id);
        }
    }

    pub(crate) fn on_llm_ended(&mut self, failure: StageFailure, line: &mut dyn Line) {
        self.trouble(&format!("the language model has ended: {failure}"));
        let pending = self.reply.as_ref().filter(|reply| !reply.done).map(|reply| reply.id);
        self.llm_ended = Some(failure.clone());
        if let Some(reply) = pending {
            self.on_llm(LlmEvent::Failed { reply, failure }, line);
        }
    }

    pub(crate) fn on_llm(&mut self, event: LlmEvent, line: &mut dyn Line) {
        if let LlmEvent::Initiative { preempt } = event {
            return self.on_initiative(preempt, line);
        }
        let id = event.reply();
        // Events of a cancelled reply are ignored.
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.id == id && !reply.done) else { return };
        match event {
            LlmEvent::Text { delta, .. } => {
                reply.first_text.get_or_insert(self.now);
                self.write(&delta, line);
            }
            LlmEvent::Interruptible { by, .. } => {
                reply.interruptible = Some(by);
                if let Some(said) = reply.utterance.and_then(|id| self.speech.get_mut(id)) {
                    said.interruptible = by;
                    line.command(LineCommand::Interruptible(said.id, by), self.now);
                }
            }
            LlmEvent::Language { language, .. } => reply.language = Some(language),
            LlmEvent::Silent { .. } => reply.used_tools = true,
            // Belongs to no reply.
            LlmEvent::Initiative { .. } => {}
            LlmEvent::Expect { expectation, .. } if reply.has_begun() => self.expect(&expectation, line),
            LlmEvent::Expect { expectation, .. } => reply.expectation = Some(expectation),
            LlmEvent::Tool { call, .. } => {
                reply.used_tools = true;
                if reply.has_begun() {
                    self.use_tool(call, line);
                } else {
                    reply.tools.push(call);
                }
            }
            LlmEvent::Done { .. } => self.reply_written(line),
            LlmEvent::Failed { failure, .. } => {
                self.trouble(&format!("no reply could be had: {failure}"));
                // What was written stays, but it broke off; where nothing was, the apology takes its place.
                let broke_off = |reply: &Reply| reply.utterance.is_some() && !reply.is_speculative();
                if self.reply.as_ref().is_some_and(broke_off) {
                    self.reply_written(line);
                    self.apologise(line);
                } else {
                    self.give_up_reply(line);
                }
            }
        }
    }

    /// More of the reply's text. It opens its mouth with its first word.
    fn write(&mut self, delta: &str, line: &mut dyn Line) {
        let Some(reply) = &mut self.reply else { return };
        let text = reply.filter.push(delta);
        self.write_out(text, line);
    }

    fn write_out(&mut self, text: String, line: &mut dyn Line) {
        let Some(reply) = self.reply.as_mut().filter(|_| !text.is_empty()) else { return };
        if let Some(id) = reply.utterance {
            if let Some(said) = self.speech.get_mut(id) {
                said.text.push_str(&text);
                line.command(LineCommand::Append { id, text }, self.now);
            }
            return;
        }
        let (id, held, by) = (reply.id, reply.is_speculative(), reply.interruptible);
        let purpose = if reply.reason == ReplyReason::Greeting {
            Purpose::Greeting(Some(id))
        } else {
            Purpose::Reply(Some(id))
        };
        let language = reply.language.clone();
        let opened = self.open(purpose, &text, by, held, language, line);
        if let Some(reply) = &mut self.reply {
            reply.utterance = Some(opened);
        }
    }

    fn reply_written(&mut self, line: &mut dyn Line) {
        let Some(reply) = &mut self.reply else { return };
        let held = reply.filter.finish();
        self.write_out(held, line);
        let Some(reply) = &mut self.reply else { return };
        reply.done = true;
        if let Some(said) = reply.utterance.and_then(|id| self.speech.get_mut(id)) {
            said.closed = true;
            line.command(LineCommand::Close(said.id), self.now);
        }
        self.check_wordless(line);
    }

    /// A reply that is done and has no words: only tools make it true; nothing at all is no answer.
    fn check_wordless(&mut self, line: &mut dyn Line) {
        let Some(reply) = &mut self.reply else { return };
        if reply.phase != Phase::Due || !reply.done || reply.utterance.is_some() {
            return;
        }
        let accepted = match reply.reason {
            ReplyReason::Greeting | ReplyReason::Initiative => true,
            // Keys that were pressed and the like may be all there is to do.
            ReplyReason::Tool => reply.used_tools || !self.tools.results_matter,
            ReplyReason::Caller { .. } | ReplyReason::Digits(_) => reply.used_tools,
        };
        if accepted {
            return self.begin_reply(false, line);
        }
        if reply.again {
            return self.give_up_reply(line);
        }
        let (reason, since) = (reply.reason.clone(), reply.since);
        self.trouble("the model answered without a word; it is asked again");
        self.request(reason, false, line);
        if let Some(reply) = &mut self.reply {
            reply.again = true;
            reply.since = since;
        }
    }

    /// The reply, or its rest, can't be had: an apology takes its place.
    pub(crate) fn give_up_reply(&mut self, line: &mut dyn Line) {
        let Some(reply) = &self.reply else { return };
        if reply.is_speculative() {
            return self.drop_reply(); // it is requested again when the turn is over
        }
        if self.turn.is_decided() && self.turn.holds_floor() {
            return self.reopen_turn(line); // the caller has gone on: that is answered instead
        }
        let id = reply.id;
        self.cancel_reply();
        self.drop_ended(Occasion::ReplyReady(id), line); // nothing bridges the wait for it any more
        if self.turn.is_decided() {
            self.close_turn(line); // one that is being spoken goes on
        }
        self.unanswered_digits = None;
        self.silence.bridged = 0;
        self.apologise(line);
    }

    pub(crate) fn apologise(&mut self, line: &mut dyn Line) {
        let apology = self.language.phrases(&self.config).apology.clone();
        self.say(Purpose::Apology, &apology, None, line);
    }

    /// The reply's first sound went out: now it is true.
    pub(crate) fn begin_reply(&mut self, sounded: bool, line: &mut dyn Line) {
        let Some(reply) = self.reply.as_mut().filter(|reply| !reply.has_begun()) else { return };
        reply.phase = Phase::Begun;
        let id = reply.id;
        let answers_words = reply.basis.is_some() || reply.has_digits;
        let expectation = reply.expectation.take();
        let tools = std::mem::take(&mut reply.tools);
        let (requested, first_text, first_audio) = (reply.requested, reply.first_text, reply.first_audio);
        if std::mem::take(&mut reply.has_digits) {
            self.unanswered_digits = None;
        }
        self.silence.bridged = 0;
        self.tools.results_matter &= !sounded;
        self.todo.push_back(Todo::Llm(LlmCommand::Commit { reply: id }));
        self.drop_ended(Occasion::ReplyReady(id), line);
        if let Some(decided) = self.turn.decided() {
            let end = self.turn.ended;
            let since = |at| ms(at).saturating_sub(ms(end));
            if sounded {
                self.event(CallEvent::ReplyTimed(ReplyTiming {
                    speech_end_ms: ms(end),
                    transcript_ms: decided.settled_at.map(since),
                    decided_ms: since(decided.at),
                    requested_ms: since(requested),
                    first_text_ms: first_text.map(since),
                    first_audio_ms: first_audio.map(since),
                    first_frame_ms: since(self.now),
                }));
            }
            self.close_turn(line);
        }
        if answers_words {
            self.interrupt_tools(line);
            self.stop_collecting();
        }
        if let Some(expectation) = expectation {
            self.expect(&expectation, line);
        }
        for tool in tools {
            self.use_tool(tool, line);
        }
    }

    fn expect(&mut self, expectation: &Arc<Expectation>, line: &mut dyn Line) {
        self.answer = expectation.answer;
        line.command(LineCommand::Expect(self.language.expectation(expectation)), self.now);
    }
}
