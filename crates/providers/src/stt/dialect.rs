//! What a streaming recogniser's protocol must tell: where to connect, what to say, what the answers mean.

use std::time::Duration;

use bytes::Bytes;
use offhook_stage_api::Expectation;
use offhook_stages::StageError;

use super::outbox::Pace;
use super::timeline::Timeline;
use super::turns::Turns;
use crate::net::Deadlines;

/// Where a connection is opened.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'static str, String)>,
}

/// How a session is kept, whatever the provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) pace: Pace,
    pub(crate) deadlines: Deadlines,
    /// How long after a pause its final transcript is waited for.
    pub(crate) patience: Duration,
    /// No sound for so long, and the provider is told that we are still there.
    pub(crate) idle: Option<Duration>,
    /// It says something about whatever it hears, at least every few seconds.
    pub(crate) chatty: bool,
    /// Sound may go out only when the provider has said that it is ready.
    pub(crate) greets: bool,
}

/// What we send a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    Text(String),
    /// So many samples of silence that the caller never made.
    Silence(usize),
}

/// What a provider's message means for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Go,
    /// It takes sound from now on.
    Ready,
    /// It will say no more.
    Done,
}

/// What to do about an end of the connection.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By the protocol a session ends so: open another at once.
    Reopen,
    Failed(StageError),
}

/// A call's time line and transcripts, and what is to be said to the provider: for the dialects.
#[derive(Debug, Default)]
pub(crate) struct CallState {
    pub(crate) line: Timeline,
    pub(crate) turns: Turns,
    pub(crate) say: Vec<Say>,
}

/// A provider's protocol for one call. Does no I/O.
pub(crate) trait Dialect: Send + 'static {
    fn stage(&self) -> &str;
    fn habits(&self) -> Habits;
    /// Where to connect to. A new session begins.
    fn open(&mut self) -> Result<Place, StageError>;
    /// What to say first.
    fn hello(&mut self) -> Option<String> {
        None
    }
    /// μ-law at 8 kHz as the provider wants it.
    fn sound(&mut self, mulaw: Vec<u8>) -> Bytes {
        Bytes::from(mulaw)
    }
    /// Whether the provider can take more sound just now.
    fn takes_sound(&self) -> bool {
        true
    }
    fn on_text(&mut self, text: &str, state: &mut CallState) -> Result<Then, StageError>;
    /// How to ask for a final transcript of all that was sent.
    fn force(&mut self) -> Option<String>;
    /// What to say when the call has decided that the turn is over.
    fn turn_ended(&mut self) -> Option<String> {
        None
    }
    /// What the agent expects to hear; what to say at once, if the provider can be told.
    fn expect(&mut self, _expectation: &Expectation) -> Option<String> {
        None
    }
    /// What is expected now needs another session: one is opened as soon as nobody speaks.
    fn is_outdated(&self) -> bool {
        false
    }
    /// What keeps the connection open while there is no sound.
    fn idle(&mut self) -> Option<Say> {
        None
    }
    /// The provider must say something within this time: a turn of its own is open.
    fn stalls_after(&self) -> Option<Duration> {
        None
    }
    fn goodbye(&mut self) -> Option<String>;
    /// The connection ended while the call goes on.
    fn ended(&mut self, _code: Option<u16>, error: StageError) -> Ended {
        Ended::Failed(error)
    }
}
