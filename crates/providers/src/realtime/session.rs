//! A call's session with the model, without I/O: what the call's stages and the server say goes in, what to tell them comes
//! out.
//!
//! The server takes one response at a time, and keeps the conversation. So a reply that isn't wanted any more is cancelled and
//! its end awaited before the next is asked for; what of it was not heard is taken out of the conversation again.

mod notes;
mod time;
mod tools;
mod voice;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::{
    Content, Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, SttCommand, TtsCommand, TtsEvent,
};
use offhook_stages::{StageError, ToolSpec, Usage};
use serde_json::Value;
use tokio::time::Instant;

use super::RealtimeConfig;
use super::input_audio::InputAudio;
use super::reply::Reply;
use super::wire;
use crate::llm::{CallIdFormat, Memory, Message, messages, note};
use notes::Told;

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
    pub(super) input: InputAudio,
    pub(super) replies: VecDeque<Reply>,
    pub(super) active: Option<Active>,
    /// To be asked for as soon as the server is free.
    waiting: Option<ReplyId>,
    /// Dropped just now: the next request may want it after all.
    dropped: Option<ReplyId>,
    called: Vec<Called>,
    told: Vec<Told>,
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
            input: InputAudio::new(config.pre_roll, config.patience),
            config,
            language,
            instructions,
            tools,
            replies: VecDeque::new(),
            active: None,
            waiting: None,
            dropped: None,
            called: Vec::new(),
            told: Vec::new(),
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
        self.told.clear();
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
                reply.output.finish(now);
            }
            reply.forget_items();
        }
        self.input.reopened(now);
    }

    /// Nothing more comes: whoever waits is told so.
    pub(super) fn fail(&mut self, error: &StageError, now: Instant) {
        for reply in self.replies.iter_mut().filter(|reply| reply.is_wanted()) {
            self.llm.push(LlmEvent::Failed { reply: reply.id, failure: error.to_failure() });
            reply.over = true;
        }
        for reply in &mut self.replies {
            reply.output.finish(now);
            // A sentence that is not known yet won't be spoken by this voice.
            let after = reply.output.due().unwrap_or(now);
            reply.output.advance(after, &mut |event| self.tts.push(event));
        }
    }

    pub(super) fn on_stt(&mut self, command: &SttCommand, now: Instant) {
        match command {
            SttCommand::Audio { at, frame } => self.input.audio(*at, *frame),
            SttCommand::SpeechStarted { at } => self.input.speech_started(*at),
            SttCommand::SpeechPaused { from, until } => self.input.speech_paused(*from, *until, now),
            SttCommand::TurnEnded { .. } => self.input.turn_ended(),
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
            LlmCommand::News(_) => {}
        }
    }

    pub(super) fn reply(&mut self, id: ReplyId) -> Option<&mut Reply> {
        self.replies.iter_mut().find(|reply| reply.id == id)
    }

    pub(super) fn by_response(&mut self, response: &str) -> Option<&mut Reply> {
        self.replies.iter_mut().find(|reply| reply.response.as_deref() == Some(response))
    }

    fn respond(&mut self, request: Arc<ReplyRequest>, now: Instant) {
        if let Some(old) = self.dropped.take()
            && self.adopt(old, &request)
        {
            return;
        }
        if self.replies.len() >= REPLIES {
            let dropped = self.replies.iter().position(|reply| reply.unwanted);
            self.replies.remove(dropped.unwrap_or(0));
        }
        if matches!(request.reason, ReplyReason::Caller { .. }) {
            self.input.answered(request.reply);
        }
        self.waiting = Some(request.reply);
        self.replies.push_back(Reply::new(request));
        // Whatever is being written, the call has given it up.
        self.cancel_active(now);
    }

    /// The call has dropped a reply because the final transcript has other words, and asks again. The model has heard the same
    /// sound: its answer stands.
    fn adopt(&mut self, old: ReplyId, request: &Arc<ReplyRequest>) -> bool {
        let heard = self.input.commits();
        let has_news = self.has_news(request);
        let Some(reply) = self.replies.iter_mut().find(|reply| reply.id == old) else { return false };
        if has_news || !reply.answers_as_well(request, heard) {
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
        self.input.answered(request.reply);
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
        reply.output.silence();
        // Items that are being made go when the response is over.
        if !is_active {
            reply.unmake(&mut say);
        }
        if reply.retold {
            self.knows = Knows::Nothing;
        }
        self.say.extend(say);
        self.called.retain(|called| called.reply != id);
        self.told.retain(|told| told.reply != id);
        self.input.not_answered(id);
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
        if let Some(reply) = self.reply(id).filter(|reply| reply.output.utterance.is_some()) {
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
        let heard = matches!(request.reason, ReplyReason::Caller { .. }) && self.input.answered(id);
        let (mut written, mut retold) = (Vec::new(), false);
        if self.knows == Knows::Nothing
            || (self.knows == Knows::Beginning && !self.knows_all(&request.history))
        {
            retold = true;
            self.input.forget_sound();
            self.say.append(&mut self.input.say);
            written.extend(messages(&request, CallIdFormat::Token, &Memory::default()));
        } else {
            self.answer_open_calls(&request.history);
            let keyed = |entry: &Entry| matches!(entry.content, Content::Digits { .. });
            written.extend(self.news(&request));
            let said = match &request.reason {
                ReplyReason::Caller { .. } if heard => None,
                ReplyReason::Tool => None,
                ReplyReason::Digits(_) if request.history.iter().any(keyed) => None,
                reason => Some(note(reason)),
            };
            written.extend(said.map(Message::User));
        }
        self.tell(&request);
        self.knows = Knows::All;
        let notes = written.iter().map(|message| self.write(message)).collect();
        self.say.push(wire::respond(id.0, request.tools));
        self.active = Some(Active { reply: Some(id), cancelled: false, heard: now, answered: false });
        let commits = self.input.commits();
        if let Some(reply) = self.reply(id) {
            (reply.notes, reply.retold, reply.heard) = (notes, retold, commits);
        }
    }

    /// Whether nobody has said anything but the engine's own words, and the turn that is to be answered.
    fn knows_all(&self, history: &[Entry]) -> bool {
        let (mut callers, mut own) = (0, 0);
        let known = history.iter().all(|entry| match entry.content {
            Content::Caller { .. } => {
                callers += 1;
                true
            }
            Content::Agent { .. } => {
                own += 1;
                true
            }
            Content::Digits { .. } | Content::TransferFailed { .. } | Content::Note { .. } => true,
            Content::ToolCall(_) | Content::ToolResult(_) | Content::Summary { .. } => false,
        });
        known && callers <= 1 && own <= self.own_words.len()
    }

    /// Writes a message into the conversation.
    fn write(&mut self, message: &Message) -> String {
        self.items += 1;
        let id = format!("offhook_{}", self.items);
        self.say.push(wire::create(&id, message));
        id
    }
}
