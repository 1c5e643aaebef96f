//! Google's Gemini (`POST /models/MODEL:streamGenerateContent?alt=sse`).

mod arguments;

use offhook_stage_api::{ToolCall, ToolUse};
use offhook_stages::{StageError, Usage};
use serde_json::{Map, Value, json};

use self::arguments::Arguments;
use super::Progress;
use crate::llm::ask::Ask;
use crate::llm::messages::Message;
use crate::llm::output::{Output, cut_off, json_event, push_call};
use crate::net::{sse::Event, stream_failure};

/// Where the signature of the thoughts that led to a call stands.
const SIGNATURE: &str = "thoughtSignature";

/// The request's body.
pub(crate) fn body(ask: &Ask<'_>) -> Value {
    let mut settings = json!({"maxOutputTokens": ask.limit()});
    if let Some(temperature) = ask.temperature() {
        settings["temperature"] = temperature.into();
    }
    let contents = contents(ask.conversation, ask.facts.foreign_signature.as_deref());
    let mut body = json!({
        "systemInstruction": {"parts": [{"text": ask.instructions()}]},
        "contents": contents,
        "generationConfig": settings,
    });
    if !ask.offered().is_empty() {
        let tools = ask.offered().iter().map(|tool| {
            json!({"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.parameters})
        });
        body["tools"] = json!([{"functionDeclarations": tools.collect::<Vec<_>>()}]);
        if ask.tools == ToolUse::None {
            body["toolConfig"] = json!({"functionCallingConfig": {"mode": "NONE"}});
        }
    }
    body
}

fn contents(conversation: &[Message], foreign: Option<&str>) -> Vec<Value> {
    let mut contents: Vec<Value> = Vec::new();
    let mut calls: Vec<(&str, &Value)> = Vec::new();
    for message in conversation {
        let (role, part) = match message {
            Message::User(text) => ("user", json!({ "text": text })),
            Message::Assistant(text) => ("model", json!({ "text": text })),
            Message::Call { id, name, arguments, kept } => {
                let mut call = json!({"name": name, "args": arguments});
                let kept = kept.as_ref().filter(|kept| kept.is_object());
                if let Some(id_there) = kept.and_then(|kept| kept.get("id")) {
                    call["id"] = id_there.clone();
                    calls.push((id, id_there));
                }
                let mut part = json!({ "functionCall": call });
                // The first of a group must be signed; who didn't think it has no signature.
                let first = contents.last().is_none_or(|last: &Value| {
                    last["role"] != "model"
                        || last["parts"].as_array().is_none_or(|parts| !parts.iter().any(is_call))
                });
                let signature = kept.and_then(|kept| kept.get(SIGNATURE)).cloned();
                let signature = signature.or_else(|| foreign.filter(|_| first).map(Value::from));
                if let Some(signature) = signature {
                    part[SIGNATURE] = signature;
                }
                ("model", part)
            }
            Message::Result { id, name, text, failed } => {
                let response = if *failed { json!({ "error": text }) } else { json!({ "result": text }) };
                let mut result = json!({"name": name, "response": response});
                if let Some((_, id_there)) = calls.iter().find(|(call, _)| call == id) {
                    result["id"] = (*id_there).clone();
                }
                ("user", json!({ "functionResponse": result }))
            }
        };
        if contents.last().is_none_or(|last| last["role"] != role) {
            contents.push(json!({"role": role, "parts": []}));
        }
        if let Some(parts) = contents.last_mut().and_then(|last| last["parts"].as_array_mut()) {
            parts.push(part);
        }
    }
    contents
}

fn is_call(part: &Value) -> bool {
    !part["functionCall"].is_null()
}

/// Reads a stream's events.
#[derive(Debug)]
pub(crate) struct Reader {
    stage: String,
    /// A call whose arguments come in pieces.
    open: Option<Open>,
    calls: usize,
    /// The answer's id at the provider, for ids of calls that have none.
    response: String,
    finish: Option<String>,
    usage: Usage,
}

#[derive(Debug, Default)]
struct Open {
    id: Option<String>,
    name: String,
    arguments: Arguments,
    signature: Option<Value>,
}

impl Reader {
    pub(crate) fn new(stage: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            open: None,
            calls: 0,
            response: String::new(),
            finish: None,
            usage: Usage::default(),
        }
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        // A server that doesn't stream gives all chunks as a list.
        if let Value::Array(chunks) = chunk {
            return chunks.iter().try_for_each(|chunk| self.chunk(chunk, out));
        }
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(stream_failure(&self.stage, error));
        }
        if let Some(id) = chunk["responseId"].as_str() {
            id.clone_into(&mut self.response);
        }
        self.read_usage(&chunk["usageMetadata"]);
        if let Some(reason) = chunk["promptFeedback"]["blockReason"].as_str() {
            return Err(self.declined(reason));
        }
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            self.part(part, out)?;
        }
        if let Some(reason) =
            candidate["finishReason"].as_str().filter(|reason| *reason != "FINISH_REASON_UNSPECIFIED")
        {
            self.finish.get_or_insert_with(|| reason.to_owned());
        }
        Ok(())
    }

    fn part(&mut self, part: &Value, out: &mut Vec<Output>) -> Result<(), StageError> {
        if let Some(call) = part.get("functionCall") {
            return self.fragment(call, part.get(SIGNATURE), out);
        }
        match part["text"].as_str() {
            Some(_) if part["thought"] == true => out.push(Output::Thought),
            Some(text) => out.push(Output::Text(text.to_owned())),
            // Code that was run, files and whatever comes later.
            None => {}
        }
        Ok(())
    }

    /// A call, or a piece of one: the first has the name, the last doesn't say that it goes on.
    fn fragment(
        &mut self,
        call: &Value,
        signature: Option<&Value>,
        out: &mut Vec<Output>,
    ) -> Result<(), StageError> {
        let named = call["name"].as_str().filter(|name| !name.is_empty());
        if let Some(name) = named {
            self.close(out);
            self.open = Some(Open { name: name.to_owned(), ..Open::default() });
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Some(id) = call["id"].as_str().filter(|id| !id.is_empty()) {
            open.id = Some(id.to_owned());
        }
        if let Some(signature) = signature {
            open.signature = Some(signature.clone());
        }
        if let Some(whole) = call["args"].as_object() {
            open.arguments.put(whole);
        }
        for piece in call["partialArgs"].as_array().into_iter().flatten() {
            open.arguments.piece(&self.stage, piece)?;
        }
        if call["willContinue"] != true {
            self.close(out);
        }
        Ok(())
    }

    fn close(&mut self, out: &mut Vec<Output>) {
        let Some(open) = self.open.take() else { return };
        self.calls += 1;
        let made_up = || match &self.response[..] {
            "" => format!("call_{}", self.calls),
            // As long as ids may be.
            response => format!("{}_{}", response.chars().take(28).collect::<String>(), self.calls),
        };
        let id = open.id.clone().unwrap_or_else(made_up);
        let mut kept = Map::new();
        kept.extend(open.id.map(|id| ("id".to_owned(), id.into())));
        kept.extend(open.signature.map(|signature| (SIGNATURE.to_owned(), signature)));
        if !kept.is_empty() {
            out.push(Output::Keep(id.clone(), kept.into()));
        }
        push_call(out, ToolCall { id, name: open.name, arguments: open.arguments.whole() });
    }

    fn declined(&self, reason: &str) -> StageError {
        let what = format!("the provider's filter stopped the answer ({reason})");
        StageError::Declined { stage: self.stage.clone(), what }
    }

    fn read_usage(&mut self, usage: &Value) {
        let count = |name: &str| usage[name].as_f64().map(|count| count as u64);
        let Some(prompt) = count("promptTokenCount") else { return };
        let cached = count("cachedContentTokenCount").unwrap_or(0).min(prompt);
        self.usage.input_tokens = prompt - cached + count("toolUsePromptTokenCount").unwrap_or(0);
        self.usage.cached_tokens = cached;
        self.usage.output_tokens =
            count("candidatesTokenCount").unwrap_or(0) + count("thoughtsTokenCount").unwrap_or(0);
    }
}

