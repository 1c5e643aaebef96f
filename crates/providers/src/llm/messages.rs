//! The conversation as messages, in no provider's words yet.
//!
//! It comes from the call's history, whichever provider answered before, so that another can take over in the middle of a call.
//! Tool calls and their results are joined by id alone. Everything that nobody said stands in square brackets, in the caller's
//! place.

use offhook_stage_api::{Content, Delivery, Entry, ReplyReason, ReplyRequest, ToolCall, ToolResult};
use serde_json::{Map, Value};

use super::call_ids::{CallIdFormat, wire_ids};
use super::memory::Memory;

/// A message of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    User(String),
    Assistant(String),
    /// `kept` is what its provider wants back with it.
    Call {
        id: String,
        name: String,
        arguments: Value,
        kept: Option<Value>,
    },
    Result {
        id: String,
        name: String,
        text: String,
        failed: bool,
    },
}

/// The conversation. It begins and ends with a message of the user's or a tool's result, as the strictest provider wants; results
/// stand right behind their calls, whatever was said meanwhile.
pub(crate) fn messages(request: &ReplyRequest, ids: CallIdFormat, memory: &Memory) -> Vec<Message> {
    let calls = Calls::of(&request.history, ids, memory);
    let mut messages: Vec<Message> = Vec::new();
    // Calls that stand together, by their number.
    let mut open = Vec::new();
    let mut number = 0;
    for (at, entry) in request.history.iter().enumerate() {
        match &entry.content {
            Content::ToolCall(_) => {
                open.push(number);
                number += 1;
                continue;
            }
            // Behind the first result of a group, another call is another group.
            Content::ToolResult(_) if calls.is_taken(at) => {
                if open.iter().any(|call| calls.is_result(*call, at)) {
                    calls.write(&mut open, &mut messages);
                }
                continue;
            }
            _ => calls.write(&mut open, &mut messages),
        }
        match &entry.content {
            Content::Caller { text } => push_text(&mut messages, true, text),
            Content::Agent { text, delivery } => push_text(&mut messages, false, &said(text, *delivery)),
            other => push_text(&mut messages, true, &note_of(other).unwrap_or_default()),
        }
    }
    calls.write(&mut open, &mut messages);
    if !matches!(messages.first(), Some(Message::User(_))) {
        messages.insert(0, Message::User("[The call begins.]".to_owned()));
    }
    if let Some(last) = last_note(request, messages.last()) {
        push_text(&mut messages, true, &last);
    }
    messages
}

/// What nobody said, in words for the model, in square brackets. `None` for what somebody did say, and for calls.
pub(crate) fn note_of(content: &Content) -> Option<String> {
    let text = match content {
        Content::Caller { .. } | Content::Agent { .. } | Content::ToolCall(_) => return None,
        Content::ToolResult(ToolResult { name, outcome: Ok(text), .. }) => {
            format!("Result of {name}: {text}")
        }
        Content::ToolResult(ToolResult { name, outcome: Err(why), .. }) => format!("{name} failed: {why}"),
        Content::Digits { digits } => format!("The caller pressed: {}", digits.reveal()),
        Content::TransferFailed { .. } | Content::Note { .. } => content.note()?.trim().to_owned(),
        Content::Summary { text } => format!("Earlier in this call: {text}"),
    };
    Some(format!("[{text}]"))
}

/// Why a reply is wanted, in words for a model that knows nothing of it yet.
pub(crate) fn note(reason: &ReplyReason) -> String {
    match reason {
        ReplyReason::Greeting => "[The caller is on the line. Greet them.]".to_owned(),
        ReplyReason::Digits(digits) => {
            note_of(&Content::Digits { digits: digits.clone() }).unwrap_or_default()
        }
        ReplyReason::Caller { text, .. } if text.trim().is_empty() => {
            "[The caller said something that could not be understood.]".to_owned()
        }
        ReplyReason::Caller { text, .. } => text.clone(),
        ReplyReason::Tool => "[The tool has answered. Go on.]".to_owned(),
        ReplyReason::Initiative => "[Go on.]".to_owned(),
    }
}

