//! One ConversationRelay call's socket and clock: text both ways.
//!
//! A call may outlive its socket: Twilio then asks what is next, and connects the same call to another. What is kept of it until then is a
//! [`Parked`] call.

mod link;
mod thinker;

use std::collections::VecDeque;
use std::time::Duration;

use offhook_call::relay::{RelayCall, RelayInput, RelayOutput};
use offhook_call::stage::{LlmEvent, ToolResult};
use offhook_call::{CallEvent, CallTime, Control, Key};
use offhook_stages::CallInfo;
use offhook_twilio::relay::{Inbound, Info, MOST_BAD_IN_A_ROW, SetupMessage, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::control::{ControlReceiver, Toolbox};
use crate::run::wish;
use crate::setup::Setup;
use link::RelayLink;
use thinker::Thinker;

/// `setup` must come within this.
const SETUP_WITHIN: Duration = Duration::from_secs(10);
/// After `end` Twilio closes within 90 ms; a peer that doesn't is left.
const CLOSED_WITHIN: Duration = Duration::from_secs(3);

/// Watches a call of text. Called on the call's worker; must not block.
pub trait RelayObserver {
    /// What goes into the state machine.
    fn input(&mut self, now: CallTime, input: &RelayInput<'_>);
    /// What comes out of it.
    fn output(&mut self, now: CallTime, output: &RelayOutput);
}

/// How a session went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayReport {
    /// Which call it was, if it began.
    pub setup: Option<SetupMessage>,
    /// Why it ended.
    pub end: RelayEnd,
    /// Turns of the caller.
    pub prompts: u32,
    /// Interruptions.
    pub interrupts: u32,
    /// Messages sent.
    pub sent: u32,
    /// Messages that could not be used.
    pub bad_messages: u32,
    /// Kinds of messages that this version doesn't know.
    pub unknown: u32,
}

/// Why a session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayEnd {
    /// Twilio closed: the caller hung up.
    #[default]
    Stopped,
    /// We sent `end`.
    Ended,
    /// The socket broke. The call may go on over another.
    Lost(String),
    /// It could not begin, or not go on.
    Failed(RelayError),
}

/// Why a session could not begin or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// No `setup` came.
    #[error(
        "no `setup` came within {SETUP_WITHIN:?}: the peer is not Twilio's ConversationRelay, or is stuck"
    )]
    NoSetup,
    /// The `setup` was refused.
    #[error("the session was refused: {0}")]
    Refused(String),
    /// Before `setup` came something that can't come there.
    #[error("before `setup`: {0}")]
    BadSetup(String),
    /// Too many messages in a row could not be used.
    #[error("{MOST_BAD_IN_A_ROW} messages in a row could not be used; the last: {0}")]
    TooManyBad(String),
}

/// What a session is served with.
pub enum Admitted<W> {
    /// A call that begins.
    New(Box<Setup>, W),
    /// One that was cut off, and is back.
    Back(Parked<W>),
}

impl<W> std::fmt::Debug for Admitted<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New(..) => "New",
            Self::Back(_) => "Back",
        })
    }
}

/// A call without a socket.
pub struct Parked<W>(Box<Talk<W>>);

impl<W> std::fmt::Debug for Parked<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Parked").field(&self.0.call).finish()
    }
}

impl<W: RelayObserver> Parked<W> {
    /// The call has not come back: it is over.
    pub fn give_up(mut self) {
        self.0.stop();
    }
}

/// A call but for its socket.
struct Talk<W> {
    call: RelayCall,
    thinker: Thinker,
    observer: W,
    clock: Instant,
    control: Option<ControlReceiver>,
    tools: Toolbox,
    /// For the socket.
    to_send: VecDeque<RelayOutput>,
    /// What the model and the tools would not take, as inputs.
    refused: VecDeque<LlmEvent>,
    unable: VecDeque<ToolResult>,
}

/// Serves one session, from the upgraded socket to its end. `admit` judges the `setup` message and gives what to serve the call
/// with, or why not. A call whose socket broke is given back.
pub async fn serve_relay<S, A, W>(socket: WebSocketStream<S>, admit: A) -> (RelayReport, Option<Parked<W>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: FnOnce(&SetupMessage) -> Result<Admitted<W>, String>,
    W: RelayObserver,
{
    let mut report = RelayReport::default();
    let mut link = RelayLink::new(socket);
    let waited = tokio::time::timeout(SETUP_WITHIN, wait_for_setup(&mut link)).await;
    let admitted = match waited.unwrap_or(Err(RelayError::NoSetup)) {
        Ok(None) => return (report, None),
        Ok(Some(setup)) => {
            let admitted = admit(&setup).map_err(RelayError::Refused);
            report.setup = Some(setup);
            admitted
        }
        Err(error) => Err(error),
    };
    let (talk, setup) = match (admitted, &report.setup) {
        (Ok(admitted), Some(setup)) => (Talk::admit(admitted, setup), setup.session_sid.clone()),
        (Err(error), _) => {
            link.close(CloseCode::Policy, "refused").await;
            report.end = RelayEnd::Failed(error);
            return (report, None);
        }
        (Ok(_), None) => return (report, None),
    };
    tracing::debug!(session = %setup, "the session begins");
    Session { link, talk, bad_in_a_row: 0 }.run(report).await
}

/// Reads `setup`; `None` if the peer leaves before.
async fn wait_for_setup<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut RelayLink<S>,
) -> Result<Option<SetupMessage>, RelayError> {
    while let Some(message) = link.recv().await {
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return Ok(None),
            Ok(_) => return Err(RelayError::BadSetup("a binary frame; ConversationRelay sends text".into())),
            Err(error) => return Err(RelayError::BadSetup(error.to_string())),
        };
        return match parse(&text) {
            Ok(Inbound::Setup(setup)) => Ok(Some(*setup)),
            Ok(Inbound::Unknown { .. } | Inbound::Info(_)) => continue,
            Ok(_) => Err(RelayError::BadSetup("another message; `setup` must be first".into())),
            Err(error) => Err(RelayError::BadSetup(error.to_string())),
        };
    }
    Ok(None)
}

