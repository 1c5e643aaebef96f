//! Callers who are handed over: whom somebody takes, and whom nobody does.

use std::process::Command;
use std::time::Duration;

use crate::fake_twilio::{ACCOUNT, FakeTwilio, TOKEN, ask};
use crate::server::{Server, has_said, line};
use offhook_simulator::{CallPlan, Script, When, place};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::incoming_call;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use serde_json::{Value, json};

#[tokio::test]
async fn a_transfer_waits_for_the_last_words() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "pizza");
    let (_, call) = server.order(&json!({"to": "+14155550100"})).await;
    let sid = call["sid"].as_str().unwrap().to_owned();
    assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14165550199"})).await, 403);
    server.until(&sid, |call| call["talking"] == true).await;
    assert_eq!(server.tell(&sid, "say", &json!({"text": "I put you through."})).await, 202);
    assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14155550199"})).await, 202);
    let call = server.until(&sid, |call| call["ended"] == "transferred").await;
    let last = call["transcript"].as_array().unwrap().last().unwrap();
    assert_eq!(last["text"], "I put you through.");
    let updates = &fake.calls()[0].updates;
    assert!(updates.len() == 1 && updates[0].1.contains("<Number>+14155550199</Number>"), "{updates:?}");
    assert!(updates[0].1.contains(r#"callerId="+14155550101""#), "{updates:?}");
    fake.assert_no_faults();
}

#[tokio::test]
async fn whom_nobody_takes_comes_back_to_the_agent() {
    let fake = FakeTwilio::start().await;
    fake.script(Script::new(vec![line("pizza-1", When::AfterAgent(300))]));
    let server = Server::start(&fake, "pizza");
    let (_, call) = server.order(&json!({"to": "+14155550100"})).await;
    let sid = call["sid"].as_str().unwrap().to_owned();
    let call = server.until(&sid, |call| call["transcript"].as_array().unwrap().len() >= 3).await;
    let asked = call["transcript"].as_array().unwrap().last().unwrap()["text"].clone();
    assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14155550191"})).await, 202);
    let call = server.until(&sid, |call| has_said(call, "nobody can take your call")).await;
    assert!(
        call["talking"] == true && call["status"] == "in-progress" && call["outcome"].is_null(),
        "{call}"
    );
    assert!(call["troubles"].to_string().contains("not taken: no-answer"), "{call}");
    // The agent knows what was ordered before: it asks what it had asked, not what the caller would like.
    let lines = call["transcript"].as_array().unwrap();
    let question = |text: &Value| text.as_str().unwrap().rsplit_once(". ").unwrap().1.to_owned();
    assert_eq!(question(&lines.last().unwrap()["text"]), question(&asked), "{call}");
    let times: Vec<u64> = lines.iter().map(|line| line["t_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(server.ask("DELETE", &format!("/calls/{sid}"), "", "").await.0, 202);
    let call = server.until(&sid, |call| call["duration_s"] == 7).await;
    assert_eq!((&call["ended"], &call["status"]), (&json!("hung_up"), &json!("completed")));
    for tape in [format!("{sid}.tape.jsonl"), format!("{sid}_2.tape.jsonl")] {
        let tape = server.folder.path().join(tape);
        assert!(tape.exists(), "{}", tape.display());
        let replay = Command::new(env!("CARGO_BIN_EXE_offhook")).arg("replay").arg(&tape).output().unwrap();
        assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stdout));
    }
    fake.assert_no_faults();
}

#[tokio::test]
async fn without_twilios_api_the_stream_is_closed_and_twilio_told_whom_to_dial() {
    let fake = FakeTwilio::start().await;
    let server = Server::without_rest("pizza");
    let base = format!("http://{}", server.address);
    let sid = format!("CA{:032x}", 7);
    let plan = CallPlan {
        url: format!("{base}/voice"),
        auth_token: Some(AuthToken::new(TOKEN)),
        call_sid: CallSid::parse(&sid).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{:032x}", 7)).unwrap(),
        account_sid: AccountSid::parse(ACCOUNT).unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(Vec::new()),
        hang_up_after: Duration::from_secs(20),
        longest: Duration::from_secs(30),
        drop_after: None,
    };
    let talk = place(plan.clone(), |_| {});
    let hand_over = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.until(&sid, |call| !call["transcript"].as_array().unwrap().is_empty()).await;
        assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14155550190"})).await, 202);
    };
    let (report, ()) = tokio::join!(talk, hand_over);
    assert_eq!(report.unwrap().after, ["Dial", "Hangup"]);
    // What the action of <Connect> said is what the fake does.
    let url = format!("{base}/after-stream");
    let form = incoming_call(&sid, ACCOUNT, &plan.from, &plan.to);
    let (status, document) = ask(&url, &form, &sign(&AuthToken::new(TOKEN), &url, form.params())).await;
    assert!(status == 200 && !document.contains("callerId"), "{document}");
    let again = fake.dial(&plan, &document);
    let watch = async {
        server.until(&sid, |call| has_said(call, "nobody can take your call")).await;
        assert_eq!(server.ask("DELETE", &format!("/calls/{sid}"), "", "").await.0, 202);
    };
    let (again, ()) = tokio::join!(again, watch);
    // Goodbye is goodbye: nobody is dialled again.
    assert_eq!(again.unwrap().after, ["Hangup"]);
    fake.assert_no_faults();
}
