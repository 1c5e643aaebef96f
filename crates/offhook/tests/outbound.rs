//! Calls that are placed: through the API of a running server, against a fake of Twilio's.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod fake_twilio;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fake_twilio::{ACCOUNT, FakeTwilio, Mood, TOKEN, post_signed};
use offhook_simulator::{Line, Say, Script, When};
use offhook_stages::script::shipped;
use offhook_twilio::webhook::WebhookForm;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const API_TOKEN: &str = "a-token-that-nobody-guesses";

/// A running server; ended when dropped.
struct Server {
    child: Child,
    address: String,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(fake: &FakeTwilio, agent: &str) -> Self {
        Self::start_with(fake, &["--agent", agent])
    }

    /// In the server's folder there is an agent `by_text.toml`, which may be asked for.
    fn start_with(fake: &FakeTwilio, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("offhook.toml");
        let text = format!(
            "[twilio]\naccount_sid = \"{ACCOUNT}\"\napi_base = \"{}\"\n[outbound]\nfrom = \"+14155550101\"\nallow = \
             [\"+1415555\"]\ncalls_per_second = 50.0\nagents = [\"{}\"]\n[call.machine]\nsilence = \"1s\"\n",
            fake.base,
            folder.path().join("by_text.toml").display()
        );
        let by_text =
            shipped("booking").unwrap().replacen("name = ", "transport = \"conversation-relay\"\nname = ", 1);
        std::fs::write(folder.path().join("by_text.toml"), by_text).unwrap();
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&config).args(args);
        command.arg("--record").arg(folder.path()).env_remove("PORT");
        command.env("TWILIO_AUTH_TOKEN", TOKEN).env("OFFHOOK_API_TOKEN", API_TOKEN);
        command.env_remove("TWILIO_API_KEY").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        Self { child, address, folder }
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let mut wire = TcpStream::connect(&self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {API_TOKEN}\r\n{headers}Connection: \
             close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        wire.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn order(&self, order: &Value) -> (u16, Value) {
        let (status, body) = self.ask("POST", "/calls", "", &order.to_string()).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn show(&self, sid: &str) -> Value {
        let (status, body) = self.ask("GET", &format!("/calls/{sid}"), "", "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until the call looks like this.
    async fn until(&self, sid: &str, what: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..300 {
            let call = self.show(sid).await;
            if what(&call) {
                return call;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it never came: {}", self.show(sid).await);
    }

    async fn tell(&self, sid: &str, what: &str, body: &Value) -> u16 {
        self.ask("POST", &format!("/calls/{sid}/{what}"), "", &body.to_string()).await.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn is_over(call: &Value) -> bool {
    !call["outcome"].is_null() && call["talking"] == false
}

fn line(name: &str, when: When) -> Line {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    Line { when, say: Say::Sound(wav[data..].to_vec()), text: name.into() }
}

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
    let kept = std::fs::read_to_string(server.folder.path().join(format!("{sid}.call.json"))).unwrap();
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
    let kept = std::fs::read_to_string(server.folder.path().join(format!("{sid}.call.json"))).unwrap();
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

#[tokio::test]
async fn dial_follows_a_call_to_its_verdict() {
    let fake = FakeTwilio::start().await;
    let server = Server::start(&fake, "echo");
    let dial = |number: &str| {
        let mut command = dial_command(&server);
        command.args([number, "--goal", "Reach somebody.", "--parameter", "customer=7"]);
        tokio::task::spawn_blocking(move || command.output().unwrap())
    };
    let output = dial("+14155550190").await.unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("calling  +14155550190") && told.contains("verdict  no_answer (the line was busy)"),
        "{told}"
    );
    let output = dial("+14165550190").await.unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && told.contains("may not be called"), "{told}");
    assert_eq!(fake.creates(), 1);
}

fn dial_command(server: &Server) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command
        .args(["dial", "--server", &format!("http://{}", server.address)])
        .env("OFFHOOK_API_TOKEN", API_TOKEN);
    command
}
