//! OpenAI's Chat Completions (`POST /chat/completions`, streamed), in the dialects of those who speak them alike: Groq,
//! Cerebras, Azure OpenAI, Mistral, DeepSeek, OpenRouter, xAI, Ollama, llama.cpp, vLLM, LM Studio. The safe subset is sent, and
//! everything that they have been seen to answer is understood.

use offhook_stage_api::ToolUse;
use offhook_stages::{StageError, Usage};
use serde_json::{Map, Value, json};

use super::Progress;
use crate::llm::ask::Ask;
use crate::llm::messages::Message;
use crate::llm::output::{Output, Toolbox, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// The request's body.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let mut messages = vec![json!({"role": "system", "content": ask.instructions()})];
    let pass_back = ask.facts.pass_back.as_deref().unwrap_or_default();
    let send = ask.facts.send.as_ref();
    let thinking = ask.config.body.get("thinking").or_else(|| send.and_then(|send| send.get("thinking")));
    let thinks = thinking.is_none_or(|thinking| thinking["type"] != "disabled");
    for message in ask.conversation {
        let is_user = matches!(message, Message::User(_));
        let after_tool = messages.last().is_some_and(|last| last["role"] == "tool");
        if is_user && after_tool && ask.facts.answers_tools == Some(true) {
            messages.push(json!({"role": "assistant", "content": "OK."}));
        }
        push(&mut messages, message, pass_back, thinks);
    }
    let mut body = Map::new();
    body.insert("model".into(), ask.config.model.clone().into());
    body.insert("messages".into(), messages.into());
    body.insert("stream".into(), true.into());
    body.insert("stream_options".into(), json!({"include_usage": true}));
    let limit = ask.facts.limit.as_deref().unwrap_or(ask.config.provider.limit_field());
    body.insert(limit.to_owned(), ask.limit().into());
    if let Some(temperature) = ask.temperature() {
        body.insert("temperature".into(), temperature.into());
    }
    if !ask.offered().is_empty() {
        let tools = ask.offered().iter().map(|tool| {
            json!({"type": "function", "function": {
                "name": tool.name, "description": tool.description, "parameters": tool.parameters,
            }})
        });
        body.insert("tools".into(), tools.collect());
        if ask.tools == ToolUse::None {
            body.insert("tool_choice".into(), "none".into());
        }
    }
    Value::Object(body)
}

