//! What goes into a call, and what comes out.

use serde::{Deserialize, Serialize};

use offhook_audio::MulawFrame;
pub use offhook_stage_api::Key;

use offhook_stage_api::Interruptible;
use offhook_stage_api::id::{Generation, ReplyId, UtteranceId};
use offhook_stage_api::{
    Digits, LlmCommand, LlmEvent, SttCommand, SttEvent, ToolCall, ToolResult, TtsCommand, TtsEvent,
    TurnEvent, TurnQuestion,
};

/// One thing that happened to the call.
#[derive(Debug)]
pub enum Input<'a> {
    /// The stream began: Twilio's `start` was read. Comes once, first.
    Start,
    /// The caller's voice: G.711 μ-law octets at 8 kHz, any number of them.
    Media {
        /// Twilio's `media.timestamp`: presentation time in milliseconds since the stream's start, if there is one.
        timestamp_ms: Option<u64>,
        /// The octets.
        payload: &'a [u8],
    },
    /// Twilio returned this mark: played, or cleared.
    Mark(&'a str),
    /// The caller pressed a key.
    Dtmf(Key),
    /// The speech-to-text stage speaks.
    Stt(SttEvent),
    /// The turn model has judged.
    Turn(TurnEvent),
    /// The language model or script speaks.
    Llm(LlmEvent),
    /// The text-to-speech stage speaks.
    Tts(TtsEvent),
    /// A tool that the call asked for has returned.
    Tool(ToolResult),
    /// The application wants something, from outside the conversation.
    Control(Control),
    /// The stream ended: `stop`, or the socket closed.
    Stop,
    /// Nothing happened, but the time that [`Call::deadline`](crate::Call::deadline) named has come.
    Timeout,
}

/// A wish from outside the conversation, e.g. the control API.
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

/// One thing to do.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send 20 ms of sound to the caller.
    Media(MulawFrame),
    /// The same, but keep the sound off tapes and logs: it is of keys.
    HiddenMedia(MulawFrame),
    /// Send a mark, so that Twilio tells when all sound before it was played.
    Mark(MarkName),
    /// Have Twilio drop all sound that it has not played.
    Clear,
    /// Tell the speech-to-text stage.
    Stt(SttCommand),
    /// Ask the turn model. Whoever runs it also gives it the sound that goes to the speech-to-text stage.
    Turn(TurnQuestion),
    /// Tell the language model or script.
    Llm(LlmCommand),
    /// Tell the text-to-speech stage.
    Tts(TtsCommand),
    /// Run a tool that isn't the call's own.
    Tool(ToolCall),
    /// Give up a tool: nobody waits for its result any more.
    CancelTool {
        /// The [`ToolCall::id`].
        id: String,
    },
    /// Tell whoever watches.
    Event(CallEvent),
    /// End the stream; Twilio goes on with the TwiML after `<Connect>`.
    HangUp,
}

/// Names a place in the outbound sound: the generation that it belongs to, and a count.
///
/// On the wire `g2-17`: generation 2, seventeenth mark of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkName {
    /// How many `clear`s were sent before it.
    pub generation: Generation,
    /// Counts all marks of the call.
    pub number: u32,
}

impl MarkName {
    /// Reads the wire form; `None` for a mark that is not ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (generation, number) = name.strip_prefix('g')?.split_once('-')?;
        Some(Self { generation: Generation(generation.parse().ok()?), number: number.parse().ok()? })
    }
}

impl std::fmt::Display for MarkName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "g{}-{}", self.generation.0, self.number)
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
        evidence: crate::turn::Evidence,
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
    /// Keys were pressed; which is nobody's business.
    Digits {
        /// How many.
        count: usize,
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
    pub evidence: crate::turn::Evidence,
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

/// What came of an onset while the agent spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BargeInStage {
    /// Nothing more is sent until it is clear what it is.
    Suspected,
    /// Twilio's buffer was cleared; the unheard sound is kept.
    Cleared,
    /// It was an interruption: the utterance is over.
    Interrupted,
    /// It was none: the utterance goes on where it stopped.
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
}
