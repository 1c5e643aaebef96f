//! Whole calls of text: a server of ours, Twilio's side of the simulator, real sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_simulator::{CallPlan, CallReport, Line, Say, Script, When, place};
use offhook_twilio::signature::AuthToken;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(record: Option<&Path>, token: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--transport",
            "conversation-relay",
            "--workers",
            "2",
        ]);
        if let Some(folder) = record {
            command.arg("--record").arg(folder);
        }
        command.env_remove("TWILIO_AUTH_TOKEN").env_remove("PORT");
        if let Some(token) = token {
            command.env("TWILIO_AUTH_TOKEN", token);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may say so on either stream.
        let (sender, found) = std::sync::mpsc::channel();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if let Some((_, address)) = line.split_once("listens on http://") {
                        // The test may have what it wants already.
                        let _heard = sender.send(address.trim().to_owned());
                    }
                }
            });
        }
        let address = found.recv_timeout(Duration::from_secs(20)).unwrap();
        Self { child, address }
    }

    fn plan(&self, lines: Vec<Line>) -> CallPlan {
        CallPlan {
            url: format!("http://{}/voice", self.address),
            auth_token: None,
            call_sid: CallSid::parse("CA00000000000000000000000000000001").unwrap(),
            stream_sid: StreamSid::parse("MZ00000000000000000000000000000001").unwrap(),
            account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
            from: "+14155550100".into(),
            to: "+14155550101".into(),
            script: Script::new(lines),
            hang_up_after: Duration::from_millis(800),
            longest: Duration::from_secs(25),
            drop_after: None,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn says(text: &str, when: When) -> Line {
    Line { when, say: Say::Words, text: text.into() }
}

fn spoken(report: &CallReport) -> String {
    report
        .spoken
        .iter()
        .map(|said| format!("{}{}\n", said.text, if said.interrupted { " —" } else { "" }))
        .collect()
}

#[tokio::test]
async fn an_order_by_text_is_understood_taped_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Some(folder.path()), None);
    let lines = vec![
        says("a large pepperoni pizza", When::AfterAgent(300)),
        says("what are your opening hours", When::BargeIn(700)),
    ];
    let report = place(server.plan(lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert!(
        report.replies.iter().all(|reply| reply.response_ms.is_some_and(|ms| ms < 2_000)),
        "{:?}",
        report.replies
    );
    let said = spoken(&report);
    assert!(said.contains(" —\n"), "{said}");
    let tape = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut tapes = tape.filter(|path| path.to_string_lossy().ends_with(".tape.jsonl"));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let replayed = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .arg("replay")
        .arg(tapes.next().unwrap())
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[tokio::test]
async fn a_call_goes_on_when_its_socket_was_lost() {
    let server = Server::start(None, None);
    let lines =
        vec![says("a large pepperoni pizza", When::AfterAgent(300)), says("for pickup", When::At(14_000))];
    let plan = CallPlan { drop_after: Some(Duration::from_secs(7)), ..server.plan(lines) };
    let report = place(plan, |_| {}).await.unwrap();
    let said = spoken(&report);
    assert_eq!(report.sessions, 2, "{said}");
    assert!(said.contains("Sorry, we were cut off for a moment."), "{said}");
    // It is the same conversation: nobody is greeted twice.
    assert_eq!(said.matches(said.lines().next().unwrap()).count(), 1, "{said}");
}

/// The texts that come, until one has these words.
async fn read_until(socket: &mut WebSocketStream<TcpStream>, words: &str) -> String {
    let mut said = String::new();
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_secs(8), socket.next()).await {
        if let Message::Text(text) = message {
            said.push_str(&text);
        }
        if said.contains(words) {
            return said;
        }
    }
    panic!("`{words}` never came: {said}");
}

async fn open(server: &Server, session: &str) -> WebSocketStream<TcpStream> {
    let wire = TcpStream::connect(&server.address).await.unwrap();
    let url = format!("ws://{}/conversation-relay", server.address);
    let mut socket = client_async(url, wire).await.unwrap().0;
    let setup = format!(
        r#"{{"type":"setup","sessionId":"{session}","accountSid":"AC9","callSid":"CA9","customParameters":{{}}}}"#
    );
    socket.send(Message::Text(setup.into())).await.unwrap();
    socket
}

#[tokio::test]
async fn a_call_goes_on_though_its_dead_socket_still_looks_open() {
    let server = Server::start(None, None);
    let mut first = open(&server, "VX1").await;
    let greeting = read_until(&mut first, r#""last":true"#).await;
    let mut second = open(&server, "VX2").await;
    let said = read_until(&mut second, "cut off for a moment").await;
    assert!(!said.contains(&greeting), "{said}");
    // The same once more: a session that took over can be taken over.
    let mut third = open(&server, "VX3").await;
    read_until(&mut third, "cut off for a moment").await;
    third
        .send(Message::Text(r#"{"type":"prompt","voicePrompt":"a large pizza","last":true}"#.into()))
        .await
        .unwrap();
    read_until(&mut third, r#""last":true"#).await;
    assert!(matches!(first.next().await, None | Some(Err(_) | Ok(Message::Close(_)))));
}

#[tokio::test]
async fn only_what_twilio_signed_is_served_and_bad_peers_are_left() {
    let server = Server::start(None, Some("12345"));
    assert!(place(server.plan(vec![]), |_| {}).await.is_err());
    let signed = CallPlan {
        auth_token: Some(AuthToken::new("12345")),
        ..server.plan(vec![says("goodbye", When::AfterAgent(300))])
    };
    let report = place(signed, |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    drop(server);
    let open = Server::start(None, None);
    let wire = TcpStream::connect(&open.address).await.unwrap();
    let mut socket = client_async(format!("ws://{}/conversation-relay", open.address), wire).await.unwrap().0;
    let setup =
        r#"{"type":"setup","sessionId":"VX9","accountSid":"AC9","callSid":"CA9","customParameters":{}}"#;
    socket.send(Message::Text(setup.into())).await.unwrap();
    for _ in 0..10 {
        socket.send(Message::Text("{".into())).await.unwrap();
    }
    let mut closed = None;
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Close(frame) = message {
            closed = frame.map(|frame| u16::from(frame.code));
            break;
        }
    }
    assert_eq!(closed, Some(1007));
}
