//! Between a call's inputs and outputs and what is on tape of them.

use offhook_conversation::{Deadline, Input, Output};
use offhook_stage_api::{CallTime, TtsCommand};

use crate::input::WireInput;
use crate::line::TapedLine;
use crate::mask;
use crate::output::{WireLlm, WireOutput, WireStt, WireVoice};

impl WireInput {
    /// As it goes on tape. `deadline`: the call's before the input.
    #[must_use]
    pub fn of<L: TapedLine>(input: &Input<L::Input<'_>>, deadline: Option<Deadline>) -> Self {
        match input {
            Input::Start => Self::Start,
            Input::Line(input) => L::taped_input(input),
            Input::Turn(event) => Self::Turn(*event),
            Input::Llm(event) => Self::Llm(mask::event(event)),
            Input::LlmEnded(failure) => Self::LlmEnded(failure.clone()),
            Input::Tool(result) => Self::Tool(result.clone()),
            Input::Control(control) => Self::Control(control.clone()),
            Input::Stop => Self::Stop,
            Input::Timeout => Self::timeout(deadline),
        }
    }

    pub(crate) fn timeout(deadline: Option<Deadline>) -> Self {
        Self::Timeout {
            at: deadline.map(|deadline| micros(deadline.at)),
            why: deadline.map(|deadline| deadline.why),
        }
    }

    /// Gives the input itself, if it is one for a call on this line and nothing of it is damaged.
    pub(crate) fn read<L: TapedLine>(&self, take: &mut dyn FnMut(Input<L::Input<'_>>)) -> Option<()> {
        take(match self {
            Self::Start => Input::Start,
            Self::Turn(event) => Input::Turn(*event),
            Self::Llm(event) => Input::Llm(event.clone()),
            Self::LlmEnded(failure) => Input::LlmEnded(failure.clone()),
            Self::Tool(result) => Input::Tool(result.clone()),
            Self::Control(control) => Input::Control(control.clone()),
            Self::Stop => Input::Stop,
            Self::Timeout { .. } => Input::Timeout,
            Self::Media { .. }
            | Self::Mark(_)
            | Self::Key(_)
            | Self::Stt(_)
            | Self::Tts(_)
            | Self::TtsEnded(_)
            | Self::Lost
            | Self::Back
            | Self::Relay(_) => return L::read_input(self, &mut |input| take(Input::Line(input))),
        });
        Some(())
    }
}

impl WireOutput {
    /// As it goes on tape; `None` for audio to the recogniser, which is the input again.
    #[must_use]
    pub fn of<L: TapedLine>(output: &Output<L::Wire>) -> Option<Self> {
        Some(match output {
            Output::Wire(wire) => L::taped_output(wire),
            Output::Stt(command) => Self::Stt(WireStt::of(command)?),
            Output::Turn(question) => Self::Turn(question.clone()),
            Output::Llm(command) => Self::Llm(WireLlm::of(command)),
            Output::Tts(TtsCommand::Speak(request)) => Self::Tts(WireVoice::Speak(request.clone())),
            Output::Tts(TtsCommand::Cancel { utterance }) => Self::Tts(WireVoice::Cancel(*utterance)),
            Output::Tool(call) => Self::Tool(mask::tool_call(call)),
            Output::CancelTool { id } => Self::CancelTool(id.clone()),
            Output::Event(event) => Self::Event(event.clone()),
            Output::HangUp { handoff } => Self::HangUp { handoff: handoff.as_ref().map(mask::tool_call) },
        })
    }
}

/// A time as it goes on tape.
pub(crate) fn micros(time: CallTime) -> u64 {
    u64::try_from(time.since_start().as_micros()).unwrap_or(u64::MAX)
}
