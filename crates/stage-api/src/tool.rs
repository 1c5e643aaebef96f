//! What the agent wants done, and what came of it.

use serde::{Deserialize, Serialize};

use crate::tools::{END_CALL, TRANSFER};

/// Something the agent wants done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id of the call, made unique within the conversation; empty if it has none.
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

/// What a tool returned.
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
    /// Whether this answers a call that had this id when the model made it. Where two calls of a conversation have the same id,
    /// because a provider counts again in every reply, the later ones get a suffix (`call_1~2`).
    #[must_use]
    pub fn answers(&self, id: &str) -> bool {
        let suffix = |rest: &str| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_digit());
        let rest = self.id.strip_prefix(id);
        rest.is_some_and(|rest| rest.is_empty() || rest.strip_prefix('~').is_some_and(suffix))
    }
}
