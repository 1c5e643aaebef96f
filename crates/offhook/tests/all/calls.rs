//! The server as a program, over real sockets: good calls, many at once, and peers that misbehave.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_simulator::{CallPlan, CallReport, Line, Say, Script, When, place};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

/// A running server; ended when dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(agent: &str, token: Option<&str>) -> Self {
        Self::start_with(agent, token, &[])
    }

    fn start_with(agent: &str, token: Option<&str>, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--agent", agent]).args(more).env_remove("PORT");
        command.env_remove("TWILIO_AUTH_TOKEN").stdout(Stdio::piped()).stderr(Stdio::null());
        if let Some(token) = token {
            command.env("TWILIO_AUTH_TOKEN", token);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        // The pipe must stay open, or the server's later lines would fail.
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    fn plan(&self, number: u32, lines: Vec<Line>) -> CallPlan {
        CallPlan {
            url: format!("http://{}/voice", self.address),
            auth_token: None,
            call_sid: CallSid::parse(&format!("CA{number:032x}")).unwrap(),
            stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
            account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
            from: "+14155550100".into(),
            to: "+14155550101".into(),
            script: Script::new(lines),
            hang_up_after: Duration::from_millis(600),
            longest: Duration::from_secs(8),
            drop_after: None,
        }
    }

    async fn socket(&self) -> WebSocketStream<TcpStream> {
        let wire = TcpStream::connect(&self.address).await.unwrap();
        client_async(format!("ws://{}/media-stream", self.address), wire).await.unwrap().0
    }

    async fn request(&self, head: &str, body: &str) -> String {
        let mut wire = TcpStream::connect(&self.address).await.unwrap();
        let length = body.len();
        let request = format!(
            "{head}\r\nHost: {}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}",
            self.address
        );
        wire.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        wire.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn line(name: &str, when: When) -> Line {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let length = u32::from_le_bytes(wav[data - 4..data].try_into().unwrap()) as usize;
    Line { when, say: Say::Sound(wav[data..data + length].to_vec()), text: name.into() }
}

fn start(number: u32) -> String {
    format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC1","streamSid":"MZ{number}","callSid":"CA{number}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}},"streamSid":"MZ{number}"}}"#
    )
}

async fn call(plan: CallPlan) -> CallReport {
    place(plan, |_| {}).await.unwrap()
}

fn assert_clean(report: &CallReport) {
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.gaps, []);
    assert_eq!(report.clipped_samples, 0);
}

#[tokio::test]
async fn the_echo_agent_sends_the_callers_voice_back() {
    let server = Server::start("echo", None);
    let report = call(server.plan(1, vec![line("pizza-1", When::At(500))])).await;
    assert_clean(&report);
    assert_eq!(report.after, ["Hangup"]);
    let counted = server.request("GET /metrics HTTP/1.1", "").await;
    assert!(counted.contains("offhook_calls_in_progress 0"), "{counted}");
    assert!(
        counted.contains("offhook_calls_total{end=\"stopped\",transport=\"media_streams\"} 1"),
        "{counted}"
    );
    assert!(counted.contains("offhook_recogniser_frames_dropped_total 0"), "{counted}");
    // What was said comes back as it was, a few frames later.
    let said = &report.caller_sound[8_000..16_000];
    let place = report.agent_sound.windows(said.len()).position(|heard| heard == said);
    let delay = place.expect("the caller's voice did not come back unaltered") - 8_000;
    assert!(delay <= 8 * 200, "{} ms", delay / 8);
}

#[tokio::test]
async fn fifty_calls_at_once_are_all_served() {
    let server = Server::start("echo", None);
    let calls = (0..50).map(|number| call(server.plan(number, vec![line("pizza-4", When::At(300))])));
    for report in futures_util::future::join_all(calls).await {
        assert_eq!(report.findings, Vec::<String>::new());
        assert_eq!(report.clipped_samples, 0);
        assert!(!report.agent.is_empty(), "nothing came back");
    }
}

