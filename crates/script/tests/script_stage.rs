//! The script as a stage: a reply that nobody heard never happened.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use offhook_script::{Script, ScriptedAgent, shipped};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::tools::REPORT;
use offhook_stage_api::{Entry, LlmCommand, LlmEvent, ReplyReason, ReplyRequest, ToolUse};
use offhook_stages::{CallInfo, Llm, Rx, Tx, WhenFull, bounded};

fn request(reply: u32, reason: ReplyReason, history: Vec<Entry>) -> ReplyRequest {
    ReplyRequest {
        reply: ReplyId(reply),
        reason,
        history,
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    }
}

fn ask(commands: &Tx<LlmCommand>, reply: u32, text: &str) {
    let reason = ReplyReason::Caller { text: text.to_owned(), confidence: None };
    let request = request(reply, reason, Vec::new());
    commands.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
}

async fn answer(events: &Rx<LlmEvent>, wanted: u32) -> String {
    let mut text = String::new();
    loop {
        match events.recv().await.unwrap() {
            LlmEvent::Text { reply, delta } => {
                assert_eq!(reply, ReplyId(wanted));
                text.push_str(&delta);
            }
            LlmEvent::Done { .. } => return text,
            _ => {}
        }
    }
}

#[tokio::test]
async fn only_what_was_committed_is_remembered() {
    let agent = ScriptedAgent::new(Arc::new(Script::from_toml(shipped("pizza").unwrap()).unwrap()));
    let (commands, from_call) = bounded(16, WhenFull::PushBack);
    let (to_call, events) = bounded(64, WhenFull::PushBack);
    let call = CallInfo { call: "CA".into(), language: "en-US".into(), ..CallInfo::default() };
    let stage = tokio::spawn(agent.run(call, from_call, to_call));

    // A guess at what the caller is saying; then the caller went on, and the guess was wrong.
    ask(&commands, 1, "two large pepperoni pizzas");
    assert!(answer(&events, 1).await.contains("Anything else?"));
    commands.offer(LlmCommand::Cancel { reply: ReplyId(1) }).unwrap();
    ask(&commands, 2, "two large pepperoni pizzas and a salad");
    answer(&events, 2).await;
    // A commit of what was taken back, late: it must not count.
    commands.offer(LlmCommand::Commit { reply: ReplyId(1) }).unwrap();
    commands.offer(LlmCommand::Commit { reply: ReplyId(2) }).unwrap();
    // Interrupted after its first sound: what the caller had said was said.
    commands.offer(LlmCommand::Cancel { reply: ReplyId(2) }).unwrap();

    for (reply, line) in [(3, "no thanks"), (4, "for delivery")] {
        ask(&commands, reply, line);
        let text = answer(&events, reply).await;
        commands.offer(LlmCommand::Commit { reply: ReplyId(reply) }).unwrap();
        if reply == 4 {
            assert_eq!(
                text,
                "So that's two large pepperoni pizzas and one salad, for delivery. Is that right?"
            );
        }
    }
    drop(commands);
    stage.await.unwrap().unwrap();
}

/// The report of a conversation, if there is one.
async fn reported(goal: Option<&str>, lines: &[&str]) -> Option<serde_json::Value> {
    let agent = ScriptedAgent::new(Arc::new(Script::from_toml(shipped("pizza").unwrap()).unwrap()));
    let (commands, from_call) = bounded(16, WhenFull::PushBack);
    let (to_call, events) = bounded(64, WhenFull::PushBack);
    let call = CallInfo { goal: goal.map(Into::into), ..CallInfo::default() };
    let stage = tokio::spawn(agent.run(call, from_call, to_call));
    let mut report = None;
    for (reply, line) in (1..).zip(lines) {
        ask(&commands, reply, line);
        loop {
            match events.recv().await.unwrap() {
                LlmEvent::Tool { call, .. } if call.name == REPORT => report = Some(call.arguments),
                LlmEvent::Done { .. } => break,
                _ => {}
            }
        }
        commands.offer(LlmCommand::Commit { reply: ReplyId(reply) }).unwrap();
    }
    drop(commands);
    stage.await.unwrap().unwrap();
    report
}

#[tokio::test]
async fn a_call_with_a_goal_ends_with_a_report() {
    let order = ["two large pepperoni pizzas", "no thanks", "for delivery", "yes"];
    let report = reported(Some("Take an order."), &order).await.unwrap();
    insta::assert_snapshot!(report, @r#"{"evidence":"they said: “yes”","fields":{"how":"for delivery","order":"two large pepperoni pizzas"},"verdict":"achieved"}"#);
    let report = reported(Some("Take an order."), &["a large pepperoni pizza", "goodbye"]).await.unwrap();
    assert_eq!(report["verdict"], "refused");
    assert_eq!(reported(None, &order).await, None);
}
