//! Anthropic's Messages (`POST /messages`, streamed).

use std::collections::BTreeMap;

use offhook_stage_api::{ToolCall, ToolUse};
use offhook_stages::{StageError, Usage};
use serde_json::{Map, Value, json};

use super::Progress;
use crate::llm::ask::Ask;
use crate::llm::messages::Message;
use crate::llm::output::{Output, Placed, arguments, call_id, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// The request's body. What is the same in all calls comes first and is marked for the provider's cache, if there is enough of it;
/// else the mark stands behind the conversation, which grows past the provider's minimum.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let mut fixed = json!({"type": "text", "text": ask.prompt.fixed()});
    let tools: Vec<Value> = ask
        .offered()
        .iter()
        .map(|tool| {
            json!({"name": tool.name, "description": tool.description, "input_schema": tool.parameters})
        })
        .collect();
    let mut messages = messages(ask.conversation);
    if ask.config.cache {
        let minimum = ask.facts.cache_minimum.unwrap_or(0) as usize;
        let octets = fixed["text"].as_str().map_or(0, str::len)
            + tools.iter().map(|tool| tool.to_string().len()).sum::<usize>();
        let last = messages.last_mut().and_then(|last| last["content"].as_array_mut()?.last_mut());
        match last {
            Some(last) if octets / OCTETS_PER_TOKEN < minimum => {
                last["cache_control"] = json!({"type": "ephemeral"})
            }
            _ => fixed["cache_control"] = json!({"type": "ephemeral"}),
        }
    }
    let mut body = Map::new();
    body.insert("model".into(), ask.config.model.clone().into());
    body.insert("max_tokens".into(), ask.limit().into());
    body.insert("stream".into(), true.into());
    body.insert("system".into(), json!([fixed, {"type": "text", "text": ask.of_call}]));
    body.insert("messages".into(), messages.into());
    if let Some(temperature) = ask.temperature() {
        body.insert("temperature".into(), temperature.into());
    }
    if !tools.is_empty() {
        body.insert("tools".into(), tools.into());
        if ask.tools == ToolUse::None {
            body.insert("tool_choice".into(), json!({"type": "none"}));
        }
    }
    Value::Object(body)
}

/// About so many octets of text, or of a tool's schema, are a token.
const OCTETS_PER_TOKEN: usize = 4;

