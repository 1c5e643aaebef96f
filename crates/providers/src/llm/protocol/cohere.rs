//! Cohere's Chat, the second version (`POST /v2/chat`, streamed): it asks as Chat Completions do, and answers in its own events.

use std::collections::BTreeMap;

use offhook_stage_api::ToolCall;
use offhook_stages::{StageError, Usage};
use serde_json::Value;

use super::{Progress, chat};
use crate::llm::ask::Ask;
use crate::llm::output::{Output, Placed, arguments, call_id, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// The request's body.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let mut body = chat::body(ask);
    if let Some(fields) = body.as_object_mut() {
        fields.remove("stream_options");
        if fields.contains_key("tool_choice") {
            fields.insert("tool_choice".into(), "NONE".into());
        }
    }
    body
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    /// The tool calls that are being written, by their places: id, name, and its arguments so far.
    calls: BTreeMap<u64, (String, String, String)>,
    text: Placed,
    finish: Option<String>,
    usage: Usage,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        let (text, usage) = (Placed::default(), Usage::default());
        Self { stage: stage.to_owned(), calls: BTreeMap::new(), text, finish: None, usage, ended: false }
    }

    fn call(&mut self, place: u64, call: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        let text = |pointer: &str| call.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let arguments = arguments(&self.stage, text("/function/name"), text("/function/arguments"))?;
        let (id, name) = (call_id(text("/id"), place), text("/function/name").to_owned());
        push_call(out, ToolCall { id, name, arguments });
        Ok(())
    }

    /// A call is whole.
    fn complete(&mut self, place: u64, out: &mut Vec<Output>) -> Result<(), StageError> {
        if let Some((id, name, written)) = self.calls.remove(&place) {
            let arguments = arguments(&self.stage, &name, &written)?;
            push_call(out, ToolCall { id, name, arguments });
        }
        Ok(())
    }

    /// The end of a message, or a whole one.
    fn end_with(&mut self, message: &Value) {
        self.finish = message["finish_reason"].as_str().map(str::to_owned);
        let count =
            |pointer: &str| message.pointer(pointer).and_then(Value::as_f64).map(|count| count as u64);
        if let Some(input) = count("/usage/tokens/input_tokens") {
            let cached = count("/usage/cached_tokens").unwrap_or(0).min(input);
            self.usage.input_tokens = input - cached;
            self.usage.cached_tokens = cached;
            self.usage.output_tokens = count("/usage/tokens/output_tokens").unwrap_or(0);
        }
        self.ended = true;
    }
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        if event.data.trim() == "[DONE]" {
            return Ok(());
        }
        let data = json_event(&self.stage, &event.data)?;
        let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let place = data["index"].as_f64().map_or(0, |place| place as u64);
        match text("/type") {
            "content-start" | "content-delta" => {
                self.text.say(text("/delta/message/content/text"), out);
                if !text("/delta/message/content/thinking").is_empty() {
                    self.text.elsewhere();
                    out.push(Output::Thought);
                }
            }
            // What it says to itself about the tools.
            "tool-plan-delta" => out.push(Output::Thought),
            "tool-call-start" => {
                let part = |name: &str| text(&format!("/delta/message/tool_calls/{name}")).to_owned();
                let id = call_id(&part("id"), place);
                if self.calls.len() < MOST_CALLS {
                    self.calls.insert(place, (id, part("function/name"), part("function/arguments")));
                }
                self.text.elsewhere();
            }
            "tool-call-delta" => {
                if let Some((_, _, written)) =
                    self.calls.get_mut(&place).filter(|(_, _, written)| written.len() < LONGEST_ARGUMENTS)
                {
                    written.push_str(text("/delta/message/tool_calls/function/arguments"));
                }
            }
            "tool-call-end" => self.complete(place, out)?,
            "message-end" => {
                self.end_with(&data["delta"]);
                if let Some(error) = data["delta"].get("error").filter(|error| !error.is_null()) {
                    return Err(stream_failure(&self.stage, error));
                }
            }
            "" if data["message"].is_object() => {
                for part in data["message"]["content"].as_array().into_iter().flatten() {
                    self.text.say(part["text"].as_str().unwrap_or(""), out);
                }
                for (place, call) in (0..).zip(data["message"]["tool_calls"].as_array().into_iter().flatten())
                {
                    self.call(place, call, out)?;
                }
                self.end_with(&data);
            }
            "" => {
                let error = data.get("error").filter(|error| !error.is_null()).unwrap_or(&data);
                return Err(stream_failure(&self.stage, error));
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        if matches!(self.finish.as_deref(), Some("TOOL_CALL" | "COMPLETE")) {
            while let Some(place) = self.calls.keys().next().copied() {
                self.complete(place, out)?;
            }
        }
        match self.finish.as_deref() {
            None => Err(cut_off(&self.stage)),
            Some("ERROR" | "ERROR_TOXIC" | "TIMEOUT") => {
                let what = "the provider could not finish the answer".to_owned();
                Err(StageError::Broken { stage: self.stage.clone(), what })
            }
            Some(_) => Ok(()),
        }
    }

    fn progress(&self) -> Progress {
        let cut_short = self.finish.as_deref() == Some("MAX_TOKENS");
        Progress { finished: self.ended, over: self.ended, cut_short }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Calls of one reply that are written at the same time; more are none that a call could make sense of.
const MOST_CALLS: usize = 64;
/// Octets of one call's arguments.
const LONGEST_ARGUMENTS: usize = 64 * 1024;
