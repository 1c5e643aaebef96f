use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{Digits, ToolUse};
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn request(history: Vec<Content>, reason: ReplyReason) -> ReplyRequest {
    let history = history.into_iter().zip(0..).map(|(content, at)| Entry::at(content, at)).collect();
    ReplyRequest {
        reply: ReplyId(1),
        reason,
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    }
}

fn written(history: Vec<Content>, reason: ReplyReason) -> Vec<Message> {
    messages(&request(history, reason), CallIdFormat::Token, &Memory::default())
}

fn caller(text: &str) -> Content {
    Content::Caller { text: text.to_owned() }
}

fn agent(text: &str, delivery: Delivery) -> Content {
    Content::Agent { text: text.to_owned(), delivery }
}

fn call(id: &str, name: &str, arguments: Value) -> Content {
    Content::ToolCall(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments })
}

fn result(id: &str, name: &str, text: &str) -> Content {
    Content::ToolResult(ToolResult { id: id.to_owned(), name: name.to_owned(), outcome: Ok(text.to_owned()) })
}

fn words(text: &str) -> ReplyReason {
    ReplyReason::Caller { text: text.to_owned(), confidence: None }
}

fn keyed(keys: &str) -> Content {
    Content::Digits { digits: Digits::new(keys) }
}

fn user(text: &str) -> Message {
    Message::User(text.to_owned())
}

fn assistant(text: &str) -> Message {
    Message::Assistant(text.to_owned())
}

fn called(id: &str, name: &str, arguments: Value) -> Message {
    Message::Call { id: id.to_owned(), name: name.to_owned(), arguments, kept: None }
}

fn returned(id: &str, name: &str, text: &str) -> Message {
    Message::Result { id: id.to_owned(), name: name.to_owned(), text: text.to_owned(), failed: false }
}

#[test]
fn a_greeting_begins_and_ends_with_the_user() {
    let expected = "[The call begins.]\n[The caller is on the line. Greet them.]";
    assert_eq!(written(vec![], ReplyReason::Greeting), [user(expected)]);
}

#[test]
fn what_was_not_heard_to_its_end_is_marked() {
    let history = vec![caller("Hi"), agent("Our opening", Delivery::Interrupted), caller("Wait")];
    assert_eq!(written(history, words("Wait")), [user("Hi"), assistant("Our opening —"), user("Wait")]);
    let history = vec![caller("Hi"), agent("One moment.", Delivery::Saying)];
    let expected = [user("Hi"), assistant("One moment. …"), user("[The caller waits for your answer.]")];
    assert_eq!(written(history, words("Hi")), expected);
}

#[test]
fn calls_and_results_stand_together_whatever_was_said_between() {
    let history = vec![
        caller("Find it"),
        call("call_1", "find", json!({"q": "a: b"})),
        agent("One moment.", Delivery::Heard),
        Content::Summary { text: "Caller: Hello".to_owned() },
        result("call_1", "find", "seven (7)"),
        call("call_2", "end_call", Value::Null),
    ];
    let expected = [
        user("Find it"),
        called("call_1", "find", json!({"q": "a: b"})),
        returned("call_1", "find", "seven (7)"),
        assistant("One moment."),
        user("[Earlier in this call: Caller: Hello]"),
        called("call_2", "end_call", json!({})),
        returned("call_2", "end_call", "under way; no result yet"),
    ];
    assert_eq!(written(history, ReplyReason::Tool), expected);
}

#[test]
fn parallel_calls_of_one_tool_keep_their_own_results() {
    let history = vec![
        caller("Rome or Oslo?"),
        call("call_1", "weather", json!({"city": "Rome"})),
        call("call_1~2", "weather", json!({"city": "Oslo"})),
        result("call_1~2", "weather", "snow"),
        result("call_1", "weather", "sun (28 °C)"),
    ];
    let oslo = wire_ids(["call_1~2"].into_iter(), CallIdFormat::Token).remove(0);
    let expected = [
        user("Rome or Oslo?"),
        called("call_1", "weather", json!({"city": "Rome"})),
        called(&oslo, "weather", json!({"city": "Oslo"})),
        returned("call_1", "weather", "sun (28 °C)"),
        returned(&oslo, "weather", "snow"),
    ];
    assert_eq!(written(history, ReplyReason::Tool), expected);
}

