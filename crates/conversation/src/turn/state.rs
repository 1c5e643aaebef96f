//! Where a turn stands, and what may change it.

use offhook_stage_api::CallTime;

use super::evidence::Evidence;

/// Names a caller's turn within the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TurnNumber(pub(crate) u32);

/// Where the caller's turn stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum TurnState {
    /// The caller has said nothing since the last turn.
    #[default]
    Quiet,
    /// The caller speaks.
    Speaking {
        /// Since when.
        onset: CallTime,
        /// Words have come since then.
        words: bool,
        /// It has lasted so long without words that it is taken for noise: nobody waits for its end.
        noise: bool,
        /// When the final transcript of the speech before the last pause came.
        settled_at: Option<CallTime>,
    },
    /// The caller has spoken and is silent; perhaps the turn is over.
    Paused(Pause),
    /// The turn is over, but nothing of the answer was heard: it can be reopened.
    Decided(Decided),
    /// The same, and there is sound again: the caller goes on, or it is noise.
    Reopening {
        /// The decision that may have been too early.
        decided: Decided,
        /// When the sound began.
        onset: CallTime,
        /// When it ended, if it has.
        ended: Option<CallTime>,
    },
}

/// A pause within, or at the end of, a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pause {
    /// When the final transcript of the speech before it came.
    pub(crate) settled_at: Option<CallTime>,
    /// Since when there is sound again that is taken for noise: with words it is speech after all.
    pub(super) noise_since: Option<CallTime>,
    /// The recogniser's own turn detection says that the caller is done.
    pub(super) recogniser_end: bool,
    /// 0 to 1 that the turn is over, from a turn model.
    pub(super) model: Option<f32>,
    /// Until when it waits, and why, as was last reported.
    pub(super) reported: Option<(CallTime, Evidence)>,
}

/// The end of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) at: CallTime,
    /// The answer's first sound may go out from here on.
    pub(crate) answer_from: CallTime,
    pub(crate) settled_at: Option<CallTime>,
    /// How many words the turn had.
    pub(super) words: usize,
}

/// What words have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WordsEffect {
    /// Nothing.
    None,
    /// The words of the turn are others, or more.
    Changed,
    /// They are more than the turn had when it was taken for over.
    WentOn,
    /// A turn that was already answered had other words.
    Corrected(TurnNumber, String),
}

/// What an onset means to the turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onset {
    /// The turn begins, or goes on.
    Speaking,
    /// The turn was taken for over; it isn't clear yet whether it goes on.
    Unclear,
}
