//! The caller speaks while the agent does: an interruption, a backchannel, a cough, or the line's echo?

use offhook_stage_api::CallTime;

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
