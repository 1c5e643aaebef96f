//! What went into a call, on tape.

use offhook_conversation::{Control, Why};
use offhook_stage_api::{Key, LlmEvent, StageFailure, SttEvent, ToolResult, TurnEvent};
use serde::{Deserialize, Serialize};

use crate::tts::WireTts;

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
    /// From speech-to-text.
    Stt(SttEvent),
    /// From the turn model.
    Turn(TurnEvent),
    /// From the language model or script.
    Llm(LlmEvent),
    /// The language model or script has ended.
    LlmEnded(StageFailure),
    /// From text-to-speech.
    Tts(WireTts),
    /// Text-to-speech has ended.
    TtsEnded(StageFailure),
    /// The stream broke off.
    Lost,
    /// Another stream carries the call.
    Back,
    /// From a tool.
    Tool(ToolResult),
    /// From the application.
    Control(Control),
    /// What only a ConversationRelay call has.
    Relay(WireRelayInput),
    /// The stream ended.
    Stop,
    /// The deadline came.
    Timeout {
        /// Which: its time on the call's clock in microseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<u64>,
        /// What for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Why>,
    },
}

/// What a tape has of a key.
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
    pub(crate) const fn of(key: Key) -> Self {
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

/// What went into a ConversationRelay call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireRelayInput {
    /// The caller's words.
    Prompt {
        /// All of the turn so far.
        text: String,
        /// The language that was recognised, if that was given.
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
    /// The call came back over another connection.
    Back,
}

impl WireInput {
    /// For people; `None` for sound, of which there is too much.
    pub(crate) fn in_words(&self) -> Option<String> {
        match self {
            Self::Media { .. } => None,
            Self::Tts(event) => event.in_words(),
            other => serde_json::to_string(other).ok(),
        }
    }
}
