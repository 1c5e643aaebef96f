//! What a model is told: instructions, the conversation as the caller heard it, and the tools.
//!
//! The conversation comes from the call's context, whichever provider answered before, so that another can take over in the
//! middle of a call. Tool calls travel in it as a line of text each (`name({…})`, then `name: result`), and become calls
//! and results of the provider's protocol here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use offhook_stage_api::tools::REPORT;
use offhook_stage_api::{Party, ReplyReason, ReplyRequest, Turn};
use offhook_stages::tools::report_outcome;
use offhook_stages::{CallInfo, ToolSpec};
use serde_json::Value;

/// What an agent's model is told before the conversation.
#[derive(Clone, Debug, Default)]
pub struct Prompt {
    /// Who the agent is and how it behaves, in the words of its author.
    pub instructions: Arc<str>,
    /// What it may do.
    pub tools: Arc<[ToolSpec]>,
    /// What is to be learned in a call that has a goal: names, and what they mean.
    pub fields: Arc<BTreeMap<String, String>>,
}

/// What every model must know of the telephone. Stands behind the author's instructions; the same for all calls, so that
/// providers can cache it.
const MANNERS: &str = "You are on the telephone. Everything that you write is spoken: write as people talk, in short \
    sentences, without markdown, lists, emoji, stage directions or links. Ask one thing at a time. What the caller says \
    comes from a speech recogniser and may hold mistakes; ask when something makes no sense. A turn of yours that ends \
    with \"—\" was interrupted there: the caller heard nothing after it. Text in square brackets comes from the telephone \
    system, not from the caller, and must not be spoken.";

/// A message of the conversation, in no provider's words yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Message {
    User(String),
    Assistant(String),
    Call { id: String, name: String, arguments: Value },
    Result { id: String, name: String, text: String, failed: bool },
}

impl Prompt {
    /// What is the same in all calls.
    pub(crate) fn fixed(&self) -> String {
        format!("{}\n\n{MANNERS}", self.instructions.trim())
    }

    /// The prompt for a call that has a goal: its model may report what came of it.
    pub(crate) fn with_goal(&self, call: &CallInfo) -> Option<Self> {
        call.goal.as_ref()?;
        if self.tools.iter().any(|tool| tool.name == REPORT) {
            return None;
        }
        let tools = self.tools.iter().cloned().chain(std::iter::once(report_outcome(&self.fields))).collect();
        let (instructions, fields) = (Arc::clone(&self.instructions), Arc::clone(&self.fields));
        Some(Self { instructions, tools, fields })
    }

    /// What this call adds; empty if nothing.
    pub(crate) fn of_call(call: &CallInfo) -> String {
        let mut text = String::new();
        let date = httpdate::fmt_http_date(std::time::SystemTime::now());
        // A string takes everything.
        let _infallible = write!(text, "The call began at {date}.");
        if !call.language.is_empty() {
            let _infallible = write!(text, " Speak the language {}.", call.language);
        }
        if let Some(goal) = &call.goal {
            let _infallible = write!(text, "\nThe goal of this call: {goal}");
        }
        for (name, value) in call.parameters.iter().filter(|(name, _)| *name != "token") {
            let _infallible = write!(text, "\n{name}: {value}");
        }
        text
    }

    /// The same, once the call was switched to another language.
    pub(crate) fn in_language<'a>(of_call: &'a str, request: &ReplyRequest) -> Cow<'a, str> {
        match &request.language {
            Some(tag) => format!("{of_call}\nThe call now goes on in {tag}: answer in that language.").into(),
            None => of_call.into(),
        }
    }
}

/// The conversation. It begins and ends with a message of the user's or a tool's result, as the strictest provider wants.
pub(crate) fn messages(request: &ReplyRequest) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for turn in &request.turns {
        push_turn(&mut messages, turn);
    }
    answer_open_calls(&mut messages);
    if !matches!(messages.first(), Some(Message::User(_))) {
        messages.insert(0, Message::User("[The call begins.]".to_owned()));
    }
    let last_is_callers = matches!(request.turns.last(), Some(Turn { who: Party::Caller, .. }));
    let said = match &request.reason {
        ReplyReason::Caller { text, .. } => last_is_callers && !text.trim().is_empty(),
        ReplyReason::Tool => matches!(messages.last(), Some(Message::Result { .. })),
        ReplyReason::Greeting | ReplyReason::Digits(_) => false,
    };
    if !said {
        push_text(&mut messages, true, &note(&request.reason));
    }
    messages
}

/// Why a reply is wanted, in words for the model.
pub(crate) fn note(reason: &ReplyReason) -> String {
    match reason {
        ReplyReason::Greeting => "[The caller is on the line. Greet them.]".to_owned(),
        ReplyReason::Digits(digits) => format!("[The caller pressed: {}]", digits.reveal()),
        ReplyReason::Caller { text, .. } if text.trim().is_empty() => {
            "[The caller said something that could not be understood.]".to_owned()
        }
        ReplyReason::Caller { text, .. } => text.clone(),
        ReplyReason::Tool => "[The tool has answered. Go on.]".to_owned(),
    }
}

fn push_turn(messages: &mut Vec<Message>, turn: &Turn) {
    match turn.who {
        Party::Caller => push_text(messages, true, &turn.text),
        Party::Summary => push_text(messages, true, &format!("[Earlier in this call: {}]", turn.text)),
        Party::Agent if turn.interrupted => push_text(messages, false, &format!("{} —", turn.text)),
        Party::Agent => push_text(messages, false, &turn.text),
        Party::Tool => push_tool(messages, &turn.text),
    }
}

