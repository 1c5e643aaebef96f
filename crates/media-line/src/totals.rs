//! What is counted over a whole call.

use crate::histogram::Histogram;
use crate::inbound::InboundTotals;
use crate::playout::PlayoutTotals;

/// Counts over a whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineTotals {
    /// The caller's sound.
    pub inbound: InboundTotals,
    /// The agent's sound.
    pub playout: PlayoutTotals,
    /// How late sound left, one for each batch: from the moment at which the playout clock said that there is room for it (the
    /// lead has shrunk to `lead` less `batch`) to that at which the call gave it out. It is never early; to encode it and hand it
    /// to the socket comes after, some tens of microseconds.
    pub pacing: Histogram,
    /// The gain that the agent's voice needs to come to its level, in hundredths of a dB, if enough of it was heard to tell.
    pub voice_gain: Option<i16>,
}
