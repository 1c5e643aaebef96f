//! Calls that are placed: through the API of a running server, against a fake of Twilio's.

use crate::fake_twilio::{FakeTwilio, Mood, post_signed};
use crate::server::{Server, is_over, line};
use offhook_simulator::{Line, Say, Script, When};
use offhook_twilio::webhook::WebhookForm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_call_is_placed_talked_on_and_settled() {
    let fake = FakeTwilio::start().await;
    fake.script(Script::new(vec![line("pizza-1", When::AfterAgent(300))]));
    let server = Server::start(&fake, "pizza");
    let order = json!({"to": "+14155550100", "goal": "Sell a pizza.", "parameters": {"customer": "7"}, "ring_for_s": 20});
    let (status, call) = server.order(&order).await;
    assert_eq!(status, 201, "{call}");
    let sid = call["sid"].as_str().unwrap().to_owned();
    let events = async { server.ask("GET", &format!("/calls/{sid}/events"), "", "").await.1 };
    let talk = async {
        let call = server
            .until(&sid, |call| call["transcript"].as_array().is_some_and(|said| said.len() >= 3))
            .await;
        assert_eq!(call["status"], "in-progress");
        assert_eq!(server.tell(&sid, "say", &json!({"text": "And now goodbye."})).await, 202);
        assert_eq!(server.tell(&sid, "dtmf", &json!({"digits": "12#"})).await, 202);
        assert_eq!(server.ask("DELETE", &format!("/calls/{sid}"), "", "").await.0, 202);
        server.until(&sid, is_over).await
    };
    let (events, call) = tokio::join!(events, talk);
    let heard: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert!(heard.first() == Some(&"snapshot") && heard.last() == Some(&"over"), "{heard:?}");
    assert!(heard.contains(&"call") && events.contains("goodbye"), "{events}");
    assert_eq!(call["ended"], "hung_up");
    assert_eq!(call["outcome"]["verdict"], "failed");
    assert_eq!(call["outcome"]["reported"], false);
    assert!(call["replies"][0]["first_frame_ms"].is_u64(), "{call}");
    let call = server.until(&sid, |call| call["duration_s"] == 7).await;
    assert_eq!(call["status"], "completed");
    let kept = server.kept(&sid).await;
    assert!(kept.contains("Sell a pizza.") && kept.contains("\"customer\": \"7\""), "{kept}");
    assert!(!kept.contains("12#"));
    assert_eq!(server.tell(&sid, "say", &json!({"text": "Hello?"})).await, 409);
    fake.assert_no_faults();
}

#[tokio::test]
async fn only_whom_is_allowed_and_only_with_the_token() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "echo");
    let (status, body) = server.order(&json!({"to": "+14165550100"})).await;
    assert_eq!((status, body["error"]["code"].as_str()), (403, Some("not_allowed")), "{body}");
    for wrong in [
        json!({"to": "4155550100"}),
        json!({"to": "+14155550100", "agent": "nobody"}),
        json!({"to": "+14155550100", "gaol": "typo"}),
        json!({"to": "+14155550100", "longest_s": 1}),
        json!({}),
    ] {
        assert_eq!(server.order(&wrong).await.0, 422, "{wrong}");
    }
    let mut wire = TcpStream::connect(&server.address).await.unwrap();
    wire.write_all(
        b"GET /calls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\nConnection: close\r\n\r\n",
    )
    .await
    .unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert_eq!(server.ask("GET", "/calls/CA404", "", "").await.0, 404);
    assert_eq!(server.ask("PUT", "/calls", "", "").await.0, 405);
    assert!(server.ask("GET", "/openapi.json", "", "").await.1.contains("\"openapi\": \"3.1.0\""));
    assert_eq!(fake.creates(), 0);
}