/// Adds to the last message if it is of the same side: some servers refuse two in a row.
fn push_text(messages: &mut Vec<Message>, user: bool, text: &str) {
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

fn push_tool(messages: &mut Vec<Message>, text: &str) {
    if let Some((name, result, failed)) = as_result(text)
        && let Some((at, id)) = open_call(messages, name)
    {
        // A result stands right behind its call, whatever was said while it was awaited.
        let behind = messages[at + 1..].iter().take_while(|next| is_tool(next)).count();
        let result = Message::Result { id, name: name.to_owned(), text: result.to_owned(), failed };
        messages.insert(at + 1 + behind, result);
        return;
    }
    let Some((name, arguments)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return;
    };
    let arguments = serde_json::from_str(arguments).unwrap_or_else(|_| Value::Object(serde_json::Map::new()));
    let count = messages.iter().filter(|message| matches!(message, Message::Call { .. })).count();
    messages.push(Message::Call { id: format!("call_{}", count + 1), name: name.to_owned(), arguments });
}

const fn is_tool(message: &Message) -> bool {
    matches!(message, Message::Call { .. } | Message::Result { .. })
}

fn as_result(text: &str) -> Option<(&str, &str, bool)> {
    let (name, result) = text.split_once(": ")?;
    match name.strip_suffix(" failed") {
        Some(name) if is_name(name) => Some((name, result, true)),
        None if is_name(name) => Some((name, result, false)),
        _ => None,
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

/// The earliest call of this tool that has no result yet.
fn open_call(messages: &[Message], wanted: &str) -> Option<(usize, String)> {
    messages.iter().enumerate().find_map(|(at, message)| match message {
        Message::Call { id, name, .. } if name == wanted && !is_answered(messages, id) => {
            Some((at, id.clone()))
        }
        _ => None,
    })
}

fn is_answered(messages: &[Message], wanted: &str) -> bool {
    messages.iter().any(|message| matches!(message, Message::Result { id, .. } if id == wanted))
}

/// Every call needs a result behind it, or the request is refused.
fn answer_open_calls(messages: &mut Vec<Message>) {
    let open: Vec<(usize, String, String)> = messages
        .iter()
        .enumerate()
        .filter_map(|(at, message)| match message {
            Message::Call { id, name, .. } if !is_answered(messages, id) => {
                Some((at, id.clone(), name.clone()))
            }
            _ => None,
        })
        .collect();
    for (at, id, name) in open.into_iter().rev() {
        let text = "under way; no result yet".to_owned();
        messages.insert(at + 1, Message::Result { id, name, text, failed: false });
    }
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::id::ReplyId;
    use serde_json::json;

    use super::*;

    fn turn(who: Party, text: &str) -> Turn {
        Turn { who, text: text.to_owned(), interrupted: false, began_ms: 0, ended_ms: 0 }
    }

    fn request(turns: Vec<Turn>, reason: ReplyReason) -> ReplyRequest {
        ReplyRequest { reply: ReplyId(1), reason, turns, language: None }
    }

    fn said(text: &str) -> ReplyReason {
        ReplyReason::Caller { text: text.to_owned(), confidence: None }
    }

    #[test]
    fn only_calls_with_a_goal_may_be_reported_on() {
        let prompt = Prompt::default();
        assert!(prompt.with_goal(&CallInfo::default()).is_none());
        let call = CallInfo { goal: Some("Book a table.".into()), ..CallInfo::default() };
        let with = prompt.with_goal(&call).unwrap();
        assert_eq!(with.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), [REPORT]);
        assert!(with.with_goal(&call).is_none(), "it is there already");
    }

    #[test]
    fn a_greeting_begins_and_ends_with_the_user() {
        let messages = messages(&request(vec![], ReplyReason::Greeting));
        let expected = "[The call begins.]\n[The caller is on the line. Greet them.]";
        assert_eq!(messages, [Message::User(expected.to_owned())]);
    }

    #[test]
    fn an_interruption_is_marked() {
        let mut cut = turn(Party::Agent, "Our opening");
        cut.interrupted = true;
        let turns = vec![turn(Party::Caller, "Hi"), cut, turn(Party::Caller, "Wait")];
        let expected = [
            Message::User("Hi".to_owned()),
            Message::Assistant("Our opening —".to_owned()),
            Message::User("Wait".to_owned()),
        ];
        assert_eq!(messages(&request(turns, said("Wait"))), expected);
    }

    #[test]
    fn calls_and_results_stand_together_whatever_was_said_between() {
        let turns = vec![
            turn(Party::Caller, "Find it"),
            turn(Party::Tool, r#"find({"q":"a: b"})"#),
            turn(Party::Agent, "One moment."),
            turn(Party::Tool, "find: seven (7)"),
            turn(Party::Tool, "end_call({})"),
        ];
        let expected = [
            Message::User("Find it".to_owned()),
            Message::Call { id: "call_1".into(), name: "find".into(), arguments: json!({"q": "a: b"}) },
            Message::Result {
                id: "call_1".into(),
                name: "find".into(),
                text: "seven (7)".into(),
                failed: false,
            },
            Message::Assistant("One moment.".to_owned()),
            Message::Call { id: "call_2".into(), name: "end_call".into(), arguments: json!({}) },
            Message::Result {
                id: "call_2".into(),
                name: "end_call".into(),
                text: "under way; no result yet".into(),
                failed: false,
            },
        ];
        assert_eq!(messages(&request(turns, ReplyReason::Tool)), expected);
    }

    #[test]
    fn the_token_of_the_stream_is_nobodys_business() {
        let parameters = [("token".to_owned(), "secret".to_owned()), ("from".to_owned(), "+1555".to_owned())];
        let call = CallInfo { parameters: Arc::new(parameters.into()), ..CallInfo::default() };
        let text = Prompt::of_call(&call);
        assert!(text.contains("+1555") && !text.contains("secret"), "{text}");
    }
}
