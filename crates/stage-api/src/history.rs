//! The conversation so far, typed: what was said and heard, asked of tools, and keyed.

use serde::{Deserialize, Serialize};

use crate::{Digits, ToolCall, ToolResult};

/// One entry of the conversation. Times are milliseconds on the call's clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// What happened.
    #[serde(flatten)]
    pub content: Content,
    /// When it began.
    pub began_ms: u64,
    /// When it ended; for what is still being said, until when it was heard.
    #[serde(default)]
    pub ended_ms: u64,
}

/// What an [`Entry`] holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Content {
    /// The caller's turn.
    Caller {
        /// All its words.
        text: String,
    },
    /// Something the agent says.
    Agent {
        /// The words. Of an interrupted utterance those that reached the caller's ear.
        text: String,
        /// How far it got.
        #[serde(default, skip_serializing_if = "Delivery::is_heard")]
        delivery: Delivery,
    },
    /// The model wants a tool to be run.
    ToolCall(ToolCall),
    /// What the tool returned; belongs to the call with the same id.
    ToolResult(ToolResult),
    /// The caller keyed a number. Masked in `Debug` and on tapes.
    Digits {
        /// The keys.
        digits: Digits,
    },
    /// A transfer that the application wanted, not the model, has failed.
    TransferFailed {
        /// The number, or a SIP address.
        to: String,
        /// Why, in words for the model.
        why: String,
    },
    /// Something else that the model has to know and nobody said.
    Note {
        /// In words for the model.
        text: String,
    },
    /// What was said further back, shortened, a line per entry.
    Summary {
        /// The lines.
        text: String,
    },
}

/// How far an utterance of the agent got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The caller heard all of it.
    #[default]
    Heard,
    /// The caller heard only the text given.
    Interrupted,
    /// It is being said at this moment.
    Saying,
}

impl Delivery {
    const fn is_heard(&self) -> bool {
        matches!(self, Self::Heard)
    }
}

impl Content {
    /// What it says to the model, if it is something that nobody said.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        match self {
            Self::TransferFailed { to, why } => {
                Some(format!("The caller was to be transferred to {to}, but that failed: {why}"))
            }
            Self::Note { text } => Some(text.clone()),
            _ => None,
        }
    }
}

impl Entry {
    /// An entry of one moment.
    #[must_use]
    pub const fn at(content: Content, at_ms: u64) -> Self {
        Self { content, began_ms: at_ms, ended_ms: at_ms }
    }

    /// The words of the caller or the agent, if it has any.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        match &self.content {
            Content::Caller { text } | Content::Agent { text, .. } => Some(text),
            _ => None,
        }
    }
}
