//! The reply: requested, written, held, thrown away, begun.

use std::sync::Arc;

use offhook_stage_api::{
    CallTime, Expectation, Interruptible, LlmCommand, Recording, ReplyId, ReplyReason, ReplyRequest,
    StageFailure, ToolCall, ToolUse, UtteranceId,
};

use super::Agent;
use super::outcome::{Begun, Wordless};
use super::reply::{Phase, Reply};
use crate::caller::Caller;
use crate::event::CallEvent;
use crate::moment::Moment;
use crate::speech::{Occasion, Purpose, must_be_heard};
use crate::turn::TurnNumber;

impl Agent {
    // What is known.

    /// No reply is waited for, nor being written.
    pub(crate) fn is_done_replying(&self) -> bool {
        self.reply.as_ref().is_none_or(Reply::is_over)
    }

    /// A reply may be requested before the end of the turn is certain.
    pub(crate) fn may_speculate(&self) -> bool {
        self.llm_ended.is_none() && self.is_done_replying()
    }

    /// A reply that may be heard is being written.
    pub(crate) fn is_writing(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| !reply.done && !reply.is_speculative())
    }

    /// The reason of the reply that is waited for.
    pub(crate) fn asked(&self) -> Option<&ReplyReason> {
        self.reply.as_ref().filter(|reply| reply.phase == Phase::Due).map(|reply| &reply.reason)
    }

    /// A reply of which nothing was heard: the words that it answers, and whether it is speculative.
    pub(crate) fn basis(&self) -> Option<(&str, bool)> {
        let reply = self.reply.as_ref().filter(|reply| !reply.has_begun())?;
        Some((reply.basis.as_deref()?, reply.is_speculative()))
    }

    /// The words that the reply answers, if it answers any.
    pub(crate) fn answers(&self) -> Option<&str> {
        self.reply.as_ref()?.basis.as_deref()
    }

    /// What the reply says, it says in an utterance that has been opened.
    pub(crate) fn has_spoken(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.utterance.is_some())
    }

    /// The answer to this turn, or to a number, need not be requested: it was, or something else must be written to its end first.
    pub(crate) fn has_answer(&self, turn: Option<TurnNumber>, digits: bool) -> bool {
        let Some(reply) = &self.reply else { return false };
        if !reply.has_begun() {
            return reply.answers == turn && (reply.has_digits || !digits);
        }
        let said = reply.utterance.and_then(|id| self.speaking.get(id));
        !reply.done && said.is_some_and(must_be_heard)
    }

    // Requesting.

    /// Requests a reply. Gives why none can be had, if the model has ended.
    pub(crate) fn request(
        &mut self,
        reason: ReplyReason,
        speculative: bool,
        caller: &Caller,
        at: &mut Moment<'_>,
    ) -> Option<(ReplyId, StageFailure)> {
        // Where nothing was said before its tools were called, the caller has waited for longer.
        let unannounced = self.reply.as_ref().filter(|old| old.has_begun() && old.utterance.is_none());
        let waited = unannounced.map_or_else(|| self.waits_on(at), |old| old.since);
        self.close_reply(at);
        self.last_reply = self.last_reply.next();
        let id = self.last_reply;
        let may_use_tools = match reason {
            ReplyReason::Tool => {
                self.silence.wait_anew();
                self.tools.step(&at.config.tool_limits)
            }
            _ => true,
        };
        if !may_use_tools {
            at.trouble("the model has used tools for long enough; it is asked to speak");
        }
        self.tools.results_are_taken();
        self.initiative = false;
        let turn = caller.turn();
        let words = turn.words();
        let has_turn = speculative || turn.is_decided();
        let unanswered = speculative.then_some((words.as_str(), (turn.began(), turn.ended())));
        let texts = |id| self.speaking.get(id).map(|said| said.text.clone());
        let history = self.history.render(&*at.line, texts, unanswered, at.now);
        let phase = if speculative { Phase::Speculative } else { Phase::Due };
        let mut reply = Reply::new(id, reason.clone(), phase, at.now);
        reply.language = self.language.tag();
        reply.has_digits = caller.keyed().is_some();
        reply.answers = has_turn.then_some(turn.number());
        reply.since = match reason {
            ReplyReason::Caller { .. } => turn.ended(),
            ReplyReason::Tool => waited,
            ReplyReason::Digits(_) if turn.is_decided() => turn.ended(),
            ReplyReason::Digits(_) | ReplyReason::Greeting | ReplyReason::Initiative => at.now,
        };
        reply.basis = has_turn.then_some(words);
        self.reply = Some(reply);
        if speculative {
            at.event(CallEvent::Speculated { reply: id });
        } else {
            self.speaking.rebridge(id);
        }
        if let Some(failure) = self.llm_ended.clone() {
            return Some((id, failure));
        }
        let tools = if may_use_tools { ToolUse::Auto } else { ToolUse::None };
        let language = self.language.tag();
        let speculative = speculative && at.config.follows;
        let request = ReplyRequest { reply: id, reason, history, language, tools, speculative };
        at.llm(LlmCommand::Respond(Arc::new(request)));
        None
    }

    /// The reply that was just requested is asked for once more. The caller has waited since then.
    pub(crate) fn asks_again(&mut self, since: CallTime) {
        if let Some(reply) = &mut self.reply {
            reply.again = true;
            reply.since = since;
        }
    }

    /// The reply that was just requested goes on after tools.
    pub(crate) fn goes_on_after_tools(&mut self) {
        let exhausted = self.tools.is_exhausted();
        if let Some(reply) = &mut self.reply {
            reply.told_to_speak = exhausted;
        }
    }

    /// The model was asked for words and uses tools all the same.
    pub(crate) fn was_told_to_speak(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.told_to_speak)
    }

    /// The reply is done, and has said nothing.
    pub(crate) fn is_wordless(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.done && reply.utterance.is_none())
    }

    /// Another reply takes the place of one that is being spoken: what was written of it is said, no more comes.
    fn close_reply(&mut self, at: &mut Moment<'_>) {
        let Some(old) = self.reply.take().filter(|old| !old.is_over()) else { return };
        at.llm(LlmCommand::Cancel { reply: old.id });
        if let Some(id) = old.utterance {
            self.speaking.close(id, at);
        }
    }

    /// The reply was requested on these words, and may be heard as soon as the turn is over.
    pub(crate) fn is_speculative_on(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.reply
            .as_ref()
            .is_some_and(|reply| reply.is_speculative() && reply.basis.as_deref().is_some_and(matches))
    }

    /// The turn is over: a reply that was held may be heard.
    pub(crate) fn release_reply(&mut self, caller: &Caller, at: &mut Moment<'_>) {
        let Some(reply) = &mut self.reply else { return };
        reply.phase = Phase::Due;
        self.speaking.rebridge(reply.id);
        reply.since = caller.turn().ended();
        reply.answers = Some(caller.turn().number());
        if let Some(id) = reply.utterance {
            self.speaking.release(id, at);
        }
    }

    // Giving up.

    /// The reply that there is was requested before the end of the turn was certain.
    pub(crate) fn is_speculating(&self) -> bool {
        self.reply.as_ref().is_some_and(Reply::is_speculative)
    }

    /// Throws away a reply that was requested before the turn was over.
    pub(crate) fn drop_speculation(&mut self, at: &mut Moment<'_>) {
        if self.is_speculating() {
            self.drop_reply(at);
        }
    }

    /// Throws away a reply of which nothing was heard.
    pub(crate) fn drop_reply(&mut self, at: &mut Moment<'_>) {
        if self.reply.as_ref().is_some_and(|reply| !reply.has_begun()) {
            self.cancel_reply(at);
        }
    }

    /// No more of the reply is wanted. What was heard of it stays.
    pub(crate) fn cancel_reply(&mut self, at: &mut Moment<'_>) {
        let Some(reply) = self.reply.take() else { return };
        if reply.is_speculative() {
            at.event(CallEvent::SpeculationDropped { reply: reply.id });
        }
        at.llm(LlmCommand::Cancel { reply: reply.id });
        if let Some(id) = reply.utterance {
            self.speaking.discard(id);
        }
    }

    /// The reply can't be had.
    pub(crate) fn reply_failed(&mut self, at: &mut Moment<'_>) {
        let Some(id) = self.reply.as_ref().map(|reply| reply.id) else { return };
        self.cancel_reply(at);
        self.drop_ended(Occasion::ReplyReady(id), at); // nothing bridges the wait for it any more
    }

    /// A reply is there.
    pub(crate) const fn has_reply(&self) -> bool {
        self.reply.is_some()
    }

    // What the model writes.

    /// The model has ended. Gives the reply that will never come, if one is being written.
    pub(crate) fn on_llm_ended(&mut self, failure: StageFailure) -> Option<ReplyId> {
        self.llm_ended = Some(failure);
        self.reply.as_ref().filter(|reply| !reply.done).map(|reply| reply.id)
    }

    /// Whether this reply is being written. Events of a cancelled one are ignored.
    pub(crate) fn writes(&self, id: ReplyId) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.id == id && !reply.done)
    }

    /// The model has something to say that nobody asked for.
    pub(crate) fn on_initiative(&mut self, preempt: bool, at: &mut Moment<'_>) {
        self.initiative = true;
        if preempt {
            self.drop_ended(Occasion::Preempted, at);
        }
    }

    pub(crate) const fn has_initiative(&self) -> bool {
        self.initiative
    }

    /// More of the reply's text. It opens its mouth with its first word.
    pub(crate) fn write(&mut self, delta: &str, at: &mut Moment<'_>) {
        let Some(reply) = &mut self.reply else { return };
        reply.first_text.get_or_insert(at.now);
        let text = reply.filter.push(delta);
        self.write_out(text, at);
    }

    fn write_out(&mut self, text: String, at: &mut Moment<'_>) {
        let Some(reply) = self.reply.as_mut().filter(|_| !text.is_empty()) else { return };
        if let Some(id) = reply.utterance {
            return self.speaking.append(id, text, at);
        }
        self.open_mouth(&text, at);
    }

    /// The reply is a recording, in the place of text.
    pub(crate) fn play(&mut self, recording: Arc<Recording>, at: &mut Moment<'_>) {
        let Some(reply) = self.reply.as_mut().filter(|reply| reply.utterance.is_none()) else { return };
        reply.first_text.get_or_insert(at.now);
        if let Some(id) = self.open_mouth("", at) {
            self.speaking.play(id, recording, at);
        }
    }

    fn open_mouth(&mut self, text: &str, at: &mut Moment<'_>) -> Option<UtteranceId> {
        let reply = self.reply.as_mut()?;
        let purpose = if reply.reason == ReplyReason::Greeting {
            Purpose::Greeting(Some(reply.id))
        } else {
            Purpose::Reply(Some(reply.id))
        };
        let (held, by, language) = (reply.is_speculative(), reply.interruptible, reply.language.clone());
        let id = self.speaking.open(purpose, text, by, held, language, at);
        reply.utterance = Some(id);
        Some(id)
    }

    pub(crate) fn on_interruptible(&mut self, by: Interruptible, at: &mut Moment<'_>) {
        let Some(reply) = &mut self.reply else { return };
        reply.interruptible = Some(by);
        if let Some(id) = reply.utterance {
            self.speaking.interruptible(id, by, at);
        }
    }

    pub(crate) fn on_language(&mut self, language: Arc<str>) {
        if let Some(reply) = &mut self.reply {
            reply.language = Some(language);
        }
    }

    /// The reply is to have no words.
    pub(crate) fn on_silent(&mut self) {
        if let Some(reply) = &mut self.reply {
            reply.used_tools = true;
        }
    }

    /// Gives back what is true already, because the reply is.
    pub(crate) fn on_expectation(&mut self, expectation: Arc<Expectation>) -> Option<Arc<Expectation>> {
        let reply = self.reply.as_mut()?;
        if reply.has_begun() {
            return Some(expectation);
        }
        reply.expectation = Some(expectation);
        None
    }

    /// Gives back what is to be done at once, because the reply is true already.
    pub(crate) fn on_tool_call(&mut self, call: ToolCall) -> Option<ToolCall> {
        let reply = self.reply.as_mut()?;
        reply.used_tools = true;
        if reply.has_begun() {
            return Some(call);
        }
        reply.tools.push(call);
        None
    }

    /// The reply is written to its end.
    pub(crate) fn written(&mut self, at: &mut Moment<'_>) {
        let Some(reply) = &mut self.reply else { return };
        let held = reply.filter.finish();
        self.write_out(held, at);
        let Some(reply) = &mut self.reply else { return };
        reply.done = true;
        if let Some(id) = reply.utterance {
            self.speaking.close(id, at);
        }
    }

    /// The reply breaks off: some of it was written, and may be heard.
    pub(crate) fn broke_off(&self) -> bool {
        self.reply.as_ref().is_some_and(|reply| reply.utterance.is_some() && !reply.is_speculative())
    }

    pub(crate) fn wordless(&self) -> Wordless {
        let Some(reply) = &self.reply else { return Wordless::No };
        if reply.phase != Phase::Due || !reply.done || reply.utterance.is_some() {
            return Wordless::No;
        }
        let accepted = match reply.reason {
            ReplyReason::Greeting | ReplyReason::Initiative => true,
            // Keys that were pressed and the like may be all there is to do.
            ReplyReason::Tool => reply.used_tools || !self.tools.do_results_matter(),
            ReplyReason::Caller { .. } | ReplyReason::Digits(_) => reply.used_tools,
        };
        match (accepted, reply.again) {
            (true, _) => Wordless::Accepted,
            (false, true) => Wordless::GivenUp,
            (false, false) => Wordless::Again(reply.reason.clone(), reply.since),
        }
    }

    /// The reply's first sound went out, or it has none and is done: now it is true. `None` if it was already.
    pub(crate) fn begin_reply(&mut self, sounded: bool, at: &mut Moment<'_>) -> Option<Begun> {
        let reply = self.reply.as_mut().filter(|reply| !reply.has_begun())?;
        reply.phase = Phase::Begun;
        let id = reply.id;
        let begun = Begun {
            requested: reply.requested,
            first_text: reply.first_text,
            first_audio: reply.first_audio,
            answers_words: reply.basis.is_some() || reply.has_digits,
            answers_number: std::mem::take(&mut reply.has_digits),
            expectation: reply.expectation.take(),
            tools: std::mem::take(&mut reply.tools),
        };
        self.silence.wait_anew();
        if sounded {
            self.tools.results_are_told();
        }
        at.llm(LlmCommand::Commit { reply: id });
        self.drop_ended(Occasion::ReplyReady(id), at);
        Some(begun)
    }
}