#[tokio::test]
async fn a_call_is_never_placed_twice() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "echo");
    // Too many requests: never carried out, so asked again.
    fake.mood(&[Mood::Busy, Mood::Busy]);
    assert_eq!(server.order(&json!({"to": "+14155550190"})).await.0, 201);
    assert_eq!((fake.creates(), fake.calls().len()), (3, 1));
    // A fault, but the call is there: taken over.
    fake.mood(&[Mood::FaultButPlaced]);
    let (status, call) = server.order(&json!({"to": "+14155550191"})).await;
    assert_eq!(status, 201, "{call}");
    assert_eq!(call["sid"], fake.calls()[1].sid);
    // A fault, and it isn't there: not asked again.
    fake.mood(&[Mood::Fault]);
    let order = json!({"to": "+14155550102"}).to_string();
    let key = "Idempotency-Key: one\r\n";
    let (status, first) = server.ask("POST", "/calls", key, &order).await;
    assert!(status == 502 && first.contains("unclear"), "{first}");
    // The same order gets the same answer; another one with its key gets none.
    assert_eq!(server.ask("POST", "/calls", key, &order).await, (502, first));
    assert_eq!(server.ask("POST", "/calls", key, &json!({"to": "+14155550103"}).to_string()).await.0, 422);
    fake.mood(&[Mood::Unverified]);
    let (status, refused) = server.order(&json!({"to": "+14155550104"})).await;
    assert_eq!((status, refused["error"]["twilio_code"].as_u64()), (502, Some(21_219)), "{refused}");
    assert_eq!((fake.creates(), fake.calls().len()), (6, 2));
    let key = "Idempotency-Key: two\r\n";
    let order = json!({"to": "+14155550190"}).to_string();
    let (first, second) =
        (server.ask("POST", "/calls", key, &order).await, server.ask("POST", "/calls", key, &order).await);
    assert_eq!(first, second);
    assert_eq!((first.0, fake.creates()), (201, 7));
    fake.assert_no_faults();
}

#[tokio::test]
async fn who_does_not_answer_is_told_as_such() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "echo");
    let (_, busy) = server.order(&json!({"to": "+14155550190", "goal": "Reach somebody."})).await;
    let (_, nobody) = server.order(&json!({"to": "+14155550191", "goal": "Reach somebody."})).await;
    let busy = server.until(busy["sid"].as_str().unwrap(), is_over).await;
    assert_eq!((&busy["status"], &busy["outcome"]["verdict"]), (&json!("busy"), &json!("no_answer")));
    assert_eq!(busy["sip_code"], 486);
    let nobody = server.until(nobody["sid"].as_str().unwrap(), is_over).await;
    assert_eq!(
        (&nobody["status"], &nobody["outcome"]["verdict"]),
        (&json!("no-answer"), &json!("no_answer"))
    );
    // A callback that Twilio did not sign changes nothing.
    let sid = busy["sid"].as_str().unwrap();
    let form = WebhookForm::default().with("CallSid", sid).with("CallStatus", "in-progress");
    let url = format!("http://{}/status", server.address);
    assert_eq!(post_signed(&url, &form, "forged").await, 403);
    assert_eq!(server.show(sid).await["status"], "busy");
}

#[tokio::test]
async fn machines_are_hung_up_on_or_left_a_message() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "pizza");
    let order = json!({"to": "+14155550192", "goal": "Reach somebody.", "machine_detection": "on"});
    let (_, call) = server.order(&order).await;
    let call = server.until(call["sid"].as_str().unwrap(), is_over).await;
    assert_eq!(
        (&call["answered_by"], &call["outcome"]["verdict"]),
        (&json!("machine_start"), &json!("voicemail"))
    );
    assert_eq!(fake.calls()[0].updates, [("Status".to_owned(), "completed".to_owned())]);
    let message = json!({"leave_message": "Your pizza is ready."});
    let order =
        json!({"to": "+14155550192", "goal": "Tell them.", "machine_detection": "on", "on_machine": message});
    let (_, call) = server.order(&order).await;
    let call = server.until(call["sid"].as_str().unwrap(), is_over).await;
    assert_eq!((&call["ended"], &call["outcome"]["verdict"]), (&json!("message_left"), &json!("voicemail")));
    let said = call["transcript"].as_array().unwrap().last().unwrap();
    assert_eq!(said["text"], "Your pizza is ready.");
    fake.assert_no_faults();
}

fn words(text: &str, when: When) -> Line {
    Line { when, say: Say::Words, text: text.into() }
}

const BY_TEXT: &[&str] = &["--agent", "pizza", "--transport", "conversation-relay"];

