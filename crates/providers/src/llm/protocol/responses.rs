//! OpenAI's Responses (`POST /responses`, streamed), as OpenAI, Azure, xAI, DeepSeek, OpenRouter, Ollama, vLLM and LM Studio speak them.
//! Nothing is stored at the provider: every request has the whole conversation, and thoughts come and go encrypted.

use std::collections::BTreeMap;

use offhook_stage_api::{ToolCall, ToolUse};
use offhook_stages::{StageError, Usage};
use serde_json::{Map, Value, json};

use super::Progress;
use crate::llm::ask::Ask;
use crate::llm::messages::Message;
use crate::llm::output::{Output, Placed, arguments, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// The fact `pass_back` that stands for encrypted thoughts.
const REASONING: &str = "reasoning";

/// The request's body.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let passes_back = ask.facts.pass_back.iter().flatten().any(|what| what == REASONING);
    let mut body = Map::new();
    body.insert("model".into(), ask.config.model.clone().into());
    body.insert("instructions".into(), ask.instructions().into());
    body.insert("input".into(), input(ask.conversation, passes_back).into());
    body.insert("stream".into(), true.into());
    body.insert("store".into(), false.into());
    body.insert("max_output_tokens".into(), ask.limit().into());
    if passes_back {
        body.insert("include".into(), json!(["reasoning.encrypted_content"]));
    }
    if let Some(temperature) = ask.temperature() {
        body.insert("temperature".into(), temperature.into());
    }
    if !ask.offered().is_empty() {
        // Not strict: that would refuse parameters that may be left out.
        let tools = ask.offered().iter().map(|tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
                   "parameters": tool.parameters, "strict": false})
        });
        body.insert("tools".into(), tools.collect());
        if ask.tools == ToolUse::None {
            body.insert("tool_choice".into(), "none".into());
        }
    }
    Value::Object(body)
}

