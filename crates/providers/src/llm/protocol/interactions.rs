//! Google's Interactions (`POST /interactions`, streamed), which new models of Gemini are spoken to by. Nothing is stored at the
//! provider: every request has the whole conversation.
//!
//! Source: <https://ai.google.dev/api/interactions-api>.

use std::collections::BTreeMap;

use offhook_stage_api::{ToolCall, ToolUse};
use offhook_stages::{StageError, Usage};
use serde_json::{Value, json};

use super::Progress;
use crate::llm::ask::Ask;
use crate::llm::messages::Message;
use crate::llm::output::{Output, Placed, arguments, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// The request's body.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let mut settings = json!({"max_output_tokens": ask.limit()});
    if let Some(temperature) = ask.temperature() {
        settings["temperature"] = temperature.into();
    }
    let mut body = json!({
        "model": ask.config.model,
        "system_instruction": ask.instructions(),
        "input": input(ask.conversation),
        "stream": true,
        "store": false,
    });
    if !ask.offered().is_empty() {
        let tools = ask.offered().iter().map(|tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
                   "parameters": tool.parameters})
        });
        body["tools"] = tools.collect();
        if ask.tools == ToolUse::None {
            settings["tool_choice"] = "none".into();
        }
    }
    body["generation_config"] = settings;
    body
}

fn input(conversation: &[Message]) -> Vec<Value> {
    let said = |kind: &str, text: &str| json!({"type": kind, "content": [{"type": "text", "text": text}]});
    let mut input = Vec::new();
    for message in conversation {
        match message {
            Message::User(text) => input.push(said("user_input", text)),
            Message::Assistant(text) => input.push(said("model_output", text)),
            Message::Call { id, name, arguments, kept } => {
                if let Some(Value::Array(thoughts)) = kept {
                    input.extend(thoughts.iter().cloned());
                }
                input.push(json!({"type": "function_call", "id": id, "name": name, "arguments": arguments}));
            }
            Message::Result { id, name, text, failed } => {
                let mut result =
                    json!({"type": "function_result", "call_id": id, "name": name, "result": text});
                if *failed {
                    result["is_error"] = true.into();
                }
                input.push(result);
            }
        }
    }
    input
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    /// Steps that are being written, by their places.
    open: BTreeMap<u64, Step>,
    thoughts: Vec<Value>,
    text: Placed,
    status: Option<String>,
    /// Why it failed, if it says so.
    error: Option<Value>,
    usage: Usage,
}

