//! A call's session with the model, without I/O: what the call's stages and the server say goes in, what to tell them comes
//! out.
//!
//! The server takes one response at a time, and keeps the conversation. So a reply that isn't wanted any more is cancelled and
//! its end awaited before the next is asked for; what of it was not heard is taken out of the conversation again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_call::id::{ReplyId, UtteranceId};
use offhook_call::stage::{
    LlmCommand, LlmEvent, Party, ReplyReason, ReplyRequest, SpeakRequest, SttCommand, SttEvent, ToolResult,
    TtsCommand, TtsEvent, Turn,
};
use offhook_stages::{StageError, ToolSpec, Usage};
use serde_json::Value;
use tokio::time::Instant;

use super::RealtimeConfig;
use super::ear::Ear;
use super::reply::Reply;
use super::wire;
use crate::llm::{Message, messages, note};

/// Replies kept in mind: what is being said, what is awaited, and what was dropped just now.
const REPLIES: usize = 6;
/// The engine's own words that the model was told of, kept for taking them back.
const OWN_WORDS: usize = 16;
/// Tools that wait for their results, at most.
const CALLS: usize = 64;
/// A cancelled response that doesn't end within this is taken for ended.
const CANCEL: Duration = Duration::from_secs(2);

/// What of the conversation the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knows {
    /// Nothing was said yet, or all that was is the engine's own.
    Beginning,
    All,
    /// The connection is another: all must be told anew.
    Nothing,
}

/// The response that the server is busy with.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) reply: Option<ReplyId>,
    pub(super) cancelled: bool,
    /// When it last gave a sign.
    heard: Instant,
    answered: bool,
}

/// A tool that the model has called.
#[derive(Debug)]
struct Called {
    id: String,
    name: String,
    reply: ReplyId,
    answered: bool,
}

/// The session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) config: Arc<RealtimeConfig>,
    language: String,
    instructions: String,
    tools: Arc<[ToolSpec]>,
    pub(super) ear: Ear,
    pub(super) replies: VecDeque<Reply>,
    pub(super) active: Option<Active>,
    /// To be asked for as soon as the server is free.
    waiting: Option<ReplyId>,
    /// Dropped just now: the next request may want it after all.
    dropped: Option<ReplyId>,
    called: Vec<Called>,
    own_words: VecDeque<(UtteranceId, String)>,
    knows: Knows,
    connected: bool,
    /// The settings must have been taken by then.
    pub(super) settled_by: Option<Instant>,
    items: u64,
    pub(super) usage: Usage,
    pub(super) transcription: Usage,
    /// For the server, the model's events, the voice's, and what the other voice is to do.
    pub(super) say: Vec<Value>,
    pub(super) llm: Vec<LlmEvent>,
    pub(super) tts: Vec<TtsEvent>,
    pub(super) voice: Vec<TtsCommand>,
}

impl Session {
    pub(super) fn new(
        config: Arc<RealtimeConfig>,
        language: String,
        instructions: String,
        tools: Arc<[ToolSpec]>,
    ) -> Self {
        Self {
            ear: Ear::new(config.pre_roll, config.patience),
            config,
            language,
            instructions,
            tools,
            replies: VecDeque::new(),
            active: None,
            waiting: None,
            dropped: None,
            called: Vec::new(),
            own_words: VecDeque::new(),
            knows: Knows::Beginning,
            connected: false,
            settled_by: None,
            items: 0,
            usage: Usage::default(),
            transcription: Usage::default(),
            say: Vec::new(),
            llm: Vec::new(),
            tts: Vec::new(),
            voice: Vec::new(),
        }
    }

    /// A connection is there.
    pub(super) fn opened(&mut self, now: Instant) {
        self.connected = true;
        self.settled_by = Some(now + self.config.deadlines.first);
        let settings = wire::session_update(&self.config, &self.language, &self.instructions, &self.tools);
        self.say.insert(0, settings);
    }

