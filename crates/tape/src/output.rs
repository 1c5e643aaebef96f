//! What came out of a call, on tape.

use std::sync::Arc;

use offhook_conversation::CallEvent;
use offhook_stage_api::id::{ReplyId, UtteranceId};
use offhook_stage_api::{
    Expectation, LlmCommand, ReplyRequest, SpeakRequest, SttCommand, ToolCall, ToolResult, TurnQuestion,
};
use serde::{Deserialize, Serialize};

use crate::mask;

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
    /// What only a ConversationRelay call has.
    Relay(WireRelayOutput),
    /// To speech-to-text.
    Stt(WireStt),
    /// To the turn model.
    Turn(TurnQuestion),
    /// To the language model or script.
    Llm(WireLlm),
    /// To text-to-speech.
    Tts(WireVoice),
    /// A tool is wanted.
    Tool(ToolCall),
    /// A tool is given up: its id.
    CancelTool(String),
    /// Something worth reporting.
    Event(CallEvent),
    /// The end.
    HangUp {
        /// What comes after the stream is to do this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handoff: Option<ToolCall>,
    },
}

/// To speech-to-text. Places are samples on the caller's time line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireStt {
    /// The caller began to speak.
    SpeechStarted {
        /// The onset.
        at: u64,
    },
    /// The caller paused.
    SpeechPaused {
        /// Where the turn began.
        from: u64,
        /// Where the speech ended.
        until: u64,
    },
    /// The turn is over.
    TurnEnded {
        /// Its end.
        until: u64,
    },
    /// What may be said next.
    Expect(Arc<Expectation>),
}

/// To the language model or script.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireLlm {
    /// Answer. Keys in it are masked.
    Respond(ReplyRequest),
    /// The reply is being heard.
    Commit(ReplyId),
    /// The caller interrupted it.
    Interrupted {
        /// Which.
        reply: ReplyId,
        /// How much of its sound was heard, in microseconds.
        heard_us: u64,
    },
    /// The reply is given up.
    Cancel(ReplyId),
    /// A tool's result.
    ToolResult(ToolResult),
    /// What a model that follows the call gets: what happened, and the words of it. Never a key.
    News(String),
}

/// To text-to-speech.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireVoice {
    /// Speak this.
    Speak(SpeakRequest),
    /// Stop this.
    Cancel(UtteranceId),
}

/// What came out of a ConversationRelay call.
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
    /// A recording in the place of words.
    PlayRecording {
        /// Its address, without a query.
        source: String,
        /// How often.
        times: u32,
        /// Nothing interrupts it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        fixed: bool,
    },
    /// Another language is spoken from here on: its BCP 47 tag.
    Language(String),
    /// Words to listen for from here on: the message.
    Hints(String),
    /// So many keys were pressed.
    Press(usize),
}

impl WireStt {
    pub(crate) fn of(command: &SttCommand) -> Option<Self> {
        Some(match command {
            SttCommand::Audio { .. } => return None,
            SttCommand::SpeechStarted { at } => Self::SpeechStarted { at: at.0 },
            SttCommand::SpeechPaused { from, until } => Self::SpeechPaused { from: from.0, until: until.0 },
            SttCommand::TurnEnded { until } => Self::TurnEnded { until: until.0 },
            SttCommand::Expect(expectation) => Self::Expect(Arc::clone(expectation)),
        })
    }
}

impl WireLlm {
    pub(crate) fn of(command: &LlmCommand) -> Self {
        match command {
            LlmCommand::Respond(request) => Self::Respond(mask::request(request)),
            LlmCommand::Commit { reply } => Self::Commit(*reply),
            LlmCommand::Interrupted { reply, heard } => {
                let heard_us = u64::try_from(heard.as_micros()).unwrap_or(u64::MAX);
                Self::Interrupted { reply: *reply, heard_us }
            }
            LlmCommand::Cancel { reply } => Self::Cancel(*reply),
            LlmCommand::ToolResult(result) => Self::ToolResult(result.clone()),
            LlmCommand::News(news) => Self::News(format!("{news:?}")),
        }
    }
}
