//! What a model may be told of a tool.

/// A tool that the agent's model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolSpec {
    /// Its name: letters, digits, `_` and `-`, at most 64 (the strictest of the providers' limits).
    pub name: String,
    /// When to use it and what it does, for the model.
    pub description: String,
    /// A JSON Schema of its arguments: an object.
    pub parameters: serde_json::Value,
}
