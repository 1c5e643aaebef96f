//! What a model writes: text to be spoken, and calls of tools, put together from fragments.

use offhook_stage_api::ToolCall;
use offhook_stages::StageError;
use serde_json::{Map, Value};

/// A piece of a model's answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Output {
    Text(String),
    Tool(ToolCall),
}

/// Reads an event of the stream.
pub(crate) fn json_event(stage: &str, data: &str) -> Result<Value, StageError> {
    serde_json::from_str(data).map_err(|error| StageError::Garbage {
        stage: stage.to_owned(),
        what: format!("an event that is not JSON: {error}"),
    })
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
    serde_json::from_str(written).map_err(|error| StageError::Garbage {
        stage: stage.to_owned(),
        what: format!("the arguments of the tool `{name}` are no JSON, so the answer was cut off ({error})"),
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
        if !id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name != name {
            call.name.push_str(name);
        }
        call.arguments.push_str(&arguments);
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

    /// All calls, whole.
    pub(crate) fn finish(self, stage: &str) -> Result<Vec<ToolCall>, StageError> {
        let named = self.calls.into_iter().filter(|call| !call.name.is_empty()).enumerate();
        named
            .map(|(number, call)| {
                let arguments = arguments(stage, &call.name, &call.arguments)?;
                let id = if call.id.is_empty() { format!("call_{number}") } else { call.id };
                Ok(ToolCall { id, name: call.name, arguments })
            })
            .collect()
    }
}

/// Takes what models think aloud between `<think>` and `</think>` out of what they say.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    inside: bool,
    /// The beginning of what may be a tag.
    held: String,
}

impl Thoughts {
    /// What of the text is speech.
    pub(crate) fn strip(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let mut speech = String::new();
        loop {
            let tag = if self.inside { "</think>" } else { "<think>" };
            if let Some(at) = self.held.find(tag) {
                if !self.inside {
                    speech.push_str(&self.held[..at]);
                }
                self.held.drain(..at + tag.len());
                self.inside = !self.inside;
                continue;
            }
            let maybe = (1..tag.len()).rev().find(|length| self.held.ends_with(&tag[..*length])).unwrap_or(0);
            let sure = self.held.len() - maybe;
            if !self.inside {
                speech.push_str(&self.held[..sure]);
            }
            self.held.drain(..sure);
            return speech;
        }
    }

    /// What was held back at the end, and was no tag.
    pub(crate) fn rest(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if self.inside { String::new() } else { held }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
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
        calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
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
    fn arguments_that_were_cut_off_are_an_error() {
        let mut toolbox = Toolbox::default();
        toolbox.fragment(0, &json!({"index": 0, "function": {"name": "f", "arguments": "{\"a\": \"b"}}));
        assert!(toolbox.finish("x").unwrap_err().to_string().contains("cut off"));
    }

    proptest! {
        #[test]
        fn thoughts_are_never_spoken(cuts in proptest::collection::vec(0usize..60, 0..8)) {
            const TEXT: &str = "a <b> <think>secret < /think </think>c <thin d<think>x</think>";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(TEXT.len())).collect();
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let mut thoughts = Thoughts::default();
            let mut said: String = cuts.windows(2).map(|cut| thoughts.strip(&TEXT[cut[0]..cut[1]])).collect();
            said.push_str(&thoughts.rest());
            prop_assert_eq!(said, "a <b> c <thin d");
        }
    }
}
