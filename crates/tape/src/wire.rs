//! The lines of a tape. Their own structs, so that a tape outlives changes of the state machine.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use offhook_audio::SampleRate;
use offhook_call::{CallConfig, CallEvent, CallTime, Control, Input, Key, Output};
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{
    AudioChunk, Digits, LlmCommand, LlmEvent, SpeakRequest, SttCommand, SttEvent, ToolCall, ToolResult,
    TtsCommand, TtsEvent,
};
use offhook_stage_api::{StageFailure, TimedWord, TurnEvent};
use serde::{Deserialize, Serialize};

/// The format's version; a reader refuses others.
pub const VERSION: u32 = 1;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub tape: u32,
    /// Twilio's `CallSid`.
    pub call: String,
    /// The agent that answered.
    pub agent: String,
    /// The build that wrote it.
    pub build: String,
    /// What carried the call. Tapes of sound don't tell.
    #[serde(default, skip_serializing_if = "Transport::is_usual")]
    pub transport: Transport,
    /// The call's configuration, so that a replay needs nothing else. Tapes of earlier builds have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
}

impl Header {
    /// A header for a call that begins.
    #[must_use]
    pub fn new(call: &str, agent: &str, build: &str, config: &CallConfig) -> Self {
        Self {
            tape: VERSION,
            call: call.to_owned(),
            agent: agent.to_owned(),
            build: build.to_owned(),
            transport: Transport::MediaStreams,
            // Plain data; without it the tape would still be one.
            config: serde_json::to_value(config).ok(),
        }
    }

    /// The same for a call that is carried otherwise.
    #[must_use]
    pub const fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The call's configuration, if the tape has one that this build understands.
    #[must_use]
    pub fn call_config(&self) -> Option<CallConfig> {
        serde_json::from_value(self.config.clone()?).ok()
    }
}

/// What carries a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Sound, both ways.
    #[default]
    MediaStreams,
    /// Text, both ways.
    ConversationRelay,
}

impl Transport {
    const fn is_usual(&self) -> bool {
        matches!(self, Self::MediaStreams)
    }
}

/// Any other line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Microseconds since the stream's start.
    pub t: u64,
    /// What went in.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub input: Option<WireInput>,
    /// What came out.
    #[serde(rename = "out", default, skip_serializing_if = "Option::is_none")]
    pub output: Option<WireOutput>,
}

/// What went in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireInput {
    /// The stream began.
    Start,
    /// The caller's voice.
    Media {
        /// Twilio's timestamp.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ts: Option<u64>,
        /// μ-law in base64.
        mulaw: String,
    },
    /// A mark came back.
    Mark(String),
    /// A key, masked: whether it was a digit, or `*` or `#`, which end numbers.
    Key(MaskedKey),
    /// A key, as earlier builds put it on tape: only that there was one.
    Dtmf,
    /// From speech-to-text.
    Stt(SttEvent),
    /// From the turn model.
    Turn(TurnEvent),
    /// From the language model or script.
    Llm(LlmEvent),
    /// From text-to-speech.
    Tts(WireTts),
    /// From a tool.
    Tool(ToolResult),
    /// From the application.
    Control(Control),
    /// What only a call of text has.
    Relay(crate::relay::WireRelayInput),
    /// The stream ended.
    Stop,
    /// The deadline came.
    Timeout,
}

/// What a tape tells of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaskedKey {
    /// `0` to `9`, or `A` to `D`.
    Digit,
    /// `*`
    Star,
    /// `#`
    Hash,
}

impl MaskedKey {
    pub(crate) fn of(key: Key) -> Self {
        match key.reveal() {
            '*' => Self::Star,
            '#' => Self::Hash,
            _ => Self::Digit,
        }
    }

    /// A key that does the same to the call.
    #[must_use]
    pub const fn stand_in(self) -> Option<Key> {
        Key::new(match self {
            Self::Digit => '1',
            Self::Star => '*',
            Self::Hash => '#',
        })
    }
}

