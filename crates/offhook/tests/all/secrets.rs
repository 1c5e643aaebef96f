//! Keys of providers and digits of callers reach no log, tape, record or answer of the API, whatever goes wrong.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use offhook_doubles::{Doubles, DoublesConfig, Fault, Key, Rule, Script as Answers, Stage, ToolCall};
use offhook_simulator::{CallPlan, CallReport, Line, Say, Script, When, place};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const KEY: &str = "sk-offhook-0d9fb3c1e7-never-to-be-seen";
const DIGITS: &str = "7391528";
const API_TOKEN: &str = "a-token-of-the-api-4711";

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn agent(doubles: &Doubles) -> String {
    let (http, ws) = (doubles.http(), doubles.ws());
    format!(
        r#"
[agent]
name = "desk"
instructions = "Help callers with their appointments."
greeting = "Hello, this is the desk."
goal = "Find out the caller's number."
keyterms = ["Offhook"]

[agent.fields]
number = "the number that the caller has keyed"

[[stt]]
provider = "deepgram"
url = "{ws}/v1/listen"
key_file = "key"

[[stt]]
provider = "none"

[[llm]]
provider = "openai"
base_url = "{http}/v1"
model = "m"
key_file = "key"

[[tts]]
provider = "elevenlabs"
base_url = "{http}"
model = "m"
voice = "v"
key_file = "key"
"#
    )
}

fn serve(folder: &Path, agent: &str) -> Server {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("key", KEY);
    write("desk.toml", &agent.replace("\"key\"", &format!("{:?}", folder.join("key"))));
    write(
        "offhook.toml",
        "[prices.deepgram]\nper_minute = 6.0\n[prices.elevenlabs]\nper_thousand_characters = 1.0\n",
    );
    let log = File::create(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_offhook"));
    command.args(["serve", "--show", "--listen", "127.0.0.1:0", "--config"]).arg(folder.join("offhook.toml"));
    command
        .arg("--agent")
        .arg(folder.join("desk.toml"))
        .arg("--record")
        .arg(folder.join("calls"))
        .arg("--compress=false");
    command.env("OFFHOOK_LOG", "trace").env("OFFHOOK_API_TOKEN", API_TOKEN);
    command.env_remove("PORT").env_remove("TWILIO_AUTH_TOKEN");
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    let address = line.trim().rsplit("http://").next().unwrap().to_owned();
    let shown = folder.join("shown");
    std::thread::spawn(move || {
        let mut shown = File::create(shown).unwrap();
        std::io::copy(&mut output, &mut shown)
    });
    Server { child, address }
}

fn sound(name: &str) -> Say {
    let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
    let wav = std::fs::read(path).unwrap();
    let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
    let length = u32::from_le_bytes(wav[data - 4..data].try_into().unwrap()) as usize;
    Say::Sound(wav[data..data + length].to_vec())
}

async fn call(server: &Server, number: u32, longest: Duration) -> CallReport {
    let line = |when, say| Line { when, say, text: String::new() };
    let lines = vec![
        line(When::AfterAgent(500), sound("pizza-1")),
        line(When::AfterAgent(500), Say::Keys(DIGITS.into())),
        // What follows the keys is waited for.
        line(When::AfterAgent(300), Say::Sound(vec![0xFF; 160])),
    ];
    let plan = CallPlan {
        url: format!("http://{}/voice", server.address),
        auth_token: None,
        call_sid: CallSid::parse(&format!("CA{number:032x}")).unwrap(),
        stream_sid: StreamSid::parse(&format!("MZ{number:032x}")).unwrap(),
        account_sid: AccountSid::parse("AC00000000000000000000000000000000").unwrap(),
        from: "+14155550100".into(),
        to: "+14155550101".into(),
        script: Script::new(lines),
        hang_up_after: Duration::from_millis(600),
        longest,
        drop_after: None,
    };
    place(plan, |_| {}).await.unwrap()
}

/// What the API tells of a call.
async fn told(server: &Server, number: u32) -> String {
    let mut wire = TcpStream::connect(&server.address).await.unwrap();
    let request = format!(
        "GET /calls/CA{number:032x} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_TOKEN}\r\nConnection: close\r\n\r\n"
    );
    wire.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    wire.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Everything that the server has left behind, file by file.
fn left_behind(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in
        [folder.to_owned(), folder.join("calls")].iter().flat_map(|at| std::fs::read_dir(at).unwrap())
    {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name != "key") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            files.push((path.display().to_string(), text));
        }
    }
    files
}

