//! Whole calls of sound to an agent whose words come from an application that speaks ConversationRelay, over real sockets.
use std::sync::{Arc, Mutex};

use crate::application::{Application, agent_file, authority, plan, recogniser, token};
use crate::server::{Server, line};
use offhook_simulator::{Line, Say, When, place};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::WebhookForm;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server with this agent, without tokens.
fn serve(agent: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    std::fs::write(&path, agent).unwrap();
    (Server::open(path.to_str().unwrap()), folder)
}

fn keys(keys: &str, when: When) -> Line {
    Line { when, say: Say::Keys(keys.into()), text: String::new() }
}

fn answers(message: &serde_json::Value) -> Vec<String> {
    match message["type"].as_str().unwrap() {
        "prompt" => {
            let heard = message["voicePrompt"].as_str().unwrap();
            vec![token("You said: ", false), token(heard, false), token("", true)]
        }
        "dtmf" => vec![
            token("Thank you, goodbye.", true),
            r#"{"type":"end","handoffData":"{\"why\":\"done\"}"}"#.into(),
        ],
        _ => vec![],
    }
}

#[tokio::test]
async fn an_application_converses_over_media_streams() {
    let app = Application::start(answers).await;
    let (_doubles, stt) = recogniser(&["Two pizzas."]).await;
    let events = "events = [\"speaker-events\", \"tokens-played\"]";
    let (server, _folder) = serve(&agent_file(&app.url, &stt, events));
    let lines = vec![line("pizza-1", When::AfterAgent(500)), keys("5", When::AfterAgent(700))];
    let report = place(plan(&server.address, 1, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{report:#?}");
    let close = app.until("close").await;
    assert_eq!((&close["code"], &close["reason"]), (&1_000.into(), &"Closing websocket session".into()));
    let types = app.types();
    assert_eq!(types[0], "setup", "{types:?}");
    let setup = &app.received()[0];
    assert_eq!((&setup["from"], &setup["to"]), (&"+14155550100".into(), &"+14155550101".into()));
    assert_eq!(setup["accountSid"], "AC00000000000000000000000000000000");
    assert_eq!(setup["customParameters"], serde_json::json!({}));
    assert_eq!(
        app.of_type("prompt"),
        [serde_json::json!({"type": "prompt", "voicePrompt": "Two pizzas.", "lang": "en-US", "last": true})]
    );
    assert_eq!(app.of_type("dtmf")[0]["digit"], "5");
    assert!(app.of_type("interrupt").is_empty() && app.of_type("error").is_empty(), "{types:?}");
    let played = played(&app);
    assert_eq!(played, ["Hello, this is the test.", "You said:", " Two pizzas.", "Thank you, ", "goodbye."],);
}

#[tokio::test]
async fn a_caller_who_interrupts_is_told_to_the_application_with_what_was_heard() {
    let app = Application::start(|message| match message["type"].as_str().unwrap() {
        "setup" => vec![token(
            "One is the first number that there is. Two is what comes after the first of them. Three is what comes after \
             these two numbers. Four is what comes after three of them. Five is the last one.",
            true,
        )],
        "prompt" => vec![token("Yes?", true)],
        _ => vec![],
    })
    .await;
    let (_doubles, stt) = recogniser(&["Stop it, please, I know them."]).await;
    let events = "events = [\"speaker-events\", \"tokens-played\"]";
    let file = agent_file(&app.url, &stt, events).replace("greeting = \"Hello, this is the test.\"\n", "");
    let (server, _folder) = serve(&file);
    let lines = vec![line("pizza-1", When::BargeIn(4_000))];
    let report = place(plan(&server.address, 2, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    let types = app.types();
    let place_of = |kind: &str| types.iter().position(|found| found == kind);
    assert!(place_of("interrupt").is_some() && place_of("interrupt") < place_of("prompt"), "{types:?}");
    // Piece by piece, as it was heard: before the caller said anything.
    let received = app.received();
    let told = |name: &str, value: &str| {
        received.iter().position(|info| info["name"] == name && info["value"] == value).unwrap_or(usize::MAX)
    };
    let first = told("tokensPlayed", "One is the first number that there is.");
    assert!(first < told("clientSpeaking", "on"), "{received:#?}");
    let interrupt = &app.of_type("interrupt")[0];
    let heard = interrupt["utteranceUntilInterrupt"].as_str().unwrap();
    // The piece that was being spoken, not all of the answer.
    assert!(!heard.contains("One is") && !heard.contains("Five"), "{interrupt}");
    let ms = interrupt["durationUntilInterruptMs"].as_u64().unwrap();
    assert!((50..4_500).contains(&ms), "{interrupt}");
}

/// The pieces of text that the application was told were played.
fn played(app: &Application) -> Vec<String> {
    let infos = app.of_type("info").into_iter();
    let of_text = infos.filter(|info| info["name"] == "tokensPlayed");
    of_text.map(|info| info["value"].as_str().unwrap().to_owned()).collect()
}

/// Serves a recording, as a file server does. Gives its address.
async fn recording(wav: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hold.wav?key=secret", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4_096];
            let _request = stream.read(&mut buffer).await.unwrap();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: audio/wav\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                wav.len()
            );
            stream.write_all(&[head.as_bytes(), &wav].concat()).await.unwrap();
        }
    });
    url
}

/// A second of a soft tone at 22 050 Hz, 16 bits, one channel.
fn soft_tone() -> Vec<u8> {
    let mut wav =
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x22\x56\0\0\0\0\0\0\x02\0\x10\0data".to_vec();
    wav.extend((2 * 22_050_u32).to_le_bytes());
    wav.extend((0..22_050).flat_map(|n| (((f64::from(n) * 0.2).sin() * 900.0) as i16).to_le_bytes()));
    wav
}

/// "One moment.", three seconds of a recording, then words: in this order; the caller interrupts the second recording.
#[tokio::test]
async fn an_application_plays_recordings_in_order_with_speech() {
    let file = recording(soft_tone()).await;
    let play = move |times: u32| {
        serde_json::json!({"type": "play", "source": file, "loop": times, "preemptible": false}).to_string()
    };
    let app = Application::start(move |message| match message["type"].as_str().unwrap() {
        "setup" => vec![token("One moment.", true), play(3), token("Here I am.", true), play(0)],
        "prompt" => vec![token("Goodbye.", true), r#"{"type":"end"}"#.into()],
        _ => vec![],
    })
    .await;
    let (_doubles, stt) = recogniser(&["Stop it, please."]).await;
    let events = "events = [\"speaker-events\", \"tokens-played\"]";
    let file = agent_file(&app.url, &stt, events).replace("greeting = \"Hello, this is the test.\"\n", "");
    let (server, _folder) = serve(&file);
    let lines = vec![line("pizza-1", When::At(8_500))];
    let report = place(plan(&server.address, 7, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{report:#?}");
    let played = played(&app);
    assert_eq!(played, ["One moment.", "Here I am.", "Goodbye."]);
    let interrupt = &app.of_type("interrupt")[0];
    assert_eq!(interrupt["utteranceUntilInterrupt"], "", "a recording has no words");
    assert!(interrupt["durationUntilInterruptMs"].as_u64().unwrap() > 1_000, "{interrupt}");
    assert!(app.of_type("error").is_empty(), "{:?}", app.types());
    // The tone is as loud as the voice, and without a hole.
    let sound = &report.agent_sound;
    let levels: Vec<f32> = sound
        .chunks_exact(1_600)
        .map(|part| {
            let mut linear = vec![0; part.len()];
            offhook_mulaw::decode_slice(part, &mut linear);
            offhook_audio::Dbov::of(&linear).0
        })
        .collect();
    let steady = levels.windows(10).any(|all| all.iter().all(|level| (-24.0..-12.0).contains(level)));
    assert!(steady, "{levels:?}");
}

#[tokio::test]
async fn without_its_application_a_call_ends_politely() {
    let (_doubles, stt) = recogniser(&["Two pizzas.", "Hello?"]).await;
    let (server, _folder) = serve(&agent_file("ws://127.0.0.1:1/relay", &stt, ""));
    let lines = vec![line("pizza-1", When::AfterAgent(500)), line("pizza-2", When::AfterAgent(500))];
    let report = place(plan(&server.address, 3, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    // The greeting, the last words once, and goodbye.
    assert!(report.agent.len() >= 3 && report.ended_by == "server", "{report:#?}");
}

/// What was asked: path, form, signature.
type Asked = Arc<Mutex<Vec<(String, WebhookForm, Option<String>)>>>;

/// An application's webhook: answers each path with a document, and keeps what it was asked.
struct Webhook {
    base: String,
    asked: Asked,
}

impl Webhook {
    async fn start(documents: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let asked = Asked::default();
        let log = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                let (head, body) = loop {
                    let mut buffer = [0; 4_096];
                    let read = stream.read(&mut buffer).await.unwrap();
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head
                        .to_lowercase()
                        .split("content-length: ")
                        .nth(1)
                        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
                    if body.len() >= length {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let signature = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("x-twilio-signature").then(|| value.to_owned())
                });
                let document = documents(&path);
                log.lock().unwrap().push((path, WebhookForm::parse(body.as_bytes()), signature));
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{document}",
                    document.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { base, asked }
    }
}

#[tokio::test]
async fn an_applications_own_twiml_is_served() {
    let app = Application::start(answers).await;
    let url = app.url.clone();
    let hook = Webhook::start(move |path| match path {
        "/voice" => format!(
            "<Response><Connect action=\"/done\"><ConversationRelay url=\"{url}\" welcomeGreeting=\"Hi, this is the app.\" \
             dtmfDetection=\"true\" voice=\"Polly.Amy\"><Parameter name=\"plan\" value=\"gold\"/></ConversationRelay></Connect>\
             </Response>"
        ),
        _ => "<Response><Hangup/></Response>".to_owned(),
    })
    .await;
    let (_doubles, stt) = recogniser(&["Two pizzas."]).await;
    let agent = format!(
        "[agent]\nname = \"app\"\nwebhook = \"{}/voice\"\n{stt}[[tts]]\nprovider = \"embedded\"\n",
        hook.base
    );
    let (server, _folder) = serve(&agent);
    let lines = vec![line("pizza-1", When::AfterAgent(500)), keys("5", When::AfterAgent(700))];
    let report = place(plan(&server.address, 4, lines), |_| {}).await.unwrap();
    assert_eq!(report.findings, Vec::<String>::new());
    assert_eq!(report.ended_by, "server", "{report:#?}");
    app.until("close").await;
    let setup = &app.received()[0];
    assert_eq!(setup["customParameters"], serde_json::json!({"plan": "gold"}));
    assert_eq!(app.of_type("prompt")[0]["voicePrompt"], "Two pizzas.");
    assert!(app.of_type("info").is_empty(), "nothing was subscribed to");
    let asked = hook.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "{asked:?}");
    let (path, form, signature) = &asked[0];
    assert_eq!((path.as_str(), form.get("From")), ("/voice", Some("+14155550100")));
    // Signed as by Twilio, for the application's own address.
    let expected =
        sign(&AuthToken::new(crate::fake_twilio::TOKEN), &format!("{}/voice", hook.base), form.params());
    assert_eq!(signature.as_deref(), Some(expected.as_str()));
    let (path, form, _) = &asked[1];
    assert_eq!(path, "/done");
    let field = |name| form.get(name);
    assert_eq!(field("SessionId"), setup["sessionId"].as_str());
    assert_eq!((field("SessionStatus"), field("CallStatus")), (Some("ended"), Some("in-progress")));
    assert_eq!(field("HandoffData"), Some("{\"why\":\"done\"}"));
    assert!(field("SessionDuration").unwrap().parse::<u64>().unwrap() >= 5);
    assert_eq!(field("ErrorCode"), None);
}

#[tokio::test]
async fn an_application_that_cannot_be_reached_is_asked_what_is_next() {
    let hook = Webhook::start(|path| match path {
        "/voice" => "<Response><Connect action=\"/done\"><ConversationRelay url=\"ws://127.0.0.1:1/\" welcomeGreeting=\"Hi.\"/>\
                     </Connect></Response>"
            .to_owned(),
        _ => "<Response><Say>Sorry.</Say></Response>".to_owned(),
    })
    .await;
    let (_doubles, stt) = recogniser(&["Two pizzas."]).await;
    let agent = format!(
        "[agent]\nname = \"app\"\nwebhook = \"{}/voice\"\n{stt}[[tts]]\nprovider = \"embedded\"\n",
        hook.base
    );
    let (server, _folder) = serve(&agent);
    let report =
        place(plan(&server.address, 5, vec![line("pizza-1", When::AfterAgent(500))]), |_| {}).await.unwrap();
    assert_eq!(report.ended_by, "server", "{report:#?}");
    assert_eq!(report.after, ["Say"]);
    let asked = hook.asked.lock().unwrap().clone();
    let form = &asked[1].1;
    assert_eq!(form.get("SessionStatus"), Some("failed"));
    assert_eq!((form.get("ErrorCode"), form.get("HandoffData")), (Some("64105"), None));
}

/// What an application was told, without what differs from call to call: names of fields of `setup`, words, keys, reasons.
fn in_short(received: &[serde_json::Value]) -> Vec<String> {
    let of = |message: &serde_json::Value| {
        let kind = message["type"].as_str().unwrap();
        let more = match kind {
            "setup" => message.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(","),
            "prompt" => format!("{} {} {}", message["voicePrompt"], message["lang"], message["last"]),
            "dtmf" => message["digit"].to_string(),
            "close" => format!("{} {}", message["code"], message["reason"]),
            _ => String::new(),
        };
        format!("{kind} {more}").trim().to_owned()
    };
    received.iter().map(of).collect()
}

/// The same caller, the same application: once Twilio is its ConversationRelay (as our simulator plays it), once we are, behind a stream.
#[tokio::test]
async fn an_application_is_told_the_same_in_the_same_order_by_twilio_and_by_us() {
    let mut told = Vec::new();
    offhook_simulator::trust(offhook_providers::net::certificates(authority().as_bytes()).unwrap());
    for by_us in [false, true] {
        let app = Application::start_with_tls(|message| match message["type"].as_str().unwrap() {
            "prompt" if message["voicePrompt"] == "Please count for me." => vec![
                token(
                    "One is the first number that there is. Two is what comes after the first of them. ",
                    false,
                ),
                token(
                    "Three is what comes after these two numbers. Four is what comes after three of them.",
                    true,
                ),
            ],
            "prompt" => vec![token("Very well.", true)],
            "dtmf" => vec![token("Goodbye.", true), r#"{"type":"end"}"#.into()],
            _ => vec![],
        })
        .await;
        let url = app.url.clone();
        let hook = Webhook::start(move |path| match path {
            "/voice" => format!(
                "<Response><Connect action=\"/done\"><ConversationRelay url=\"{url}\" welcomeGreeting=\"Hi, this is the app.\" \
                 dtmfDetection=\"true\"/></Connect></Response>"
            ),
            _ => "<Response><Hangup/></Response>".to_owned(),
        })
        .await;
        let (_doubles, stt) = recogniser(&["Please count for me.", "Stop it, please, I know them."]).await;
        let agent = format!(
            "[agent]\nname = \"app\"\nwebhook = \"{}/voice\"\n{stt}[[tts]]\nprovider = \"embedded\"\n",
            hook.base
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, agent).unwrap();
        let server = Server::trusting(&authority(), path.to_str().unwrap());
        let says = |name: &str, when, text: &str| Line { text: text.into(), ..line(name, when) };
        let lines = vec![
            says("pizza-2", When::AfterAgent(500), "Please count for me."),
            says("pizza-1", When::BargeIn(3_000), "Stop it, please, I know them."),
            keys("5", When::AfterAgent(700)),
        ];
        let mut plan = plan(&server.address, 6, lines);
        if !by_us {
            plan.url = format!("{}/voice", hook.base);
        }
        let report = place(plan, |_| {}).await.unwrap();
        assert_eq!(report.findings, Vec::<String>::new());
        app.until("close").await;
        told.push(in_short(&app.received()));
    }
    assert_eq!(told[0], told[1]);
    let kinds: Vec<&str> = told[0].iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["setup", "prompt", "interrupt", "prompt", "dtmf", "close"]);
}
