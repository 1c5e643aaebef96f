//! A short ConversationRelay session: a caller who waits for a greeting, asks, speaks over the answer, and asks again.

mod judge;
mod talk;

pub(crate) use judge::judge;
pub(crate) use talk::talk;

use crate::call::Ended;
use crate::causes::Cause;

/// What was seen in the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// From `setup` to the first words.
    pub(crate) first_words_ms: Option<u64>,
    /// From the caller's questions to the answers' first words; none for one that wasn't answered in time.
    pub(crate) answers_ms: Vec<Option<u64>>,
    /// Which answers, the greeting as 0, were not brought to an end.
    pub(crate) unfinished: Vec<usize>,
    /// Messages that Twilio would object to: what and how, each kind once.
    pub(crate) wrong: Vec<(&'static Cause, String)>,
    /// So many in a row that Twilio ends the session.
    pub(crate) too_many_wrong: bool,
    /// The server ended the session as it should: by `end`.
    pub(crate) handed_over: bool,
    /// The server closed or broke the connection.
    pub(crate) ended: Option<Ended>,
    /// After Twilio's farewell the server closed.
    pub(crate) closed_after_end: Option<bool>,
}