fn assert_clean(what: &str, text: &str) {
    for secret in [KEY, DIGITS] {
        if let Some(at) = text.find(secret) {
            let around: String =
                text.chars().skip(text[..at].chars().count().saturating_sub(200)).take(400).collect();
            panic!("{what} has {secret}: …{around}…");
        }
    }
}

fn answers() -> Answers {
    let collect = ToolCall { name: "collect_digits".to_owned(), arguments: json!({"min": 7, "max": 7}) };
    let report = ToolCall {
        name: "report_outcome".to_owned(),
        arguments: json!({"verdict": "achieved", "fields": {"number": "known"}, "evidence": "It was keyed."}),
    };
    let rule = |heard: &str, say: &str, calls| Rule {
        heard: heard.to_owned(),
        say: say.to_owned(),
        calls,
        ..Rule::default()
    };
    Answers {
        answers: vec![
            rule("pressed", "Thank you.", vec![report]),
            rule("appointment", "Please key in your number.", vec![collect]),
        ],
        ..Answers::default()
    }
}

#[tokio::test]
async fn keys_and_digits_are_nowhere() {
    let config = DoublesConfig { key: Some(Key::new(KEY)), script: answers(), ..DoublesConfig::default() };
    let doubles = Doubles::start(config).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), &agent(&doubles));

    call(&server, 1, Duration::from_secs(15)).await;
    let seen = doubles.seen();
    assert!(
        seen.iter().any(|seen| seen.body.contains(DIGITS)),
        "the model got no digits: the test shows nothing"
    );
    let answer = told(&server, 1).await;
    assert_clean("the API", &answer);
    let record: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(record["language"], "en-US");
    assert_eq!(record["outcome"]["verdict"], "achieved", "{record:#}");
    assert!(record["cost"]["total"].as_f64().unwrap() > 0.0, "{record:#}");
    let path = folder.path().join(format!("calls/CA{:032x}.json", 1));
    for _ in 0..50 {
        if path.exists() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kept: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for field in ["goal", "language", "outcome", "usage", "cost"] {
        assert_eq!(kept[field], record[field], "`{field}` of the record");
    }

    // The same where everything goes wrong.
    let faults =
        [Fault::Unauthorized, Fault::Quota, Fault::ServerError, Fault::ErrorEvent, Fault::BrokenJson];
    for (number, fault) in (2..).zip(faults) {
        for stage in [Stage::Stt, Stage::Llm, Stage::Tts] {
            doubles.set_fault(stage, Some(fault.clone()));
        }
        call(&server, number, Duration::from_secs(5)).await;
        assert_clean("the API", &told(&server, number).await);
    }
    // A wrong key is not to be seen either: now ours is one.
    doubles.clear_faults();
    tokio::time::sleep(Duration::from_millis(300)).await;
    drop(server);
    let files = left_behind(folder.path());
    for ending in ["log", "shown", ".tape.jsonl", ".json"] {
        assert!(files.iter().any(|(name, _)| name.ends_with(ending)), "there is no {ending}");
    }
    assert!(
        files.iter().any(|(name, text)| name.ends_with("log") && text.contains("TRACE")),
        "the log is too quiet"
    );
    for (name, text) in &files {
        assert_clean(name, text);
    }
}