/// What is to be said behind the history, so that the model knows what it has to do.
fn last_note(request: &ReplyRequest, last: Option<&Message>) -> Option<String> {
    let latest = |wanted: fn(&Content) -> bool| {
        request.history.iter().rev().map(|entry| &entry.content).find(|content| wanted(content))
    };
    let is_there = match &request.reason {
        ReplyReason::Greeting | ReplyReason::Initiative => false,
        ReplyReason::Caller { text, .. } => {
            let caller = latest(|content| matches!(content, Content::Caller { .. }));
            !text.trim().is_empty() && matches!(caller, Some(Content::Caller { text: said }) if said == text)
        }
        ReplyReason::Digits(digits) => {
            let keyed = latest(|content| matches!(content, Content::Digits { .. }));
            matches!(keyed, Some(Content::Digits { digits: keyed }) if keyed == digits)
        }
        ReplyReason::Tool => {
            let answered = latest(|content| {
                matches!(
                    content,
                    Content::ToolResult(_) | Content::TransferFailed { .. } | Content::Note { .. }
                )
            });
            matches!(last, Some(Message::Result { .. } | Message::User(_))) && answered.is_some()
        }
    };
    match last {
        _ if !is_there => Some(note(&request.reason)),
        Some(Message::User(_)) => None,
        Some(Message::Result { .. }) if request.reason == ReplyReason::Tool => None,
        _ => Some("[The caller waits for your answer.]".to_owned()),
    }
}

/// What the agent said, with a mark if it isn't all of it: the instructions tell what the marks mean.
fn said(text: &str, delivery: Delivery) -> String {
    let text = text.trim();
    match delivery {
        _ if text.is_empty() => String::new(),
        Delivery::Heard => text.to_owned(),
        Delivery::Interrupted => format!("{text} —"),
        Delivery::Saying => format!("{text} …"),
    }
}

/// Adds to the last message if it is of the same side: some servers refuse two in a row, and others a blank one.
fn push_text(messages: &mut Vec<Message>, user: bool, text: &str) {
    let text = text.trim();
    if text.is_empty() {
        return;
    }
    match messages.last_mut() {
        Some(Message::User(said)) if user => {
            said.push('\n');
            said.push_str(text);
        }
        Some(Message::Assistant(said)) if !user => {
            said.push(' ');
            said.push_str(text);
        }
        _ if user => messages.push(Message::User(text.to_owned())),
        _ => messages.push(Message::Assistant(text.to_owned())),
    }
}

/// A call, and where in the history its result is.
struct Joined<'a> {
    call: &'a ToolCall,
    id: String,
    result: Option<(usize, &'a ToolResult)>,
    kept: Option<Value>,
}

/// The calls of a history, in their order, with their results.
struct Calls<'a>(Vec<Joined<'a>>);

impl<'a> Calls<'a> {
    fn of(history: &'a [Entry], format: CallIdFormat, memory: &Memory) -> Self {
        let calls = history.iter().filter_map(|entry| match &entry.content {
            Content::ToolCall(call) => Some(call),
            _ => None,
        });
        let ids = wire_ids(calls.clone().map(|call| call.id.as_str()), format);
        let mut joined: Vec<_> = calls
            .zip(ids)
            .map(|(call, id)| Joined { call, id, result: None, kept: memory.of(&call.id) })
            .collect();
        for (at, entry) in history.iter().enumerate() {
            let Content::ToolResult(result) = &entry.content else { continue };
            let its = |open: &&mut Joined<'_>| {
                open.result.is_none() && open.call.id == result.id && open.call.name == result.name
            };
            if let Some(open) = joined.iter_mut().find(its) {
                open.result = Some((at, result));
            }
        }
        Self(joined)
    }

    fn is_result(&self, call: usize, at: usize) -> bool {
        self.0.get(call).and_then(|joined| joined.result).is_some_and(|(place, _)| place == at)
    }

    /// Whether the result at this place of the history has its call there.
    fn is_taken(&self, at: usize) -> bool {
        (0..self.0.len()).any(|call| self.is_result(call, at))
    }

    /// Writes a group of calls, and behind them their results. Every call needs one, or the request is refused.
    fn write(&self, group: &mut Vec<usize>, messages: &mut Vec<Message>) {
        let group: Vec<_> = group.drain(..).filter_map(|call| self.0.get(call)).collect();
        messages.extend(group.iter().map(|joined| Message::Call {
            id: joined.id.clone(),
            name: tool_name(&joined.call.name),
            arguments: object(&joined.call.arguments),
            kept: joined.kept.clone(),
        }));
        messages.extend(group.iter().map(|joined| {
            let (text, failed) = match joined.result.map(|(_, result)| &result.outcome) {
                Some(Ok(text)) => (text.clone(), false),
                Some(Err(why)) => (why.clone(), true),
                None => ("under way; no result yet".to_owned(), false),
            };
            Message::Result { id: joined.id.clone(), name: tool_name(&joined.call.name), text, failed }
        }));
    }
}

/// A name that a model made up may be one that its provider refuses in the next request: letters, digits, `_` and `-`, at most 64.
fn tool_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = name.chars().take(64).map(allowed).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// Arguments are an object in every protocol.
fn object(arguments: &Value) -> Value {
    if arguments.is_object() { arguments.clone() } else { Value::Object(Map::new()) }
}

#[cfg(test)]
mod tests;
