//! One ConversationRelay call's socket and clock: text both ways.
//!
//! A call may outlive its socket: Twilio then asks what is next, and connects the same call to another. What is kept of it until then is a
//! [`Parked`] call.

//! - `session`: the loop of one session
//! - `talk`: the call that it leads
//! - `link`: messages out
//! - `thinker`: the model at work

mod link;
mod session;
mod talk;
mod thinker;

use std::time::Duration;

use offhook_call::relay::{RelayInput, RelayOutput};
use offhook_stage_api::CallTime;
use offhook_twilio::relay::{Inbound, MOST_BAD_IN_A_ROW, SetupMessage, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::guard::{StreamGuard, TooMuch};
use crate::setup::Setup;
use link::RelayLink;
use session::Session;
pub use talk::Parked;
use talk::Talk;

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
    /// Too many messages in a row could not be used.
    #[error("{MOST_BAD_IN_A_ROW} messages in a row could not be used; the last: {0}")]
    TooManyBad(String),
    /// The peer sent more than a call can have.
    #[error("the peer sent too much: {0}")]
    TooMuch(TooMuch),
}

/// Why a session is to leave its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// The call goes on over another: it is given back.
    ForAnother,
    /// The call is over.
    Over,
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

/// Serves one session, from the upgraded socket to its end. `admit` judges the `setup` message and gives what to serve the call
/// with, and who may tell the session to leave; or why not. A call whose socket broke is given back.
pub async fn serve_relay<S, A, W>(socket: WebSocketStream<S>, admit: A) -> (RelayReport, Option<Parked<W>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: AsyncFnOnce(&SetupMessage) -> Result<(Admitted<W>, oneshot::Receiver<Leave>), String>,
    W: RelayObserver,
{
    let mut report = RelayReport::default();
    let mut link = RelayLink::new(socket);
    let waited = tokio::time::timeout(SETUP_WITHIN, wait_for_setup(&mut link)).await;
    let admitted = match waited.unwrap_or(Err(RelayError::NoSetup)) {
        Ok(None) => return (report, None),
        Ok(Some(setup)) => {
            let admitted = admit(&setup).await.map_err(RelayError::Refused);
            report.setup = Some(setup);
            admitted
        }
        Err(error) => Err(error),
    };
    let (talk, leave) = match (admitted, &report.setup) {
        (Ok((admitted, leave)), Some(setup)) => {
            tracing::debug!(session = %setup.session_sid, "the session begins");
            (Talk::admit(admitted, setup), leave)
        }
        (Err(error), _) => {
            link.close(CloseCode::Policy, "refused").await;
            report.end = RelayEnd::Failed(error);
            return (report, None);
        }
        (Ok(_), None) => return (report, None),
    };
    Session::new(link, talk, leave).run(report).await
}

/// Reads `setup`; `None` if the peer leaves before.
async fn wait_for_setup<S: AsyncRead + AsyncWrite + Unpin>(
    link: &mut RelayLink<S>,
) -> Result<Option<SetupMessage>, RelayError> {
    let (mut guard, begun) = (StreamGuard::of_text(), Instant::now());
    while let Some(message) = link.recv().await {
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
