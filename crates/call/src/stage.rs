//! What the call tells its stages, and what the stages tell the call.
//!
//! Three conversations: speech-to-text ([`SttCommand`], [`SttEvent`]), the language model or script ([`LlmCommand`],
//! [`LlmEvent`]), and text-to-speech ([`TtsCommand`], [`TtsEvent`]). Commands and events are plain data: they cross
//! bounded queues, and go on the tape as they are.

use std::sync::Arc;
use std::time::Duration;

use offhook_audio::{MulawFrame, SamplePos, SampleRate};
use serde::{Deserialize, Serialize};

use crate::config::Interruptible;
use crate::id::{ReplyId, SegmentId, UtteranceId};

// ---------------------------------------------------------------------------------------------- speech-to-text

/// What the call tells the speech-to-text stage.
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

/// What the speech-to-text stage tells the call.
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
    /// The stage has failed for good: its chain has no link left.
    Failed(StageFailure),
}

/// What was heard, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Transcript {
    /// First sample covered, on the caller's time line.
    pub from: u64,
    /// First sample not covered.
    pub until: u64,
    /// The words. Empty: speech was heard, but no words in it.
    pub text: String,
    /// 0 to 1, if the recogniser tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Whether the words form a complete answer, if the recogniser can tell (a grammar can).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub complete: Option<bool>,
}

// --------------------------------------------------------------------------------------------------- turn model

/// What the call tells a turn model: a model that judges from the sound, the words, or both, whether the caller is done.
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

// ----------------------------------------------------------------------------------------------- language model

/// What the call tells the language model (or script).
#[derive(Clone, Debug)]
pub enum LlmCommand {
    /// Answer. Output starts at once, whether or not the reply is speculative.
    Respond(Arc<ReplyRequest>),
    /// The reply's first audio was let out to the caller: whatever state it changes is now true.
    Commit {
        /// Which reply.
        reply: ReplyId,
    },
    /// The caller interrupted this reply while it was being heard. Comes before its [`LlmCommand::Cancel`], also when the reply
    /// was complete: for models that speak themselves and keep the conversation; others learn it from the next request.
    Interrupted {
        /// Which reply.
        reply: ReplyId,
        /// How much of its sound reached the caller's ear.
        heard: Duration,
    },
    /// Stop this reply. If it was never committed, it never happened; if it was, the caller interrupted it, and the
    /// context of the next request tells what was heard.
    Cancel {
        /// Which reply.
        reply: ReplyId,
    },
    /// A tool's result.
    ToolResult(ToolResult),
}

/// A request for a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyRequest {
    /// Names this attempt; comes back in every event of it.
    pub reply: ReplyId,
    /// Why a reply is wanted.
    pub reason: ReplyReason,
    /// The conversation so far, oldest first, as the caller heard it. Ends with the caller's turn to be answered,
    /// where there is one.
    pub turns: Vec<Turn>,
    /// BCP 47 tag of the language to answer in, if the call was switched to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
}

/// Why a reply is wanted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ReplyReason {
    /// The call has begun: greet, unless the engine's configuration has a greeting of its own.
    Greeting,
    /// The caller said this (the text is also the last of the turns).
    Caller {
        /// Everything the caller said in this turn. Empty: speech without recognisable words.
        text: String,
        /// The recogniser's confidence, 0 to 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        confidence: Option<f32>,
    },
    /// The caller keyed these digits. Masked in `Debug` and on tapes.
    Digits(Digits),
    /// A tool has returned, see the turns.
    Tool,
}

/// Keys the caller pressed, in order. `Debug` and tapes show only how many: a PIN reaches no log by accident.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Digits(String);

impl Digits {
    /// From key characters `0`–`9`, `*`, `#`, `A`–`D`; others are left out.
    #[must_use]
    pub fn new(keys: &str) -> Self {
        Self(keys.chars().filter(|key| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')).collect())
    }

    /// The digits themselves. Keep them out of logs.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Digits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digits({})", "•".repeat(self.0.len()))
    }
}

impl Serialize for Digits {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&"•".repeat(self.0.len()))
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What was masked comes back as so many ones: as many tones, as long a number.
        String::deserialize(deserializer).map(|keys| Self::new(&keys.replace('•', "1")))
    }
}

/// One party's turn in the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// Who had the floor.
    pub who: Party,
    /// What was said; for the agent exactly what reached the caller's ear.
    pub text: String,
    /// The caller interrupted: `text` is only the heard part of what was meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// When the turn began, milliseconds on the call's clock.
    pub began_ms: u64,
    /// When it ended.
    #[serde(default)]
    pub ended_ms: u64,
}

/// The two parties of a call, and the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The human on the line.
    Caller,
    /// Us.
    Agent,
    /// A tool that the agent used; the text is its call or its result.
    Tool,
    /// Nobody: what was said further back, in short, a line a turn.
    Summary,
}

