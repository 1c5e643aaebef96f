//! What a model writes: text to be spoken, and calls of tools, put together from fragments.

use offhook_stage_api::ToolCall;
use offhook_stages::StageError;
use serde_json::{Map, Value};

/// A piece of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    Text(String),
    Tool(ToolCall),
    /// The model thinks: a sign of life.
    Thought,
    /// What the provider wants back with the result of this tool call, by its id.
    Keep(String, Value),
}

/// Calls of one reply; more are none that a call could make sense of.
const MOST_CALLS: usize = 64;
/// Octets of one call's arguments: they stay in every later request.
const LONGEST_ARGUMENTS: usize = 64 * 1024;

/// Text in several places of one answer, with tools or thoughts between them: words mustn't run together.
#[derive(Debug, Default)]
pub(crate) struct Placed {
    /// The last character said.
    last: Option<char>,
    /// Something else came behind it.
    apart: bool,
}

impl Placed {
    /// Something that isn't text comes.
    pub(crate) fn elsewhere(&mut self) {
        self.apart = self.last.is_some();
    }

    /// Text comes.
    pub(crate) fn say(&mut self, text: &str, out: &mut Vec<Output>) {
        let Some(last) = text.chars().next_back() else { return };
        let spaced = self.last.is_none_or(char::is_whitespace) || text.starts_with(char::is_whitespace);
        if std::mem::take(&mut self.apart) && !spaced {
            out.push(Output::Text(" ".to_owned()));
        }
        self.last = Some(last);
        out.push(Output::Text(text.to_owned()));
    }
}

/// The id of a tool call; made up where its server gave none.
pub(crate) fn call_id(id: &str, place: u64) -> String {
    if id.is_empty() { format!("call_{place}") } else { id.to_owned() }
}

/// Hands on a whole tool call. Some models call several at once by calling a wrapper, `parallel`, that nobody declared.
pub(crate) fn push_call(out: &mut Vec<Output>, call: ToolCall) {
    let wrapped = match call.name.as_str() {
        "parallel" | "multi_tool_use.parallel" | "multi_tool_use" => {
            call.arguments.get("tool_uses").and_then(Value::as_array)
        }
        _ => None,
    };
    let Some(wrapped) = wrapped else { return out.push(Output::Tool(call)) };
    for (nth, inner) in wrapped.iter().take(MOST_CALLS).enumerate() {
        let Some(name) = inner.get("recipient_name").and_then(Value::as_str) else { continue };
        let name = name.strip_prefix("functions.").unwrap_or(name).to_owned();
        let id = if nth == 0 { call.id.clone() } else { format!("{}_{nth}", call.id) };
        let arguments = inner.get("parameters").cloned().unwrap_or_else(|| Value::Object(Map::new()));
        out.push(Output::Tool(ToolCall { id, name, arguments }));
    }
}

/// Reads an event of the stream. One that lacks nothing but its last brackets has lost nothing.
pub(crate) fn json_event(stage: &str, data: &str) -> Result<Value, StageError> {
    let garbage = |error: serde_json::Error| StageError::Garbage {
        stage: stage.to_owned(),
        what: format!("an event that is not JSON: {error}"),
    };
    match serde_json::from_str(data) {
        Err(error) if error.is_eof() => {
            let brackets = open_brackets(data).ok_or(error);
            brackets.and_then(|brackets| serde_json::from_str(&format!("{data}{brackets}"))).map_err(garbage)
        }
        read => read.map_err(garbage),
    }
}

/// The brackets that would close all that are open. `None` inside of a string.
fn open_brackets(data: &str) -> Option<String> {
    let (mut open, mut quoted, mut escaped) = (Vec::new(), false, false);
    for octet in data.bytes() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' => open.push('}'),
            b'[' => open.push(']'),
            b'}' | b']' => {
                open.pop();
            }
            _ => {}
        }
    }
    (!quoted).then(|| open.into_iter().rev().collect())
}

/// The stream ended, and the answer hadn't.
pub(crate) fn cut_off(stage: &str) -> StageError {
    StageError::Broken {
        stage: stage.to_owned(),
        what: "the answer was cut off: the stream ended without its end".to_owned(),
    }
}

/// Reads arguments. None written means none; what isn't JSON was cut off.
pub(crate) fn arguments(stage: &str, name: &str, written: &str) -> Result<Value, StageError> {
    if written.trim().is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let read = serde_json::from_str(written).map_err(|error| StageError::Garbage {
        stage: stage.to_owned(),
        what: format!("the arguments of the tool `{name}` are no JSON, so the answer was cut off ({error})"),
    })?;
    Ok(match read {
        Value::Null => Value::Object(Map::new()),
        // Some servers write JSON as a text of JSON.
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        arguments => arguments,
    })
}

/// Tool calls that arrive in fragments, as all servers of the Chat Completions dialect send them: with indexes or without,
/// whole or in pieces, with ids or without.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    calls: Vec<Written>,
}

#[derive(Debug, Default)]
struct Written {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
    /// Google's signature of the thoughts that led to the call.
    extra: Option<Value>,
}

impl Written {
    fn is_whole(&self) -> bool {
        !self.name.is_empty() && serde_json::from_str::<Value>(&self.arguments).is_ok()
    }
}