#[tokio::test]
async fn only_what_twilio_signed_is_served() {
    let server = Server::start("echo", Some("12345"));
    let unsigned = place(server.plan(1, vec![]), |_| {}).await.unwrap_err().to_string();
    assert!(unsigned.contains("status 403"), "{unsigned}");
    let forged = CallPlan { auth_token: Some(AuthToken::new("54321")), ..server.plan(2, vec![]) };
    assert!(place(forged, |_| {}).await.unwrap_err().to_string().contains("status 403"));
    let signed = CallPlan {
        auth_token: Some(AuthToken::new("12345")),
        ..server.plan(3, vec![line("pizza-4", When::At(100))])
    };
    assert_clean(&call(signed).await);
    // A replayed upgrade is signed, but has no token of ours: the stream is closed before anything is said.
    let url = format!("wss://{}/media-stream", server.address);
    let wire = TcpStream::connect(&server.address).await.unwrap();
    let request = tokio_tungstenite::tungstenite::http::Request::builder()
        .uri(format!("ws://{}/media-stream", server.address))
        .header("Host", &server.address)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("X-Twilio-Signature", sign(&AuthToken::new("12345"), &url, &[]));
    let mut socket = client_async(request.body(()).unwrap(), wire).await.unwrap().0;
    socket.send(Message::Text(start(9).into())).await.unwrap();
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn routes_answer_in_plain_words() {
    let server = Server::start("echo", None);
    assert!(server.request("GET /healthz HTTP/1.1", "").await.starts_with("HTTP/1.1 200"));
    assert!(server.request("GET /readyz HTTP/1.1", "").await.starts_with("HTTP/1.1 200"));
    assert!(server.request("GET /media-stream HTTP/1.1", "").await.starts_with("HTTP/1.1 426"));
    assert!(server.request("GET /nowhere HTTP/1.1", "").await.contains("the webhook is /voice"));
    assert!(server.request("DELETE /voice HTTP/1.1", "").await.starts_with("HTTP/1.1 405"));
    let get = server.request("GET /voice?CallSid=CA1&From=%2B1%26%3C%3E%22 HTTP/1.1", "").await;
    assert!(get.contains(r#"name="from" value="+1&amp;&lt;&gt;&quot;""#), "{get}");
    let forwarded = "POST /voice HTTP/1.1\r\nX-Forwarded-Host: voice.example.com\r\nX-Forwarded-Proto: https";
    assert!(server.request(forwarded, "CallSid=CA1").await.contains("wss://voice.example.com/media-stream"));
}

/// A call that begins, and then the same message over and over.
fn many(call: u32, message: &Message) -> Vec<Message> {
    let begin = std::iter::once(Message::Text(start(call).into()));
    begin.chain(std::iter::repeat_n(message.clone(), 50)).collect()
}

#[tokio::test]
async fn a_bad_peer_harms_only_itself() {
    let server = Server::start("echo", None);
    let good = tokio::spawn(call(server.plan(1, vec![line("pizza-1", When::At(1_500))])));
    let huge = format!(r#"{{"event":"media","media":{{"payload":"{}"}}}}"#, "A".repeat(200_000));
    let openings: Vec<Vec<Message>> = vec![
        vec![Message::Text("not json".into())],
        vec![Message::Binary(vec![0; 100].into())],
        vec![Message::Text(huge.clone().into())],
        vec![Message::Text(r#"{"event":"media","media":{"payload":"//8="}}"#.into())],
        vec![Message::Text(start(2).replace("audio/x-mulaw", "audio/l16").into())],
        vec![Message::Text(start(3).into()), Message::Text(huge.into())],
        // One of these is dropped and counted; too many in a row are none of Twilio's.
        many(4, &Message::Binary(vec![1].into())),
        many(6, &Message::Text(start(6).into())),
        many(7, &Message::Text(r#"{"event":"media","media":"#.into())),
    ];
    for messages in openings {
        let told = format!("{:.80?}", messages.last());
        let mut socket = server.socket().await;
        for message in messages {
            // The server may have closed already.
            if socket.send(message).await.is_err() {
                break;
            }
        }
        let closed = tokio::time::timeout(Duration::from_secs(5), async {
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() {
                    break;
                }
            }
        });
        assert!(closed.await.is_ok(), "the server did not close on {told}");
    }
    // Unknown events, odd base64, some messages that can't be used, and a vanishing peer are survived.
    let mut socket = server.socket().await;
    for text in [
        start(5),
        r#"{"event":"whisper"}"#.into(),
        r#"{"event":"media","media":{"payload":"%"}}"#.into(),
        r#"{"event":"media","media":"#.into(),
        start(5),
    ] {
        socket.send(Message::Text(text.into())).await.unwrap();
    }
    socket.send(Message::Binary(vec![1].into())).await.unwrap();
    let answered = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match socket.next().await {
                Some(Ok(message)) if message.is_text() => break true,
                Some(Ok(message)) if !message.is_close() => {}
                _ => break false,
            }
        }
    });
    assert!(answered.await.unwrap(), "a few bad messages ended the call");
    drop(socket);
    let silent = server.socket().await;
    assert_clean(&good.await.unwrap());
    drop(silent);
    assert!(server.request("GET /readyz HTTP/1.1", "").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn who_sends_too_much_is_ended_and_who_closes_is_answered() {
    let server = Server::start("echo", None);
    let leaps = (0..2_000).map(|number| {
        format!(r#"{{"event":"media","media":{{"timestamp":"{}","payload":""}}}}"#, number * 5_000)
    });
    let pings = (0..2_000).map(|_| r#"{"event":"whisper"}"#.to_owned());
    let floods: [Vec<String>; 2] = [leaps.collect(), pings.collect()];
    for flood in floods {
        let mut socket = server.socket().await;
        socket.send(Message::Text(start(1).into())).await.unwrap();
        for message in flood {
            // The server closes in the midst of it.
            if socket.send(Message::Text(message.into())).await.is_err() {
                break;
            }
        }
        let mut last = None;
        while let Some(Ok(message)) = socket.next().await {
            last = Some(message);
        }
        let Some(Message::Close(Some(frame))) = last else { panic!("no close, but {last:?}") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1008, "too much at once"));
    }
    let mut socket = server.socket().await;
    socket.send(Message::Text(start(2).into())).await.unwrap();
    socket.send(Message::Close(None)).await.unwrap();
    let mut answered = false;
    while let Some(Ok(message)) = socket.next().await {
        answered |= message.is_close();
    }
    assert!(answered, "a close frame wants an answer (RFC 6455, 5.5.1)");
}

#[tokio::test]
async fn the_pizza_agent_understands_and_answers() {
    let server = Server::start("pizza", None);
    let lines = vec![line("pizza-1", When::AfterAgent(300)), line("pizza-3", When::BargeIn(300))];
    let plan = CallPlan {
        longest: Duration::from_secs(14),
        hang_up_after: Duration::from_secs(1),
        ..server.plan(1, lines)
    };
    let report = call(plan).await;
    assert_clean(&report);
    assert!(report.replies.iter().all(|reply| reply.response_ms.is_some()), "{:?}", report.replies);
    let level = report.agent_level_dbov.unwrap();
    assert!((-24.0..=-12.0).contains(&level), "{level}");
}

#[test]
fn wrong_configurations_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("offhook.toml");
    std::fs::write(&path, "agnt = \"pizza\"\n").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_offhook")).args(["serve", "--config"]).arg(&path).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("did you mean `agent`?"), "{text}");
    let output =
        Command::new(env!("CARGO_BIN_EXE_offhook")).args(["serve", "--agent", "piza"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("there is no agent `piza`: name one of pizza, booking, echo"), "{text}");
}

/// The next texts of a socket, up to the first of this kind.
async fn until_event(socket: &mut WebSocketStream<TcpStream>, event: &str) -> String {
    let found = tokio::time::timeout(Duration::from_secs(5), async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) if text.contains(event) => break text.as_str().to_owned(),
                Some(Ok(_)) => {}
                other => panic!("no {event}: {other:?}"),
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {event}"))
}

#[tokio::test]
async fn a_call_whose_stream_broke_is_connected_again_and_goes_on() {
    let server = Server::start("pizza", None);
    let sid = format!("CA{:032x}", 7);
    let start = start(7).replace("CA7", &sid);
    let mut socket = server.socket().await;
    socket.send(Message::Text(start.clone().into())).await.unwrap();
    until_event(&mut socket, "\"media\"").await;
    drop(socket);
    let form = format!("CallSid={sid}&AccountSid=AC00000000000000000000000000000000&CallStatus=in-progress");
    let head = "POST /after-stream?again=0 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let again = server.request(head, &form).await;
    assert!(again.contains("<Stream") && again.contains("after-stream?again=1"), "{again}");
    let mut socket = server.socket().await;
    socket.send(Message::Text(start.into())).await.unwrap();
    until_event(&mut socket, "\"media\"").await;
    socket.send(Message::Text(r#"{"event":"stop","stop":{}}"#.into())).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    tokio::time::sleep(Duration::from_millis(200)).await;
    // It has ended in good order: nothing is connected again.
    let over = server.request(head, &form).await;
    assert!(!over.contains("<Stream") && over.contains("<Hangup"), "{over}");
    // One that loses each stream is told so in the end.
    let unknown = form.replace(&sid, &format!("CA{:032x}", 8));
    let sorry = server.request(head, &unknown).await;
    assert!(sorry.contains("<Say") && sorry.contains("<Hangup"), "{sorry}");
}

#[tokio::test]
async fn a_call_goes_on_when_its_server_was_killed_and_another_was_started() {
    let folder = tempfile::tempdir().unwrap();
    let sid = format!("CA{:032x}", 9);
    let start = start(9).replace("CA9", &sid);
    let record = folder.path().to_str().unwrap();
    let server = Server::start_with("pizza", None, &["--record", record]);
    let mut socket = server.socket().await;
    socket.send(Message::Text(start.clone().into())).await.unwrap();
    // The greeting is heard to its end when its mark comes back.
    let mark = until_event(&mut socket, "\"mark\"").await;
    let kept = || {
        let processes = std::fs::read_dir(folder.path().join("live")).into_iter().flatten().flatten();
        let mut files = processes.map(|process| process.path().join(format!("{sid}.json")));
        files.find_map(|path| std::fs::read_to_string(path).ok())
    };
    // From the call's begin on, and with what was said.
    let says = |kept: Option<String>| kept.is_some_and(|kept| kept.contains("\"caller\":false"));
    for _ in 0..200 {
        if says(kept()) {
            break;
        }
        socket.send(Message::Text(mark.clone().into())).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(says(kept()), "what was said is kept");
    drop(server); // killed
    let server = Server::start_with("pizza", None, &["--record", record]);
    let form = format!("CallSid={sid}&AccountSid=AC00000000000000000000000000000000&CallStatus=in-progress");
    let head = "POST /after-stream?again=0 HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let again = server.request(head, &form).await;
    assert!(again.contains("<Stream"), "{again}");
    let mut socket = server.socket().await;
    socket.send(Message::Text(start.into())).await.unwrap();
    until_event(&mut socket, "\"media\"").await;
    socket.send(Message::Text(r#"{"event":"stop","stop":{}}"#.into())).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    for _ in 0..200 {
        if kept().is_none() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(kept(), None, "nothing is left when the call is over");
}
