//! A reply on its way from the language model to the voice.

use std::sync::Arc;

use crate::call::Call;
use crate::hearing::ms;
use crate::io::{CallEvent, Output, ReplyTiming, UtteranceKind};
use crate::playout::Utterance;
use crate::sentence::SentenceCutter;
use crate::timers::Timer;
use crate::turn::Floor;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;
use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::tools;
use offhook_stage_api::{
    Expectation, LlmCommand, LlmEvent, Party, ReplyReason, ReplyRequest, SpeakRequest, SttCommand, ToolCall,
    TtsCommand,
};

/// One attempt to answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: ReplyId,
    /// The words that it answers.
    pub(crate) basis: String,
    greeting: bool,
    /// It goes on after a tool: the caller hears something else until it comes.
    pub(crate) after_tool: bool,
    /// Held until the turn's end is certain.
    pub(crate) speculative: bool,
    /// Its first sound went out (or it has none and is done).
    pub(crate) committed: bool,
    pub(crate) utterance: Option<UtteranceId>,
    /// What may interrupt it, if it isn't as configured.
    interruptible: Option<Interruptible>,
    cutter: SentenceCutter,
    pub(crate) done: bool,
    tools: Vec<ToolCall>,
    expectation: Option<Arc<Expectation>>,
    /// The language that it was asked for in, if the call was switched to one.
    language: Option<Arc<str>>,
    requested: CallTime,
    first_text: Option<CallTime>,
    pub(crate) first_audio: Option<CallTime>,
}

impl Call {
    /// Asks for a reply.
    pub(crate) fn request_reply(&mut self, reason: ReplyReason, speculative: bool) {
        self.close_reply();
        self.tools_are_answered();
        let id = self.next_reply;
        self.next_reply = id.next();
        let (basis, turns) = match &reason {
            ReplyReason::Caller { text, .. } => {
                (text.clone(), self.context.with(Party::Caller, text, (self.turn.began, self.turn.ended)))
            }
            _ => (String::new(), self.context.turns().to_vec()),
        };
        self.reply = Some(Reply {
            id,
            basis,
            greeting: reason == ReplyReason::Greeting,
            after_tool: reason == ReplyReason::Tool,
            speculative,
            committed: false,
            utterance: None,
            interruptible: None,
            cutter: SentenceCutter::default(),
            done: false,
            tools: Vec::new(),
            expectation: None,
            language: self.spoken.tag(),
            requested: self.now,
            first_text: None,
            first_audio: None,
        });
        if speculative {
            self.event(CallEvent::Speculated { reply: id });
        }
        self.out.push_back(Output::Llm(LlmCommand::Respond(Arc::new(ReplyRequest {
            reply: id,
            reason,
            turns,
            language: self.spoken.tag(),
        }))));
    }

    /// Another reply takes the place of one that is being spoken: what was written of it is said, no more comes.
    fn close_reply(&mut self) {
        let Some(old) = self.reply.take().filter(|old| !old.done) else { return };
        self.out.push_back(Output::Llm(LlmCommand::Cancel { reply: old.id }));
        if let Some(id) = old.utterance {
            if let Some(utterance) = self.playout.get_mut(id) {
                utterance.closed = true;
            }
            self.playout.finish(id, &mut self.out);
        }
    }

    /// The turn is over: a reply that was held may be heard.
    pub(crate) fn release_reply(&mut self) {
        let Some(reply) = &mut self.reply else { return };
        reply.speculative = false;
        let utterance = reply.utterance;
        if let Some(utterance) = utterance.and_then(|id| self.playout.get_mut(id)) {
            utterance.held = false;
        }
        self.commit_if_silent();
    }