#[derive(Debug, Default)]
struct Step {
    kind: String,
    id: String,
    name: String,
    arguments: String,
    signature: String,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            open: BTreeMap::new(),
            thoughts: Vec::new(),
            text: Placed::default(),
            status: None,
            error: None,
            usage: Usage::default(),
        }
    }

    /// A step begins; a server that doesn't stream gives it whole.
    fn begin(&mut self, place: u64, step: &Value, out: &mut Vec<Output>) {
        let text = |name: &str| step[name].as_str().unwrap_or("").to_owned();
        let whole = step["arguments"].as_object().filter(|arguments| !arguments.is_empty());
        let arguments = whole.map_or_else(String::new, |whole| Value::Object(whole.clone()).to_string());
        let (kind, id, name, signature) = (text("type"), text("id"), text("name"), text("signature"));
        match kind.as_str() {
            "model_output" => {
                for part in step["content"].as_array().into_iter().flatten() {
                    self.text.say(part["text"].as_str().unwrap_or(""), out);
                }
            }
            "thought" => {
                self.text.elsewhere();
                out.push(Output::Thought);
            }
            _ => self.text.elsewhere(),
        }
        self.open.insert(place, Step { kind, id, name, arguments, signature });
    }

    fn add(&mut self, place: u64, delta: &Value, out: &mut Vec<Output>) {
        let text = |name: &str| delta[name].as_str().unwrap_or("");
        let step = self.open.entry(place).or_default();
        match text("type") {
            // What a thought sums up is none of the caller's business.
            "text" if step.kind != "thought" => self.text.say(text("text"), out),
            "arguments_delta" => match &delta["arguments"] {
                Value::Object(_) => step.arguments = delta["arguments"].to_string(),
                _ => step.arguments.push_str(text("arguments")),
            },
            "thought_signature" => step.signature.push_str(text("signature")),
            kind if kind.starts_with("thought") => out.push(Output::Thought),
            _ => {}
        }
    }

    fn complete(&mut self, place: u64, out: &mut Vec<Output>) -> Result<(), StageError> {
        let Some(step) = self.open.remove(&place) else { return Ok(()) };
        match step.kind.as_str() {
            "thought" if !step.signature.is_empty() => {
                self.thoughts.push(json!({"type": "thought", "signature": step.signature}));
            }
            "function_call" => {
                let arguments = arguments(&self.stage, &step.name, &step.arguments)?;
                let id = if step.id.is_empty() { format!("call_{place}") } else { step.id };
                if !self.thoughts.is_empty() {
                    out.push(Output::Keep(id.clone(), std::mem::take(&mut self.thoughts).into()));
                }
                push_call(out, ToolCall { id, name: step.name, arguments });
            }
            _ => {}
        }
        Ok(())
    }

    /// The interaction as a whole, as far as it is.
    fn interaction(&mut self, interaction: &Value) {
        let count = |name: &str| interaction["usage"][name].as_f64().map(|count| count as u64);
        if let Some(input) = count("total_input_tokens") {
            let cached = count("total_cached_tokens").unwrap_or(0).min(input);
            self.usage.input_tokens = input - cached + count("total_tool_use_tokens").unwrap_or(0);
            self.usage.cached_tokens = cached;
            self.usage.output_tokens =
                count("total_output_tokens").unwrap_or(0) + count("total_thought_tokens").unwrap_or(0);
        }
        if let Some(error) = interaction.get("error").filter(|error| !error.is_null()) {
            self.error = Some(error.clone());
        }
        if let Some(status) = interaction["status"].as_str().filter(|status| *status != "in_progress") {
            self.status = Some(status.to_owned());
        }
    }
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        if event.data.trim() == "[DONE]" {
            return Ok(());
        }
        let data = json_event(&self.stage, &event.data)?;
        let place = data["index"].as_f64().map_or(0, |place| place as u64);
        match data["event_type"].as_str().or(event.event.as_deref()).unwrap_or("") {
            "step.start" => self.begin(place, &data["step"], out),
            "step.delta" => self.add(place, &data["delta"], out),
            "step.stop" => self.complete(place, out)?,
            "error" => return Err(stream_failure(&self.stage, data.get("error").unwrap_or(&data))),
            kind if kind.starts_with("interaction.") => self.interaction(&data["interaction"]),
            _ if data["steps"].is_array() => {
                for (place, step) in (0..).zip(data["steps"].as_array().into_iter().flatten()) {
                    self.begin(place, step, out);
                    self.complete(place, out)?;
                }
                self.interaction(&data);
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
        match self.status.as_deref() {
            None => Err(cut_off(&self.stage)),
            Some("completed" | "requires_action") => {
                // Steps whose end was not told.
                while let Some(place) = self.open.keys().next().copied() {
                    self.complete(place, out)?;
                }
                Ok(())
            }
            Some("incomplete") => Ok(()),
            Some(_) if self.error.is_some() => {
                Err(stream_failure(&self.stage, self.error.as_ref().unwrap_or(&Value::Null)))
            }
            Some(status) => {
                let what = format!("the provider ended the answer ({status})");
                Err(StageError::Broken { stage: self.stage.clone(), what })
            }
        }
    }

    fn progress(&self) -> Progress {
        let over = self.status.is_some();
        Progress { finished: over, over, cut_short: self.status.as_deref() == Some("incomplete") }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
