//! What the agent wants done, and what came of it.

use serde::{Deserialize, Serialize};

use crate::tools::{END_CALL, TRANSFER};

/// Something the agent wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call; empty if it has none.
    pub id: String,
    /// The tool: one of [`tools`](crate::tools), or one the agent declared.
    pub name: String,
    /// Arguments.
    pub arguments: serde_json::Value,
}

impl ToolCall {
    /// The call of [`TRANSFER`] that hands the caller to this number or SIP address.
    #[must_use]
    pub fn transfer(to: &str) -> Self {
        Self::built_in(TRANSFER, serde_json::json!({ "to": to }))
    }

    /// The call of [`END_CALL`].
    #[must_use]
    pub fn end_call() -> Self {
        Self::built_in(END_CALL, serde_json::Value::Null)
    }

    fn built_in(name: &str, arguments: serde_json::Value) -> Self {
        Self { id: String::new(), name: name.to_owned(), arguments }
    }
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
