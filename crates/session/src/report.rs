//! How a call went, and why it ended.

use offhook_media_line::LineTotals;
use offhook_stage_api::Entry;
use offhook_twilio::stream::StartMessage;

use crate::guard::{MOST_BAD_IN_A_ROW, START_WITHIN, TooMuch};

/// How a call went.
#[derive(Clone, Debug, Default)]
pub struct SessionReport {
    /// The stream, if it began; of one that was admitted without its parameters.
    pub start: Option<StartMessage>,
    /// Why it ended.
    pub end: SessionEnd,
    /// The conversation, as the caller heard it.
    pub history: Vec<Entry>,
    /// What was counted.
    pub totals: LineTotals,
    /// Messages that could not be used.
    pub bad_messages: u32,
    /// Events that this version doesn't know.
    pub unknown_events: u32,
    /// Frames that the recogniser could not take.
    pub dropped_audio: u64,
    /// Commands that a stage had no room for.
    pub refused_commands: u64,
}

/// Why a session ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionEnd {
    /// Twilio said `stop`, or closed.
    #[default]
    Stopped,
    /// We hung up.
    HungUp,
    /// The socket broke without a word, and why. The call may go on over another.
    Lost(String),
    /// The call has come over another socket, which this one's end had yet to be noticed of.
    Replaced,
    /// It could not go on.
    Failed(SessionError),
}

/// Why a session could not begin or go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No `start` came.
    #[error(
        "no `start` message came within {START_WITHIN:?}: the peer is not Twilio's Media Streams, or is stuck"
    )]
    NoStart,
    /// The `start` was refused.
    #[error("the stream was refused: {0}")]
    Refused(String),
    /// Before `start` came something that can't come there.
    #[error("before `start`: {0}")]
    BadStart(String),
    /// The peer sent more than a call can have: it is no phone.
    #[error("the peer sent too much: {0}")]
    TooMuch(TooMuch),
    /// Too many messages in a row could not be used: the peer is another, or a proxy spoils what it sends.
    #[error("{MOST_BAD_IN_A_ROW} messages in a row could not be used; the last: {0}")]
    TooManyBad(String),
    /// The socket failed.
    #[error("the socket failed: {0}")]
    Socket(String),
}
