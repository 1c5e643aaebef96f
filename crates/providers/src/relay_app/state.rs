//! One call's session with the application, without its socket: commands and frames in, frames and events out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::tools::{END_CALL, HANDOFF, SEND_DTMF, SWITCH_LANGUAGE};
use offhook_stage_api::{
    Interruptible, LlmCommand, LlmEvent, News, ReplyReason, ReplyRequest, ToolCall, ToolResult,
};
use offhook_twilio::relay::MOST_BAD_IN_A_ROW;
use offhook_twilio::relay::engine::{self, AppMessage, MayInterrupt, Setup, parse_app};
use serde_json::{Value, json};

use super::config::RelayAppConfig;
use super::pieces::{length_of_last, pieces};

/// Messages that wait for a connection at most, as with Twilio.
const MOST_BUFFERED: usize = 500;
/// Messages of an application's that wait for their reply at most; more than this is a fault of its.
const MOST_QUEUED: usize = 2_000;
/// A reply whose text ends like a sentence is over after so long without more, also if its application never says `last`.
const SETTLES_AFTER: Duration = Duration::from_millis(1_500);

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Do {
    /// Send this to the application.
    Send(String),
    /// Report this to the call.
    Say(LlmEvent),
    /// Ten messages in a row could not be used: close with 1007.
    GiveUp,
}

/// A reply that the call has asked for.
struct Open {
    id: ReplyId,
    reason: ReplyReason,
    text: String,
    /// Something was done for it: words or tools.
    served: bool,
    interruptible: Option<MayInterrupt>,
    preemptible: bool,
    /// A prompt that isn't certain was sent for it.
    speculative: bool,
    latest: Duration,
}

/// A reply that was written, and that the caller may not have heard yet.
struct Written {
    id: ReplyId,
    committed: bool,
    preemptible: bool,
    speculative: bool,
}

/// A session.
pub(super) struct AppSession {
    config: Arc<RelayAppConfig>,
    setup: Setup,
    /// BCP 47 tag of what the caller's words are taken for.
    heard_in: String,
    /// BCP 47 tag that the agent speaks, if it was changed.
    spoken_in: Option<Arc<str>>,
    out: VecDeque<Do>,
    connected: bool,
    was_connected: bool,
    /// What is for the application, while there is no connection.
    buffered: VecDeque<String>,
    pub(super) lost: u64,
    open: Option<Open>,
    written: Option<Written>,
    /// What the application has said that no reply was asked for.
    queued: VecDeque<AppMessage>,
    asked: bool,
    /// The application still writes at a reply that was cut off.
    dropping: bool,
    /// What is being said is to be replaced by the application itself: no interruption.
    preempting: bool,
    /// The application was just told of an interruption.
    told: bool,
    tools: u32,
    ended: bool,
    bad_in_a_row: u32,
    /// What may interrupt what the caller hears now.
    speaking: Option<Interruptible>,
    /// Pieces of what is being said that were reported as played.
    played: usize,
    /// The caller began during speech that nothing may interrupt.
    unreported: bool,
    /// The words of the prompt that was sent last, if its reply was dropped unheard: the next prompt may go on from it.
    unanswered: String,
    pub(super) prompts: u64,
}

impl AppSession {
    pub(super) fn new(config: Arc<RelayAppConfig>, setup: Setup, language: &str) -> Self {
        Self {
            setup,
            heard_in: language.to_owned(),
            spoken_in: config.tts_language.as_deref().map(Into::into),
            config,
            out: VecDeque::new(),
            connected: false,
            was_connected: false,
            buffered: VecDeque::new(),
            lost: 0,
            open: None,
            written: None,
            queued: VecDeque::new(),
            asked: false,
            dropping: false,
            preempting: false,
            told: false,
            tools: 0,
            ended: false,
            bad_in_a_row: 0,
            speaking: None,
            played: 0,
            unreported: false,
            unanswered: String::new(),
            prompts: 0,
        }
    }

    /// The next thing to do.
    pub(super) fn poll(&mut self) -> Option<Do> {
        self.out.pop_front()
    }

    /// When to call [`AppSession::settle`].
    pub(super) fn deadline(&self) -> Option<Duration> {
        let open = self.open.as_ref()?;
        let sentence = open.text.trim_end().ends_with(['.', '!', '?', '…', '。', '！', '？']);
        sentence.then(|| open.latest + SETTLES_AFTER)
    }

