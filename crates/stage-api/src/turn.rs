//! Turn models: is the caller done?

use offhook_audio::{MulawFrame, SamplePos};
use serde::{Deserialize, Serialize};

/// Questions of the call to a turn model: a model that judges from the sound, the words, or both, whether the caller is done.
#[derive(Clone, Debug)]
pub enum TurnCommand {
    /// 20 ms of the caller's voice, as the speech-to-text stage gets it. The newest count; older are dropped when the model
    /// can't keep up.
    Audio {
        /// Where the frame's first sample lies on the caller's time line.
        at: SamplePos,
        /// The sound.
        frame: MulawFrame,
    },
    /// The caller paused: is the turn over?
    Judge(TurnQuestion),
}

/// A question to a turn model. A newer one makes older ones worthless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnQuestion {
    /// Comes back in the answer.
    pub question: u32,
    /// First sample of the turn, on the caller's time line.
    pub from: u64,
    /// The sample after the latest speech.
    pub until: u64,
    /// The words so far; empty if none are known yet.
    pub text: String,
}

/// A turn model's answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnEvent {
    /// Which question.
    pub question: u32,
    /// The probability that the caller is done, 0 to 1.
    pub probability: f32,
}