    /// Throws away a reply of which nothing was heard.
    pub(crate) fn drop_reply(&mut self) {
        if self.reply.as_ref().is_none_or(|reply| reply.committed) {
            return;
        }
        let Some(reply) = self.reply.take() else { return };
        if reply.speculative {
            self.event(CallEvent::SpeculationDropped { reply: reply.id });
        }
        self.out.push_back(Output::Llm(LlmCommand::Cancel { reply: reply.id }));
        if let Some(utterance) = reply.utterance {
            self.out.push_back(Output::Tts(TtsCommand::Cancel { utterance }));
            self.playout.discard(utterance);
            self.outbound.reset();
        }
    }

    pub(crate) fn on_llm(&mut self, event: LlmEvent) {
        let id = match &event {
            LlmEvent::Text { reply, .. }
            | LlmEvent::Expect { reply, .. }
            | LlmEvent::Tool { reply, .. }
            | LlmEvent::Interruptible { reply, .. }
            | LlmEvent::Done { reply }
            | LlmEvent::Failed { reply, .. } => *reply,
        };
        // What comes late from a reply that was thrown away is nothing.
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.id == id && !reply.done) else { return };
        match event {
            LlmEvent::Text { delta, .. } => {
                reply.first_text.get_or_insert(self.now);
                reply.cutter.push(&delta);
                while let Some(piece) = self.reply.as_mut().and_then(|reply| reply.cutter.next_piece()) {
                    self.speak_piece(piece);
                }
            }
            LlmEvent::Interruptible { by, .. } => {
                reply.interruptible = Some(by);
                if let Some(utterance) = reply.utterance.and_then(|id| self.playout.get_mut(id)) {
                    utterance.interruptible = by;
                }
            }
            LlmEvent::Expect { expectation, .. } => {
                if reply.committed {
                    self.expect(&expectation);
                } else {
                    reply.expectation = Some(expectation);
                }
            }
            LlmEvent::Tool { call, .. } => {
                if reply.committed {
                    self.use_tool(call);
                } else {
                    reply.tools.push(call);
                }
            }
            LlmEvent::Done { .. } => self.reply_done(),
            LlmEvent::Failed { failure, .. } => {
                self.trouble(&format!("no reply could be had: {failure}"));
                self.reply_failed();
            }
        }
    }

    fn reply_done(&mut self) {
        if let Some(piece) = self.reply.as_mut().and_then(|reply| reply.cutter.rest()) {
            self.speak_piece(piece);
        }
        let Some(reply) = &mut self.reply else { return };
        reply.done = true;
        if let Some(id) = reply.utterance {
            if let Some(utterance) = self.playout.get_mut(id) {
                utterance.closed = true;
            }
            self.playout.finish(id, &mut self.out);
        }
        self.commit_if_silent();
    }

    /// A reply without a word (only tools) is committed when it is done and certain.
    fn commit_if_silent(&mut self) {
        let silent =
            |reply: &Reply| reply.done && reply.utterance.is_none() && !reply.speculative && !reply.committed;
        if self.reply.as_ref().is_some_and(silent) {
            self.commit_reply(false);
        }
    }

    /// What was said of a reply that failed stays; where nothing was, an apology is.
    fn reply_failed(&mut self) {
        let heard_some = self.reply.as_ref().is_some_and(|reply| reply.utterance.is_some());
        if heard_some {
            return self.reply_done();
        }
        self.reply_unspoken();
    }

    /// Nothing of the reply can be heard.
    pub(crate) fn reply_unspoken(&mut self) {
        let Some(reply) = self.reply.take() else { return };
        if reply.speculative {
            self.event(CallEvent::SpeculationDropped { reply: reply.id });
            return; // asked again when the turn is over
        }
        self.timers.cancel(Timer::ReplyLate);
        let apology = self.spoken.patience(&self.config.patience).apology.clone();
        self.say(UtteranceKind::Apology, &apology);
        self.keep_turn_in_context(&reply.basis);
    }

    fn keep_turn_in_context(&mut self, text: &str) {
        if self.turn.floor == Floor::Decided {
            let when = (self.turn.began, self.turn.ended);
            self.context.push(Party::Caller, text.to_owned(), false, when);
            self.close_turn();
        }
    }

    fn speak_piece(&mut self, text: String) {
        let Some(reply) = &mut self.reply else { return };
        let (held, language) = (reply.speculative, reply.language.clone());
        let id = match reply.utterance {
            Some(id) => id,
            None => {
                let id = self.playout.name_utterance();
                reply.utterance = Some(id);
                let (kind, usual) = if reply.greeting {
                    (UtteranceKind::Greeting, self.config.barge_in.greeting)
                } else {
                    (UtteranceKind::Reply, self.config.barge_in.reply)
                };
                let mut utterance = Utterance::new(id, kind, reply.interruptible.unwrap_or(usual));
                utterance.reply = Some(reply.id);
                utterance.held = held;
                self.playout.queue(utterance);
                id
            }
        };
        let Some(utterance) = self.playout.get_mut(id) else { return };
        let segment = utterance.add_segment(text.clone());
        let request = SpeakRequest { utterance: id, segment, text, last: false, language };
        self.out.push_back(Output::Tts(TtsCommand::Speak(request)));
    }

    /// The reply's first sound went out: now it is true.
    pub(crate) fn commit_reply(&mut self, sounded: bool) {
        let Some(reply) = &mut self.reply else { return };
        if reply.committed {
            return;
        }
        reply.committed = true;
        let (id, basis) = (reply.id, reply.basis.clone());
        let expectation = reply.expectation.take();
        let tools = std::mem::take(&mut reply.tools);
        let (requested, first_text, first_audio) = (reply.requested, reply.first_text, reply.first_audio);
        let answers_turn = self.turn.floor == Floor::Decided;
        self.timers.cancel(Timer::ReplyLate);
        self.patience.fillers_said = 0;
        self.out.push_back(Output::Llm(LlmCommand::Commit { reply: id }));
        if answers_turn && sounded {
            let end = self.turn.ended;
            self.event(CallEvent::ReplyTimed(ReplyTiming {
                speech_end_ms: ms(end),
                transcript_ms: self.turn.settled_at.map(|at| ms(at) - ms(end).min(ms(at))),
                decided_ms: self.patience.decided.map_or(0, |at| ms(at).saturating_sub(ms(end))),
                requested_ms: ms(requested).saturating_sub(ms(end)),
                first_text_ms: first_text.map(|at| ms(at).saturating_sub(ms(end))),
                first_audio_ms: first_audio.map(|at| ms(at).saturating_sub(ms(end))),
                first_frame_ms: ms(self.now).saturating_sub(ms(end)),
            }));
        }
        self.keep_turn_in_context(&basis);
        if let Some(expectation) = expectation {
            self.expect(&expectation);
        }
        if !basis.is_empty() {
            self.interrupt_tools();
            self.stop_collecting();
        }
        for tool in tools {
            self.use_tool(tool);
        }
    }

    fn expect(&mut self, expectation: &Arc<Expectation>) {
        self.answer = expectation.answer;
        self.out.push_back(Output::Stt(SttCommand::Expect(self.spoken.expectation(expectation))));
    }

    fn use_tool(&mut self, call: ToolCall) {
        // Keys are nobody's business, the model's own later turns included.
        let arguments =
            if call.name == tools::SEND_DTMF { "keys".to_owned() } else { call.arguments.to_string() };
        let text = format!("{}({arguments})", call.name);
        self.context.push(Party::Tool, text, false, (self.now, self.now));
        match call.name.as_str() {
            tools::END_CALL => self.end_when_said(crate::EndReason::AgentDone),
            tools::SEND_DTMF => self.send_keys(call),
            tools::TRANSFER => self.transfer_when_said(call, true),
            tools::COLLECT_DIGITS => self.collect_digits(call),
            tools::SWITCH_LANGUAGE => self.switch_language(call),
            _ => self.begin_tool(call),
        }
    }
}