    /// The connection is lost. What came of a reply is said; one of which nothing came is asked for again.
    pub(super) fn lost(&mut self, error: &StageError, now: Instant) {
        self.connected = false;
        self.say.clear();
        if self.knows == Knows::All {
            self.knows = Knows::Nothing;
        }
        self.called.clear();
        self.own_words.clear();
        let active = self.active.take().filter(|active| !active.cancelled).and_then(|active| active.reply);
        for reply in &mut self.replies {
            let was_active = Some(reply.id) == active;
            if was_active && reply.is_empty() && reply.is_wanted() {
                self.waiting = Some(reply.id);
            } else if was_active {
                if reply.is_wanted() {
                    self.llm.push(LlmEvent::Failed { reply: reply.id, failure: error.to_failure() });
                }
                reply.over = true;
                reply.mouth.finish(now);
            }
            reply.forget_items();
        }
        self.ear.reopened(now);
    }

    /// Nothing more comes: whoever waits is told so.
    pub(super) fn fail(&mut self, error: &StageError, now: Instant) {
        for reply in self.replies.iter_mut().filter(|reply| reply.is_wanted()) {
            self.llm.push(LlmEvent::Failed { reply: reply.id, failure: error.to_failure() });
            reply.over = true;
        }
        for reply in &mut self.replies {
            reply.mouth.finish(now);
            // A sentence that is not known yet won't be spoken by this voice.
            let after = reply.mouth.due().unwrap_or(now);
            reply.mouth.advance(after, &mut |event| self.tts.push(event));
        }
    }

    pub(super) fn on_stt(&mut self, command: &SttCommand, now: Instant) {
        match command {
            SttCommand::Audio { at, frame } => self.ear.audio(*at, *frame),
            SttCommand::SpeechStarted { at } => self.ear.speech_started(*at),
            SttCommand::SpeechPaused { from, until } => self.ear.speech_paused(*from, *until, now),
            SttCommand::TurnEnded { .. } => self.ear.turn_ended(),
            SttCommand::Expect(_) => {}
        }
    }

    pub(super) fn on_llm(&mut self, command: LlmCommand, now: Instant) {
        match command {
            LlmCommand::Respond(request) => self.respond(request, now),
            LlmCommand::Commit { reply } => {
                if let Some(reply) = self.reply(reply) {
                    reply.committed = true;
                }
            }
            LlmCommand::Interrupted { reply, heard } => self.interrupted(reply, heard),
            LlmCommand::Cancel { reply } => self.cancel(reply, now),
            LlmCommand::ToolResult(result) => self.tool_result(&result),
        }
    }

    pub(super) fn reply(&mut self, id: ReplyId) -> Option<&mut Reply> {
        self.replies.iter_mut().find(|reply| reply.id == id)
    }

    pub(super) fn by_response(&mut self, response: &str) -> Option<&mut Reply> {
        self.replies.iter_mut().find(|reply| reply.response.as_deref() == Some(response))
    }

    // ------------------------------------------------------------------------------------------------- replies

    fn respond(&mut self, request: Arc<ReplyRequest>, now: Instant) {
        if let Some(old) = self.dropped.take()
            && self.adopt(old, &request)
        {
            return;
        }
        if self.replies.len() >= REPLIES {
            self.replies.pop_front();
        }
        if matches!(request.reason, ReplyReason::Caller { .. }) {
            self.ear.answered(request.reply);
        }
        self.waiting = Some(request.reply);
        self.replies.push_back(Reply::new(request));
        // Whatever is being written, the call has given it up.
        self.cancel_active(now);
    }

    /// The call has dropped a reply because the final transcript has other words, and asks again. The model has heard the same
    /// sound: its answer stands.
    fn adopt(&mut self, old: ReplyId, request: &Arc<ReplyRequest>) -> bool {
        let heard = self.ear.commits();
        let Some(reply) = self.replies.iter_mut().find(|reply| reply.id == old) else { return false };
        if !reply.answers_as_well(request, heard) {
            self.drop_reply(old);
            return false;
        }
        reply.answer(Arc::clone(request), &mut self.llm);
        for called in self.called.iter_mut().filter(|called| called.reply == old) {
            called.reply = request.reply;
        }
        if let Some(active) = self.active.as_mut().filter(|active| active.reply == Some(old)) {
            active.reply = Some(request.reply);
        }
        self.ear.answered(request.reply);
        true
    }

