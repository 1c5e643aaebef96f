//! Whole calls of sound to an agent whose words come from an application that speaks ConversationRelay, over real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod application;
mod fake_twilio;
mod server;

use application::{Application, agent_file, plan, token};
use offhook_simulator::{Line, Say, When, place};
use server::{Server, line};

/// A server with this agent, without tokens.
fn serve(agent: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, agent).unwrap();
    (Server::open(path.to_str().unwrap()), folder)
}

#[tokio::test]
async fn an_application_converses_over_media_streams() {
    let app = Application::start(|message| match message["type"].as_str().unwrap() {
        "prompt" => {
            let heard = message["voicePrompt"].as_str().unwrap();
            vec![token("You said: ", false), token(heard, false), token(".", false), token("", true)]
        }
        "dtmf" => vec![
            token("Thank you, goodbye.", true),
            r#"{"type":"end","handoffData":"{\"why\":\"done\"}"}"#.into(),
        ],
        _ => vec![],
    })
    .await;
    let events = "events = [\"speaker-events\", \"tokens-played\"]";
    let (server, _folder) = serve(&agent_file(&app.url, events));
    let key = Line { when: When::AfterAgent(700), say: Say::Keys("5".into()), text: String::new() };
    let report = place(plan(&server.address, 1, vec![line("pizza-1", When::AfterAgent(500)), key]), |_| {})
        .await
        .unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{report:#?}");
    let close = app.until("close").await;
    assert_eq!((&close["code"], &close["reason"]), (&1_000.into(), &"Closing websocket session".into()));
    let types = app.types();
    assert_eq!(types[0], "setup", "{types:?}");
    let setup = &app.received()[0];
    assert_eq!((&setup["from"], &setup["to"]), (&"+14155550100".into(), &"+14155550101".into()));
    assert_eq!(setup["callSid"].as_str().unwrap().len(), 34);
    assert_eq!(app.of_type("prompt").len(), 1, "{types:?}");
    assert_eq!(app.of_type("dtmf")[0]["digit"], "5");
    assert!(app.of_type("interrupt").is_empty() && app.of_type("error").is_empty(), "{types:?}");
    let played: Vec<_> =
        app.of_type("info").into_iter().filter(|info| info["name"] == "tokensPlayed").collect();
    assert_eq!(played[0]["value"], "Hello, this is the test.", "{played:?}");
    assert_eq!(played[1]["value"], "You said:");
    assert_eq!(played.last().unwrap()["value"], " goodbye.".trim_start().to_owned(), "{played:?}");
}

#[tokio::test]
async fn a_caller_who_interrupts_is_told_to_the_application_with_what_was_heard() {
    let app = Application::start(|message| match message["type"].as_str().unwrap() {
        "setup" => vec![token(
            "One is the first number that there is. Two is what comes after the first of them. Three is what comes after \
             these two numbers. Four is what comes after three of them. Five is the last one.",
            true,
        )],
        "prompt" => vec![token("Yes?", true)],
        _ => vec![],
    })
    .await;
    let file = agent_file(&app.url, "").replace("greeting = \"Hello, this is the test.\"\n", "");
    let (server, _folder) = serve(&file);
    let report = place(plan(&server.address, 2, vec![line("pizza-1", When::BargeIn(3_000))]), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let types = app.types();
    let place_of = |kind: &str| types.iter().position(|found| found == kind);
    assert!(place_of("interrupt") < place_of("prompt") && place_of("interrupt").is_some(), "{types:?}");
    let interrupt = &app.of_type("interrupt")[0];
    let heard = interrupt["utteranceUntilInterrupt"].as_str().unwrap();
    // The piece that was being spoken, not all of the answer.
    assert!(!heard.contains("One is") && !heard.contains("Five"), "{interrupt}");
    assert!(interrupt["durationUntilInterruptMs"].as_u64().is_some_and(|ms| (50..4_000).contains(&ms)), "{interrupt}");
}

#[tokio::test]
async fn without_its_application_a_call_ends_politely() {
    let agent = agent_file("ws://127.0.0.1:1/relay", "");
    let (server, _folder) = serve(&agent);
    let lines = vec![line("pizza-1", When::AfterAgent(500)), line("pizza-2", When::AfterAgent(500))];
    let report = place(plan(&server.address, 3, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    // The greeting, the last words once, and goodbye.
    assert!(report.agent.len() >= 3 && report.ended_by == "server", "{report:#?}");
}
