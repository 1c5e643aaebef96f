//! A reply on its way from the language model to the carrier.

use std::sync::Arc;

use super::RelayOutput;
use super::call::RelayCall;
use crate::hearing::ms;
use crate::io::{CallEvent, ReplyTiming, UtteranceKind};
use crate::timers::Timer;
use offhook_stage_api::CallTime;
use offhook_stage_api::Interruptible;
use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::{
    Digits, Expectation, LlmCommand, LlmEvent, Party, ReplyReason, ReplyRequest, ToolCall,
};

/// The caller's turn that a reply answers.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) text: String,
    pub(super) began: CallTime,
    pub(super) ended: CallTime,
}

/// One attempt to answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) id: ReplyId,
    pub(super) reason: ReplyReason,
    /// The turn that it answers, if it answers one; goes into the context with the reply's first words.
    pub(super) answered: Option<Answered>,
    /// Its first words were sent (or it has none and is done).
    pub(super) committed: bool,
    pub(super) done: bool,
    /// What it is saying. A filler in its midst ends one utterance and begins another.
    utterance: Option<UtteranceId>,
    interruptible: Option<Interruptible>,
    /// Text that isn't sent yet: spaces before its first word, or all while the caller speaks.
    held: String,
    tools: Vec<ToolCall>,
    expectation: Option<Arc<Expectation>>,
    requested: CallTime,
    first_text: Option<CallTime>,
}

impl Reply {
    /// It has said something.
    pub(super) const fn speaks(&self) -> bool {
        self.utterance.is_some()
    }
}

impl RelayCall {
    /// Asks for a reply.
    pub(super) fn request_reply(&mut self, reason: ReplyReason, answered: Option<Answered>) {
        self.cancel_reply();
        self.working.owed = false;
        let id = self.next_reply;
        self.next_reply = id.next();
        let turns = match &answered {
            Some(turn) => self.context.with(Party::Caller, &turn.text, (turn.began, turn.ended)),
            None => self.context.turns().to_vec(),
        };
        self.reply = Some(Reply {
            id,
            reason: reason.clone(),
            answered,
            committed: false,
            done: false,
            utterance: None,
            interruptible: None,
            held: String::new(),
            tools: Vec::new(),
            expectation: None,
            requested: self.now,
            first_text: None,
        });
        let request = ReplyRequest { reply: id, reason, turns, language: self.language.spoken.tag() };
        self.out.push_back(RelayOutput::Llm(LlmCommand::Respond(Arc::new(request))));
    }

    /// No more of the reply is wanted. What was sent of it stays, and is complete.
    pub(super) fn cancel_reply(&mut self) -> Option<Reply> {
        let reply = self.reply.take()?;
        self.timers.cancel(Timer::ReplyLate);
        if !reply.done || !reply.committed {
            self.out.push_back(RelayOutput::Llm(LlmCommand::Cancel { reply: reply.id }));
        }
        if let Some(open) = reply.utterance.and_then(|id| self.ledger.get(id)).filter(|saying| !saying.closed)
        {
            let id = open.id;
            self.send(id, "", true);
        }
        Some(reply)
    }