    fn cancel(&mut self, id: ReplyId, now: Instant) {
        if self.waiting == Some(id) {
            self.waiting = None;
        }
        let Some(reply) = self.reply(id) else { return };
        if !reply.committed {
            self.drop_dropped();
            self.dropped = Some(id);
            return;
        }
        // What was written of it is said, unless it was interrupted; no more comes.
        let mut say = Vec::new();
        if !reply.over && !reply.cut {
            reply.stop(now, &mut say);
        }
        reply.over = true;
        self.say.append(&mut say);
        if self.active.as_ref().is_some_and(|active| active.reply == Some(id)) {
            self.cancel_active(now);
        }
    }

    fn drop_dropped(&mut self) {
        if let Some(id) = self.dropped.take() {
            self.drop_reply(id);
        }
    }

    /// The reply never happened.
    fn drop_reply(&mut self, id: ReplyId) {
        let is_active = self.active.as_ref().is_some_and(|active| active.reply == Some(id));
        if is_active && let Some(active) = self.active.as_mut().filter(|active| !active.cancelled) {
            active.cancelled = true;
            let response = self.replies.iter().find(|reply| reply.id == id);
            self.say.push(wire::cancel(response.and_then(|reply| reply.response.as_deref())));
        }
        let mut say = Vec::new();
        let Some(reply) = self.reply(id) else { return };
        reply.unwanted = true;
        reply.mouth.silence();
        // Items that are being made go when the response is over.
        if !is_active {
            reply.unmake(&mut say);
        }
        if reply.retold {
            self.knows = Knows::Nothing;
        }
        self.say.extend(say);
        self.called.retain(|called| called.reply != id);
        self.ear.not_answered(id);
    }

    fn cancel_active(&mut self, now: Instant) {
        let Some(active) = self.active.as_mut().filter(|active| !active.cancelled) else { return };
        (active.cancelled, active.heard) = (true, now);
        let reply = active.reply;
        let response = self.replies.iter().find(|other| Some(other.id) == reply);
        self.say.push(wire::cancel(response.and_then(|reply| reply.response.as_deref())));
    }

    fn interrupted(&mut self, id: ReplyId, heard: Duration) {
        if let Some(active) = self.active.as_mut().filter(|active| active.reply == Some(id))
            && !std::mem::replace(&mut active.cancelled, true)
        {
            let response = self.replies.iter().find(|reply| reply.id == id);
            self.say.push(wire::cancel(response.and_then(|reply| reply.response.as_deref())));
        }
        let mut say = Vec::new();
        // What another voice has said in the model's place tells nothing about the model's sound.
        if let Some(reply) = self.reply(id).filter(|reply| reply.mouth.utterance.is_some()) {
            reply.cut(heard, &mut say);
        }
        self.say.extend(say);
    }

    /// Asks for the reply that waits, if the server is free.
    fn ask(&mut self, now: Instant) {
        if self.active.is_some() || !self.connected {
            return;
        }
        let Some(id) = self.waiting.take() else { return };
        let Some(request) = self.reply(id).map(|reply| Arc::clone(&reply.request)) else { return };
        let heard = matches!(request.reason, ReplyReason::Caller { .. }) && self.ear.answered(id);
        let (mut written, mut retold) = (Vec::new(), false);
        if self.knows == Knows::Nothing || (self.knows == Knows::Beginning && !self.knows_all(&request.turns))
        {
            retold = true;
            self.ear.forget_sound();
            self.say.append(&mut self.ear.say);
            written.extend(messages(&request));
        } else {
            self.answer_given_up(&request.turns);
            let said = match &request.reason {
                ReplyReason::Caller { .. } if heard => None,
                ReplyReason::Tool => None,
                reason => Some(note(reason)),
            };
            written.extend(said.map(Message::User));
        }
        self.knows = Knows::All;
        let notes = written.iter().map(|message| self.write(message)).collect();
        self.say.push(wire::respond(id.0));
        self.active = Some(Active { reply: Some(id), cancelled: false, heard: now, answered: false });
        let commits = self.ear.commits();
        if let Some(reply) = self.reply(id) {
            (reply.notes, reply.retold, reply.heard) = (notes, retold, commits);
        }
    }