    /// The application has written no more for a while: its reply is over.
    pub(super) fn settle(&mut self, now: Duration) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.finish();
        }
    }

    /// There is a connection: `setup` goes first, then what happened meanwhile.
    pub(super) fn connected(&mut self) {
        self.connected = true;
        if self.was_connected {
            self.setup.call_status = "IN_PROGRESS".to_owned();
        }
        self.was_connected = true;
        self.out.push_back(Do::Send(self.setup.to_json()));
        self.out.extend(self.buffered.drain(..).map(Do::Send));
        // Nobody asks an application to greet: it speaks when it has `setup`, or waits for the caller.
        if self.open.as_ref().is_some_and(|open| open.reason == ReplyReason::Greeting && !open.served) {
            self.finish();
        }
    }

    /// The connection is lost. What was written of a reply stands; one that has no word yet is asked for again.
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.dropping = false;
        let unsent = self.out.iter().filter_map(|todo| match todo {
            Do::Send(frame) => Some(frame.clone()),
            _ => None,
        });
        let unsent: Vec<String> = unsent.collect();
        self.out.retain(|todo| !matches!(todo, Do::Send(_)));
        unsent.into_iter().for_each(|frame| self.send(frame));
        let Some(open) = &self.open else { return };
        if open.served {
            return self.finish();
        }
        if let ReplyReason::Caller { text, .. } = &open.reason {
            let prompt = engine::prompt(text, &self.heard_in, true);
            if !self.buffered.contains(&prompt) {
                self.send(prompt);
            }
        }
    }

    fn send(&mut self, frame: String) {
        if self.connected {
            self.out.push_back(Do::Send(frame));
            return;
        }
        if self.buffered.len() >= MOST_BUFFERED {
            self.buffered.pop_front();
            self.lost += 1;
        }
        self.buffered.push_back(frame);
    }

    fn say(&mut self, event: LlmEvent) {
        self.out.push_back(Do::Say(event));
    }

    // From the call.

    pub(super) fn on_command(&mut self, command: LlmCommand, now: Duration) {
        match command {
            LlmCommand::Respond(request) => self.respond(&request, now),
            LlmCommand::Commit { reply } => self.commit(reply),
            LlmCommand::Cancel { reply } => self.cancel(reply),
            LlmCommand::ToolResult(result) => self.tool_result(&result),
            LlmCommand::News(news) => self.on_news(news),
            // The news tell it better: with what was heard.
            LlmCommand::Interrupted { .. } => {}
        }
    }

    fn respond(&mut self, request: &ReplyRequest, now: Duration) {
        if self.open.as_ref().is_some_and(|open| open.id == request.reply) {
            return; // asked once more
        }
        (self.asked, self.told) = (false, false);
        let mut open = Open {
            id: request.reply,
            reason: request.reason.clone(),
            text: String::new(),
            served: false,
            interruptible: None,
            preemptible: self.config.preemptible,
            speculative: false,
            latest: now,
        };
        let mut waits = false;
        match &request.reason {
            ReplyReason::Caller { text, .. } => {
                let unreported = std::mem::take(&mut self.unreported) && !self.config.reports().speech();
                if !text.trim().is_empty() && !unreported {
                    waits = true;
                    self.dropping = false;
                    let text = self.new_words(text);
                    self.prompts += 1;
                    let frame = if request.speculative && self.config.speculative {
                        open.speculative = true;
                        engine::speculative_prompt(&text, &self.heard_in, request.reply.0)
                    } else {
                        engine::prompt(&text, &self.heard_in, true)
                    };
                    self.send(frame);
                }
            }
            // Before there is a connection, it isn't known whether there is an application at all.
            ReplyReason::Greeting => waits = !self.connected,
            // Keys have gone out one by one, and what became of tools is no question to the application.
            ReplyReason::Digits(_) | ReplyReason::Tool | ReplyReason::Initiative => {}
        }
        self.open = Some(open);
        self.serve_queued(now);
        let unserved = self.open.as_ref().is_some_and(|open| open.text.is_empty());
        if !waits && unserved {
            self.finish();
        }
    }

    /// The words of a prompt, without those that were sent in one that nobody heard the answer to.
    fn new_words(&mut self, text: &str) -> String {
        let before = std::mem::take(&mut self.unanswered);
        let rest = text.strip_prefix(before.as_str()).filter(|_| !before.is_empty());
        let rest = rest.filter(|rest| rest.starts_with(char::is_whitespace)).map(str::trim);
        let new = rest.filter(|rest| rest.chars().any(char::is_alphanumeric)).unwrap_or(text).to_owned();
        text.clone_into(&mut self.unanswered);
        new
    }

    fn commit(&mut self, reply: ReplyId) {
        self.unanswered.clear();
        let mut speculative = false;
        if let Some(written) = self.written.as_mut().filter(|written| written.id == reply) {
            written.committed = true;
            speculative = std::mem::take(&mut written.speculative);
        }
        if let Some(open) = self.open.as_mut().filter(|open| open.id == reply) {
            speculative = std::mem::take(&mut open.speculative);
        }
        if speculative {
            self.send(json!({"type": "commit", "speculative": reply.0}).to_string());
        }
    }

    /// The reply is not wanted any more: it was cut off, or nothing of it was heard.
    fn cancel(&mut self, reply: ReplyId) {
        let (speculative, unheard) = if let Some(open) = self.open.take_if(|open| open.id == reply) {
            self.dropping = open.served || matches!(open.reason, ReplyReason::Caller { .. });
            (open.speculative, self.dropping)
        } else if let Some(written) = self.written.take_if(|written| written.id == reply) {
            (written.speculative, !written.committed)
        } else {
            return;
        };
        let knows = std::mem::take(&mut self.preempting) | std::mem::take(&mut self.told);
        if speculative {
            self.unanswered.clear();
            self.send(json!({"type": "cancel", "speculative": reply.0}).to_string());
        } else if unheard && !knows {
            self.send(engine::interrupt("", 0));
        }
    }

    fn tool_result(&mut self, result: &ToolResult) {
        if let Err(why) = &result.outcome
            && matches!(result.name.as_str(), SWITCH_LANGUAGE | SEND_DTMF)
        {
            let frame = engine::error(&format!("Invalid argument, code: 64106, {}: {why}", result.name));
            self.send(frame);
        }
    }

    fn on_news(&mut self, news: News) {
        let tells = self.config.subscribes("speaker-events");
        match news {
            News::CallerBegan => {
                let by = self.speaking;
                self.unreported = by.is_some_and(|by| by != Interruptible::Yes);
                if tells {
                    self.send(engine::info("clientSpeaking", "on"));
                }
            }
            News::CallerPaused if tells => self.send(engine::info("clientSpeaking", "off")),
            News::CallerPaused => {}
            News::Hearing { text } => {
                let unreported = self.unreported && !self.config.reports().speech();
                if self.config.partial_prompts && !unreported {
                    self.send(engine::prompt(&text, &self.heard_in, false));
                }
            }
            News::Keyed(key) => {
                let cuts = self.speaking != Some(Interruptible::No);
                if self.config.dtmf_detection && (cuts || self.config.reports().keys()) {
                    self.send(engine::dtmf(key.reveal()));
                }
            }
            News::AgentBegan { interruptible } => {
                self.unanswered.clear();
                self.played = 0;
                self.speaking = Some(interruptible);
                if tells {
                    self.send(engine::info("agentSpeaking", "on"));
                }
            }
            News::AgentSays { heard } => {
                let pieces = pieces(&heard);
                // The last may not be whole yet.
                self.tell_played(pieces.split_last().map_or(&[], |(_, whole)| whole));
            }
            News::AgentSaid { heard, lasted, whole } => self.agent_said(&heard, lasted, whole),
        }
    }

    /// Reports pieces as played that were not reported before.
    fn tell_played(&mut self, pieces: &[&str]) {
        if !self.config.subscribes("tokens-played") {
            return;
        }
        for piece in pieces.iter().skip(self.played) {
            self.send(engine::info("tokensPlayed", piece));
        }
        self.played = self.played.max(pieces.len());
    }

    fn agent_said(&mut self, heard: &str, lasted: Duration, whole: bool) {
        let pieces = pieces(heard);
        self.tell_played(&pieces);
        self.played = 0;
        let preempted = std::mem::take(&mut self.preempting);
        if !whole && !preempted {
            let (quoted, after) = if self.config.quote_whole_answer {
                (heard, lasted)
            } else {
                (pieces.last().copied().unwrap_or(""), length_of_last(&pieces, lasted))
            };
            let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.send(engine::interrupt(quoted, after));
            self.told = true;
            // What was to be spoken is gone; what was to be done is not.
            let spoken =
                |message: &AppMessage| matches!(message, AppMessage::Text { .. } | AppMessage::Play { .. });
            self.queued.retain(|message| !spoken(message));
        }
        self.speaking = None;
        if self.config.subscribes("speaker-events") {
            self.send(engine::info("agentSpeaking", "off"));
        }
    }

    // From the application.

    pub(super) fn on_frame(&mut self, frame: &str, now: Duration) {
        let Some(message) = parse_app(frame) else { return self.on_bad_frame(frame) };
        self.bad_in_a_row = 0;
        if self.ended {
            return;
        }
        if self.dropping {
            match &message {
                AppMessage::Text { last, .. } => {
                    self.dropping = !last;
                    return;
                }
                AppMessage::Play { .. } => return,
                // What it wants done, it wants done now.
                _ => {}
            }
        }
        if self.open.is_some() {
            return self.serve(message, now);
        }
        let is_sound = match &message {
            // A stream that ends with an empty token has nothing to say.
            AppMessage::Text { token, .. } if token.is_empty() && self.queued.is_empty() => return,
            AppMessage::Text { .. } | AppMessage::Play { .. } => true,
            AppMessage::Undocumented { .. } => return self.serve(message, now),
            _ => false,
        };
        if self.queued.len() < MOST_QUEUED {
            self.queued.push_back(message);
        }
        if !std::mem::replace(&mut self.asked, true) {
            let speaking = self.speaking.is_some();
            let replaces = |written: &Written| written.preemptible && (speaking || !written.committed);
            let preempt = is_sound && self.written.as_ref().is_some_and(replaces);
            self.preempting |= preempt;
            self.say(LlmEvent::Initiative { preempt });
        }
    }

    pub(super) fn on_bad_frame(&mut self, frame: &str) {
        self.bad_in_a_row += 1;
        self.send(engine::invalid_message(frame));
        if self.bad_in_a_row >= MOST_BAD_IN_A_ROW {
            self.out.push_back(Do::GiveUp);
        }
    }

    fn serve_queued(&mut self, now: Duration) {
        while self.open.is_some() {
            let Some(message) = self.queued.pop_front() else { return };
            self.serve(message, now);
        }
        // The rest is another reply's.
        if !self.queued.is_empty() && !std::mem::replace(&mut self.asked, true) {
            self.say(LlmEvent::Initiative { preempt: false });
        }
    }

    /// Takes a message into the open reply.
    fn serve(&mut self, message: AppMessage, now: Duration) {
        match message {
            AppMessage::Text { token, last, lang, interruptible, preemptible } => {
                self.write(token, lang, (interruptible, preemptible), now);
                if last {
                    self.finish();
                }
            }
            AppMessage::Play { source, .. } => {
                let why = format!("Invalid message received, code: 64107, play is not available: {source}");
                self.send(engine::error(&why));
            }
            AppMessage::SendDigits { digits } => self.tool(SEND_DTMF, json!({ "digits": digits })),
            AppMessage::Language { tts, transcription } => {
                self.switch(tts.as_deref(), transcription.as_deref())
            }
            AppMessage::End { handoff } => {
                self.ended = true;
                self.tool(END_CALL, handoff.map_or(Value::Null, |data| json!({ HANDOFF: data })));
                self.finish();
            }
            AppMessage::Undocumented { kind } => {
                tracing::warn!(
                    call = %self.setup.call_sid,
                    kind,
                    "the application sent a message whose layout is not documented; it was ignored"
                );
            }
        }
    }

    fn write(
        &mut self,
        token: String,
        lang: Option<String>,
        (interruptible, preemptible): (Option<MayInterrupt>, Option<bool>),
        now: Duration,
    ) {
        let Some(open) = &mut self.open else { return };
        let reply = open.id;
        open.latest = now;
        open.preemptible = preemptible.unwrap_or(open.preemptible);
        if token.is_empty() {
            return;
        }
        let mut events = Vec::new();
        if let Some(by) = interruptible.filter(|by| open.interruptible != Some(*by)) {
            open.interruptible = Some(by);
            events.push(LlmEvent::Interruptible { reply, by: super::interruptible(by) });
        }
        let language = lang.map(Into::into).or_else(|| self.spoken_in.clone());
        if let Some(language) = language.filter(|_| open.text.is_empty()) {
            events.push(LlmEvent::Language { reply, language });
        }
        open.served = true;
        open.text.push_str(&token);
        events.push(LlmEvent::Text { reply, delta: token });
        self.out.extend(events.into_iter().map(Do::Say));
    }

    fn tool(&mut self, name: &str, arguments: Value) {
        let Some(open) = &mut self.open else { return };
        open.served = true;
        self.tools += 1;
        // Two messages of the same content are two wishes.
        let call = ToolCall { id: format!("app{}", self.tools), name: name.to_owned(), arguments };
        let event = LlmEvent::Tool { reply: open.id, call };
        self.say(event);
    }

    fn switch(&mut self, tts: Option<&str>, transcription: Option<&str>) {
        if let Some(tag) = tts {
            self.spoken_in = Some(tag.into());
        }
        if let Some(tag) = transcription {
            tag.clone_into(&mut self.heard_in);
        }
        let arguments = json!({ "language": tts, "transcription": transcription });
        self.tool(SWITCH_LANGUAGE, arguments);
    }

    /// Nothing more comes of the open reply.
    fn finish(&mut self) {
        let Some(open) = self.open.take() else { return };
        let reply = open.id;
        if open.text.trim().is_empty() {
            self.say(LlmEvent::Silent { reply });
        } else {
            let (preemptible, speculative) = (open.preemptible, open.speculative);
            self.written = Some(Written { id: reply, committed: false, preemptible, speculative });
        }
        self.say(LlmEvent::Done { reply });
    }
}