impl<W: RelayObserver> Talk<W> {
    fn admit(admitted: Admitted<W>, message: &SetupMessage) -> Box<Self> {
        let (setup, observer) = match admitted {
            Admitted::Back(parked) => return parked.0,
            Admitted::New(setup, observer) => (setup, observer),
        };
        let info = CallInfo {
            call: message.call_sid.to_shared(),
            language: setup.language.as_str().into(),
            goal: setup.goal,
            parameters: setup.parameters,
            meter: setup.meter,
        };
        Box::new(Self {
            call: RelayCall::new(setup.config),
            thinker: Thinker::start(setup.stages.llm.as_ref(), &info),
            observer,
            clock: Instant::now(),
            control: setup.control,
            tools: Toolbox::new(setup.tools),
            to_send: VecDeque::new(),
            refused: VecDeque::new(),
            unable: VecDeque::new(),
        })
    }

    fn now(&self) -> CallTime {
        // Whole microseconds, so that the tape has the very time that the call was given.
        let micros = u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX);
        CallTime::after(Duration::from_micros(micros))
    }

    /// Feeds an input and takes what comes of it, before there is another: so it goes on the tape.
    fn feed(&mut self, input: RelayInput<'_>) {
        let now = self.now();
        self.observer.input(now, &input);
        self.call.handle(input, now);
        while let Some(output) = self.call.poll_output() {
            self.observer.output(now, &output);
            match output {
                RelayOutput::Event(_) => {}
                RelayOutput::Llm(command) => self.refused.extend(self.thinker.tell(command)),
                RelayOutput::Tool(call) => self.unable.extend(self.tools.begin(call)),
                RelayOutput::CancelTool { id } => self.tools.give_up(&id),
                output => self.to_send.push_back(output),
            }
        }
    }

    /// The next output that is for the socket.
    fn next_output(&mut self) -> Option<RelayOutput> {
        loop {
            if let Some(output) = self.to_send.pop_front() {
                return Some(output);
            }
            if let Some(failed) = self.refused.pop_front() {
                self.feed(RelayInput::Llm(failed));
            } else if let Some(result) = self.unable.pop_front() {
                self.feed(RelayInput::Tool(result));
            } else {
                return None;
            }
        }
    }

    /// The call is over.
    fn stop(&mut self) {
        self.feed(RelayInput::Stop);
        while self.next_output().is_some() {}
    }
}

struct Session<S, W> {
    link: RelayLink<S>,
    talk: Box<Talk<W>>,
    bad_in_a_row: u32,
}

enum Happened {
    Message(Option<Result<Message, Error>>),
    Llm(LlmEvent),
    Control(Control),
    Tool(ToolResult),
    Deadline,
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: RelayObserver> Session<S, W> {
    async fn run(mut self, mut report: RelayReport) -> (RelayReport, Option<Parked<W>>) {
        self.talk.feed(RelayInput::Setup);
        let timer = tokio::time::sleep_until(self.talk.clock);
        tokio::pin!(timer);
        report.end = loop {
            match self.drain().await {
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
                Happened::Control(control) => self.talk.feed(RelayInput::Control(control)),
                Happened::Tool(result) => self.talk.feed(RelayInput::Tool(result)),
                Happened::Deadline => self.talk.feed(RelayInput::Timeout),
                Happened::Message(message) => match self.on_message(message, &mut report) {
                    None => {}
                    Some(end) => break end,
                },
            }
        };
        report.sent = self.link.sent();
        match &report.end {
            RelayEnd::Ended => self.link.wait_for_close(CLOSED_WITHIN).await,
            RelayEnd::Lost(_) => {
                self.talk.feed(RelayInput::Lost);
                while self.talk.next_output().is_some() {}
                let parked = self.talk.call.is_lost().then(|| Parked(self.talk));
                return (report, parked);
            }
            // The code that Twilio has for it.
            RelayEnd::Failed(_) => self.link.close(CloseCode::Invalid, "too many malformed messages").await,
            RelayEnd::Stopped => {}
        }
        self.talk.stop();
        (report, None)
    }

    /// Does everything that the call wants done. True if it wants to end.
    async fn drain(&mut self) -> Result<bool, Error> {
        let mut over = false;
        while let Some(output) = self.talk.next_output() {
            over |= matches!(output, RelayOutput::End { .. });
            self.link.write(output).await?;
        }
        self.link.flush().await?;
        Ok(over)
    }

    /// Takes a message. Gives why the session ends, if it does.
    fn on_message(
        &mut self,
        message: Option<Result<Message, Error>>,
        report: &mut RelayReport,
    ) -> Option<RelayEnd> {
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
            Inbound::Prompt { text, last, .. } => {
                report.prompts += u32::from(*last);
                RelayInput::Prompt { text, last: *last }
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