fn input(conversation: &[Message], passes_back: bool) -> Vec<Value> {
    let mut input = Vec::new();
    for message in conversation {
        match message {
            Message::User(text) => input.push(json!({"role": "user", "content": text})),
            Message::Assistant(text) => input.push(json!({"role": "assistant", "content": text})),
            Message::Call { id, name, arguments, kept } => {
                if let Some(Value::Array(thoughts)) = kept.as_ref().filter(|_| passes_back) {
                    input.extend(thoughts.iter().cloned());
                }
                input.push(json!({"type": "function_call", "call_id": id, "name": name,
                                  "arguments": arguments.to_string()}));
            }
            Message::Result { id, text, failed, .. } => {
                let text = if *failed { format!("failed: {text}") } else { text.clone() };
                input.push(json!({"type": "function_call_output", "call_id": id, "output": text}));
            }
        }
    }
    input
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    /// Arguments of calls as they are written, by the call's place in the output.
    written: BTreeMap<u64, String>,
    /// Text of messages as it is written, by the message's place in the output.
    said: BTreeMap<u64, String>,
    /// Calls that began, by their places: some servers say of them only that their arguments are whole.
    begun: BTreeMap<u64, Value>,
    /// Places of the calls that were handed on.
    called: Vec<u64>,
    /// Where items were while they came: the whole answer may leave some out.
    places: BTreeMap<String, u64>,
    thoughts: Vec<Value>,
    text: Placed,
    usage: Usage,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    CutShort,
    Filtered,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            written: BTreeMap::new(),
            said: BTreeMap::new(),
            begun: BTreeMap::new(),
            called: Vec::new(),
            places: BTreeMap::new(),
            thoughts: Vec::new(),
            text: Placed::default(),
            usage: Usage::default(),
            ended: None,
        }
    }

    fn say(&mut self, place: u64, text: &str, out: &mut Vec<Output>) {
        if text.is_empty() {
            return;
        }
        if !self.said.contains_key(&place) {
            self.text.elsewhere();
        }
        self.said.entry(place).or_default().push_str(text);
        self.text.say(text, out);
    }

    /// An item is whole. What of it didn't come in pieces comes now.
    fn item(&mut self, place: u64, item: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        match item["type"].as_str().unwrap_or("") {
            "message" => {
                let parts = item["content"].as_array().into_iter().flatten();
                let text: String = parts
                    .filter_map(|part| {
                        part.get("text").or_else(|| part.get("refusal")).and_then(Value::as_str)
                    })
                    .collect();
                let said = self.said.get(&place).map_or("", String::as_str);
                // A stream that is taken up in the middle has only the end of it.
                if let Some(rest) =
                    text.strip_prefix(said).filter(|_| said.is_empty() || !text.ends_with(said))
                {
                    let rest = rest.to_owned();
                    self.say(place, &rest, out);
                }
            }
            // xAI tells so of its own tools, which it has run already.
            "custom_tool_call" if is_servers(item["name"].as_str().unwrap_or("")) => {}
            "function_call" | "custom_tool_call" => return self.call(place, item, out),
            "reasoning" => {
                let mut thought = item.clone();
                if let Some(members) = thought.as_object_mut() {
                    members.remove("status");
                }
                let encrypted = item["encrypted_content"].is_string();
                if encrypted && !self.thoughts.iter().any(|there| there["id"] == item["id"]) {
                    self.thoughts.push(thought);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn call(&mut self, place: u64, item: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        if self.called.contains(&place) {
            return Ok(());
        }
        self.called.push(place);
        let text = |name: &str| item[name].as_str().unwrap_or("");
        let id = if text("call_id").is_empty() { text("id") } else { text("call_id") };
        let id = if id.is_empty() { format!("call_{place}") } else { id.to_owned() };
        let written = match &item["arguments"] {
            Value::String(written) if !written.is_empty() => written.clone(),
            Value::Object(_) => item["arguments"].to_string(),
            _ => self.written.remove(&place).unwrap_or_default(),
        };
        let arguments = match item["input"].as_str() {
            // A tool that takes text and no arguments.
            Some(input) if item["type"] == "custom_tool_call" => json!({ "input": input }),
            _ => arguments(&self.stage, text("name"), &written)?,
        };
        if !self.thoughts.is_empty() {
            out.push(Output::Keep(id.clone(), std::mem::take(&mut self.thoughts).into()));
        }
        push_call(out, ToolCall { id, name: text("name").to_owned(), arguments });
        Ok(())
    }

    /// The response as a whole, at its end.
    fn response(&mut self, response: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        self.read_usage(&response["usage"]);
        let error = &response["error"];
        if response["status"] == "failed" || !error.is_null() {
            return Err(stream_failure(&self.stage, error));
        }
        if response["status"] == "cancelled" {
            let what = "the provider cancelled the answer".to_owned();
            return Err(StageError::Broken { stage: self.stage.clone(), what });
        }
        self.ended = Some(match response["incomplete_details"]["reason"].as_str() {
            None => Ended::Whole,
            Some("content_filter") => Ended::Filtered,
            Some(_) => Ended::CutShort,
        });
        for (place, item) in (0..).zip(response["output"].as_array().into_iter().flatten()) {
            let known = item["id"].as_str().and_then(|id| self.places.get(id));
            let place = known.copied().unwrap_or(place);
            // A call whose arguments were cut off isn't one.
            if item["status"] != "incomplete" || item["type"] == "message" {
                self.item(place, item, out)?;
            }
        }
        if self.ended == Some(Ended::Whole) {
            for (place, item) in std::mem::take(&mut self.begun) {
                self.call(place, &item, out)?;
            }
        }
        Ok(())
    }

    fn read_usage(&mut self, usage: &Value) {
        let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).map(|count| count as u64);
        let Some(input) = count("/input_tokens") else { return };
        let cached = count("/input_tokens_details/cached_tokens").unwrap_or(0).min(input);
        self.usage.input_tokens = input - cached;
        self.usage.cached_tokens = cached;
        self.usage.output_tokens = count("/output_tokens").unwrap_or(0);
    }
}

/// Whether a tool is one that xAI runs itself.
fn is_servers(name: &str) -> bool {
    let own = ["browse_page", "code_execution", "view_image", "view_x_video"];
    own.contains(&name) || name.starts_with("x_") || name.starts_with("web_search")
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        let data = event.data.trim();
        if data == "[DONE]" {
            return Ok(());
        }
        let data = json_event(&self.stage, data)?;
        let kind = data["type"].as_str().or(event.event.as_deref()).unwrap_or("");
        let place = data["output_index"].as_f64().map_or(0, |place| place as u64);
        let delta = data["delta"].as_str().unwrap_or("");
        let id = data["item_id"].as_str().or_else(|| data["item"]["id"].as_str());
        if let Some(id) = id.filter(|id| !id.is_empty() && self.places.len() < MOST_ITEMS) {
            self.places.entry(id.to_owned()).or_insert(place);
        }
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => self.say(place, delta, out),
            "response.function_call_arguments.delta" => {
                let written = self.written.entry(place).or_default();
                if written.len() < LONGEST_ARGUMENTS {
                    written.push_str(delta);
                }
            }
            // Servers that don't write in pieces.
            "response.output_text.done" | "response.refusal.done" if !self.said.contains_key(&place) => {
                let text = data.get("text").or_else(|| data.get("refusal"));
                self.say(place, text.and_then(Value::as_str).unwrap_or(""), out);
            }
            "response.function_call_arguments.done" => {
                if let Some(whole) = data["arguments"].as_str() {
                    self.written.insert(place, whole.to_owned());
                }
                // Some tell the call's name only here.
                if data["name"].is_string()
                    && !self.begun.contains_key(&place)
                    && self.begun.len() < MOST_ITEMS
                {
                    let (id, name) = (data["call_id"].clone(), data["name"].clone());
                    self.begun.insert(place, json!({"type": "function_call", "call_id": id, "name": name}));
                }
            }
            "response.output_item.added" if data["item"]["type"] == "reasoning" => out.push(Output::Thought),
            "response.output_item.added" if data["item"]["type"] == "function_call" => {
                if self.begun.len() < MOST_ITEMS {
                    self.begun.insert(place, data["item"].clone());
                }
            }
            "response.output_item.done" => self.item(place, &data["item"], out)?,
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                self.response(&data["response"], out)?;
            }
            "error" => return Err(stream_failure(&self.stage, data.get("error").unwrap_or(&data))),
            _ if kind.starts_with("response.reasoning") => out.push(Output::Thought),
            // The whole answer of a server that doesn't stream.
            _ if data["object"] == "response" => self.response(&data, out)?,
            _ => {
                if let Some(error) = data.get("error").filter(|error| !error.is_null()) {
                    return Err(stream_failure(&self.stage, error));
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, _out: &mut Vec<Output>) -> Result<(), StageError> {
        match self.ended {
            None => Err(cut_off(&self.stage)),
            Some(Ended::Filtered) => {
                let what = "the provider's content filter stopped the answer".to_owned();
                Err(StageError::Declined { stage: self.stage.clone(), what })
            }
            Some(Ended::Whole | Ended::CutShort) => Ok(()),
        }
    }

    fn progress(&self) -> Progress {
        let ended = self.ended.is_some();
        Progress { finished: ended, over: ended, cut_short: self.ended == Some(Ended::CutShort) }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

/// Items of an answer.
const MOST_ITEMS: usize = 1_000;
/// Octets of one call's arguments.
const LONGEST_ARGUMENTS: usize = 64 * 1024;
