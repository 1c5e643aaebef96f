//! A short call: Twilio's messages, a caller who waits, speaks, and speaks over the answer; and what the server did.

mod coding;
mod figures;
mod flow;
mod judge;
mod payload;
mod rate;
mod talk;
mod throat;
mod traces;

use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) use judge::judge;
pub(crate) use talk::{Parties, talk};

/// What was seen in the call. Times in milliseconds since the stream's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) media_messages: u64,
    /// Octets of sound in them.
    pub(crate) octets: usize,
    /// Sound that the agent cleared before it was played, though the caller had not begun to speak.
    pub(crate) cleared_own_ms: u64,
    /// The agent was first heard.
    pub(crate) first_voice_ms: Option<u64>,
    /// The caller's first line ended.
    pub(crate) line_end_ms: Option<u64>,
    /// From the end of the line to the agent's voice.
    pub(crate) answer_ms: Option<u64>,
    /// The caller's line was over, and an answer could be waited for as long as it takes.
    pub(crate) waited_for_answer: bool,
    /// From the end of the line that was spoken over the agent to its next words.
    pub(crate) after_over_ms: Option<u64>,
    /// The agent spoke on until the caller spoke over its greeting.
    pub(crate) long_greeting: bool,
    /// Messages that Twilio would object to: what and how, each kind once.
    pub(crate) wrong: Vec<(&'static crate::causes::Cause, String)>,
    /// Sound for judging its format: without messages that are silence, the beginning of it.
    pub(crate) sound: Vec<u8>,
    /// When how much sound came.
    pub(crate) pace: rate::Pace,
    /// Whether the voice is whole.
    pub(crate) flow: flow::Flow,
    /// The caller began to speak.
    pub(crate) line_began_ms: Option<u64>,
    /// After the agent was spoken over it was waited for, as long as it takes, and said nothing.
    pub(crate) silent_after_over: bool,
    /// The first payload, as it came.
    pub(crate) first_payload: Vec<u8>,
    pub(crate) pinged: bool,
    pub(crate) ponged: bool,
    pub(crate) barge_in: Option<BargeIn>,
    /// The line that was spoken over the agent ended.
    pub(crate) over_end_ms: Option<u64>,
    pub(crate) ended: Option<Ended>,
    /// After `stop` the server closed.
    pub(crate) closed_after_stop: Option<bool>,
    pub(crate) length_ms: u64,
}

/// The caller spoke over the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BargeIn {
    pub(crate) at_ms: u64,
    /// What was queued then.
    pub(crate) queued_ms: u64,
    /// When the server sent `clear`.
    pub(crate) cleared_ms: Option<u64>,
    /// The agent was heard without a break until then.
    pub(crate) until_ms: u64,
    pub(crate) paused: bool,
}

/// The server ended the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With a close frame.
    Closed { at_ms: u64, code: Option<u16>, reason: String },
    /// Without.
    Broke { at_ms: u64, why: String },
    /// By a fault in the protocol.
    Protocol { why: String },
}

impl Parties {
    /// A ConversationRelay session's id.
    pub(crate) fn session(&self) -> String {
        format!("VX{}", self.stream.as_str().trim_start_matches("MZ"))
    }
}

/// How a stream was ended by this; `None` for a message.
pub(crate) fn ended(message: Option<Result<Message, Error>>, at_ms: u64) -> Option<Ended> {
    let why = match message {
        Some(Ok(Message::Close(frame))) => {
            return Some(Ended::Closed {
                at_ms,
                code: frame.as_ref().map(|frame| frame.code.into()),
                reason: frame.map(|frame| frame.reason.to_string()).unwrap_or_default(),
            });
        }
        Some(Ok(_)) => return None,
        Some(Err(Error::Protocol(error))) if !error.to_string().contains("closing handshake") => {
            return Some(Ended::Protocol { why: error.to_string() });
        }
        Some(Err(Error::Capacity(error))) => return Some(Ended::Protocol { why: error.to_string() }),
        Some(Err(Error::Utf8(error))) => return Some(Ended::Protocol { why: format!("{error:?}") }),
        Some(Err(error)) => error.to_string(),
        None => "the connection was closed".to_owned(),
    };
    Some(Ended::Broke { at_ms, why })
}
