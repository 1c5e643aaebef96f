//! What happened, for the console, the call's record, metrics and the tape.

use offhook_stage_api::{Digits, Interruptible, ReplyId, UtteranceId};
use serde::{Deserialize, Serialize};

use crate::deadline::Why;
use crate::turn::Evidence;

/// What the application wants of a running call, e.g. through the control API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Control {
    /// Say this as soon as the agent isn't saying anything else.
    Say {
        /// The text.
        text: String,
        /// What may interrupt it. Default `yes`.
        #[serde(default)]
        interruptible: Interruptible,
    },
    /// Press these keys: send their tones behind what is being said.
    Press {
        /// Which.
        digits: Digits,
    },
    /// Hang up once everything that is being said was heard.
    HangUp,
    /// Hand the caller to this number once everything that is being said was heard.
    Transfer {
        /// The number, or a SIP address.
        to: String,
    },
    /// A mailbox has answered: wait for its beep, say this, hang up.
    LeaveMessage {
        /// The message.
        text: String,
        /// The beep was heard already.
        #[serde(default)]
        beeped: bool,
    },
}

/// Something for whoever follows the call while it goes on: it isn't written anywhere, and no part of what events are compared by.
#[derive(Clone, Copy, Default)]
pub struct Passing(pub bool);

impl PartialEq for Passing {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("•")
    }
}

/// What happened, for the console, the call's record, metrics and the tape. Times are milliseconds on the call's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum CallEvent {
    /// The caller began to speak.
    SpeechStarted {
        /// The onset, back-dated.
        at_ms: u64,
    },
    /// The caller paused.
    SpeechPaused {
        /// The end of the speech, back-dated.
        at_ms: u64,
    },
    /// What the caller is saying, so far.
    Hearing {
        /// The words.
        text: String,
    },
    /// At a pause: how long it lasts at most before the turn is over, as things stand.
    Waiting {
        /// What the wait rests on.
        evidence: Evidence,
        /// When the turn will be over, if nothing else comes.
        until_ms: u64,
    },
    /// The caller's turn is over.
    TurnEnded(TurnEnded),
    /// What had been taken for the end of a turn wasn't: the caller went on before the answer began.
    TurnReopened,
    /// The caller's speech had no words in it, or only such as need no answer.
    TurnDropped {
        /// What was heard.
        text: String,
        /// Why it gets no answer.
        why: DropReason,
    },
    /// The agent's first sound of an utterance went out.
    Speaking {
        /// Which.
        utterance: UtteranceId,
        /// What sort.
        what: UtteranceKind,
        /// Its text, as far as it is known.
        text: String,
    },
    /// A reply's first sound went out: how long each step took.
    ReplyTimed(ReplyTiming),
    /// An utterance is over.
    Said {
        /// Which.
        utterance: UtteranceId,
        /// What sort.
        what: UtteranceKind,
        /// Exactly what reached the caller's ear.
        heard: String,
        /// The whole text; longer than `heard` if it was interrupted.
        text: String,
        /// The caller cut it short.
        interrupted: bool,
        /// Word times came from the synthesiser; else they were estimated from the text's length.
        timed: bool,
    },
    /// The caller began to speak while the agent spoke.
    BargeIn {
        /// What came of it.
        stage: BargeInStage,
        /// Since the onset.
        after_ms: u64,
    },
    /// Speech was detected that is the agent's own, returned by the caller's line; it starts no turn.
    EchoIgnored {
        /// From its playing, by our clock, to its return.
        delay_ms: u32,
    },
    /// Speech was detected that is too far below the caller's voice to be the caller's; it starts no turn.
    SomebodyElseIgnored {
        /// By so many dB.
        below_db: u32,
    },
    /// A reply was begun before the turn's end was certain.
    Speculated {
        /// Which.
        reply: ReplyId,
    },
    /// A reply begun early was thrown away.
    SpeculationDropped {
        /// Which.
        reply: ReplyId,
    },
    /// The caller keyed a number; the keys themselves are not reported.
    Digits {
        /// How many.
        count: usize,
        /// They are a yes: the key 1 alone.
        #[serde(skip)]
        agrees: Passing,
    },
    /// A tool is used.
    Tool {
        /// Which.
        name: String,
        /// What becomes of it.
        stage: ToolStage,
        /// Since it was asked for.
        after_ms: u64,
    },
    /// From now on the call is in this language.
    Language {
        /// Its BCP 47 tag.
        language: String,
    },
    /// Something that was to be said is not said, or not to its end.
    Dropped {
        /// Which.
        utterance: UtteranceId,
        /// What sort.
        what: UtteranceKind,
        /// Why.
        why: DropCause,
    },
    /// A deadline was reached, and something was done about it.
    Deadline {
        /// What it was for.
        why: Why,
    },
    /// Something went wrong, but the call goes on.
    Trouble {
        /// What, and what is done about it.
        message: String,
    },
    /// The call is over.
    Ended {
        /// Why.
        why: EndReason,
    },
}

