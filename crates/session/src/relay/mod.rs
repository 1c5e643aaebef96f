//! ConversationRelay: how a session's call begins and ends, and text both ways.
//!
//! A call may outlive its socket: Twilio then asks what is next, and connects the same call to another. What is kept of it until then
//! is a [`Detached`] call.

mod link;

use std::sync::Arc;
use std::time::Duration;

use offhook_conversation::Input;
use offhook_relay_line::{RelayLine, relay_call};
use offhook_stages::CallInfo;
use offhook_twilio::relay::{Inbound, MOST_BAD_IN_A_ROW, SetupMessage, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::detached::{Admission, Admitted, Detached, Leave};
use crate::driver::{Driver, Observer, Parts, SessionLine};
use crate::guard::{StreamGuard, TooMuch};
use crate::session::{End, Session};
use crate::setup::Setup;
use crate::stages::Running;
use crate::toolbox::Toolbox;
use link::RelayLink;

/// `setup` must come within this.
const SETUP_WITHIN: Duration = Duration::from_secs(10);
/// After `end` Twilio closes within 90 ms; a peer that doesn't is left.
const CLOSED_WITHIN: Duration = Duration::from_secs(3);

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
    /// The call has come over another socket, which this one's end had yet to be noticed of.
    Replaced,
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
    /// The peer sent more than a call can have.
    #[error("the peer sent too much: {0}")]
    TooMuch(TooMuch),
    /// Too many messages in a row could not be used.
    #[error("{MOST_BAD_IN_A_ROW} messages in a row could not be used; the last: {0}")]
    TooManyBad(String),
}

/// Serves one session, from the upgraded socket to its end. `admit` judges the `setup` message and gives what to serve the call
/// with, and who may ask the session to leave; or why not. A call whose socket broke is given back.
pub async fn serve_relay<S, A, W>(
    socket: WebSocketStream<S>,
    admit: A,
) -> (RelayReport, Option<Detached<RelayLine, W>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: AsyncFnOnce(&SetupMessage) -> Result<Admission<RelayLine, W>, String>,
    W: Observer<RelayLine>,
{
    let mut report = RelayReport::default();
    let mut link = RelayLink::new(socket);
    let waited = tokio::time::timeout(SETUP_WITHIN, wait_for_setup(&mut link)).await;
    let setup = match waited.unwrap_or(Err(RelayError::NoSetup)) {
        Ok(Some(setup)) => setup,
        Ok(None) => return (report, None),
        Err(error) => {
            refuse(&mut link, &mut report, error).await;
            return (report, None);
        }
    };
    let admitted = admit(&setup).await;
    let (admitted, leave) = match admitted {
        Ok(admitted) => admitted,
        Err(why) => {
            report.setup = Some(setup);
            refuse(&mut link, &mut report, RelayError::Refused(why)).await;
            return (report, None);
        }
    };
    tracing::debug!(session = %setup.session_sid, "the session begins");
    let (driver, first) = match admitted {
        Admitted::Back(Detached(driver)) => (*driver, Input::Line(RelayLine::back())),
        Admitted::New(new, observer) => (begin(*new, observer, &setup), Input::Start),
    };
    report.setup = Some(setup);
    // On the heap, once: futures hold what they are given in more than one place.
    let mut session = Box::new(Session::new(driver, link, leave, Duration::ZERO));
    session.begin(first);
    let end = session.run().await;
    // Room for this is taken when a call ends, not as long as it lasts.
    Box::pin(finish(session, end, report)).await
}

/// Readies a call that begins.
fn begin<W: Observer<RelayLine>>(setup: Setup, observer: W, message: &SetupMessage) -> Driver<RelayLine, W> {
    let info = CallInfo {
        call: message.call_sid.to_shared(),
        language: setup.language.as_str().into(),
        goal: setup.goal,
        parameters: setup.parameters,
        // Twilio has a voice of its own.
        bridges: Arc::default(),
        facts: setup.facts,
        meter: setup.meter,
    };
    let notifier = setup.control.as_ref().map(|control| Arc::clone(control.notifier())).unwrap_or_default();
    let parts = Parts {
        stages: Running::start_llm(&setup.stages.llm, &info, &notifier).behind(setup.interceptor),
        notifier,
        observer,
        control: setup.control,
        tools: Toolbox::new(setup.tools),
    };
    Driver::new(relay_call(Arc::clone(&setup.config.conversation)), parts)
}

/// Closes the socket, and reports how the session went.
async fn finish<S, W>(
    mut session: Box<Session<RelayLine, W, RelayLink<S>>>,
    end: End,
    mut report: RelayReport,
) -> (RelayReport, Option<Detached<RelayLine, W>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    W: Observer<RelayLine>,
{
    report.prompts = session.limits.counts.prompts;
    report.interrupts = session.limits.counts.interrupts;
    report.bad_messages = session.limits.counts.bad;
    report.unknown = session.limits.counts.unknown;
    report.sent = session.link.socket.sent;
    report.end = match end {
        End::Stopped | End::Left(Leave::Over) => RelayEnd::Stopped,
        End::HungUp => {
            session.link.socket.wait_for_close(CLOSED_WITHIN).await;
            RelayEnd::Ended
        }
        End::Broken(why) => RelayEnd::Lost(why),
        End::Left(Leave::ForAnother) => RelayEnd::Replaced,
        End::Cut => {
            session.link.socket.close(CloseCode::Away, "the server ends").await;
            RelayEnd::Stopped
        }
        End::TooMuch(what) => {
            session.link.socket.close(CloseCode::Policy, "too much at once").await;
            RelayEnd::Failed(RelayError::TooMuch(what))
        }
        End::TooManyBad(why) => {
            // The code that Twilio has for it.
            session.link.socket.close(CloseCode::Invalid, "too many malformed messages").await;
            RelayEnd::Failed(RelayError::TooManyBad(why))
        }
    };
    if matches!(report.end, RelayEnd::Lost(_) | RelayEnd::Replaced) && session.driver.lose_socket() {
        return (report, Some(Detached(Box::new(session.driver))));
    }
    session.driver.stop();
    // What it used last is written down when it ends: before the observer sums up.
    session.driver.stages.end().await;
    (report, None)
}

async fn refuse<S>(link: &mut RelayLink<S>, report: &mut RelayReport, error: RelayError)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    link.socket.close(CloseCode::Policy, "refused").await;
    report.end = RelayEnd::Failed(error);
}

/// Reads `setup`; `None` if the peer leaves before.
async fn wait_for_setup<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut RelayLink<S>,
) -> Result<Option<SetupMessage>, RelayError> {
    let (mut guard, begun) = (StreamGuard::of_text(), Instant::now());
    while let Some(message) = link.socket.recv().await {
        let length = message.as_ref().map_or(0, Message::len);
        guard.message(length, begun.elapsed()).map_err(RelayError::TooMuch)?;
        if guard.rests() {
            tokio::task::yield_now().await;
        }
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
