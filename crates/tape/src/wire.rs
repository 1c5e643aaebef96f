//! The lines of a tape. Their own structs, so that a tape outlives changes of the state machine.

use offhook_conversation::{Deadline, Input, Output};
use offhook_media_line::CallConfig;
use offhook_stage_api::CallTime;
use serde::{Deserialize, Serialize};

use crate::convert::micros;
use crate::input::WireInput;
use crate::line::TapedLine;
use crate::output::WireOutput;

/// The format's version; a reader refuses others.
pub const VERSION: u32 = 2;

/// The build of the state machine that this crate replays tapes with.
pub const CORE: &str = env!("CARGO_PKG_VERSION");

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub tape: u32,
    /// Twilio's `CallSid`.
    pub call: String,
    /// The agent that answered.
    pub agent: String,
    /// The program that wrote it.
    pub build: String,
    /// The build of the state machine whose outputs the tape has: [`CORE`] of the program that wrote or accepted it.
    pub core: String,
    /// What carried the call. Tapes of sound don't say.
    #[serde(default, skip_serializing_if = "Transport::is_usual")]
    pub transport: Transport,
    /// The call's configuration, so that a replay needs nothing else.
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
            core: CORE.to_owned(),
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

/// Appends the header line.
pub fn write_header(tape: &mut Vec<u8>, header: &Header) {
    push(tape, header);
}

/// Appends an input. `deadline`: the call's, before it gets the input; it goes on tape with a
/// [`Timeout`](offhook_conversation::Input::Timeout).
pub fn write_input<L: TapedLine>(
    tape: &mut Vec<u8>,
    now: CallTime,
    input: &Input<L::Input<'_>>,
    deadline: Option<Deadline>,
) {
    let input = WireInput::of::<L>(input, deadline);
    push(tape, &Line { t: micros(now), input: Some(input), output: None });
}

/// Appends an output, unless it is one that tapes leave out. Outputs stand behind their input, with its time.
pub fn write_output<L: TapedLine>(tape: &mut Vec<u8>, now: CallTime, output: &Output<L::Wire>) {
    if let Some(output) = WireOutput::of::<L>(output) {
        push(tape, &Line { t: micros(now), input: None, output: Some(output) });
    }
}

pub(crate) fn push(tape: &mut Vec<u8>, line: &impl Serialize) {
    // Plain data into memory can't fail; half a line would be worse than none.
    let before = tape.len();
    match serde_json::to_writer(&mut *tape, line) {
        Ok(()) => tape.push(b'\n'),
        Err(error) => {
            debug_assert!(false, "a line can't be written: {error}");
            tape.truncate(before);
        }
    }
}
