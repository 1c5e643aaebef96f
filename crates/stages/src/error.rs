//! Why a stage ended early.

use std::time::Duration;

use offhook_stage_api::{FailureKind, StageFailure};

/// Why a stage ended before its commands did. The text says what to do; it never holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// Something that the stage needs isn't on this machine or in the configuration.
    #[error("{stage} can't run: {what}\nhint: {hint}")]
    Unavailable {
        /// The stage's name.
        stage: String,
        /// What is missing.
        what: String,
        /// What to install or to set.
        hint: String,
    },
    /// The provider refused: wrong key, no credit, unknown model. Trying again won't help.
    #[error("{stage} refused: {what}\nhint: {hint}")]
    Refused {
        /// The stage's name.
        stage: String,
        /// Status and message, without secrets.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The provider declined this one request: its filter stopped it, or something in it can't be taken. Another may be served.
    #[error("{stage} declined the request: {what}")]
    Declined {
        /// The stage's name.
        stage: String,
        /// Status and message, without secrets.
        what: String,
    },
    /// The provider is overloaded or limits our rate.
    #[error("{stage} is busy: {what}")]
    Busy {
        /// The stage's name.
        stage: String,
        /// Status and message.
        what: String,
        /// When to try again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The provider answered with something that can't be used.
    #[error("{stage} sent what can't be used: {what}")]
    Garbage {
        /// The stage's name.
        stage: String,
        /// What was wrong with it.
        what: String,
    },
    /// The connection failed or ended early.
    #[error("{stage} broke off: {what}")]
    Broken {
        /// The stage's name.
        stage: String,
        /// What happened.
        what: String,
    },
    /// Nothing came within the deadline.
    #[error("{stage} gave no {what} within {limit:?}")]
    TooSlow {
        /// The stage's name.
        stage: String,
        /// What was waited for.
        what: &'static str,
        /// The deadline.
        limit: Duration,
    },
}

impl StageError {
    /// The stage's name.
    #[must_use]
    pub fn stage(&self) -> &str {
        match self {
            Self::Unavailable { stage, .. }
            | Self::Refused { stage, .. }
            | Self::Declined { stage, .. }
            | Self::Busy { stage, .. }
            | Self::Garbage { stage, .. }
            | Self::Broken { stage, .. }
            | Self::TooSlow { stage, .. } => stage,
        }
    }

    /// Its kind, without the particulars.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unavailable { .. } => FailureKind::Unavailable,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Declined { .. } => FailureKind::Declined,
            Self::Busy { .. } => FailureKind::Busy,
            Self::Garbage { .. } => FailureKind::Garbage,
            Self::Broken { .. } => FailureKind::Broken,
            Self::TooSlow { .. } => FailureKind::TooSlow,
        }
    }

    /// As the call gets it.
    #[must_use]
    pub fn to_failure(&self) -> StageFailure {
        let retry_after_ms = match self {
            Self::Busy { retry_after: Some(after), .. } => {
                Some(u64::try_from(after.as_millis()).unwrap_or(u64::MAX))
            }
            _ => None,
        };
        let stage = self.stage().to_owned();
        StageFailure { stage, message: self.to_string(), kind: self.kind(), retry_after_ms }
    }
}
