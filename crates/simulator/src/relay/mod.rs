//! Twilio's side of a ConversationRelay call: hears the caller's words, speaks the agent's, over a real socket in real time.

mod caller;
pub mod messages;
mod place;
mod speaker;

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_twilio::relay::{MOST_BAD_IN_A_ROW, Outbound, SessionStatus, parse_outbound};
use offhook_twilio::twiml::{Finding, RelayFound};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) use place::{form, session};

use crate::http::Wire;
use crate::place::{CallPlan, Progress, millis};
use crate::report::{CallReport, Spoken};
pub(crate) use caller::Caller;
use messages::Who;
use speaker::{Heard, Speaker};

const FRAME: Duration = Duration::from_millis(20);
/// Twilio's answer to `end`.
const CLOSES_AFTER: Duration = Duration::from_millis(90);

/// How a session ended, for `<Connect action>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: SessionStatus,
    /// The caller is still on the phone.
    pub(crate) live: bool,
    pub(crate) handoff: Option<String>,
    pub(crate) error: Option<(u32, &'static str)>,
}

/// One session while it lasts.
struct Session<'a, P> {
    plan: &'a CallPlan,
    found: &'a RelayFound,
    caller: &'a mut Caller,
    report: &'a mut CallReport,
    progress: &'a mut P,
    speaker: Speaker,
    /// Prompts on their way: when, text, whether it is the last.
    prompts: VecDeque<(u64, String, bool)>,
    /// The line that is being said, and since when.
    saying: Option<(usize, u64)>,
    interrupts_at: Option<u64>,
    bad_in_a_row: u32,
    outgoing: Vec<String>,
    ended: Option<Ended>,
    lang: String,
}

/// Each session of a call has an id of its own.
fn session_id(nth: u32) -> String {
    format!("VX{nth:032x}")
}

/// Talks to the server until the session ends.
pub(crate) async fn talk<P: FnMut(Progress)>(
    socket: WebSocketStream<Box<dyn Wire>>,
    plan: &CallPlan,
    found: &RelayFound,
    caller: &mut Caller,
    report: &mut CallReport,
    progress: &mut P,
) -> Ended {
    let lang = found.get("transcriptionLanguage").or(found.get("language")).unwrap_or("en-US").to_owned();
    caller.sessions += 1;
    report.sessions = caller.sessions;
    let mut session = Session {
        plan,
        found,
        caller,
        report,
        progress,
        speaker: Speaker::default(),
        prompts: VecDeque::new(),
        saying: None,
        interrupts_at: None,
        bad_in_a_row: 0,
        outgoing: Vec::new(),
        ended: None,
        lang,
    };
    session.run(socket).await
}

