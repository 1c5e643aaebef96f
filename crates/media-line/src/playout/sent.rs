//! What is on its way to the caller's ear.

use offhook_stage_api::UtteranceId;

use crate::wire::MarkName;

/// A run of sent samples of one utterance, on the generation's own sample count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) utterance: UtteranceId,
    /// First sample, counted from the generation's start.
    pub(super) at: u64,
    /// The same sample, counted from the utterance's start.
    pub(super) offset: u64,
    /// Samples of the utterance (padding left out).
    pub(super) length: u64,
}

/// A mark that has not come back.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingMark {
    pub(super) name: MarkName,
    /// All samples before this one lie before the mark.
    pub(super) at: u64,
    /// It ends this utterance.
    pub(super) ends: Option<UtteranceId>,
}

/// Counts over the whole call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlayoutTotals {
    /// Frames sent.
    pub frames: u64,
    /// Samples of utterances sent, padding left out.
    pub samples: u64,
    /// Marks sent.
    pub marks: u64,
    /// Clears sent.
    pub clears: u64,
    /// Marks that came back and weren't ours or were out of order.
    pub strange_marks: u64,
    /// Times that the sound ran out during an utterance.
    pub underruns: u64,
}
