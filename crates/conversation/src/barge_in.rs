//! The caller speaks while the agent does: an interruption, a backchannel, a cough, or the line's echo?

use std::time::Duration;

use offhook_stage_api::CallTime;

use crate::event::DropReason;

/// After the line has cut the agent off, words come within this; else there are none.
pub(crate) const WORDS_WITHIN: Duration = Duration::from_secs(2);

/// Speech over the agent that isn't judged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BargeIn {
    /// The agent's voice goes on meanwhile.
    Over {
        /// The onset, on the call's clock.
        onset: CallTime,
        /// The agent's voice was lowered.
        ducked: bool,
    },
    /// The line itself has cut the agent off.
    CutOff {
        /// When.
        at: CallTime,
        /// What was to be said and was not heard.
        unheard: String,
    },
}

impl BargeIn {
    pub(crate) const fn began(&self) -> CallTime {
        match self {
            Self::Over { onset: at, .. } | Self::CutOff { at, .. } => *at,
        }
    }
}

/// What speech over the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// Not clear yet.
    Unclear,
    /// The caller asks for the floor.
    Interruption,
    /// It comes at the end of what is said: an answer, but no reason to cut off the last words.
    Answer,
    /// It asks for no answer.
    Passed(DropReason),
    /// The line has cut the agent off, and no words have come.
    CutOffInVain,
}