fn push(messages: &mut Vec<Value>, message: &Message, pass_back: &[String], thinks: bool) {
    match message {
        Message::User(text) => messages.push(json!({"role": "user", "content": text})),
        Message::Assistant(text) => messages.push(json!({"role": "assistant", "content": text})),
        Message::Call { id, name, arguments, kept } => {
            let mut call = json!({"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments.to_string()}});
            if let Some(extra) = kept.as_ref().and_then(|kept| kept.get(EXTRA)) {
                call[EXTRA] = extra.clone();
            }
            // Calls that stand together are one message's, and so is what was said before them.
            if messages.last().is_none_or(|last| last["role"] != "assistant") {
                // `null` breaks some templates.
                messages.push(json!({"role": "assistant", "content": ""}));
            }
            let Some(said) = messages.last_mut().and_then(Value::as_object_mut) else { return };
            for field in pass_back {
                match kept.as_ref().and_then(|kept| kept.get(field)) {
                    Some(thoughts) => said.insert(field.clone(), thoughts.clone()),
                    // DeepSeek wants the field, empty where another model thought.
                    None if thinks && field == "reasoning_content" && !said.contains_key(field) => {
                        said.insert(field.clone(), "".into())
                    }
                    None => None,
                };
            }
            match said.get_mut("tool_calls").and_then(Value::as_array_mut) {
                Some(calls) => calls.push(call),
                None => {
                    said.insert("tool_calls".into(), json!([call]));
                }
            }
        }
        Message::Result { id, text, failed, .. } => {
            let text = if *failed { format!("failed: {text}") } else { text.clone() };
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
        }
    }
}

/// Where Google's dialect has the signature of a tool call's thoughts.
const EXTRA: &str = "extra_content";
/// Fields of a message that hold thoughts.
const THOUGHTS: [&str; 4] = ["reasoning", "reasoning_content", "thinking", "reasoning_details"];
/// Reasons to finish that are failures of the server's: Mistral's and OpenRouter's, DeepSeek's, vLLM's and SGLang's.
const FAILED: [&str; 3] = ["error", "insufficient_system_resource", "abort"];
/// Octets of thoughts that are kept.
const MOST_THOUGHTS: usize = 128 * 1024;

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    tools: Toolbox,
    /// Why the model stopped, as the provider says.
    finish: Option<String>,
    /// Thoughts, by the field that they come in.
    thoughts: Map<String, Value>,
    usage: Usage,
    /// Of several answers the one whose words came first.
    choice: Option<u64>,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            tools: Toolbox::default(),
            finish: None,
            thoughts: Map::new(),
            usage: Usage::default(),
            choice: None,
            ended: false,
        }
    }
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
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
        // As an event of that name, as vLLM's object, or as gateways' bare message or detail.
        let told = chunk["object"] == "error"
            || chunk.get("choices").is_none()
                && ["detail", "message"].iter().any(|told| chunk.get(*told).is_some());
        if (told || event.event.as_deref() == Some("error")) && chunk.get("error").is_none() {
            return Err(stream_failure(&self.stage, &chunk));
        }
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
        let Some(choice) = self.choice_of(&chunk) else { return Ok(()) };
        // Moonshot's bill.
        if let Some(usage) = choice.get("usage").filter(|usage| usage.is_object()) {
            self.read_usage(usage);
        }
        // Older Ollama and SGLang write "" while it goes on, others "null".
        let reason = choice.get("finish_reason").and_then(Value::as_str);
        if let Some(reason) = reason.filter(|reason| !matches!(*reason, "" | "null")) {
            self.finish.get_or_insert_with(|| reason.to_owned());
        }
        // Servers that can't stream give the whole message.
        let delta = choice.get("delta").or_else(|| choice.get("message"));
        let Some(delta) = delta.filter(|delta| delta.is_object()) else {
            // The old Completions, which some servers fall back to.
            if let Some(text) = choice.get("text").and_then(Value::as_str) {
                out.push(Output::Text(text.to_owned()));
            }
            return Ok(());
        };
        self.think(delta, out);
        match delta.get("content") {
            Some(Value::String(text)) => out.push(Output::Text(text.to_owned())),
            // Mistral's models that think: parts, of which only text is speech.
            Some(Value::Array(parts)) => out.extend(parts.iter().map(|part| {
                let is_text = part.get("type").is_none_or(|kind| kind == "text");
                match part.get("text").and_then(Value::as_str).filter(|_| is_text) {
                    Some(text) => Output::Text(text.to_owned()),
                    None => Output::Thought,
                }
            })),
            _ => {}
        }
        // A refusal, and what a model that speaks itself says.
        for told in [delta.get("refusal"), delta.pointer("/audio/transcript")] {
            if let Some(text) = told.and_then(Value::as_str) {
                out.push(Output::Text(text.to_owned()));
            }
        }
        // As tools were called before there were several to a message.
        if let Some(call) = delta.get("function_call").filter(|call| call.is_object()) {
            self.tools.fragment(0, &json!({"index": 0, "function": call}));
        }
        for (position, call) in
            delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            self.tools.fragment(position, call);
        }
        self.tools.check(&self.stage)
    }

    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        if !self.ended && self.finish.is_none() {
            return Err(cut_off(&self.stage));
        }
        if self.finish.as_deref() == Some("content_filter") {
            let what = "the provider's content filter stopped the answer".to_owned();
            return Err(StageError::Declined { stage: self.stage.clone(), what });
        }
        if let Some(reason) = self.finish.as_deref().filter(|reason| FAILED.contains(reason)) {
            let what = format!("the provider gave the answer up (`finish_reason` is `{reason}`)");
            return Err(StageError::Broken { stage: self.stage.clone(), what });
        }
        // Whatever else the finish reason says: named tools end with `stop`.
        let calls = std::mem::take(&mut self.tools).finish(&self.stage)?;
        let mut thoughts = std::mem::take(&mut self.thoughts);
        for (call, extra) in calls {
            let mut kept = std::mem::take(&mut thoughts);
            kept.extend(extra.map(|extra| (EXTRA.to_owned(), extra)));
            if !kept.is_empty() {
                out.push(Output::Keep(call.id.clone(), kept.into()));
            }
            push_call(out, call);
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        Progress {
            finished: self.ended || self.finish.is_some(),
            over: self.ended,
            cut_short: self.finish.as_deref() == Some("length"),
        }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}

