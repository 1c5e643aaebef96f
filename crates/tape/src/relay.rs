//! Calls of text on tape: what only they have. The rest is as on any tape.

use offhook_call::relay::{RelayCall, RelayInput, RelayOutput};
use offhook_call::{CallTime, Key};
use serde::{Deserialize, Serialize};

use crate::wire::{Line, MaskedKey, WireInput, WireOutput, masked, micros, push, stage_words};

/// What went into a call of text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireRelayInput {
    /// The caller's words.
    Prompt {
        /// All of the turn so far.
        text: String,
        /// The language that was recognised, if that was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lang: Option<String>,
        /// The turn is over.
        last: bool,
    },
    /// The caller interrupted.
    Interrupt {
        /// What was heard.
        heard: String,
        /// Of the agent's speaking, in milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after_ms: Option<u64>,
    },
    /// The agent's voice began or stopped.
    AgentSpeaking(bool),
    /// The caller's voice began or stopped.
    CallerSpeaking(bool),
    /// Words of the agent's were spoken.
    Played(String),
    /// Twilio could not use something.
    Refused(String),
    /// The connection broke.
    Lost,
}

/// What came out of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireRelayOutput {
    /// To be spoken.
    Text {
        /// A piece of an utterance.
        token: String,
        /// Its last.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        last: bool,
        /// Nothing interrupts it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fixed: bool,
    },
    /// A sound is played until more is said: its URL.
    Play(String),
    /// Another language is spoken from here on: its BCP 47 tag.
    Language(String),
    /// So many keys were pressed.
    Press(usize),
}

impl WireInput {
    /// As it goes on tape.
    #[must_use]
    pub fn of_relay(input: &RelayInput<'_>) -> Self {
        let relay = match input {
            RelayInput::Setup => return Self::Start,
            RelayInput::Dtmf(key) => return Self::Key(MaskedKey::of(*key)),
            RelayInput::Llm(event) => return Self::Llm(masked(event)),
            RelayInput::Tool(result) => return Self::Tool(result.clone()),
            RelayInput::Control(control) => return Self::Control(control.clone()),
            RelayInput::Stop => return Self::Stop,
            RelayInput::Timeout => return Self::Timeout,
            RelayInput::Prompt { text, lang, last } => WireRelayInput::Prompt {
                text: (*text).to_owned(),
                lang: lang.map(str::to_owned),
                last: *last,
            },
            RelayInput::Interrupt { heard, after } => WireRelayInput::Interrupt {
                heard: (*heard).to_owned(),
                after_ms: after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            },
            RelayInput::AgentSpeaking(speaking) => WireRelayInput::AgentSpeaking(*speaking),
            RelayInput::CallerSpeaking(speaking) => WireRelayInput::CallerSpeaking(*speaking),
            RelayInput::Played(text) => WireRelayInput::Played((*text).to_owned()),
            RelayInput::Refused(why) => WireRelayInput::Refused((*why).to_owned()),
            RelayInput::Lost => WireRelayInput::Lost,
        };
        Self::Relay(relay)
    }
}

impl WireOutput {
    /// As it goes on tape.
    #[must_use]
    pub fn of_relay(output: &RelayOutput) -> Self {
        match output {
            RelayOutput::Text { token, last, interruptible } => Self::Relay(WireRelayOutput::Text {
                token: token.clone(),
                last: *last,
                fixed: !interruptible,
            }),
            RelayOutput::Play { source } => Self::Relay(WireRelayOutput::Play(source.clone())),
            RelayOutput::Language { tag } => Self::Relay(WireRelayOutput::Language(tag.clone())),
            RelayOutput::Press(digits) => Self::Relay(WireRelayOutput::Press(digits.reveal().len())),
            RelayOutput::Llm(command) => Self::Stage(stage_words(command)),
            RelayOutput::Tool(call) => Self::Tool(call.clone()),
            RelayOutput::CancelTool { id } => Self::CancelTool(id.clone()),
            RelayOutput::Event(event) => Self::Event(event.clone()),
            RelayOutput::End { .. } => Self::HangUp,
        }
    }
}

/// Appends an input.
pub fn write_relay_input(tape: &mut Vec<u8>, now: CallTime, input: &RelayInput<'_>) {
    push(tape, &Line { t: micros(now), input: Some(WireInput::of_relay(input)), output: None });
}

/// Appends an output.
pub fn write_relay_output(tape: &mut Vec<u8>, now: CallTime, output: &RelayOutput) {
    push(tape, &Line { t: micros(now), input: None, output: Some(WireOutput::of_relay(output)) });
}

