//! Events out, over real sockets: an application is told by signed requests, again until they arrive, and what never does is kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use offhook_doubles::{Doubles, DoublesConfig, Fault, Rule, Script as OfDoubles, Stage, ToolCall};
use offhook_providers::net::Secret;
use offhook_providers::net::identity::signature;
use offhook_simulator::{When, place};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::application::{plan, utterances};
use crate::server::{SIGNING_SECRET, Server, line};

/// An application that is told of calls. It takes nothing that isn't signed, and each event only when it comes a second time.
struct Told {
    url: String,
    events: Arc<Mutex<Vec<Value>>>,
    /// It answers 503 to everything.
    refuses: Arc<AtomicBool>,
}

impl Told {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/told?by=offhook", listener.local_addr().unwrap());
        let (events, refuses) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::<AtomicBool>::default());
        let (log, down) = (Arc::clone(&events), Arc::clone(&refuses));
        tokio::spawn(async move {
            let mut seen = BTreeMap::<String, u32>::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let (head, body) = loop {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break (String::new(), String::new());
                    }
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = header(head, "content-length").unwrap().parse::<usize>().unwrap();
                    if body.len() >= length {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                if head.is_empty() {
                    continue;
                }
                let event: Value = serde_json::from_str(&body).unwrap();
                let signed = header(&head, "x-offhook-signature").unwrap();
                let context = header(&head, "x-offhook-context").unwrap();
                let unix = signed[2..].split(',').next().unwrap().parse().unwrap();
                let target = ("POST", "/told?by=offhook");
                let right = signature(&Secret::new(SIGNING_SECRET), unix, target, &context, body.as_bytes());
                assert_eq!(signed, right);
                let count = seen.entry(event["id"].as_str().unwrap().to_owned()).or_default();
                *count += 1;
                let takes = *count > 1 && !down.load(Ordering::Relaxed);
                let status = if takes { "204 No Content" } else { "503 Service Unavailable" };
                if takes {
                    log.lock().unwrap().push(event);
                }
                let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                let _gone = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, events, refuses }
    }

    /// Waits for the first event of this kind.
    async fn until(&self, kind: &str) -> Value {
        for _ in 0..200 {
            let found = self.events.lock().unwrap().iter().find(|event| event["event"] == kind).cloned();
            if let Some(event) = found {
                return event;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{kind}` never came: {:#?}", self.events.lock().unwrap());
    }
}

fn header(head: &str, name: &str) -> Option<String> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}

/// A model that books by a tool whose server isn't there, and then says what came of the call.
fn answers() -> Vec<Rule> {
    let book = ToolCall { name: "book_table".into(), arguments: json!({"day": "friday"}) };
    let report = ToolCall {
        name: "report_outcome".into(),
        arguments: json!({"verdict": "failed", "fields": {}, "evidence": "No table could be booked."}),
    };
    let asked = Rule { heard: "table".into(), calls: vec![book], ..Rule::default() };
    let booked =
        Rule { tool_result: true, say: "I can't book it.".into(), calls: vec![report], ..Rule::default() };
    vec![asked, booked]
}

#[tokio::test]
async fn an_application_is_told_of_everything_until_it_has_it_and_what_it_never_gets_is_kept() {
    let told = Told::start().await;
    let caller = utterances(&["A table for Friday, please."]);
    let script = OfDoubles { caller, answers: answers() };
    let doubles = Doubles::start(DoublesConfig { script, ..DoublesConfig::default() }).await.unwrap();
    // The voice's key is wrong: its breaker opens at once, and the next voice speaks.
    doubles.set_fault(Stage::Tts, Some(Fault::Unauthorized));
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "any").unwrap();
    let (http, ws, key) = (doubles.http(), doubles.ws(), key.display());
    let agent = format!(
        "[agent]\nname = \"desk\"\ninstructions = \"You book tables.\"\ngreeting = \"Blue Door.\"\ngoal = \"Book a table.\"\n\
         [[stt]]\nprovider = \"deepgram\"\nurl = \"{ws}/v1/listen\"\n\
         [[llm]]\nprovider = \"openai\"\nbase_url = \"{http}/v1\"\nmodel = \"m\"\nkey_file = \"{key}\"\n\
         [[tool]]\nname = \"book_table\"\ndescription = \"Books.\"\nurl = \"http://127.0.0.1:1/tables\"\n\
         [tool.parameters]\ntype = \"object\"\nproperties.day = {{ type = \"string\" }}\n\
         [[tts]]\nprovider = \"openai\"\nbase_url = \"{http}/v1\"\nmodel = \"m\"\nvoice = \"v\"\nkey_file = \"{key}\"\n\
         [[tts]]\nprovider = \"embedded\"\n"
    );
    let path = folder.path().join("desk.toml");
    std::fs::write(&path, agent).unwrap();
    let dead = folder.path().join("dead.jsonl");
    let more = format!("[events]\nwebhook = \"{}\"\ndead_letters = \"{}\"\n", told.url, dead.display());
    let mut server = Server::open_with(path.to_str().unwrap(), &more);

    let lines = || vec![line("pizza-2", When::AfterAgent(500))];
    let report = place(plan(&server.address, 51, lines()), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let sid = format!("CA{:032x}", 51);
    let ended = told.until("call_ended").await;
    assert_eq!((&ended["call"], &ended["data"]["outcome"]["verdict"]), (&json!(sid), &json!("failed")));
    let transcript = ended["data"]["transcript"].to_string();
    assert!(transcript.contains("A table for Friday") && transcript.contains("I can't book it"), "{ended:#}");
    assert!(ended["data"]["usage"].is_object(), "{ended:#}");
    assert_eq!(told.until("call_began").await["call"], sid);
    let goal = told.until("goal").await;
    assert_eq!((&goal["call"], &goal["data"]["verdict"]), (&json!(sid), &json!("failed")));
    let tool = told.until("tool_failed").await;
    assert_eq!((&tool["call"], &tool["data"]["tool"]), (&json!(sid), &json!("book_table")));
    let failing = told.until("provider_failing").await;
    assert_eq!((&failing["call"], &failing["data"]["agent"]), (&Value::Null, &json!("desk")));
    let ids: Vec<String> = told.events.lock().unwrap().iter().map(|event| event["id"].to_string()).collect();
    assert!((1..ids.len()).all(|at| !ids[at..].contains(&ids[at - 1])), "twice: {ids:?}");
    assert!(std::fs::read_to_string(&dead).unwrap().is_empty(), "everything has arrived");

    // The application is down, and the server ends before it is up again.
    told.refuses.store(true, Ordering::Relaxed);
    let report = place(plan(&server.address, 52, lines()), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    server.signal("TERM");
    server.ended().await;
    let kept = std::fs::read_to_string(&dead).unwrap();
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for kind in ["call_began", "tool_failed", "goal", "call_ended"] {
        let letter = kept.iter().find(|letter| letter["event"]["event"] == kind);
        let letter = letter.unwrap_or_else(|| panic!("`{kind}` was lost: {kept:#?}"));
        assert_eq!(letter["event"]["call"], format!("CA{:032x}", 52));
        assert!(letter["why"].as_str().unwrap().contains("503"), "{letter}");
    }
}

/// Words of Twilio's voice to a call of this number, from this caller.
async fn answered(server: &Server, number: u32, caller: &str) -> String {
    answered_at(server, number, (caller, "14155550101")).await
}

/// The same at another number of ours.
async fn answered_at(server: &Server, number: u32, (caller, ours): (&str, &str)) -> String {
    let body = format!(
        "CallSid=CA{number:032x}&AccountSid=AC{:032x}&From=%2B{caller}&To=%2B{ours}&CallStatus=ringing",
        1
    );
    let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (status, document) = server.ask("POST", "/voice", kind, &body).await;
    assert_eq!(status, 200, "{document}");
    document
}

/// A flood rings before any of its calls has begun: those that were answered count, and Twilio's own repetition doesn't.
#[tokio::test]
async fn calls_beyond_the_limits_hear_why_before_the_others_have_begun() {
    let limits = "[limits]\ncalls = 3\ncalls_per_caller = 2\nfull = \"All our lines are busy.\"\n";
    let server = Server::open_with("echo", limits);
    let busy = "<Say>All our lines are busy.</Say>";
    for number in [61, 62, 62] {
        assert!(answered(&server, number, "14155550100").await.contains("<Stream"));
    }
    assert!(answered(&server, 63, "14155550100").await.contains(busy), "the third of one caller");
    assert!(answered(&server, 64, "14155550177").await.contains("<Stream"));
    assert!(answered(&server, 65, "14155550188").await.contains(busy), "the fourth at once");
}

/// A tenant that is full is full by itself; what bounds all of them together bounds each.
#[tokio::test]
async fn a_tenants_limits_are_its_own() {
    let route = |name: &str, number: &str, limits: &str| {
        format!("[[route]]\nto = [\"+{number}\"]\ntenant = \"{name}\"\nagent = \"echo\"\n{limits}")
    };
    let blue = route("blue", "14155550111", "limits = { calls = 1, full = \"Blue is full.\" }\n");
    let red = route("red", "14155550122", "limits = { calls = 2, full = \"Red is full.\" }\n");
    let all = "[limits]\ncalls = 3\nfull = \"All lines are busy.\"\n";
    let server = Server::open_with("echo", &format!("{all}{blue}{red}"));
    let call = |number: u32, ours: &'static str| {
        let (server, caller) = (&server, format!("1415555{:04}", 200 + number));
        async move { answered_at(server, number, (&caller, ours)).await }
    };
    assert!(call(71, "14155550111").await.contains("<Stream"));
    assert!(call(72, "14155550111").await.contains("Blue is full."));
    assert!(call(73, "14155550122").await.contains("<Stream"), "red has room");
    assert!(call(74, "14155550122").await.contains("<Stream"));
    assert!(call(75, "14155550122").await.contains("All lines are busy."), "three are all that there may be");
}