impl<P: FnMut(Progress)> Session<'_, P> {
    async fn run(&mut self, mut socket: WebSocketStream<Box<dyn Wire>>) -> Ended {
        let session = session_id(self.caller.sessions);
        let again = self.caller.sessions > 1;
        let plan = self.plan;
        let who = Who {
            account: &plan.account_sid,
            call: &plan.call_sid,
            session: &session,
            from: &plan.from,
            to: &plan.to,
            again,
        };
        self.send(messages::setup(&who, &self.found.parameters));
        if let Some(greeting) = self.found.get("welcomeGreeting") {
            let text =
                offhook_twilio::relay::Text { token: greeting.to_owned(), last: true, ..Default::default() };
            self.speaker.take(&Outbound::Text(text), true, self.caller.now_ms);
        }
        let (began, from_ms) = (Instant::now(), self.caller.now_ms);
        loop {
            for text in std::mem::take(&mut self.outgoing) {
                if socket.send(Message::Text(text.into())).await.is_err() {
                    return self.lost();
                }
            }
            if let Some(ended) = self.ended.take() {
                let code = if ended.error.is_some() { CloseCode::Invalid } else { CloseCode::Normal };
                tokio::time::sleep(CLOSES_AFTER).await;
                let farewell = CloseFrame { code, reason: "Closing websocket session".into() };
                // The server may be gone already.
                let _gone = tokio::time::timeout(Duration::from_secs(1), socket.close(Some(farewell))).await;
                return ended;
            }
            let due = began + Duration::from_millis(self.caller.now_ms - from_ms);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due) => {
                    if self.caller.drop_at_ms.is_some_and(|at| at <= self.caller.now_ms) {
                        self.caller.drop_at_ms = None;
                        return self.lost(); // without a farewell
                    }
                    self.tick();
                    self.caller.now_ms += millis(FRAME);
                }
                message = socket.next() => {
                    if let Some(ended) = self.receive(message) {
                        return ended;
                    }
                }
            }
        }
    }

    fn lost(&mut self) -> Ended {
        Ended {
            status: SessionStatus::Failed,
            live: true,
            handoff: None,
            error: Some((64105, "Websocket ended")),
        }
    }

    fn send(&mut self, text: String) {
        self.report.messages.push((self.caller.now_ms, "twilio", text.clone()));
        self.outgoing.push(text);
    }

    fn find(&mut self, code: u32, what: impl Into<String>) {
        let finding = Finding::new(code, what);
        self.report.findings.push(finding.to_string());
        (self.progress)(Progress::Found(finding));
    }

    fn tells(&self, what: &str) -> bool {
        let told =
            |name: &str| self.found.get(name).is_some_and(|list| list.split(' ').any(|one| one == what));
        told("events") || told("debug")
    }

    fn tell(&mut self, what: &str, name: &str, value: &str) {
        if self.tells(what) {
            self.send(messages::info(name, value));
        }
    }

    fn may_interrupt(&self, by: &str) -> bool {
        let usual = self.found.get("interruptible").unwrap_or("any");
        matches!(usual, "any" | "true") || usual == by
    }

    /// 20 ms of the call.
    fn tick(&mut self) {
        let now = self.caller.now_ms;
        for heard in self.speaker.tick(now) {
            match heard {
                Heard::Began => self.tell("speaker-events", "agentSpeaking", "on"),
                Heard::Stopped => self.tell("speaker-events", "agentSpeaking", "off"),
                Heard::Played(text) => self.tell("tokens-played", "tokensPlayed", &text),
                Heard::Utterance(text) => self.spoken(text, false),
            }
        }
        let sounding = self.speaker.is_sounding();
        // A stand-in for the voice, so that a call of text is measured and drawn like one of sound.
        self.report.agent_sound.extend_from_slice(if sounding { &[0x95; 160] } else { &[0xFF; 160] });
        self.report.caller_sound.extend_from_slice(&[if self.saying.is_some() { 0x95 } else { 0xFF }; 160]);
        self.take_typed();
        let step = self.caller.script.step(now, sounding);
        if let Some(index) = step.began {
            self.begin_line(index);
        }
        if let Some(key) = step.key {
            self.press(key);
        }
        self.partial_prompts();
        if self.interrupts_at.is_some_and(|at| at <= now) {
            self.interrupts_at = None;
            self.interrupt();
        }
        if step.ended.is_some() {
            self.end_line();
        }
        while self.prompts.front().is_some_and(|(at, ..)| *at <= now) {
            if let Some((_, text, last)) = self.prompts.pop_front() {
                let lang = self.lang.clone();
                self.send(messages::prompt(&text, &lang, last));
            }
        }
        let done =
            self.caller.typed.is_none() && self.caller.script.is_done(now, millis(self.plan.hang_up_after));
        if done || now >= millis(self.plan.longest) {
            self.report.ended_by = if done { "caller" } else { "time limit" }.to_owned();
            self.ended =
                Some(Ended { status: SessionStatus::Completed, live: false, handoff: None, error: None });
        }
    }

    fn interrupt(&mut self) {
        if self.speaker.is_idle() {
            return;
        }
        let (heard, after_ms) = self.speaker.interrupt(self.caller.now_ms);
        self.send(messages::interrupt(&heard, after_ms));
        self.tell("speaker-events", "agentSpeaking", "off");
        self.spoken(heard, true);
    }

    fn spoken(&mut self, text: String, interrupted: bool) {
        let at_ms = self.caller.now_ms;
        (self.progress)(Progress::AgentSaid { at_ms, text: text.clone(), interrupted });
        self.report.spoken.push(Spoken { at_ms, text, interrupted });
    }

    /// A message from the server. Gives how the session ended, if it is over.
    fn receive(&mut self, message: Option<Result<Message, Error>>) -> Option<Ended> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => {
                self.bad("a binary frame");
                return None;
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => return None,
            Some(Ok(Message::Close(_)) | Err(_)) | None => {
                self.find(64105, "the server closed the socket without `end`");
                return Some(self.lost());
            }
        };
        self.report.messages.push((self.caller.now_ms, "server", text.to_string()));
        match parse_outbound(&text) {
            Ok(Outbound::End { handoff }) => {
                self.report.ended_by = "server".to_owned();
                self.ended = Some(Ended { status: SessionStatus::Ended, live: true, handoff, error: None });
            }
            Ok(message) => {
                self.bad_in_a_row = 0;
                self.report.media_messages += 1;
                if let Outbound::Language { transcription: Some(lang), .. } = &message {
                    self.lang.clone_from(lang);
                }
                let usual = self.may_interrupt("speech");
                self.speaker.take(&message, usual, self.caller.now_ms);
            }
            Err(error) => {
                let why = error.why;
                self.bad(&why);
                self.send(messages::refused(&text));
            }
        }
        None
    }

    fn bad(&mut self, why: &str) {
        self.find(64107, why);
        self.bad_in_a_row += 1;
        if self.bad_in_a_row >= MOST_BAD_IN_A_ROW {
            self.report.ended_by = "server".to_owned();
            self.ended = Some(Ended {
                error: Some((64105, "Too many consecutive malformed messages")),
                ..self.lost()
            });
        }
    }
}
