//! What may cut the agent short.

use serde::{Deserialize, Serialize};

/// When the agent may be interrupted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Interruptible {
    /// By speech and by keys.
    #[default]
    Yes,
    /// By keys only.
    DtmfOnly,
    /// Not at all.
    No,
}
