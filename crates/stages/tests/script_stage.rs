//! The script as a stage: a reply that nobody heard never happened.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;

use offhook_call::id::ReplyId;
use offhook_call::stage::{LlmCommand, LlmEvent, ReplyReason, ReplyRequest};
use offhook_stages::script::{Script, ScriptedAgent, shipped};
use offhook_stages::{CallInfo, Llm, Rx, Tx, WhenFull, bounded};

fn ask(commands: &Tx<LlmCommand>, reply: u32, text: &str) {
    let reason = ReplyReason::Caller { text: text.to_owned(), confidence: None };
    let request = ReplyRequest { reply: ReplyId(reply), reason, turns: Vec::new() };
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
