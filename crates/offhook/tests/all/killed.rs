//! A server is killed (SIGKILL) at random moments during calls, again and again: each call that was over is in the store, once; each
//! recording plays, and each tape replays, up to the crash.
//!
//! `cargo nextest run -p offhook --run-ignored only a_hundred_kills` rehearses a hundred kills of 200 calls at once (some quarter of an hour).

#![allow(clippy::print_stdout, reason = "a rehearsal says what it did")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

/// A call that was over so long before the kill must be in the store: a machine with more to do than it can takes a moment.
const SETTLED: Duration = Duration::from_secs(2);
/// So much sound may be missing at a recording's end: 2 s that are noted, 1 s that the mixer holds, and a moment.
const MISSING: Duration = Duration::from_millis(4_000);

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--agent", "echo", "--config"]);
        command.arg(folder.join("offhook.toml")).arg("--record").arg(folder.join("calls"));
        command
            .env_remove("PORT")
            .env_remove("TWILIO_AUTH_TOKEN")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{line}");
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(drop));
        Self { child, address }
    }

    fn kill(mut self) -> Instant {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        Instant::now()
    }
}

/// What became of a call, as its caller knows it.
struct Called {
    sid: String,
    /// When the stream's sound began.
    began: Option<Instant>,
    /// When the stream was over, in order.
    over: Option<Instant>,
}

/// Calls, speaks for so long, and hangs up; or until the server is gone.
async fn call(address: String, sid: String, length: Duration) -> Called {
    let mut called = Called { sid: sid.clone(), began: None, over: None };
    let Ok(wire) = TcpStream::connect(&address).await else { return called };
    let Ok((mut socket, _)) = client_async(format!("ws://{address}/media-stream"), wire).await else {
        return called;
    };
    let stream = sid.replace("CA", "MZ");
    let start = format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"AC1","streamSid":"{stream}","callSid":"{sid}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{}}}},"streamSid":"{stream}"}}"#
    );
    if socket.send(Message::Text(start.into())).await.is_err() {
        return called;
    }
    called.began = Some(Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    // 160 octets, none of them silence.
    let payload = "ISEh".repeat(53) + "IQ==";
    let mut frame = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            message = socket.next() => match message {
                Some(Ok(Message::Text(_))) => continue,
                _ => return called,
            },
        }
        if called.began.is_some_and(|began| began.elapsed() >= length) {
            break;
        }
        let media = format!(
            r#"{{"event":"media","streamSid":"{stream}","media":{{"track":"inbound","timestamp":"{}","payload":"{payload}"}}}}"#,
            frame * 20
        );
        frame += 1;
        if socket.send(Message::Text(media.into())).await.is_err() {
            return called;
        }
    }
    let stop = format!(
        r#"{{"event":"stop","streamSid":"{stream}","stop":{{"accountSid":"AC1","callSid":"{sid}"}}}}"#
    );
    if socket.send(Message::Text(stop.into())).await.is_err() {
        return called;
    }
    // As Twilio does, which closes the socket then.
    if socket.close(None).await.is_ok() {
        called.over = Some(Instant::now());
    }
    called
}

/// The states of all calls in the store, by id.
fn stored(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_offhook"))
        .args(["calls", "export", "--record"])
        .arg(folder.join("calls"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let document: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        all.entry(text("id")).or_default().push(text("state"));
    }
    all
}

/// How much sound a recording has, by its own header, which must fit the file.
fn recorded(path: &Path) -> Duration {
    let wav = std::fs::read(path).unwrap();
    let said = u32::from_le_bytes(wav[54..58].try_into().unwrap()) as usize;
    assert!(&wav[..4] == b"RIFF" && &wav[50..54] == b"data" && said <= wav.len() - 58, "{}", path.display());
    // Left and right, 8 000 of each a second; sound that the header doesn't know yet is at most one write.
    assert!(
        wav[58..58 + said].chunks(2).filter(|pair| pair[0] == 0x21).count() > said / 2 / 2,
        "{}",
        path.display()
    );
    Duration::from_millis((said / 16) as u64)
}

/// A server of so many calls is killed so often.
async fn rehearse(kills: u32, calls: usize) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("offhook.toml"), "[recording]\nform = \"wav\"\n").unwrap();
    let mut known: Vec<(Called, Instant)> = Vec::new();
    for round in 0..kills {
        let server = Server::start(folder.path());
        let kill_after = Duration::from_millis(fastrand::u64(5_000..9_000));
        let mut tasks = JoinSet::new();
        for number in 0..calls {
            let sid = format!("CA{:016x}{number:016x}", u64::from(round) + 1);
            let length = Duration::from_millis(fastrand::u64(500..10_000));
            tasks.spawn(call(server.address.clone(), sid, length));
        }
        tokio::time::sleep(kill_after).await;
        let killed = server.kill();
        while let Some(called) = tasks.join_next().await {
            known.push((called.unwrap(), killed));
        }
    }
    // Another server takes in what was left, and ends in order.
    let mut last = Server::start(folder.path());
    let sent = Command::new("kill").arg("-TERM").arg(last.child.id().to_string()).status();
    assert!(sent.unwrap().success());
    last.child.wait().unwrap();

    let stored = stored(folder.path());
    let (mut over, mut cut) = (0, 0);
    for (called, killed) in &known {
        let states = stored.get(&called.sid);
        assert!(states.is_none_or(|states| states.len() == 1), "{} is in the store {states:?}", called.sid);
        let settled = called.over.filter(|over| *over + SETTLED < *killed);
        if settled.is_some() {
            over += 1;
            assert_eq!(states, Some(&vec!["over".to_owned()]), "{} was over before the kill", called.sid);
        }
        let Some(began) = called.began else { continue };
        let lasted = called.over.unwrap_or(*killed).saturating_duration_since(began);
        if lasted > MISSING + Duration::from_millis(500) {
            cut += usize::from(called.over.is_none());
            let sound = recorded(&folder.path().join("calls").join(format!("{}.wav", called.sid)));
            assert!(sound + MISSING > lasted, "{}: {sound:?} of {lasted:?} were recorded", called.sid);
        }
    }
    assert!(over > 0 && cut > 0, "{over} calls were over, {cut} were cut: the kills came at the wrong time");
    println!(
        "{kills} kills of {calls} calls: {over} were over before, {cut} were cut off; all are there, once"
    );
    // Tapes up to the crash; of the shortest calls there may be none yet.
    let replayed =
        Command::new(env!("CARGO_BIN_EXE_offhook")).arg("replay").arg(folder.path().join("calls")).output();
    let replayed = replayed.unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
}

#[tokio::test]
async fn calls_survive_kills() {
    rehearse(2, 6).await;
}

#[tokio::test]
#[ignore = "takes a quarter of an hour; run by its name"]
async fn a_hundred_kills() {
    let given = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    rehearse(given("KILLS").unwrap_or(100), given("CALLS").unwrap_or(200) as usize).await;
}