/// The end of a caller's turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TurnEnded {
    /// What was heard.
    pub text: String,
    /// When the caller began to speak.
    pub began_ms: u64,
    /// When the caller's speech ended.
    pub speech_end_ms: u64,
    /// When the end was decided.
    pub decided_ms: u64,
    /// What the decision rests on.
    pub evidence: Evidence,
}

/// The milestones of a reply, in milliseconds after the end of the caller's speech.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyTiming {
    /// When the caller's speech ended, on the call's clock.
    pub speech_end_ms: u64,
    /// The final transcript came.
    pub transcript_ms: Option<u64>,
    /// The end of the turn was decided.
    pub decided_ms: u64,
    /// The reply was asked for. Before `decided_ms` if it was speculative.
    pub requested_ms: u64,
    /// The first words of the reply came.
    pub first_text_ms: Option<u64>,
    /// The first sound of the reply came.
    pub first_audio_ms: Option<u64>,
    /// The first frame of the reply went out.
    pub first_frame_ms: u64,
}

/// Why a caller's speech gets no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// Too short to be a word, and none was recognised.
    Noise,
    /// A backchannel ("mm-hm") while the agent spoke.
    Backchannel,
}

/// Why something that was to be said is not said, or not to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropCause {
    /// The reply that it was to bridge the wait for has begun.
    ReplyBegan,
    /// The caller began to speak.
    CallerBegan,
    /// The caller interrupted.
    Interrupted,
    /// What it was for has ended.
    ReasonGone,
    /// The voice gave no sound for it.
    NoSound,
    /// The connection was lost before it began. What is worth it is said when the call is back.
    ConnectionLost,
    /// The call is about to end, or a mailbox has answered.
    Leaving,
}

/// What came of an onset while the agent spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BargeInStage {
    /// It has begun; the agent's voice goes on.
    Suspected,
    /// The agent's voice was lowered; Twilio's buffer was cleared for it.
    Ducked,
    /// It was an interruption: the utterance is over.
    Interrupted,
    /// It was none: the agent's voice is raised again.
    Resumed,
}

/// What becomes of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolStage {
    /// It was asked for.
    Asked,
    /// Its result came.
    Returned,
    /// It gave no result.
    Failed,
    /// The caller interrupted, and it is declared to be given up then.
    Cancelled,
}

/// What sort of thing the agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UtteranceKind {
    /// The first words of the call.
    Greeting,
    /// An answer.
    Reply,
    /// A word to bridge the wait for a slow answer.
    Filler,
    /// Sorry that it takes so long, or that it went wrong.
    Apology,
    /// "Are you still there?"
    CheckIn,
    /// The last words of the call.
    Farewell,
    /// What the application wanted to be said.
    Announcement,
    /// Keys that the agent pressed.
    Keys,
    /// The caller's own voice, sent back.
    Echo,
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The stream ended: the caller hung up, or Twilio went elsewhere.
    StreamStopped,
    /// The agent was done.
    AgentDone,
    /// The application wanted it.
    HungUp,
    /// The caller was silent for too long.
    CallerSilent,
    /// The call reached its greatest length.
    TooLong,
    /// No media came for too long.
    NoMedia,
    /// The caller was handed to somebody else.
    Transferred,
    /// A message was left on a mailbox.
    MessageLeft,
    /// The voice gave no sound any more.
    VoiceFailed,
}