/// What text-to-speech says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireTts {
    utterance: UtteranceId,
    segment: SegmentId,
    what: WireTtsKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireTtsKind {
    Mulaw(String),
    Pcm { rate: u32, samples: String },
    Words(Vec<TimedWord>),
    Done,
    Failed(StageFailure),
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireOutput {
    /// 20 ms to the caller, μ-law in base64.
    Media(String),
    /// 20 ms to the caller that aren't on the tape: tones of keys.
    Hidden,
    /// A mark.
    Mark(String),
    /// Twilio is to forget what it hasn't played.
    Clear,
    /// To a stage: which, and what, in short.
    Stage(String),
    /// A tool is wanted.
    Tool(ToolCall),
    /// A tool is given up: its id.
    CancelTool(String),
    /// What only a call of text has.
    Relay(crate::relay::WireRelayOutput),
    /// Something worth telling.
    Event(CallEvent),
    /// The end.
    HangUp,
}

impl WireInput {
    /// As it goes on tape.
    #[must_use]
    pub fn of(input: &Input<'_>) -> Self {
        match input {
            Input::Start => Self::Start,
            Input::Media { timestamp_ms, payload } => {
                Self::Media { ts: *timestamp_ms, mulaw: STANDARD.encode(payload) }
            }
            Input::Mark(name) => Self::Mark((*name).to_owned()),
            Input::Dtmf(key) => Self::Key(MaskedKey::of(*key)),
            Input::Stt(event) => Self::Stt(event.clone()),
            Input::Turn(event) => Self::Turn(*event),
            Input::Llm(event) => Self::Llm(masked(event)),
            Input::Tts(event) => Self::Tts(WireTts::of(event)),
            Input::Tool(result) => Self::Tool(result.clone()),
            Input::Control(control) => Self::Control(control.clone()),
            Input::Stop => Self::Stop,
            Input::Timeout => Self::Timeout,
        }
    }
}

/// Keys that the model wants pressed stay off the tape; as many ones take their place.
pub(crate) fn masked(event: &LlmEvent) -> LlmEvent {
    let mut event = event.clone();
    if let LlmEvent::Tool { call, .. } = &mut event
        && call.name == offhook_stage_api::tools::SEND_DTMF
    {
        let keys = call.arguments.get("digits").and_then(|digits| digits.as_str()).unwrap_or("");
        let ones = "1".repeat(Digits::new(keys).reveal().len());
        call.arguments = serde_json::json!({ "digits": ones });
    }
    event
}

impl WireTts {
    fn of(event: &TtsEvent) -> Self {
        let (utterance, segment, what) = match event {
            TtsEvent::Audio { utterance, segment, chunk } => (utterance, segment, WireTtsKind::of(chunk)),
            TtsEvent::Words { utterance, segment, words } => {
                (utterance, segment, WireTtsKind::Words(words.clone()))
            }
            TtsEvent::Done { utterance, segment } => (utterance, segment, WireTtsKind::Done),
            TtsEvent::Failed { utterance, segment, failure } => {
                (utterance, segment, WireTtsKind::Failed(failure.clone()))
            }
        };
        Self { utterance: *utterance, segment: *segment, what }
    }

    /// Why there is no sound, if there is none.
    #[must_use]
    pub fn failure(&self) -> Option<&StageFailure> {
        match &self.what {
            WireTtsKind::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// For people; `None` for sound.
    pub(crate) fn in_words(&self) -> Option<String> {
        let (utterance, segment) = (self.utterance, self.segment);
        match &self.what {
            WireTtsKind::Mulaw(_) | WireTtsKind::Pcm { .. } => None,
            WireTtsKind::Words(words) => Some(format!("tts: {} words of {utterance}/{segment}", words.len())),
            WireTtsKind::Done => Some(format!("tts: {utterance}/{segment} is spoken")),
            WireTtsKind::Failed(failure) => Some(format!("tts: {utterance}/{segment} failed: {failure}")),
        }
    }

    /// Back from tape; `None` if its sound is damaged.
    #[must_use]
    pub fn to_event(&self) -> Option<TtsEvent> {
        let (utterance, segment) = (self.utterance, self.segment);
        Some(match &self.what {
            WireTtsKind::Mulaw(octets) => {
                let chunk = AudioChunk::Mulaw(STANDARD.decode(octets).ok()?.into());
                TtsEvent::Audio { utterance, segment, chunk }
            }
            WireTtsKind::Pcm { rate, samples } => {
                let bytes = STANDARD.decode(samples).ok()?;
                let (pairs, _) = bytes.as_chunks::<2>();
                let samples = pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect();
                let chunk = AudioChunk::Pcm { rate: SampleRate::new(*rate)?, samples };
                TtsEvent::Audio { utterance, segment, chunk }
            }
            WireTtsKind::Words(words) => TtsEvent::Words { utterance, segment, words: words.clone() },
            WireTtsKind::Done => TtsEvent::Done { utterance, segment },
            WireTtsKind::Failed(failure) => TtsEvent::Failed { utterance, segment, failure: failure.clone() },
        })
    }
}

impl WireTtsKind {
    fn of(chunk: &AudioChunk) -> Self {
        match chunk {
            AudioChunk::Mulaw(octets) => Self::Mulaw(STANDARD.encode(octets)),
            AudioChunk::Pcm { rate, samples } => {
                let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                Self::Pcm { rate: rate.hz(), samples: STANDARD.encode(bytes) }
            }
        }
    }
}

impl WireOutput {
    /// As it goes on tape; `None` for audio to the recogniser, which is the input again.
    #[must_use]
    pub fn of(output: &Output) -> Option<Self> {
        Some(match output {
            Output::Media(frame) => Self::Media(STANDARD.encode(frame.0)),
            Output::HiddenMedia(_) => Self::Hidden,
            Output::Mark(name) => Self::Mark(name.to_string()),
            Output::Clear => Self::Clear,
            Output::Stt(SttCommand::Audio { .. }) => return None,
            // What was heard is told by the events.
            Output::Llm(LlmCommand::Interrupted { .. }) => return None,
            Output::Stt(SttCommand::SpeechStarted { at }) => {
                Self::Stage(format!("stt speech started at {}", at.0))
            }
            Output::Stt(SttCommand::SpeechPaused { from, until }) => {
                Self::Stage(format!("stt speech paused, {} to {}", from.0, until.0))
            }
            Output::Stt(SttCommand::TurnEnded { until }) => {
                Self::Stage(format!("stt turn ended at {}", until.0))
            }
            Output::Stt(SttCommand::Expect(expected)) => {
                let language = expected.language.as_ref().map(|tag| format!(" in {tag}")).unwrap_or_default();
                Self::Stage(format!("stt expect {:?}{language}", expected.answer))
            }
            Output::Turn(asked) => {
                Self::Stage(format!("turn question {} on “{}”", asked.question, asked.text))
            }
            Output::Llm(command) => Self::Stage(stage_words(command)),
            Output::Tts(TtsCommand::Speak(request)) => {
                let SpeakRequest { utterance, segment, text, .. } = request;
                let language = request.language.as_ref().map(|tag| format!(" in {tag}")).unwrap_or_default();
                Self::Stage(format!("tts speak {utterance}/{segment}{language}: {text}"))
            }
            Output::Tts(TtsCommand::Cancel { utterance }) => Self::Stage(format!("tts cancel {utterance}")),
            Output::Tool(call) => Self::Tool(call.clone()),
            Output::CancelTool { id } => Self::CancelTool(id.clone()),
            Output::Event(event) => Self::Event(event.clone()),
            Output::HangUp => Self::HangUp,
        })
    }
}

/// A command to the language model, in short.
pub(crate) fn stage_words(command: &LlmCommand) -> String {
    match command {
        LlmCommand::Respond(request) => format!("llm respond {} to {:?}", request.reply, request.reason),
        LlmCommand::Commit { reply } => format!("llm commit {reply}"),
        LlmCommand::Interrupted { reply, heard } => format!("llm interrupted {reply} after {heard:?}"),
        LlmCommand::Cancel { reply } => format!("llm cancel {reply}"),
        LlmCommand::ToolResult(result) => format!("llm result of {}", result.name),
    }
}

/// Appends the header line.
pub fn write_header(tape: &mut Vec<u8>, header: &Header) {
    push(tape, header);
}

/// Appends an input.
pub fn write_input(tape: &mut Vec<u8>, now: CallTime, input: &Input<'_>) {
    push(tape, &Line { t: micros(now), input: Some(WireInput::of(input)), output: None });
}

/// Appends an output, unless it is one that tapes leave out.
pub fn write_output(tape: &mut Vec<u8>, now: CallTime, output: &Output) {
    if let Some(output) = WireOutput::of(output) {
        push(tape, &Line { t: micros(now), input: None, output: Some(output) });
    }
}

pub(crate) fn micros(now: CallTime) -> u64 {
    u64::try_from(now.since_start().as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn push(tape: &mut Vec<u8>, line: &impl Serialize) {
    // Plain data into memory can't fail; half a line would be worse than none.
    let before = tape.len();
    match serde_json::to_writer(&mut *tape, line) {
        Ok(()) => tape.push(b'\n'),
        Err(_) => tape.truncate(before),
    }
}
