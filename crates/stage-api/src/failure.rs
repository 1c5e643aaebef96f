//! Why a stage failed.

use serde::{Deserialize, Serialize};

/// Why a stage failed, for people: what happened and what to do. Carries no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    /// The stage's name, e.g. `deepgram`.
    pub stage: String,
    /// What happened and what to do next, in a sentence or two.
    pub message: String,
    /// What kind of failure: whether another try can help.
    #[serde(default)]
    pub kind: FailureKind,
    /// When the provider asked to be tried again, in milliseconds from the failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Kinds of failure of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Something that the stage needs isn't there.
    Unavailable,
    /// The provider refused: wrong key, no credit, unknown model. The same request will be refused again.
    Refused,
    /// The provider declined this one request, for what is in it. Another request may be served.
    Declined,
    /// The provider is overloaded, or limits our rate.
    Busy,
    /// The provider sent what can't be used.
    Garbage,
    /// The connection failed or ended early.
    #[default]
    Broken,
    /// Nothing came within the deadline.
    TooSlow,
}

impl FailureKind {
    /// Its name in metrics and events, as it is written on tapes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Declined => "declined",
            Self::Busy => "busy",
            Self::Garbage => "garbage",
            Self::Broken => "broken",
            Self::TooSlow => "too_slow",
        }
    }
}

impl std::fmt::Display for StageFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}
