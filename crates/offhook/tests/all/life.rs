//! The server's own life: it drains, is told to hurry, reads its configuration again.

use std::time::Duration;

use crate::fake_twilio::{FakeTwilio, TOKEN};
use crate::server::{Server, line};
use offhook_simulator::{CallPlan, CallReport, Line, Script, When, place};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::{AccountSid, CallSid, StreamSid};

fn plan(server: &Server, number: u32, lines: Vec<Line>, longest: Duration) -> CallPlan {
    CallPlan {
        url: format!("http://{}/voice", server.address),
        auth_token: Some(AuthToken::new(TOKEN)),
        call_sid: CallSid::parse(&format!("CA{number:032x}")).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(lines),
        hang_up_after: Duration::from_millis(500),
        longest,
        drop_after: None,
    }
}

async fn call(plan: CallPlan) -> CallReport {
    place(plan, |_| {}).await.unwrap()
}

/// Waits until so many calls are in progress.
async fn until_talking(server: &Server, count: usize) {
    for _ in 0..300 {
        let (_, body) = server.ask("GET", "/metrics", "", "").await;
        if body.contains(&format!("offhook_calls_in_progress {count}\n")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("there were never {count} calls");
}

async fn voice(server: &Server) -> String {
    let signature = sign(&AuthToken::new(TOKEN), &format!("http://{}/voice", server.address), &[]);
    server.ask("POST", "/voice", &format!("X-Twilio-Signature: {signature}\r\n"), "").await.1
}

fn record(server: &Server, number: u32, ending: &str) -> String {
    let path = server.folder.path().join(format!("CA{number:032x}{ending}"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn calls_in_progress_come_to_their_own_end() {
    let mut server = Server::start(&FakeTwilio::start().await, "echo");
    let talking = tokio::spawn(call(plan(
        &server,
        1,
        vec![line("pizza-1", When::At(2_000)), line("pizza-4", When::At(5_000))],
        Duration::from_secs(12),
    )));
    until_talking(&server, 1).await;
    server.signal("TERM");
    for _ in 0..100 {
        if server.ask("GET", "/readyz", "", "").await.0 == 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.ask("GET", "/readyz", "", "").await, (503, "draining\n".to_owned()));
    assert_eq!(server.ask("GET", "/healthz", "", "").await.0, 200);
    let busy = voice(&server).await;
    assert!(busy.contains("<Say>All our lines are busy") && !busy.contains("<Stream"), "{busy}");
    let order = serde_json::json!({"to": "+14155550100"});
    assert_eq!(server.order(&order).await.0, 503);
    let report = talking.await.unwrap();
    assert_eq!((report.findings, report.gaps), (vec![], vec![]));
    assert_eq!(report.after, ["Hangup"], "the action's callback was answered");
    assert_eq!(server.ended().await, Some(0));
    let kept: serde_json::Value = serde_json::from_str(&record(&server, 1, ".json")).unwrap();
    assert_eq!(kept["agent"], "echo");
    assert!(record(&server, 1, ".tape.jsonl").ends_with('\n'));
}

#[tokio::test]
async fn a_second_signal_ends_calls_now_and_their_records_are_whole() {
    let mut server = Server::start(&FakeTwilio::start().await, "echo");
    let plans = (1..=5).map(|number| plan(&server, number, vec![], Duration::from_secs(60)));
    let calls: Vec<_> = plans.map(|plan| tokio::spawn(call(plan))).collect();
    until_talking(&server, 5).await;
    server.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("INT");
    assert_eq!(server.ended().await, Some(3));
    for (number, call) in (1..).zip(calls) {
        let report = call.await.unwrap();
        assert!(!report.findings.iter().any(|finding| finding.contains("without")), "{:?}", report.findings);
        assert_eq!(report.after, ["Say", "Hangup"], "nobody is left without a word");
        let kept: serde_json::Value = serde_json::from_str(&record(&server, number, ".json")).unwrap();
        assert!(kept["events"].as_array().is_some(), "{kept}");
        let tape = record(&server, number, ".tape.jsonl");
        assert!(tape.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
}

#[tokio::test]
async fn who_has_no_calls_ends_at_once_and_hang_up_is_no_end() {
    let mut server = Server::start(&FakeTwilio::start().await, "echo");
    let agents = async |server: &Server| server.ask("GET", "/calls", "", "").await.1;
    assert!(agents(&server).await.contains("by_text") || agents(&server).await.contains("echo"));
    let path = server.folder.path().join("offhook.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    // Nonsense changes nothing.
    std::fs::write(&path, "nonsense = 1\n").unwrap();
    server.signal("HUP");
    let without = text.lines().map(|line| if line.starts_with("agents = ") { "agents = []" } else { line });
    let without: String = without.flat_map(|line| [line, "\n"]).collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(agents(&server).await, "{\"agents\":[\"echo\",\"booking\"],\"calls\":[]}");
    std::fs::write(&path, without).unwrap();
    server.signal("HUP");
    for _ in 0..100 {
        if !agents(&server).await.contains("booking") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(agents(&server).await, "{\"agents\":[\"echo\"],\"calls\":[]}");
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
}