#[tokio::test]
async fn a_call_of_text_is_placed_reached_into_and_settled() {
    let fake = FakeTwilio::start().await;
    fake.script(Script::new(vec![words("a large pepperoni pizza", When::AfterAgent(300))]));
    let server = Server::start_with(&fake, BY_TEXT);
    let order = json!({"to": "+14155550100", "goal": "Sell a pizza.", "parameters": {"customer": "7"}});
    let (status, call) = server.order(&order).await;
    assert_eq!(status, 201, "{call}");
    let sid = call["sid"].as_str().unwrap().to_owned();
    let events = async { server.ask("GET", &format!("/calls/{sid}/events"), "", "").await.1 };
    let talk = async {
        let heard = |call: &Value| call["transcript"].as_array().is_some_and(|said| said.len() >= 3);
        let call = server.until(&sid, heard).await;
        assert_eq!((&call["status"], &call["talking"]), (&json!("in-progress"), &json!(true)));
        assert!(server.ask("GET", "/calls", "", "").await.1.contains(&sid));
        assert_eq!(server.tell(&sid, "say", &json!({"text": "And now goodbye."})).await, 202);
        assert_eq!(server.tell(&sid, "dtmf", &json!({"digits": "12#"})).await, 202);
        assert_eq!(server.ask("DELETE", &format!("/calls/{sid}"), "", "").await.0, 202);
        server.until(&sid, is_over).await
    };
    let (events, call) = tokio::join!(events, talk);
    let heard: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert!(heard.first() == Some(&"snapshot") && heard.last() == Some(&"over"), "{heard:?}");
    assert!(events.contains("goodbye") && !events.contains("12#"), "{events}");
    assert_eq!((&call["ended"], &call["outcome"]["verdict"]), (&json!("hung_up"), &json!("failed")));
    assert!(call["replies"][0]["first_frame_ms"].is_u64(), "{call}");
    server.until(&sid, |call| call["status"] == "completed").await;
    let kept = server.kept(&sid).await;
    assert!(kept.contains("Sell a pizza.") && kept.contains("\"customer\": \"7\""), "{kept}");
    assert_eq!(server.tell(&sid, "say", &json!({"text": "Hello?"})).await, 409);
    // Keys were pressed behind the last words, and stand in no document.
    let messages = fake.calls()[0].report.clone().unwrap().messages;
    assert!(messages.iter().any(|(_, _, text)| text.contains("sendDigits")), "{messages:?}");
    fake.assert_no_faults();
}

#[tokio::test]
async fn a_caller_by_text_is_handed_over_by_what_is_next() {
    let fake = FakeTwilio::start().await;
    let server = Server::start_with(&fake, BY_TEXT);
    let (_, call) = server.order(&json!({"to": "+14155550100"})).await;
    let sid = call["sid"].as_str().unwrap().to_owned();
    assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14165550199"})).await, 403);
    server.until(&sid, |call| call["talking"] == true).await;
    assert_eq!(server.tell(&sid, "say", &json!({"text": "I put you through."})).await, 202);
    assert_eq!(server.tell(&sid, "transfer", &json!({"to": "+14155550199"})).await, 202);
    let call = server.until(&sid, |call| call["ended"] == "transferred").await;
    assert_eq!(call["transcript"].as_array().unwrap().last().unwrap()["text"], "I put you through.");
    assert_eq!(call["transferred_to"], "+14155550199");
    server.until(&sid, |call| call["status"] == "completed").await;
    let report = fake.calls()[0].report.clone().unwrap();
    assert!(report.after.iter().any(|verb| verb.contains("Dial")), "{:?}", report.after);
    assert!(fake.calls()[0].updates.is_empty());
    fake.assert_no_faults();
}

#[tokio::test]
async fn a_call_has_the_agent_and_the_transport_that_was_ordered() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "pizza");
    let order = json!({"to": "+14155550192", "agent": "booking", "goal": "Tell them.", "machine_detection": "on", "on_machine":
        {"leave_message": "Your table is ready."}});
    let (status, call) = server.order(&order).await;
    assert_eq!(status, 201, "{call}");
    let call = server.until(call["sid"].as_str().unwrap(), is_over).await;
    assert_eq!((&call["agent"], &call["ended"]), (&json!("booking"), &json!("message_left")), "{call}");
    assert_eq!(call["outcome"]["verdict"], "voicemail");
    let said = call["transcript"].as_array().unwrap().last().unwrap();
    assert_eq!(said["text"], "Your table is ready.");
    fake.assert_no_faults();
}
