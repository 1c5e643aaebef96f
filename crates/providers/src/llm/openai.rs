//! OpenAI's Chat Completions (`POST /chat/completions`, streamed), in the dialects of those who speak them alike: Groq,
//! Cerebras, Azure OpenAI, Ollama, llama.cpp, vLLM. The safe subset is sent, and everything that they have been seen to
//! answer is understood.

use offhook_stages::{StageError, Usage};
use serde_json::{Map, Value, json};

use super::config::{LlmConfig, LlmProvider};
use super::output::{Output, Toolbox, cut_off, json_event};
use super::prompt::{Message, Prompt};
use crate::net::{sse::Event, stream_failure};

/// The request's body.
pub(crate) fn body(config: &LlmConfig, prompt: &Prompt, of_call: &str, conversation: &[Message]) -> Value {
    let mut messages = vec![json!({"role": "system", "content": format!("{}\n\n{of_call}", prompt.fixed())})];
    for message in conversation {
        push(&mut messages, message);
    }
    let mut body = Map::new();
    body.insert("model".into(), config.model.clone().into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    body.insert(config.provider.limit_field().into(), config.max_tokens.into());
    if let Some(temperature) = config.temperature {
        body.insert("temperature".into(), temperature.into());
    }
    if config.tools && !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        });
        body.insert("tools".into(), tools.collect());
        if thinks_unasked(config) {
            body.insert("reasoning_effort".into(), "none".into());
        }
    }
    Value::Object(body)
}

/// OpenAI's models since GPT-5.5 think if nobody says how much, and thoughts don't go together with tools on this endpoint.
fn thinks_unasked(config: &LlmConfig) -> bool {
    let hosted = matches!(config.provider, LlmProvider::Openai | LlmProvider::Azure);
    hosted && ["gpt-5.5", "gpt-5.6", "gpt-6"].iter().any(|family| config.model.starts_with(family))
}

fn push(messages: &mut Vec<Value>, message: &Message) {
    match message {
        Message::User(text) => messages.push(json!({"role": "user", "content": text})),
        Message::Assistant(text) => messages.push(json!({"role": "assistant", "content": text})),
        Message::Call { id, name, arguments } => {
            let call = json!({"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}});
            // Calls that stand together are one message's.
            let last = messages.last_mut().and_then(|last| last.get_mut("tool_calls"));
            match last.and_then(Value::as_array_mut) {
                Some(calls) => calls.push(call),
                // `null` breaks some templates.
                None => messages.push(json!({"role": "assistant", "content": "", "tool_calls": [call]})),
            }
        }
        Message::Result { id, text, failed, .. } => {
            let text = if *failed { format!("failed: {text}") } else { text.clone() };
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        }
    }
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    tools: Toolbox,
    /// Why the model stopped, as the provider says.
    finish: Option<String>,
    pub(crate) usage: Usage,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            tools: Toolbox::default(),
            finish: None,
            usage: Usage::default(),
            ended: false,
        }
    }

    /// Takes an event.
    pub(crate) fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        if let Some(error) = &event.error {
            let error = serde_json::from_str(error).unwrap_or_else(|_| Value::String(error.clone()));
            return Err(stream_failure(&self.stage, &error));
        }
        let data = event.data.trim();
        if data == "[DONE]" {
            self.ended = true;
            return Ok(());
        }
        let chunk = json_event(&self.stage, data)?;
        let x_groq = chunk.get("x_groq");
        let error = chunk.get("error").or_else(|| x_groq.and_then(|x| x.get("error")));
        if let Some(error) = error.filter(|error| !error.is_null()) {
            return Err(stream_failure(&self.stage, error));
        }
        let usage = chunk.get("usage").filter(|usage| usage.is_object());
        if let Some(usage) = usage.or_else(|| x_groq.and_then(|x| x.get("usage"))) {
            self.read_usage(usage);
        }
        // Azure's first chunk has no choice, its annotations no delta.
        let Some(choice) = chunk.pointer("/choices/0") else { return Ok(()) };
        // Older Ollama and SGLang write "" while it goes on, others "null".
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| !matches!(*reason, "" | "null")) {
            self.finish.get_or_insert_with(|| reason.to_owned());
        }
        // Servers that can't stream give the whole message.
        let delta = choice.get("delta").or_else(|| choice.get("message"));
        let Some(delta) = delta.filter(|delta| delta.is_object()) else { return Ok(()) };
        match delta.get("content") {
            Some(Value::String(text)) => out.push(Output::Text(text.to_owned())),
            // Mistral's models that think: parts, of which only text is speech.
            Some(Value::Array(parts)) => {
                let texts = parts.iter().filter(|part| part.get("type").is_some_and(|kind| kind == "text"));
                let texts = texts.filter_map(|part| part.get("text").and_then(Value::as_str));
                out.extend(texts.map(|text| Output::Text(text.to_owned())));
            }
            _ => {}
        }
        if let Some(text) = delta.get("refusal").and_then(Value::as_str) {
            out.push(Output::Text(text.to_owned()));
        }
        for (position, call) in
            delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            self.tools.fragment(position, call);
        }
        Ok(())
    }

    /// The stream has ended.
    pub(crate) fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        if !self.ended && self.finish.is_none() {
            return Err(cut_off(&self.stage));
        }
        if self.finish.as_deref() == Some("content_filter") {
            let what = "the provider's content filter stopped the answer".to_owned();
            let hint = "soften the filter, or the instructions".to_owned();
            return Err(StageError::Refused { stage: self.stage.clone(), what, hint });
        }
        // Whatever the finish reason says: named tools end with `stop`.
        let calls = std::mem::take(&mut self.tools).finish(&self.stage)?;
        out.extend(calls.into_iter().map(Output::Tool));
        Ok(())
    }

    /// Whether the answer is whole: what may still come is its end mark and the bill.
    pub(crate) const fn is_finished(&self) -> bool {
        self.ended || self.finish.is_some()
    }

    /// Whether nothing more is worth waiting for.
    pub(crate) const fn is_over(&self) -> bool {
        self.ended
    }

    fn read_usage(&mut self, usage: &Value) {
        let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).map(|count| count as u64);
        let Some(prompt) = count("/prompt_tokens") else { return };
        let cached = count("/prompt_tokens_details/cached_tokens").unwrap_or(0).min(prompt);
        self.usage.input_tokens = prompt - cached;
        self.usage.cached_tokens = cached;
        self.usage.output_tokens = count("/completion_tokens").unwrap_or(0);
    }
}