/// Feeds an input from tape; `None` if it is none of a call of text.
pub(crate) fn feed(call: &mut RelayCall, input: &WireInput, now: CallTime) -> Option<()> {
    let input = match input {
        WireInput::Start => RelayInput::Setup,
        WireInput::Key(key) => RelayInput::Dtmf(key.stand_in()?),
        WireInput::Dtmf => RelayInput::Dtmf(Key::new('1')?),
        WireInput::Llm(event) => RelayInput::Llm(event.clone()),
        WireInput::Tool(result) => RelayInput::Tool(result.clone()),
        WireInput::Control(control) => RelayInput::Control(control.clone()),
        WireInput::Stop => RelayInput::Stop,
        WireInput::Timeout => RelayInput::Timeout,
        WireInput::Relay(relay) => match relay {
            WireRelayInput::Prompt { text, lang, last } => {
                RelayInput::Prompt { text, lang: lang.as_deref(), last: *last }
            }
            WireRelayInput::Interrupt { heard, after_ms } => {
                RelayInput::Interrupt { heard, after: after_ms.map(std::time::Duration::from_millis) }
            }
            WireRelayInput::AgentSpeaking(speaking) => RelayInput::AgentSpeaking(*speaking),
            WireRelayInput::CallerSpeaking(speaking) => RelayInput::CallerSpeaking(*speaking),
            WireRelayInput::Played(text) => RelayInput::Played(text),
            WireRelayInput::Refused(why) => RelayInput::Refused(why),
            WireRelayInput::Lost => RelayInput::Lost,
        },
        WireInput::Media { .. }
        | WireInput::Mark(_)
        | WireInput::Stt(_)
        | WireInput::Turn(_)
        | WireInput::Tts(_) => return None,
    };
    call.handle(input, now);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use offhook_call::{CallConfig, CallEvent};
    use offhook_stage_api::id::ReplyId;
    use offhook_stage_api::{LlmEvent, ToolCall};

    use super::*;
    use crate::{Header, Transport, replay, write_header};

    fn record(inputs: Vec<(u64, RelayInput<'_>)>) -> String {
        let config = CallConfig::default();
        let mut tape = Vec::new();
        let header = Header::new("CA1", "x", "0", &config).over(Transport::ConversationRelay);
        write_header(&mut tape, &header);
        let mut call = RelayCall::new(config);
        for (ms, input) in inputs {
            let now = CallTime::after(Duration::from_millis(ms));
            write_relay_input(&mut tape, now, &input);
            call.handle(input, now);
            while let Some(output) = call.poll_output() {
                write_relay_output(&mut tape, now, &output);
            }
        }
        String::from_utf8(tape).unwrap()
    }

    fn a_call<'a>() -> Vec<(u64, RelayInput<'a>)> {
        let text = |reply, delta: &str| RelayInput::Llm(LlmEvent::Text { reply, delta: delta.into() });
        let keys = ToolCall {
            id: "1".into(),
            name: "send_dtmf".into(),
            arguments: serde_json::json!({ "digits": "4711" }),
        };
        vec![
            (0, RelayInput::Setup),
            (10, text(ReplyId(1), "Hello there. What would you like?")),
            (11, RelayInput::Llm(LlmEvent::Done { reply: ReplyId(1) })),
            (1_000, RelayInput::Interrupt { heard: "Hello", after: Some(Duration::from_millis(400)) }),
            (1_500, RelayInput::Prompt { text: "Two pizzas, please.", lang: Some("en-US"), last: true }),
            (1_600, text(ReplyId(2), "Very well.")),
            (1_600, RelayInput::Llm(LlmEvent::Tool { reply: ReplyId(2), call: keys })),
            (1_700, RelayInput::Llm(LlmEvent::Done { reply: ReplyId(2) })),
            (1_800, RelayInput::Dtmf(Key::new('7').unwrap())),
            (2_000, RelayInput::Lost),
            (3_000, RelayInput::Setup),
            (9_000, RelayInput::Stop),
        ]
    }

    #[test]
    fn a_call_of_text_replays_to_the_same_outputs_and_keeps_keys_to_itself() {
        let tape = record(a_call());
        let replayed = replay(&tape, CallConfig::default()).unwrap();
        assert_eq!(replayed.divergence, None);
        assert!(replayed.outputs > 12, "{tape}");
        assert!(!tape.contains("4711") && !tape.contains("\"7\""), "{tape}");
        assert!(tape.contains("1111"), "{tape}");
    }

    #[test]
    fn a_changed_outcome_is_found() {
        let tape = record(a_call()).replace("Two pizzas, please.", "Two salads, please.");
        let tape = tape.replacen("Two salads, please.", "Three pizzas.", 1);
        let divergence = replay(&tape, CallConfig::default()).unwrap().divergence.unwrap();
        let now = divergence.now.unwrap();
        assert!(
            matches!(&now, WireOutput::Event(CallEvent::TurnEnded(turn)) if turn.text == "Three pizzas."),
            "{now:?}"
        );
    }
}