impl Reader {
    /// The chunk's part in the one answer that is read.
    fn choice_of<'a>(&mut self, chunk: &'a Value) -> Option<&'a Value> {
        let choices = chunk.get("choices")?.as_array()?;
        let index =
            |choice: &Value| choice.get("index").and_then(Value::as_f64).map_or(0, |index| index as u64);
        let ours = *self.choice.get_or_insert(index(choices.first()?));
        choices.iter().find(|choice| index(choice) == ours)
    }

    /// Takes the thoughts of a message.
    fn think(&mut self, delta: &Value, out: &mut Vec<Output>) {
        for field in THOUGHTS {
            match (delta.get(field), self.thoughts.get_mut(field)) {
                (Some(Value::String(text)), _) if text.is_empty() => continue,
                (Some(Value::String(more)), Some(Value::String(text))) => {
                    if text.len() < MOST_THOUGHTS {
                        text.push_str(more);
                    }
                }
                (Some(Value::Array(more)), Some(Value::Array(details))) => add_details(details, more),
                (Some(Value::Array(more)), None) if !more.is_empty() => {
                    let mut details = Vec::new();
                    add_details(&mut details, more);
                    self.thoughts.insert(field.to_owned(), details.into());
                }
                (Some(text @ Value::String(_)), None) => {
                    self.thoughts.insert(field.to_owned(), text.clone());
                }
                _ => continue,
            }
            out.push(Output::Thought);
        }
    }

    fn read_usage(&mut self, usage: &Value) {
        let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_f64).map(|count| count as u64);
        let Some(prompt) = count("/prompt_tokens") else { return };
        let cached = count("/prompt_tokens_details/cached_tokens").unwrap_or(0).min(prompt);
        self.usage.input_tokens = prompt - cached;
        self.usage.cached_tokens = cached;
        let written = count("/completion_tokens").unwrap_or(0);
        // xAI counts thoughts apart: they are in the total alone.
        let thought = count("/completion_tokens_details/reasoning_tokens").unwrap_or(0);
        let apart = count("/total_tokens").is_some_and(|total| total == prompt + written + thought);
        self.usage.output_tokens = if apart { written + thought } else { written };
    }
}

/// OpenRouter's details of thoughts come in fragments: those of a kind and an index are one.
fn add_details(details: &mut Vec<Value>, more: &[Value]) {
    for fragment in more {
        let same =
            |detail: &&mut Value| detail["type"] == fragment["type"] && detail["index"] == fragment["index"];
        let open = details.last_mut().filter(same).and_then(Value::as_object_mut);
        let (Some(open), Some(fragment_fields)) = (open, fragment.as_object()) else {
            if details.len() < MOST_DETAILS {
                details.push(fragment.clone());
            }
            continue;
        };
        for (name, value) in fragment_fields {
            match (open.get_mut(name), value) {
                (Some(Value::String(text)), Value::String(more)) if GROWING.contains(&&name[..]) => {
                    if text.len() < MOST_THOUGHTS {
                        text.push_str(more);
                    }
                }
                (Some(there), _) if !there.is_null() => {}
                _ => {
                    open.insert(name.clone(), value.clone());
                }
            }
        }
    }
}

/// Members of a detail that come in fragments.
const GROWING: [&str; 3] = ["text", "summary", "data"];
const MOST_DETAILS: usize = 64;