impl super::Reader for Reader {
    fn event(&mut self, event: &Event, out: &mut Vec<Output>) -> Result<(), StageError> {
        let chunk = json_event(&self.stage, &event.data)?;
        self.chunk(&chunk, out)
    }

    fn end(&mut self, out: &mut Vec<Output>) -> Result<(), StageError> {
        let Some(reason) = self.finish.clone() else { return Err(cut_off(&self.stage)) };
        match &reason[..] {
            "STOP" => self.close(out),
            // What of a call is there may be half of it.
            "MAX_TOKENS" => {}
            "MALFORMED_FUNCTION_CALL"
            | "MALFORMED_RESPONSE"
            | "UNEXPECTED_TOOL_CALL"
            | "MISSING_THOUGHT_SIGNATURE"
            | "TOO_MANY_TOOL_CALLS" => {
                let what = format!("a tool call that its provider could not read ({reason})");
                return Err(StageError::Garbage { stage: self.stage.clone(), what });
            }
            "OTHER" | "LANGUAGE" => {
                let what = format!("the provider ended the answer ({reason})");
                return Err(StageError::Broken { stage: self.stage.clone(), what });
            }
            // SAFETY, RECITATION, BLOCKLIST, PROHIBITED_CONTENT, SPII, and whatever filter comes next.
            _ => return Err(self.declined(&reason)),
        }
        Ok(())
    }

    fn progress(&self) -> Progress {
        let finished = self.finish.is_some();
        Progress { finished, over: false, cut_short: self.finish.as_deref() == Some("MAX_TOKENS") }
    }

    fn usage(&self) -> Usage {
        self.usage
    }
}
