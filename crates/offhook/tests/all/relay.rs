//! Whole calls of text: a server of ours, Twilio's side of the simulator, real sockets.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_doubles::{Doubles, DoublesConfig, Rule, Script as OfDoubles, ToolCall};
use offhook_simulator::{CallPlan, CallReport, Line, Say, Script, When, place};
use offhook_twilio::signature::AuthToken;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(record: Option<&Path>, token: Option<&str>) -> Self {
        Self::start_with(record, token, None)
    }

    fn start_with(record: Option<&Path>, token: Option<&str>, agent: Option<&Path>) -> Self {
        Self::start_as(record, token, agent, None)
    }

    fn start_as(
        record: Option<&Path>,
        token: Option<&str>,
        agent: Option<&Path>,
        config: Option<&Path>,
    ) -> Self {
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
        if let Some(agent) = agent {
            command.arg("--agent").arg(agent);
        }
        if let Some(folder) = record {
            command.arg("--record").arg(folder).arg("--compress=false");
        }
        if let Some(config) = config {
            command.arg("--config").arg(config);
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

#[tokio::test]
async fn words_that_are_expected_are_told_to_twilio_while_the_call_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("offhook.toml");
    let text = "[conversation_relay]\nhints = [\"Offhook\"]\nlive_hints = '{\"type\": \"hints\", \"hints\": \"{hints}\"}'\n";
    std::fs::write(&config, text).unwrap();
    let server = Server::start_as(None, None, None, Some(&config));
    let lines =
        vec![says("a large pepperoni pizza", When::AfterAgent(300)), says("for pickup", When::At(14_000))];
    let plan = CallPlan { drop_after: Some(Duration::from_secs(7)), ..server.plan(lines) };
    let report = place(plan, |_| {}).await.unwrap();
    assert_eq!((report.sessions, &report.findings), (2, &Vec::new()));
    let hints: Vec<(u64, serde_json::Value)> = report
        .messages
        .iter()
        .filter_map(|(ms, _, text)| Some((*ms, serde_json::from_str::<serde_json::Value>(text).ok()?)))
        .filter(|(_, message)| message["type"] == "hints")
        .collect();
    assert!(!hints.is_empty(), "{:?}", report.messages);
    for (_, message) in &hints {
        let words = message["hints"].as_str().unwrap();
        assert!(words.starts_with("Offhook,") && words.len() > "Offhook,".len(), "{message}");
    }
    // What changes is told, and nothing twice, but to a session that knows nothing.
    let (before, after): (Vec<_>, Vec<_>) = hints.iter().partition(|(ms, _)| *ms < 7_000);
    assert!(before.windows(2).all(|two| two[0].1 != two[1].1), "{before:?}");
    assert!(!before.is_empty() && !after.is_empty(), "{hints:?}");
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

/// Asks as Twilio does what to do with a call; the token of the session that is announced.
async fn announced(server: &Server, call: &str, account: &str) -> String {
    let body = format!(
        "CallSid={call}&AccountSid={account}&From=%2B14155550100&To=%2B14155550101&CallStatus=ringing"
    );
    let mut wire = TcpStream::connect(&server.address).await.unwrap();
    let request = format!(
        "POST /voice HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    let (_, rest) = answer.split_once("name=\"token\" value=\"").expect(&answer);
    rest.split('"').next().unwrap().to_owned()
}

async fn session(server: &Server, call: &str, account: &str, token: &str) -> WebSocketStream<TcpStream> {
    let wire = TcpStream::connect(&server.address).await.unwrap();
    let url = format!("ws://{}/conversation-relay", server.address);
    let mut socket = client_async(url, wire).await.unwrap().0;
    let setup = format!(
        r#"{{"type":"setup","sessionId":"VX00000000000000000000000000000001","accountSid":"{account}","callSid":"{call}","customParameters":{{"token":"{token}"}}}}"#
    );
    socket.send(Message::Text(setup.into())).await.unwrap();
    socket
}

async fn is_refused(mut socket: WebSocketStream<TcpStream>) -> bool {
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_secs(8), socket.next()).await {
        match message {
            Message::Text(text) if text.contains("\"text\"") => return false,
            Message::Close(_) => return true,
            _ => {}
        }
    }
    true
}

#[tokio::test]
async fn twilio_connects_a_session_anew_by_itself_where_it_is_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("offhook.toml");
    let (call, account) = ("CA000000000000000000000000000000a1", "AC000000000000000000000000000000b1");
    for asked in [true, false] {
        std::fs::write(&config, format!("[conversation_relay]\napplication_reconnect = {asked}\n")).unwrap();
        let server = Server::start_as(None, None, None, Some(&config));
        let token = announced(&server, call, account).await;
        // Another account's call is none of ours, whatever it knows.
        let stranger = session(&server, call, "AC000000000000000000000000000000c1", &token).await;
        assert!(is_refused(stranger).await);
        let mut first = session(&server, call, account, &token).await;
        read_until(&mut first, r#""last":true"#).await;
        drop(first);
        let mut second = session(&server, call, account, &token).await;
        if asked {
            read_until(&mut second, "cut off for a moment").await;
        } else {
            assert!(is_refused(second).await);
        }
    }
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

/// A server of a restaurant's own: answers every request, and gives what it was asked.
async fn booking_server() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = Vec::new();
            while !seen.windows(4).any(|end| end == b"\r\n\r\n") {
                let mut piece = [0; 4_096];
                let length = stream.read(&mut piece).await.unwrap();
                seen.extend_from_slice(&piece[..length]);
            }
            asked.send(String::from_utf8(seen).unwrap()).unwrap();
            let body = "half past seven";
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (format!("http://{address}"), requests)
}

#[tokio::test]
async fn a_model_uses_the_web_and_switches_the_language() {
    let (booking, mut requests) = booking_server().await;
    let uses = |heard: &str, name: &str, arguments| Rule {
        heard: heard.to_owned(),
        calls: vec![ToolCall { name: name.to_owned(), arguments }],
        ..Rule::default()
    };
    let after = |heard: &str, say: &str| Rule {
        heard: heard.to_owned(),
        say: say.to_owned(),
        tool_result: true,
        ..Rule::default()
    };
    let answers = vec![
        uses("friday", "find_table", serde_json::json!({"day": "friday"})),
        after("half past", "There is a table at {heard}."),
        uses("español", "switch_language", serde_json::json!({"language": "es-ES"})),
        after("es-ES", "Claro, dígame."),
    ];
    let script = OfDoubles { answers, ..OfDoubles::default() };
    let doubles = Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (agent, key) = (folder.path().join("door.toml"), folder.path().join("key"));
    std::fs::write(&key, "any").unwrap();
    let text = format!(
        r#"
        [agent]
        name = "door"
        instructions = "You book tables."
        greeting = "Blue Door."
        languages = ["en-US", "es-ES"]
        [agent.texts.es-ES]
        fillers = ["Un momento."]
        apology = "Perdone."
        check_ins = ["¿Sigue ahí?"]
        farewell = "Adiós."
        too_long = "Adiós."
        [[llm]]
        provider = "openai"
        model = "double"
        base_url = "{}/v1"
        key_file = "{}"
        [[tool]]
        name = "find_table"
        description = "Finds a table."
        url = "{booking}/tables"
        method = "GET"
        [tool.parameters]
        type = "object"
        properties.day = {{ type = "string" }}
        "#,
        doubles.http(),
        key.display()
    );
    std::fs::write(&agent, text).unwrap();
    let server = Server::start_with(None, None, Some(&agent));
    let lines = vec![
        says("a table for friday", When::AfterAgent(300)),
        says("¿habla español?", When::AfterAgent(300)),
    ];
    let report = place(server.plan(lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let said = spoken(&report);
    assert!(said.contains("There is a table at half past seven."), "{said}");
    assert!(said.contains("Claro, dígame."), "{said}");
    let asked = requests.recv().await.unwrap();
    assert!(asked.starts_with("GET /tables?day=friday "), "{asked}");
    let sent = |what: &str| report.messages.iter().position(|(_, _, text)| text.contains(what));
    let told = sent(r#""type":"language","ttsLanguage":"es-ES","transcriptionLanguage":"es-ES""#);
    assert!(told.is_some() && told < sent("Claro"), "{:?}", report.messages);
}