fn messages(conversation: &[Message]) -> Vec<Value> {
    let mut messages: Vec<Value> = Vec::new();
    for message in conversation {
        let (role, block) = match message {
            Message::User(text) => ("user", json!({"type": "text", "text": text})),
            Message::Assistant(text) => ("assistant", json!({"type": "text", "text": text})),
            Message::Call { id, name, arguments, .. } => {
                ("assistant", json!({"type": "tool_use", "id": id, "name": name, "input": arguments}))
            }
            Message::Result { id, text, failed, .. } => (
                "user",
                json!({"type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed}),
            ),
        };
        if messages.last().is_none_or(|last| last["role"] != role) {
            messages.push(json!({"role": role, "content": []}));
        }
        let Some(blocks) = messages.last_mut().and_then(|last| last["content"].as_array_mut()) else {
            continue;
        };
        if let Message::Call { kept: Some(Value::Array(thoughts)), .. } = message {
            // A turn begins with its thoughts; what was said before the call stands behind them.
            let at = blocks.iter().rposition(|block| block["type"] != "text").map_or(0, |at| at + 1);
            blocks.splice(at..at, thoughts.iter().cloned());
        }
        blocks.push(block);
    }
    messages
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    /// The tool calls that are being written, by their places: proxies begin one before they have ended another.
    calls: BTreeMap<u64, Call>,
    /// Thoughts since the last tool call, as they are wanted back with it.
    thoughts: Vec<Value>,
    /// Whether text came, and something else behind it.
    text: Placed,
    stop_reason: Option<String>,
    usage: Usage,
    /// Of the input tokens, those that were written into the provider's cache.
    written: f64,
    ended: bool,
}

/// A tool call, as far as it is written.
#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    /// What proxies give whole.
    input: Option<Map<String, Value>>,
    written: String,
}

/// Calls of one reply that are written at the same time; more are none that a call could make sense of.
const MOST_CALLS: usize = 64;
/// Octets of one call's arguments.
const LONGEST_ARGUMENTS: usize = 64 * 1024;

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            calls: BTreeMap::new(),
            thoughts: Vec::new(),
            text: Placed::default(),
            stop_reason: None,
            usage: Usage::default(),
            written: 0.0,
            ended: false,
        }
    }

    /// A block begins; a server that doesn't stream gives it whole.
    fn begin(&mut self, place: u64, block: &Value, out: &mut Vec<Output>) {
        let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or("");
        match text("type") {
            "tool_use" => {
                let input = block.get("input").and_then(Value::as_object);
                let input = input.filter(|input| !input.is_empty()).cloned();
                let (id, name) = (call_id(text("id"), place), text("name").to_owned());
                if self.calls.len() < MOST_CALLS {
                    self.calls.insert(place, Call { id, name, input, written: String::new() });
                }
                self.text.elsewhere();
            }
            "text" => self.text.say(text("text"), out),
            "thinking" | "redacted_thinking" => {
                self.thoughts.push(block.clone());
                self.text.elsewhere();
                out.push(Output::Thought);
            }
            _ => self.text.elsewhere(),
        }
    }

    /// Adds to the thought that is being written.
    fn think(&mut self, member: &str, more: &str) {
        let thought = self.thoughts.last_mut().and_then(Value::as_object_mut);
        let Some(thought) = thought.filter(|thought| thought.len() < 16) else { return };
        match thought.get_mut(member) {
            Some(Value::String(text)) => text.push_str(more),
            _ => {
                thought.insert(member.to_owned(), more.into());
            }
        }
    }

    /// A block is whole.
    fn complete(&mut self, place: u64, out: &mut Vec<Output>) -> Result<(), StageError> {
        let Some(Call { id, name, input, written }) = self.calls.remove(&place) else { return Ok(()) };
        let arguments = match input.filter(|_| written.trim().is_empty()) {
            Some(input) => Value::Object(input),
            None => arguments(&self.stage, &name, &written)?,
        };
        if !self.thoughts.is_empty() {
            out.push(Output::Keep(id.clone(), std::mem::take(&mut self.thoughts).into()));
        }
        push_call(out, ToolCall { id, name, arguments });
        Ok(())
    }
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        let data = json_event(&self.stage, &event.data)?;
        let kind = data.get("type").and_then(Value::as_str).or(event.event.as_deref()).unwrap_or("");
        let text = |pointer: &str| data.pointer(pointer).and_then(Value::as_str).unwrap_or("");
        let place = data["index"].as_f64().map_or(0, |place| place as u64);
        match kind {
            "message_start" => self.read_usage(data.pointer("/message/usage")),
            "content_block_start" => self.begin(place, &data["content_block"], out),
            "content_block_delta" => match text("/delta/type") {
                "text_delta" => self.text.say(text("/delta/text"), out),
                "input_json_delta" => {
                    if let Some(call) =
                        self.calls.get_mut(&place).filter(|call| call.written.len() < LONGEST_ARGUMENTS)
                    {
                        call.written.push_str(text("/delta/partial_json"));
                    }
                }
                "thinking_delta" => {
                    self.think("thinking", text("/delta/thinking"));
                    out.push(Output::Thought);
                }
                "signature_delta" => self.think("signature", text("/delta/signature")),
                // Citations aren't speech.
                _ => {}
            },
            "content_block_stop" => self.complete(place, out)?,
            "message_delta" => {
                if let Some(reason) = data.pointer("/delta/stop_reason").and_then(Value::as_str) {
                    self.stop_reason = Some(reason.to_owned());
                }
                self.read_usage(data.get("usage"));
            }
            "message_stop" => self.ended = true,
            // The whole answer of a server that doesn't stream.
            "message" => {
                for (place, block) in (0..).zip(data["content"].as_array().into_iter().flatten()) {
                    self.begin(place, block, out);
                    self.complete(place, out)?;
                }
                self.stop_reason = data["stop_reason"].as_str().map(str::to_owned);
                self.read_usage(data.get("usage"));
                self.ended = true;
            }
            "error" => {
                return Err(stream_failure(&self.stage, data.get("error").unwrap_or(&data)));
            }
            _ => {
                if let Some(error) = data.get("error").filter(|error| !error.is_null()) {
                    return Err(stream_failure(&self.stage, error));
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        if !self.ended && self.stop_reason.is_none() {
            return Err(cut_off(&self.stage));
        }
        // Some proxies end the message and none of its blocks. What ran into the limit of tokens may be half a call.
        if !self.progress().cut_short {
            while let Some(place) = self.calls.keys().next().copied() {
                self.complete(place, out)?;
            }
        }
        if self.stop_reason.as_deref() == Some("refusal") {
            let what = "the model declined to go on with this conversation".to_owned();
            return Err(StageError::Declined { stage: self.stage.clone(), what });
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let reason = self.stop_reason.as_deref();
        Progress {
            finished: self.ended || reason.is_some(),
            over: self.ended,
            cut_short: matches!(reason, Some("max_tokens" | "model_context_window_exceeded")),
        }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

impl Reader {
    /// Counts are of the whole message so far, not of what is new.
    fn read_usage(&mut self, usage: Option<&Value>) {
        let count = |name: &str| usage.and_then(|usage| usage.get(name)).and_then(Value::as_f64);
        if let Some(cached) = count("cache_read_input_tokens") {
            self.usage.cached_tokens = cached as u64;
        }
        self.written = count("cache_creation_input_tokens").unwrap_or(self.written);
        if let Some(input) = count("input_tokens") {
            self.usage.input_tokens = (input + self.written) as u64;
        }
        if let Some(output) = count("output_tokens") {
            self.usage.output_tokens = output as u64;
        }
    }
}
