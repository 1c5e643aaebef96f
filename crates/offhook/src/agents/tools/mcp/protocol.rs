//! What MCP's messages say.

use serde_json::{Map, Value, json};

/// The stateless protocol.
pub(super) const MODERN: &str = "2026-07-28";
/// The protocol with a handshake.
pub(super) const LEGACY: &str = "2025-11-25";

/// Why a request has no result. Texts of servers are for operators, and shortened.
#[derive(Debug, thiserror::Error)]
pub(super) enum McpError {
    /// It can't be reached, or what it sends can't be used.
    #[error("the server `{server}` can't be used: {why}")]
    Broken { server: String, why: String },
    /// It refuses the request.
    #[error("the server `{server}` refuses: {message} ({code})")]
    Refused { server: String, code: i64, message: String },
}

impl McpError {
    pub(super) fn broken(server: &str, why: impl std::fmt::Display) -> Self {
        let why: String = why.to_string().chars().take(300).collect();
        Self::Broken { server: server.to_owned(), why }
    }
}

/// A tool as a server lists it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offered {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) schema: Value,
    pub(super) destructive: bool,
}

impl Offered {
    /// `None`: it can't be used.
    pub(super) fn read(tool: &Value) -> Option<Self> {
        let name = tool.get("name")?.as_str().filter(|name| (1..=128).contains(&name.len()))?.to_owned();
        let description: String =
            tool.get("description").and_then(Value::as_str).unwrap_or("").chars().take(2_000).collect();
        let mut schema = tool.get("inputSchema").filter(|schema| schema.is_object())?.clone();
        if let Some(schema) = schema.as_object_mut() {
            // Some models' APIs refuse it.
            schema.remove("$schema");
        }
        let hint = |name: &str| tool.pointer(&format!("/annotations/{name}")).and_then(Value::as_bool);
        let destructive = hint("destructiveHint") == Some(true) && hint("readOnlyHint") != Some(true);
        (schema.to_string().len() <= 32 * 1024).then_some(Self { name, description, schema, destructive })
    }
}

/// A request. `modern`: it says by itself who asks.
pub(super) fn request(id: u64, method: &str, mut params: Map<String, Value>, modern: bool) -> Value {
    if modern {
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        if let Some(meta) = meta.as_object_mut() {
            meta.insert("io.modelcontextprotocol/protocolVersion".to_owned(), MODERN.into());
            meta.insert("io.modelcontextprotocol/clientCapabilities".to_owned(), json!({}));
            meta.insert("io.modelcontextprotocol/clientInfo".to_owned(), client());
        }
    }
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub(super) fn client() -> Value {
    json!({ "name": "offhook", "version": env!("CARGO_PKG_VERSION") })
}

/// The first message of the protocol with a handshake.
pub(super) fn initialize(id: u64) -> Value {
    let params = json!({ "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": client() });
    json!({ "jsonrpc": "2.0", "id": id, "method": "initialize", "params": params })
}

pub(super) fn initialized() -> Value {
    json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })
}

/// The result of a response.
pub(super) fn result(server: &str, response: &Value) -> Result<Value, McpError> {
    if let Some(error) = response.get("error") {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
        let message = error.get("message").and_then(Value::as_str).unwrap_or("").chars().take(300).collect();
        return Err(McpError::Refused { server: server.to_owned(), code, message });
    }
    response.get("result").cloned().ok_or_else(|| McpError::broken(server, "a response has no result"))
}

/// A tool's result as text for a model: what is structured, else its texts, else what kind came.
pub(super) fn result_text(result: &Value, longest: usize) -> String {
    if result.get("resultType").and_then(Value::as_str) == Some("input_required") {
        return "the tool wants something from the user that can't be asked on the telephone".to_owned();
    }
    let text = match result.get("structuredContent") {
        Some(structured) => structured.to_string(),
        None => {
            let blocks =
                result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            let texts = blocks.iter().filter_map(|block| block.get("text")?.as_str());
            let texts: Vec<&str> = texts.collect();
            let kinds = || {
                blocks.iter().filter_map(|block| block.get("type")?.as_str()).collect::<Vec<_>>().join(", ")
            };
            match texts.is_empty() {
                false => texts.join("\n"),
                true if blocks.is_empty() => "done".to_owned(),
                true => format!("the result is no text: {}", kinds()),
            }
        }
    };
    if text.chars().count() <= longest {
        return text;
    }
    let cut: String = text.chars().take(longest).collect();
    format!("{cut} … (cut: the result was longer)")
}
