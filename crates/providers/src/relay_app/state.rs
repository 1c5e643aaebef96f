//! One call's session with the application, without its socket: commands and frames in, frames and events out.
//!
//! - `from_app`: what the application says, taken into replies

mod from_app;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::tools::{SEND_DTMF, SWITCH_LANGUAGE};
use offhook_stage_api::{
    Interruptible, LlmCommand, LlmEvent, News, Recording, ReplyReason, ReplyRequest, ToolResult,
};
use offhook_twilio::relay::engine::{self, AppMessage, MayInterrupt, Setup};
use serde_json::json;

use super::config::RelayAppConfig;
use super::pieces::{length_of_last, pieces};

/// Messages that wait for a connection at most, as with Twilio.
const MOST_BUFFERED: usize = 500;
/// A reply whose text ends like a sentence is over after so long without more, also if its application never says `last`.
const SETTLES_AFTER: Duration = Duration::from_millis(1_500);

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Do {
    /// Send this to the application.
    Send(String),
    /// Report this to the call.
    Say(LlmEvent),
    /// Fetch this recording ahead of its time.
    Prefetch(Recording),
    /// Fetch this reply's recording, for [`AppSession::on_recording`].
    Fetch(ReplyId, Recording),
    /// Ten messages in a row could not be used: close with 1007.
    GiveUp,
}

/// A reply that the call has asked for.
struct Open {
    id: ReplyId,
    reason: ReplyReason,
    text: String,
    /// A recording in the place of text.
    plays: Plays,
    /// Something was done for it: words or tools.
    served: bool,
    interruptible: Option<MayInterrupt>,
    preemptible: bool,
    /// A prompt that isn't certain was sent for it.
    speculative: bool,
    latest: Duration,
}

/// Whether the caller is to hear it.
const fn is_heard(message: &AppMessage) -> bool {
    matches!(message, AppMessage::Text { .. } | AppMessage::Play { .. })
}

/// Whether a reply is a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plays {
    No,
    /// It is being fetched.
    Waits,
    Yes,
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
    /// Recordings are fetched by this side; else the line plays them by their addresses.
    fetches: bool,
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
    pub(super) fn new(config: Arc<RelayAppConfig>, setup: Setup, language: &str, fetches: bool) -> Self {
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
            fetches,
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
            plays: Plays::No,
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
        let unserved = self.open.as_ref().is_some_and(|open| open.text.is_empty() && open.plays == Plays::No);
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
            let unheard = open.served || matches!(open.reason, ReplyReason::Caller { .. });
            // A recording is whole as it is.
            self.dropping = unheard && open.plays == Plays::No;
            (open.speculative, unheard)
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
                match pieces.last() {
                    Some(last) => (*last, length_of_last(&pieces, lasted)),
                    // A recording has no words.
                    None => ("", lasted),
                }
            };
            let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            self.send(engine::interrupt(quoted, after));
            self.told = true;
            // What was to be spoken is gone; what was to be done is not.
            self.queued.retain(|message| !is_heard(message));
        }
        self.speaking = None;
        if self.config.subscribes("speaker-events") {
            self.send(engine::info("agentSpeaking", "off"));
        }
    }
}