    /// Whether nobody has said anything but the engine's own words, and the turn that is to be answered.
    fn knows_all(&self, turns: &[Turn]) -> bool {
        let earlier = match turns.split_last() {
            Some((Turn { who: Party::Caller, .. }, earlier)) => earlier,
            _ => turns,
        };
        earlier.iter().all(|turn| turn.who == Party::Agent) && earlier.len() <= self.own_words.len()
    }

    /// Writes a message into the conversation.
    fn write(&mut self, message: &Message) -> String {
        self.items += 1;
        let id = format!("offhook_{}", self.items);
        self.say.push(wire::create(&id, message));
        id
    }

    // --------------------------------------------------------------------------------------------------- tools

    pub(super) fn called(&mut self, reply: ReplyId, id: &str, name: &str) {
        if self.called.len() >= CALLS {
            self.called.remove(0);
        }
        let (id, name) = (id.to_owned(), name.to_owned());
        self.called.push(Called { id, name, reply, answered: false });
    }

    fn tool_result(&mut self, result: &ToolResult) {
        if !self.connected || self.knows == Knows::Nothing {
            return; // the next request's turns tell it
        }
        let (text, failed) = match &result.outcome {
            Ok(text) => (text.clone(), false),
            Err(why) => (why.clone(), true),
        };
        let called = self.called.iter_mut().find(|called| !called.answered && result.answers(&called.id));
        let message = match called {
            Some(called) => {
                called.answered = true;
                Message::Result { id: called.id.clone(), name: called.name.clone(), text, failed }
            }
            None => Message::User(format!("[{}: {text}]", result.name)),
        };
        self.write(&message);
    }

    /// Tools that the call gave up, because the caller interrupted, have only left a line among the turns.
    fn answer_given_up(&mut self, turns: &[Turn]) {
        let mut given_up = Vec::new();
        for called in self.called.iter_mut().filter(|called| !called.answered) {
            let of_it = |turn: &&Turn| {
                turn.who == Party::Tool
                    && turn.text.strip_prefix(called.name.as_str()).is_some_and(|rest| {
                        rest.starts_with('(') || rest.starts_with(": ") || rest.starts_with(" failed: ")
                    })
            };
            let Some(turn) = turns.iter().rev().find(of_it) else { continue };
            if let Some((_, text)) = turn.text.split_once(" failed: ") {
                called.answered = true;
                let (id, name, text) = (called.id.clone(), called.name.clone(), text.to_owned());
                given_up.push(Message::Result { id, name, text, failed: true });
            }
        }
        for message in given_up {
            self.write(&message);
        }
    }

    // --------------------------------------------------------------------------------------------------- voice

    pub(super) fn on_tts(&mut self, command: TtsCommand, now: Instant) {
        match command {
            TtsCommand::Speak(request) => self.speak(request, now),
            TtsCommand::Cancel { utterance } => {
                let its = |reply: &&mut Reply| reply.mouth.utterance == Some(utterance);
                if let Some(reply) = self.replies.iter_mut().find(its) {
                    reply.mouth.mute();
                    return;
                }
                let said = self.own_words.iter().filter(|(of, _)| *of == utterance);
                self.say.extend(said.map(|(_, item)| wire::delete(item)));
                self.own_words.retain(|(of, _)| *of != utterance);
                self.voice.push(TtsCommand::Cancel { utterance });
            }
        }
    }

