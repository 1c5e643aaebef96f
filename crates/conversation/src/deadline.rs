//! When a call wants to be woken, and why. Deadlines are derived from state: nothing is set or cancelled.

use std::time::Duration;

use offhook_stage_api::CallTime;
use serde::{Deserialize, Serialize};

/// A moment at which something happens if nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When. A whole microsecond, as tapes are: a deadline within one would never have come for a clock that counts these.
    pub at: CallTime,
    /// What happens then.
    pub why: Why,
}

impl Deadline {
    /// A deadline at the first whole microsecond not before `at`.
    #[must_use]
    pub const fn new(at: CallTime, why: Why) -> Self {
        Self { at: at.up_to_whole_micros(), why }
    }

    /// The earliest; of equals the first.
    #[must_use]
    pub fn earliest(deadlines: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        deadlines.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// There is room for more sound on its way to the caller.
    Pace,
    /// Sound that was sent has been played, or its mark is given up.
    Played,
    /// The caller has paused long enough for a reply to be requested.
    Eager,
    /// The caller has paused long enough for the turn to be over.
    EndOfTurn,
    /// The caller has paused long enough for the answer to be heard.
    Answer,
    /// Sound without words has lasted too long to be speech.
    Noise,
    /// Speech over the agent has lasted long enough to lower its voice.
    Duck,
    /// It should be clear by now what the speech over the agent was.
    ResolveBargeIn,
    /// The words of a pause are late: a filler.
    WordsLate,
    /// The reply's sound is late: a filler, or after one an apology.
    ReplyLate,
    /// A tool takes long: a filler.
    ToolLate,
    /// The rest of what is being said is late: a filler, or after one an apology.
    RestLate,
    /// The voice gives no sound for one of the engine's own phrases.
    VoiceLate,
    /// The caller has been silent for too long: a check-in.
    CallerSilent,
    /// No further key was pressed.
    DigitGap,
    /// No media came for too long.
    NoMedia,
    /// The call has reached its greatest length.
    TooLong,
    /// A transfer that was asked for has not come about.
    TransferLate,
    /// The mailbox's beep, or its silence, was waited for long enough.
    Voicemail,
    /// A lost connection was waited for long enough.
    Reconnect,
}

/// Whole milliseconds on the call's clock.
#[must_use]
pub fn ms(time: CallTime) -> u64 {
    duration_ms(time.since_start())
}

/// Whole milliseconds.
#[must_use]
pub fn duration_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