impl Toolbox {
    /// Takes a fragment, the `position`th of its chunk.
    pub(crate) fn fragment(&mut self, position: usize, fragment: &Value) {
        let text = |pointer: &str| fragment.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let index = fragment.get("index").and_then(Value::as_u64);
        let (id, name) = (text("/id"), text("/function/name"));
        let arguments = match fragment.pointer("/function/arguments") {
            Some(Value::String(text)) => text.clone(),
            Some(object @ Value::Object(_)) => object.to_string(),
            _ => String::new(),
        };
        let at = self.find(position, index, id, name);
        let call = match at {
            Some(at) => &mut self.calls[at],
            None => {
                self.calls.push(Written { index, ..Written::default() });
                let last = self.calls.len() - 1;
                &mut self.calls[last]
            }
        };
        if let Some(extra) = fragment.get("extra_content").filter(|extra| !extra.is_null()) {
            call.extra = Some(extra.clone());
        }
        if !id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name != name {
            call.name.push_str(name);
        }
        call.arguments.push_str(&arguments);
    }

    /// What is too much of one reply.
    pub(crate) fn check(&self, stage: &str) -> Result<(), StageError> {
        let too_long = self.calls.iter().any(|call| call.arguments.len() > LONGEST_ARGUMENTS);
        if too_long || self.calls.len() > MOST_CALLS {
            let what = "more tool calls, or longer arguments, than a reply can have".to_owned();
            return Err(StageError::Garbage { stage: stage.to_owned(), what });
        }
        Ok(())
    }

    /// Which open call a fragment goes on with.
    fn find(&self, position: usize, index: Option<u64>, id: &str, name: &str) -> Option<usize> {
        let of_id = |call: &Written| call.id.is_empty() || id.is_empty() || call.id == id;
        let starts_anew = |call: &Written| !name.is_empty() && call.is_whole();
        if index.is_some() {
            let at = self.calls.iter().rposition(|call| call.index == index)?;
            // Some servers give every call the index 0: another id, or another name behind a whole call, is another call.
            return (of_id(&self.calls[at]) && !(id.is_empty() && starts_anew(&self.calls[at])))
                .then_some(at);
        }
        if !id.is_empty() {
            return self.calls.iter().rposition(|call| call.id == id);
        }
        let at = if name.is_empty() { self.calls.len().checked_sub(1)? } else { position };
        self.calls.get(at).filter(|call| !starts_anew(call)).map(|_| at)
    }

    /// All calls, whole, each with what its server wants back with it.
    pub(crate) fn finish(self, stage: &str) -> Result<Vec<(ToolCall, Option<Value>)>, StageError> {
        let named = self.calls.into_iter().filter(|call| !call.name.is_empty()).enumerate();
        named
            .map(|(number, call)| {
                let arguments = arguments(stage, &call.name, &call.arguments)?;
                let id = if call.id.is_empty() { format!("call_{number}") } else { call.id };
                Ok((ToolCall { id, name: call.name, arguments }, call.extra))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn collect(fragments: &[Value]) -> Vec<(String, String, Value)> {
        let mut toolbox = Toolbox::default();
        for chunk in fragments {
            for (position, fragment) in chunk.as_array().unwrap().iter().enumerate() {
                toolbox.fragment(position, fragment);
            }
        }
        let calls = toolbox.finish("x").unwrap();
        calls.into_iter().map(|(call, _)| (call.id, call.name, call.arguments)).collect()
    }

    #[test]
    fn every_dialect_of_fragments() {
        let one = |id: &str, name: &str, arguments: Value| (id.to_owned(), name.to_owned(), arguments);
        // By the book, two interleaved.
        assert_eq!(
            collect(&[
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]),
                json!([{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{\"x\""}}]),
                json!([{"index": 0, "function": {"arguments": "{}"}}, {"index": 1, "function": {"arguments": ":1}"}}]),
            ]),
            [one("a", "f", json!({})), one("b", "g", json!({"x": 1}))]
        );
        // Whole calls, all with the index 0.
        assert_eq!(
            collect(&[
                json!([{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]),
                json!([{"index": 0, "id": "b", "function": {"name": "f", "arguments": "{\"y\":2}"}}]),
            ]),
            [one("a", "f", json!({})), one("b", "f", json!({"y": 2}))]
        );
        // The same without ids; arguments as an object.
        assert_eq!(
            collect(&[
                json!([{"index": 0, "function": {"name": "f", "arguments": {"z": 3}}}]),
                json!([{"index": 0, "function": {"name": "g", "arguments": "{}"}}]),
            ]),
            [one("call_0", "f", json!({"z": 3})), one("call_1", "g", json!({}))]
        );
        // No index at all; the name repeated; no arguments.
        assert_eq!(
            collect(&[
                json!([{"id": "a", "function": {"name": "f"}}]),
                json!([{"id": "a", "function": {"name": "f", "arguments": "{\"x\":"}}]),
                json!([{"function": {"arguments": "1}"}}]),
                json!([{"id": "b", "function": {"name": "end"}}]),
            ]),
            [one("a", "f", json!({"x": 1})), one("b", "end", json!({}))]
        );
    }

    #[test]
    fn an_event_without_its_last_brackets_is_read() {
        assert_eq!(json_event("x", r#"{"a":[{"b":"}"}"#).unwrap(), json!({"a": [{"b": "}"}]}));
        for cut in [r#"{"a":"b"#, r#"{"a":"#, r#"{"a""#, "", "{]"] {
            assert!(json_event("x", cut).is_err(), "{cut}");
        }
    }

    #[test]
    fn arguments_that_were_cut_off_are_an_error() {
        let mut toolbox = Toolbox::default();
        toolbox.fragment(0, &json!({"index": 0, "function": {"name": "f", "arguments": "{\"a\": \"b"}}));
        assert!(toolbox.finish("x").unwrap_err().to_string().contains("cut off"));
    }
}