/// What the language model (or script) tells the call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LlmEvent {
    /// The next piece of the reply's text, of any length; the call cuts it into speakable segments.
    Text {
        /// Which reply.
        reply: ReplyId,
        /// The piece.
        delta: String,
    },
    /// What may interrupt this reply; else the configuration says. Comes before its text.
    Interruptible {
        /// Which reply.
        reply: ReplyId,
        /// What may.
        by: Interruptible,
    },
    /// What the agent will expect to hear once this reply is out.
    Expect {
        /// Which reply.
        reply: ReplyId,
        /// The expectation.
        expectation: Arc<Expectation>,
    },
    /// The agent wants something done.
    Tool {
        /// Which reply.
        reply: ReplyId,
        /// What it wants.
        call: ToolCall,
    },
    /// The reply is complete.
    Done {
        /// Which reply.
        reply: ReplyId,
    },
    /// The reply can't be had: the chain has no link left.
    Failed {
        /// Which reply.
        reply: ReplyId,
        /// Why.
        failure: StageFailure,
    },
}

/// Something the agent wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call; empty if it has none.
    pub id: String,
    /// The tool: `end_call`, `transfer_call`, `send_dtmf`, `collect_digits`, `switch_language`, or one the agent declared.
    pub name: String,
    /// Arguments.
    pub arguments: serde_json::Value,
}

/// What a tool returned. Its id is the provider's with a count in front: see [`ToolResult::answers`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolResult {
    /// The [`ToolCall::id`] that it answers.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The result as text for the model, or why there is none.
    pub outcome: Result<String, String>,
}

impl ToolResult {
    /// Whether this answers a call that had this id when the model made it. Tools at work are told apart by a count of
    /// the call's own before it (`3-call_8`), because providers begin anew in every reply.
    #[must_use]
    pub fn answers(&self, id: &str) -> bool {
        let counted = |(count, rest): (&str, &str)| rest == id && count.bytes().all(|c| c.is_ascii_digit());
        self.id == id || self.id.split_once('-').is_some_and(counted)
    }
}

// ----------------------------------------------------------------------------------------------- text-to-speech

/// What the call tells the text-to-speech stage.
#[derive(Clone, Debug)]
pub enum TtsCommand {
    /// Speak this. Segments of an utterance come in order and are spoken in order.
    Speak(SpeakRequest),
    /// Stop everything of this utterance; audio of it that still arrives is dropped.
    Cancel {
        /// Which utterance.
        utterance: UtteranceId,
    },
}

/// A piece of text to speak.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpeakRequest {
    /// Of which utterance.
    pub utterance: UtteranceId,
    /// Which piece of it.
    pub segment: SegmentId,
    /// The text, speakable as it is.
    pub text: String,
    /// No segment of this utterance follows.
    pub last: bool,
    /// BCP 47 tag of the text's language, if the call was switched to one: the voice of that language is to speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<Arc<str>>,
}

/// What the text-to-speech stage tells the call.
#[derive(Clone, Debug, PartialEq)]
pub enum TtsEvent {
    /// The segment's next sound.
    Audio {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// The sound, of any length.
        chunk: AudioChunk,
    },
    /// When words of the segment are spoken. May come before, with, or after their audio.
    Words {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// The words, in order; each call adds to the earlier ones.
        words: Vec<TimedWord>,
    },
    /// All audio of the segment has been given.
    Done {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
    },
    /// The segment's (remaining) audio can't be had: the chain has no link left.
    Failed {
        /// Of which utterance.
        utterance: UtteranceId,
        /// Which piece of it.
        segment: SegmentId,
        /// Why.
        failure: StageFailure,
    },
}

/// Sound of any length from a provider, without container bytes.
#[derive(Clone, PartialEq, Eq)]
pub enum AudioChunk {
    /// G.711 μ-law at 8 kHz, mono; passes without transcoding.
    Mulaw(Arc<[u8]>),
    /// Linear 16-bit samples, mono.
    Pcm {
        /// Their rate.
        rate: SampleRate,
        /// The samples.
        samples: Arc<[i16]>,
    },
}

impl AudioChunk {
    /// How long it plays.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let (count, rate) = match self {
            Self::Mulaw(octets) => (octets.len(), SampleRate::HZ_8000),
            Self::Pcm { rate, samples } => (samples.len(), *rate),
        };
        rate.duration_of(offhook_audio::SampleCount(count as u64))
    }
}

impl std::fmt::Debug for AudioChunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mulaw(octets) => write!(f, "Mulaw({} octets)", octets.len()),
            Self::Pcm { rate, samples } => write!(f, "Pcm({} samples at {rate})", samples.len()),
        }
    }
}

/// A word and when it sounds, relative to its segment's first sample.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedWord {
    /// The word as in the segment's text, without surrounding spaces.
    pub word: String,
    /// Its onset.
    pub start_ms: u32,
    /// Its end.
    pub end_ms: u32,
}

// -------------------------------------------------------------------------------------------------------- failure

/// Why a stage failed, for people: what happened and what to do. Carries no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageFailure {
    /// The stage's name, e.g. `deepgram`.
    pub stage: String,
    /// What happened and what to do next, in a sentence or two.
    pub message: String,
    /// What kind of failure: tells a chain of stages whether another try can help.
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

impl std::fmt::Display for StageFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}
