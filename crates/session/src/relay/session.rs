//! The loop: one session, from its `setup` to its end.

use offhook_call::relay::{RelayInput, RelayOutput};
use offhook_call::{CallEvent, Control, Key};
use offhook_stage_api::{LlmEvent, ToolResult};
use offhook_twilio::relay::{Inbound, Info, MOST_BAD_IN_A_ROW, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::link::RelayLink;
use super::talk::{Parked, Talk};
use super::{CLOSED_WITHIN, Leave, RelayEnd, RelayError, RelayObserver, RelayReport};
use crate::control::ControlReceiver;
use crate::guard::StreamGuard;

pub(super) struct Session<S, W> {
    link: RelayLink<S>,
    talk: Box<Talk<W>>,
    leave: Option<oneshot::Receiver<Leave>>,
    bad_in_a_row: u32,
    guard: StreamGuard,
    begun: Instant,
}

enum Happened {
    Message(Option<Result<Message, Error>>),
    Llm(LlmEvent),
    /// Nothing: the session is to end now.
    Control(Option<Control>),
    Tool(ToolResult),
    Leave(Leave),
    Deadline,
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: RelayObserver> Session<S, W> {
    pub(super) fn new(link: RelayLink<S>, talk: Box<Talk<W>>, leave: oneshot::Receiver<Leave>) -> Self {
        Self {
            link,
            talk,
            leave: Some(leave),
            bad_in_a_row: 0,
            guard: StreamGuard::of_text(),
            begun: Instant::now(),
        }
    }

    pub(super) async fn run(mut self, mut report: RelayReport) -> (RelayReport, Option<Parked<W>>) {
        self.talk.feed(RelayInput::Setup);
        let timer = tokio::time::sleep_until(self.talk.clock);
        tokio::pin!(timer);
        report.end = loop {
            // A socket that is dead unnoticed may take no data.
            let drained = tokio::select! {
                drained = drain(&mut self.talk, &mut self.link) => drained,
                leave = told_to_leave(&mut self.leave) => break leave.into(),
            };
            match drained {
                Ok(false) => {}
                Ok(true) => break RelayEnd::Ended,
                Err(error) => break RelayEnd::Lost(error.to_string()),
            }
            let deadline = self.talk.call.deadline().map(|at| self.talk.clock + at.since_start());
            if let Some(deadline) = deadline.filter(|deadline| *deadline != timer.deadline()) {
                timer.as_mut().reset(deadline);
            }
            let happened = tokio::select! {
                message = self.link.recv() => Happened::Message(message),
                event = self.talk.thinker.next() => Happened::Llm(event),
                control = wish(&mut self.talk.control) => Happened::Control(control),
                result = self.talk.tools.result() => Happened::Tool(result),
                leave = told_to_leave(&mut self.leave) => Happened::Leave(leave),
                () = timer.as_mut(), if deadline.is_some() => Happened::Deadline,
            };
            match happened {
                Happened::Llm(event) => {
                    self.talk.feed(RelayInput::Llm(event));
                    // What came with it goes into the same message.
                    while let Some(event) = self.talk.thinker.ready() {
                        self.talk.feed(RelayInput::Llm(event));
                    }
                }
                Happened::Control(None) => {
                    self.link.close(CloseCode::Away, "the server ends").await;
                    break RelayEnd::Stopped;
                }
                Happened::Control(Some(control)) => self.talk.feed(RelayInput::Control(control)),
                Happened::Tool(result) => self.talk.feed(RelayInput::Tool(result)),
                Happened::Leave(leave) => break leave.into(),
                Happened::Deadline => self.talk.feed(RelayInput::Timeout),
                Happened::Message(message) => match self.on_message(message, &mut report) {
                    None if self.guard.rests() => tokio::task::yield_now().await,
                    None => {}
                    Some(end) => break end,
                },
            }
        };
        report.sent = self.link.sent();
        match &report.end {
            RelayEnd::Ended => self.link.wait_for_close(CLOSED_WITHIN).await,
            RelayEnd::Lost(_) | RelayEnd::Replaced => {
                self.talk.feed(RelayInput::Lost);
                while self.talk.next_output().is_some() {}
                let parked = self.talk.call.is_lost().then(|| Parked(self.talk));
                return (report, parked);
            }
            RelayEnd::Failed(RelayError::TooMuch(_)) => {
                self.link.close(CloseCode::Policy, "too much at once").await;
            }
            // The code that Twilio has for it.
            RelayEnd::Failed(_) => self.link.close(CloseCode::Invalid, "too many malformed messages").await,
            RelayEnd::Stopped => {}
        }
        self.talk.stop();
        (report, None)
    }

    /// Takes a message. Gives why the session ends, if it does.
    fn on_message(
        &mut self,
        message: Option<Result<Message, Error>>,
        report: &mut RelayReport,
    ) -> Option<RelayEnd> {
        if let Some(Ok(message)) = &message
            && let Err(what) = self.guard.message(message.len(), self.begun.elapsed())
        {
            return Some(RelayEnd::Failed(RelayError::TooMuch(what)));
        }
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            // Twilio closes so when the caller has hung up.
            Some(Ok(Message::Close(Some(frame)))) if frame.code == CloseCode::Normal => {
                return Some(RelayEnd::Stopped);
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or_else(|| "none".to_owned(), |frame| frame.code.to_string());
                return Some(RelayEnd::Lost(format!("closed with code {code}")));
            }
            None => return Some(RelayEnd::Lost("closed without a word".to_owned())),
            Some(Err(error)) => return Some(RelayEnd::Lost(error.to_string())),
            Some(Ok(Message::Binary(_))) => return self.bad_message("a binary frame", report),
            Some(Ok(_)) => return None,
        };
        let message = match parse(&text) {
            Ok(message) => message,
            Err(error) => return self.bad_message(&error.to_string(), report),
        };
        self.bad_in_a_row = 0;
        let input = match &message {
            Inbound::Prompt { text, lang, last } => {
                report.prompts += u32::from(*last);
                RelayInput::Prompt { text, lang: Some(&**lang).filter(|lang| !lang.is_empty()), last: *last }
            }
            Inbound::Dtmf { digit } => match Key::new(*digit) {
                Some(key) => RelayInput::Dtmf(key),
                None => return self.bad_message("a digit that no keypad has", report),
            },
            Inbound::Interrupt { heard, after } => {
                report.interrupts += 1;
                RelayInput::Interrupt { heard, after: *after }
            }
            Inbound::Info(Info::AgentSpeaking(speaking)) => RelayInput::AgentSpeaking(*speaking),
            Inbound::Info(Info::CallerSpeaking(speaking)) => RelayInput::CallerSpeaking(*speaking),
            Inbound::Info(Info::TokensPlayed(text)) => RelayInput::Played(text),
            Inbound::Info(Info::Other(_)) => return None,
            Inbound::Error { description } => {
                let why = without_quotation(description);
                self.talk.feed(RelayInput::Refused(&why));
                return None;
            }
            Inbound::Setup(_) => return self.bad_message("a second `setup`; a session has one", report),
            Inbound::Unknown { .. } => {
                report.unknown += 1;
                return None;
            }
        };
        self.talk.feed(input);
        None
    }

    fn bad_message(&mut self, why: &str, report: &mut RelayReport) -> Option<RelayEnd> {
        report.bad_messages += 1;
        self.bad_in_a_row += 1;
        if report.bad_messages == 1 {
            let message = format!("a message could not be used and was dropped: {why}");
            let output = RelayOutput::Event(CallEvent::Trouble { message });
            self.talk.observer.output(self.talk.now(), &output);
        }
        let over = self.bad_in_a_row >= MOST_BAD_IN_A_ROW;
        over.then(|| RelayEnd::Failed(RelayError::TooManyBad(why.to_owned())))
    }
}

/// Does everything that the call wants done. True if it wants to end.
async fn drain<S: AsyncRead + AsyncWrite + Unpin, W: RelayObserver>(
    talk: &mut Talk<W>,
    link: &mut RelayLink<S>,
) -> Result<bool, Error> {
    let mut over = false;
    while let Some(output) = talk.next_output() {
        over |= matches!(output, RelayOutput::End { .. });
        link.write(output).await?;
    }
    link.flush().await?;
    Ok(over)
}

/// What the application wants next; waits for ever if nothing can reach the call.
async fn wish(control: &mut Option<ControlReceiver>) -> Option<Control> {
    match control {
        Some(control) => control.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits for ever when nobody can tell any more. Safe to drop while it waits.
async fn told_to_leave(leave: &mut Option<oneshot::Receiver<Leave>>) -> Leave {
    if let Some(waiting) = leave {
        let told = waiting.await;
        *leave = None;
        if let Ok(told) = told {
            return told;
        }
    }
    std::future::pending().await
}

impl From<Leave> for RelayEnd {
    fn from(leave: Leave) -> Self {
        match leave {
            Leave::ForAnother => Self::Replaced,
            Leave::Over => Self::Stopped,
        }
    }
}

/// An error's words without the message that it quotes: it may hold what was said.
fn without_quotation(description: &str) -> String {
    let words = description.split(['{', '"']).next().unwrap_or("").trim_end_matches([',', ' ', ':']);
    let words: String = words.chars().take(160).collect();
    let code = words
        .split(|c: char| !c.is_ascii_digit())
        .find_map(|code| code.parse().ok().filter(|code| *code > 10_000));
    match code.and_then(offhook_twilio::errors::lookup) {
        Some(error) => format!("{words} ({}; {})", error.meaning, error.mend),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::without_quotation;

    #[test]
    fn an_error_is_told_without_what_was_said() {
        let told = without_quotation(
            "Invalid message received, code: 64107, {\"type\":\"text\",\"token\":\"your PIN is 4711\"}",
        );
        assert!(
            told.starts_with("Invalid message received, code: 64107 (a message to ConversationRelay"),
            "{told}"
        );
        assert!(!told.contains("4711"), "{told}");
        assert_eq!(without_quotation("odd"), "odd");
    }
}