    pub(super) fn on_llm(&mut self, event: LlmEvent) {
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
                reply.held.push_str(&delta);
                self.send_held();
            }
            LlmEvent::Interruptible { by, .. } => reply.interruptible = Some(by),
            LlmEvent::Expect { expectation, .. } if reply.committed => self.answer = expectation.answer,
            LlmEvent::Expect { expectation, .. } => reply.expectation = Some(expectation),
            LlmEvent::Tool { call, .. } if reply.committed => self.use_tool(call),
            LlmEvent::Tool { call, .. } => reply.tools.push(call),
            LlmEvent::Done { .. } => {
                reply.done = true;
                self.send_held();
            }
            LlmEvent::Failed { failure, .. } => {
                self.trouble(&format!("no reply could be had: {failure}"));
                self.give_up_reply();
            }
        }
    }

    /// Sends what there is of the reply, unless the caller may be speaking.
    pub(super) fn send_held(&mut self) {
        if self.hold {
            return;
        }
        let Some(reply) = &mut self.reply else { return };
        let done = reply.done;
        let speakable = reply.utterance.is_some() || reply.held.chars().any(char::is_alphanumeric);
        if speakable && (done || !reply.held.is_empty()) {
            let token = std::mem::take(&mut reply.held);
            self.send_piece(&token, done);
        }
        if done {
            self.timers.cancel(Timer::ReplyLate);
            // Without a word (only tools) it becomes true when it is done.
            self.commit_reply(false);
        }
    }

    fn send_piece(&mut self, token: &str, last: bool) {
        let Some(reply) = &self.reply else { return };
        let (id, begins) = match reply.utterance {
            Some(id) => (id, false),
            None => {
                let (kind, usual) = match reply.reason {
                    ReplyReason::Greeting => (UtteranceKind::Greeting, self.config.barge_in.greeting),
                    _ => (UtteranceKind::Reply, self.config.barge_in.reply),
                };
                let interruptible = reply.interruptible.unwrap_or(usual);
                // The turn comes before what answers it.
                self.keep_turn();
                let id = self.open_utterance(kind, interruptible);
                self.event(CallEvent::Speaking { utterance: id, what: kind, text: token.to_owned() });
                (id, true)
            }
        };
        self.send(id, token, last);
        self.patience.fillers_said = 0;
        if let Some(reply) = &mut self.reply {
            reply.utterance = Some(id);
        }
        if begins {
            self.commit_reply(true);
        }
        if !last {
            // The rest is late when the voice has run out of text for so long.
            let late = self.ledger.voice_until() + self.config.patience.reply_late;
            self.timers.set(Timer::ReplyLate, late);
        }
    }

    /// The turn that is being answered goes into the context.
    fn keep_turn(&mut self) {
        if let Some(turn) = self.reply.as_mut().and_then(|reply| reply.answered.take()) {
            self.context.push(Party::Caller, turn.text, false, (turn.began, turn.ended));
        }
    }

    /// The reply's first words were sent: now it is true.
    fn commit_reply(&mut self, spoken: bool) {
        let answers =
            self.reply.as_ref().is_some_and(|reply| matches!(reply.reason, ReplyReason::Caller { .. }));
        self.keep_turn();
        let Some(reply) = self.reply.as_mut().filter(|reply| !reply.committed) else { return };
        reply.committed = true;
        let (id, requested, first_text) = (reply.id, reply.requested, reply.first_text);
        let expectation = reply.expectation.take();
        let tools = std::mem::take(&mut reply.tools);
        self.patience.fillers_said = 0;
        self.out.push_back(RelayOutput::Llm(LlmCommand::Commit { reply: id }));
        if spoken && answers {
            let end = self.patience.decided.unwrap_or(requested);
            let since = |at: CallTime| ms(at).saturating_sub(ms(end));
            self.event(CallEvent::ReplyTimed(ReplyTiming {
                speech_end_ms: ms(end),
                decided_ms: 0,
                requested_ms: since(requested),
                first_text_ms: first_text.map(since),
                first_frame_ms: since(self.now),
                ..ReplyTiming::default()
            }));
        }
        if let Some(expectation) = expectation {
            self.answer = expectation.answer;
        }
        if answers {
            self.stop_collecting();
        }
        for tool in tools {
            self.use_tool(tool);
        }
    }

    /// The answer, or its next words, are late.
    pub(super) fn on_reply_late(&mut self) {
        let Some(reply) = self.reply.as_ref().filter(|reply| !reply.done || !reply.committed) else { return };
        // While the caller may be speaking nothing is said; nor while the voice has text.
        let committed = reply.committed;
        let due =
            if committed { self.ledger.voice_until() + self.config.patience.reply_late } else { self.now };
        if self.hold || due > self.now {
            let again = due.max(self.now + self.config.patience.reply_late);
            return self.timers.set(Timer::ReplyLate, again);
        }
        if self.patience.fillers_said == 0
            && let Some(filler) =
                self.patience.next_filler(self.language.spoken.patience(&self.config.patience))
        {
            self.close_utterance();
            self.say(UtteranceKind::Filler, &filler, Interruptible::Yes);
            self.patience.fillers_said += 1;
            self.timers.set(Timer::ReplyLate, self.now + self.config.patience.reply_very_late);
            return;
        }
        self.trouble("the reply takes too long; it was given up");
        self.give_up_reply();
    }

    /// The reply has said a part of something.
    pub(super) fn is_mid_utterance(&self) -> bool {
        let open = self.reply.as_ref().and_then(|reply| reply.utterance).and_then(|id| self.ledger.get(id));
        open.is_some_and(|saying| !saying.closed)
    }

    /// Ends what the reply is saying; further text of it is another utterance.
    fn close_utterance(&mut self) {
        let Some(id) = self.reply.as_mut().and_then(|reply| reply.utterance.take()) else { return };
        if self.ledger.get(id).is_some_and(|saying| !saying.closed) {
            self.send(id, "", true);
        }
    }

    /// The reply, or its rest, can't be had: an apology takes its place.
    fn give_up_reply(&mut self) {
        self.keep_turn();
        self.cancel_reply();
        self.hold = false;
        self.patience.fillers_said = 0;
        let apology = self.texts().apology.clone();
        self.say(UtteranceKind::Apology, &apology, Interruptible::Yes);
    }

    /// Presses keys, behind what is being said.
    pub(super) fn press(&mut self, digits: &Digits) -> Result<(), String> {
        let keys = digits.reveal();
        if keys.is_empty() || keys.chars().any(|key| key.is_ascii_alphabetic()) {
            return Err("`digits` must hold keys that this line can press: 0 to 9, *, #".to_owned());
        }
        self.ledger.pressed(keys.len(), self.now);
        self.out.push_back(RelayOutput::Press(digits.clone()));
        Ok(())
    }
}