#[test]
fn a_call_behind_a_result_is_another_step() {
    let history = vec![
        caller("Hi"),
        call("a", "find", json!({})),
        result("a", "find", "1"),
        call("b", "find", json!({})),
        result("b", "find", "2"),
    ];
    let kinds: Vec<_> = written(history, ReplyReason::Tool)
        .iter()
        .map(|message| match message {
            Message::Call { id, .. } => format!("call {id}"),
            Message::Result { id, .. } => format!("result {id}"),
            Message::User(_) | Message::Assistant(_) => "text".to_owned(),
        })
        .collect();
    assert_eq!(kinds, ["text", "call a", "result a", "call b", "result b"]);
}

#[test]
fn a_result_whose_call_was_rolled_up_is_text() {
    let summary = Content::Summary { text: "Tool find: {}".to_owned() };
    let history = vec![summary, result("call_1", "find", "it is open (until 8)")];
    let expected = "[Earlier in this call: Tool find: {}]\n[Result of find: it is open (until 8)]";
    assert_eq!(written(history, ReplyReason::Tool), [user(expected)]);
}

#[test]
fn the_note_of_a_failed_transfer_reaches_the_model() {
    let note = "The caller was to be transferred to +15550123, but that failed: the number is busy";
    let history =
        vec![caller("Hi"), agent("Hello.", Delivery::Heard), Content::Note { text: note.to_owned() }];
    let expected = [user("Hi"), assistant("Hello."), user(&format!("[{note}]"))];
    assert_eq!(written(history, ReplyReason::Tool), expected);
}

#[test]
fn keyed_digits_are_told_once_whatever_was_said_beside_them() {
    let digits = || ReplyReason::Digits(Digits::new("12"));
    let told = "[The caller pressed: 12]";
    for (history, reason) in [
        (vec![keyed("12"), caller("that is it")], digits()),
        (vec![keyed("12"), caller("that is it")], words("that is it")),
        (vec![caller("that is it"), keyed("12")], digits()),
        (vec![keyed("12"), agent("One moment.", Delivery::Saying)], digits()),
        (vec![keyed("12")], digits()),
        (vec![], digits()),
    ] {
        let messages = written(history, reason);
        let text = format!("{messages:?}");
        assert_eq!(text.matches(told).count(), 1, "{text}");
        assert!(matches!(messages.last(), Some(Message::User(_))), "{text}");
    }
}

#[test]
fn names_and_arguments_that_a_provider_would_refuse_are_not_sent() {
    let history = vec![call("1", "functions.find it!", json!("x")), call("2", "", json!([1]))];
    let names: Vec<_> = written(history, ReplyReason::Tool)
        .into_iter()
        .filter_map(|message| match message {
            Message::Call { name, arguments, .. } => Some((name, arguments)),
            _ => None,
        })
        .collect();
    assert_eq!(names, [("functions_find_it_".to_owned(), json!({})), ("unknown".to_owned(), json!({}))]);
}

fn content() -> impl Strategy<Value = Content> {
    let id = || "[a-c]|x~2".prop_map(|id| id);
    prop_oneof![
        "[a-z ]{0,6}".prop_map(|text| Content::Caller { text }),
        "[a-z ]{0,6}".prop_map(|text| agent(&text, Delivery::Saying)),
        id().prop_map(|id| call(&id, "find", json!({}))),
        id().prop_map(|id| result(&id, "find", "(x)")),
        Just(keyed("1")),
        "[a-z]{1,6}".prop_map(|text| Content::Note { text }),
    ]
}

proptest! {
    /// Whatever happened: it begins with the user, ends with the user or a result, each call has one result right behind its group,
    /// each result its call, and no two texts of a side stand together.
    #[test]
    fn every_history_makes_a_request_that_is_taken(history in proptest::collection::vec(content(), 0..14)) {
        let messages = written(history, ReplyReason::Tool);
        prop_assert!(matches!(messages.first(), Some(Message::User(_))));
        let ends = matches!(messages.last(), Some(Message::User(_) | Message::Result { .. }));
        prop_assert!(ends);
        let mut open: Vec<&str> = Vec::new();
        for pair in messages.windows(2) {
            let side = |message: &Message| match message {
                Message::User(_) => 1,
                Message::Assistant(_) => 2,
                Message::Call { .. } | Message::Result { .. } => 0,
            };
            prop_assert!(side(&pair[0]) == 0 || side(&pair[0]) != side(&pair[1]), "{:?}", pair);
        }
        for message in &messages {
            match message {
                Message::Call { id, .. } => open.push(id),
                Message::Result { id, .. } => {
                    prop_assert!(open.contains(&id.as_str()));
                    open.retain(|open| open != id);
                }
                Message::User(text) | Message::Assistant(text) => {
                    prop_assert!(open.is_empty() && !text.trim().is_empty());
                }
            }
        }
        prop_assert!(open.is_empty());
    }
}
