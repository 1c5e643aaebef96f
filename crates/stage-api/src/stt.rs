//! Speech-to-text: the caller's voice in, transcripts out.

use std::sync::Arc;

use offhook_audio::{MulawFrame, SamplePos};
use serde::{Deserialize, Serialize};

use crate::StageFailure;

/// Commands of the call to the speech-to-text stage.
#[derive(Clone, Debug)]
pub enum SttCommand {
    /// 20 ms of the caller's voice, gaps filled, otherwise unaltered. Comes for speech and silence alike. When the
    /// stage can't keep up, the oldest audio is dropped and counted.
    Audio {
        /// Where the frame's first sample lies on the caller's time line.
        at: SamplePos,
        /// The sound.
        frame: MulawFrame,
    },
    /// The caller began to speak. `at` is the onset, back-dated, so it lies before the newest audio: a stage that
    /// only hears speech keeps half a second of audio back for this.
    SpeechStarted {
        /// The back-dated onset.
        at: SamplePos,
    },
    /// The caller paused. The stage should give a final transcript of everything since the turn began, as soon as
    /// it can; the turn may yet go on, with another [`SttCommand::SpeechStarted`].
    SpeechPaused {
        /// Where the turn's first speech began.
        from: SamplePos,
        /// Where the speech ended, back-dated.
        until: SamplePos,
    },
    /// The turn is over; what was said before `until` won't be asked for again.
    TurnEnded {
        /// End of the turn's audio.
        until: SamplePos,
    },
    /// What the agent expects to hear next.
    Expect(Arc<Expectation>),
}

/// What the agent expects to hear: hints for the recogniser and for endpointing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Expectation {
    /// A JSGF grammar (JSpeech Grammar Format, W3C note) covering the answers expected, for recognisers that take
    /// one. `None`: anything may be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grammar: Option<String>,
    /// Pronunciations of words that a dictionary may lack: word and its ARPAbet phones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pronunciations: Vec<(String, String)>,
    /// Words and names likely to be said, for recognisers that take key terms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyterms: Vec<String>,
    /// BCP 47 tag of the language that will be spoken, e.g. `en-US`. `None`: as before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What kind of answer; sets how long to wait at a pause.
    pub answer: AnswerKind,
}

/// The kind of answer expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerKind {
    /// Anything.
    #[default]
    Open,
    /// Yes, no, or the like: complete as soon as it is said.
    YesNo,
    /// One item of a list or one short phrase.
    Choice,
    /// A number dictated digit by digit; pauses between groups are usual.
    Digits {
        /// Fewest digits of a complete answer.
        min: u8,
        /// Most digits of a complete answer; at this many it is complete.
        max: u8,
    },
}

/// Events of the speech-to-text stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SttEvent {
    /// A transcript that may change.
    Partial(Transcript),
    /// A transcript that won't change. It replaces every earlier partial and final whose span it overlaps.
    Final(Transcript),
    /// The stage's own turn detection thinks that the caller may be done: reason to start speculating.
    EagerEndOfTurn,
    /// The stage's own turn detection says that the caller is done.
    EndOfTurn,
    /// The stage's own turn detection takes back its [`SttEvent::EagerEndOfTurn`].
    TurnResumed,
    /// From now on another recogniser listens: what was learnt of the one before says nothing of it.
    TakenOver,
    /// The stage has failed for good: its chain has no link left.
    Failed(StageFailure),
}

/// What was heard, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// First sample covered, on the caller's time line. All words of `text` lie within the span: a later transcript replaces
    /// the earlier ones that it overlaps, and stands beside those that it does not.
    pub from: u64,
    /// First sample not covered.
    pub until: u64,
    /// The words. Empty: speech was heard, but no words in it.
    pub text: String,
    /// 0 to 1, if the recogniser reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Whether the words form a complete answer, if the recogniser knows (a grammar does).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
}