    /// What goes on with the model's reply is spoken by the model; whatever else by the other voice, and the model is told of
    /// it. The call closes its own utterances with their only segment, and leaves replies open.
    fn speak(&mut self, request: SpeakRequest, now: Instant) {
        let goes_on = self.replies.iter().position(|reply| reply.mouth.utterance == Some(request.utterance));
        let begins = |reply: &Reply| {
            reply.mouth.utterance.is_none()
                && !reply.unwanted
                && !reply.cut
                && reply.begins_with(&request.text)
        };
        let own = goes_on.is_none() && !request.last;
        let at = goes_on.or_else(|| self.replies.iter().rposition(begins).filter(|_| own));
        if let Some(reply) = at.and_then(|at| self.replies.get_mut(at)) {
            reply.mouth.speak(&request, now);
            return;
        }
        if self.knows != Knows::Nothing && request.text.chars().any(char::is_alphanumeric) {
            let item = self.write(&Message::Assistant(request.text.clone()));
            if self.own_words.len() >= OWN_WORDS {
                self.own_words.pop_front();
            }
            self.own_words.push_back((request.utterance, item));
        }
        self.voice.push(TtsCommand::Speak(request));
    }

    // ---------------------------------------------------------------------------------------------------- time

    /// The server gave a sign of its work.
    pub(super) fn sign(&mut self, now: Instant) {
        if let Some(active) = &mut self.active {
            (active.heard, active.answered) = (now, true);
        }
    }

    fn active_due(&self) -> Option<(Instant, Duration)> {
        let active = self.active.as_ref()?;
        let limit = match (active.cancelled, active.answered) {
            (true, _) => CANCEL,
            (false, false) => self.config.deadlines.first,
            (false, true) => self.config.deadlines.gap,
        };
        Some((active.heard + limit, limit))
    }

    /// When to look again.
    pub(super) fn due(&self) -> Option<Instant> {
        let mouths = self.replies.iter().filter_map(|reply| reply.mouth.due()).min();
        let active = self.active_due().map(|(due, _)| due);
        [mouths, active, self.ear.due(), self.settled_by].into_iter().flatten().min()
    }

    /// Does what is to be done after whatever came in, and at its time.
    pub(super) fn settle(&mut self, now: Instant) -> Result<(), StageError> {
        self.drop_dropped();
        self.ear.on_time(now);
        if self.settled_by.is_some_and(|by| now >= by) {
            return Err(self.too_slow("answer to its settings", self.config.deadlines.first));
        }
        if let Some((_, limit)) = self.active_due().filter(|(due, _)| now >= *due) {
            let slow = self.too_slow("word of a reply", limit);
            let late =
                self.active.as_ref().filter(|active| !active.cancelled).and_then(|active| active.reply);
            match late.and_then(|id| self.reply(id)) {
                Some(reply) => {
                    let id = reply.id;
                    reply.mouth.finish(now);
                    self.failed(id, &slow);
                    self.cancel_active(now);
                }
                // It never said that it was over.
                None => self.active = None,
            }
        }
        self.say.append(&mut self.ear.say);
        self.ask(now);
        for reply in &mut self.replies {
            reply.mouth.advance(now, &mut |event| self.tts.push(event));
        }
        Ok(())
    }

    /// A reply can't be had.
    pub(super) fn failed(&mut self, id: ReplyId, error: &StageError) {
        let Some(reply) = self.replies.iter_mut().find(|reply| reply.id == id) else { return };
        if reply.is_wanted() {
            self.usage.failures += 1;
            self.llm.push(LlmEvent::Failed { reply: id, failure: error.to_failure() });
        }
        reply.over = true;
    }

    fn too_slow(&self, what: &'static str, limit: Duration) -> StageError {
        StageError::TooSlow { stage: self.config.name.clone(), what, limit }
    }

    /// The server is free again.
    pub(super) fn free(&mut self) {
        self.active = None;
    }

    /// The server is busy with a response that we don't know of: the reply waits for its end.
    pub(super) fn busy(&mut self, reply: ReplyId, now: Instant) {
        self.active = Some(Active { reply: None, cancelled: true, heard: now, answered: false });
        self.waiting.get_or_insert(reply);
    }

    pub(super) fn hears(&mut self) -> Vec<SttEvent> {
        std::mem::take(&mut self.ear.tell)
    }
}
