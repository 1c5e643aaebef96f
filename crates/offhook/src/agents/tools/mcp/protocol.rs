//! What MCP's messages say.

use serde_json::{Map, Value, json};

/// The stateless protocol.
pub(super) const MODERN: &str = "2026-07-28";
/// The protocol with a handshake.
pub(super) const LEGACY: &str = "2025-11-25";
/// What a server says when its tools have become others.
pub(super) const CHANGED: &str = "notifications/tools/list_changed";
/// A schema's octets at most.
const LONGEST_SCHEMA: usize = 32 * 1024;
/// Values in an answer at most.
const MOST_VALUES: usize = 20_000;

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
    /// With the length of its schema. `None`: it can't be used.
    pub(super) fn read(tool: &Value) -> Option<(Self, usize)> {
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
        let length = schema.to_string().len();
        (length <= LONGEST_SCHEMA).then_some((Self { name, description, schema, destructive }, length))
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

/// Reads a message that may be a stranger's: no longer than what its octets are bounded to, and of a bounded number of values, for each
/// takes many times the room that it has in the text.
///
/// # Errors
/// It is none, or has too many.
pub(super) fn parsed(text: &[u8]) -> Result<Value, String> {
    if values(text) > MOST_VALUES {
        return Err(format!("an answer of more than {MOST_VALUES} values"));
    }
    serde_json::from_slice(text).map_err(|_| "its answer is no response of MCP".to_owned())
}

/// About how many values a text has.
fn values(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for c in text {
        match c {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' | b'{' | b'[' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// The result of a response.
pub(super) fn result(server: &str, mut response: Value) -> Result<Value, McpError> {
    if let Some(error) = response.get("error") {
        let code = error.get("code").and_then(Value::as_i64).unwrap_or(0);
        let message = error.get("message").and_then(Value::as_str).unwrap_or("").chars().take(300).collect();
        return Err(McpError::Refused { server: server.to_owned(), code, message });
    }
    let result = response.get_mut("result").map(Value::take);
    result.ok_or_else(|| McpError::broken(server, "a response has no result"))
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
