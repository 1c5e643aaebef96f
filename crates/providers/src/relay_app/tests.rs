//! Sessions without a socket, and one with.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{
    AudioChunk, Interruptible, Key, LlmCommand, LlmEvent, News, Recording, ReplyReason, ReplyRequest, ToolUse,
};
use offhook_stages::{CallFacts, CallInfo, Llm, WhenFull, bounded};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::state::{AppSession, Do};
use super::{RelayApp, RelayAppConfig};
use crate::net::Secret;

const NOW: Duration = Duration::ZERO;

struct Bench(AppSession);

impl Bench {
    fn with(change: impl FnOnce(&mut RelayAppConfig)) -> Self {
        let mut config = RelayAppConfig { url: "ws://127.0.0.1:1".into(), ..RelayAppConfig::default() };
        change(&mut config);
        let app = RelayApp::new(config, None).unwrap();
        let mut bench = Self(app.session(&info()));
        bench.0.connected();
        assert!(bench.take()[0].contains("\"setup\""));
        bench
    }

    fn new() -> Self {
        Self::with(|config| config.events = vec!["speaker-events".into(), "tokens-played".into()])
    }

    /// What is to be done, a line each.
    fn take(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.poll())
            .map(|todo| match todo {
                Do::Send(frame) => frame,
                Do::Say(event) => format!("{event:?}"),
                Do::Prefetch(recording) => format!("prefetch {}", recording.url),
                Do::Fetch(_, recording) => format!("fetch {}", recording.url),
                Do::GiveUp => "give up".into(),
            })
            .collect()
    }

    fn ask(&mut self, reply: u32, reason: ReplyReason) -> Vec<String> {
        self.request(reply, reason, false)
    }

    fn request(&mut self, reply: u32, reason: ReplyReason, speculative: bool) -> Vec<String> {
        let request = ReplyRequest {
            reply: ReplyId(reply),
            reason,
            history: vec![],
            language: None,
            tools: ToolUse::Auto,
            speculative,
        };
        self.command(LlmCommand::Respond(Arc::new(request)))
    }

    fn command(&mut self, command: LlmCommand) -> Vec<String> {
        self.0.on_command(command, NOW);
        self.take()
    }

    fn news(&mut self, news: News) -> Vec<String> {
        self.command(LlmCommand::News(news))
    }

    fn app(&mut self, frame: &str) -> Vec<String> {
        self.0.on_frame(frame, NOW);
        self.take()
    }
}

fn info() -> CallInfo {
    let facts = CallFacts { from: "+14155550100".into(), account: "AC1".into(), ..CallFacts::default() };
    CallInfo { call: "CA1".into(), language: "en-US".into(), facts: facts.into(), ..CallInfo::default() }
}

fn said(text: &str) -> ReplyReason {
    ReplyReason::Caller { text: text.into(), confidence: None }
}

fn token(text: &str, last: bool) -> String {
    serde_json::json!({"type": "text", "token": text, "last": last}).to_string()
}

fn interrupted(heard: &str, ms: u64) -> News {
    News::AgentSaid { heard: heard.into(), lasted: Duration::from_millis(ms), whole: false }
}

fn begins() -> News {
    News::AgentBegan { interruptible: Interruptible::Yes }
}

#[test]
fn a_prompt_is_answered_token_by_token() {
    let mut bench = Bench::new();
    assert_eq!(
        bench.ask(1, said("Hi")),
        [r#"{"type":"prompt","voicePrompt":"Hi","lang":"en-US","last":true}"#]
    );
    assert_eq!(bench.app(&token("Hello", false)), [r#"Text { reply: ReplyId(1), delta: "Hello" }"#]);
    assert_eq!(
        bench.app(&token(" there.", true)),
        [r#"Text { reply: ReplyId(1), delta: " there." }"#, "Done { reply: ReplyId(1) }"]
    );
    // The empty last token of some programs, behind a reply that is over.
    assert!(bench.app(&token("", true)).is_empty());
    bench.ask(2, said("Bye"));
    assert_eq!(bench.app(&token("", true)), ["Silent { reply: ReplyId(2) }", "Done { reply: ReplyId(2) }"]);
}

#[test]
fn an_application_speaks_unasked() {
    let mut bench = Bench::new();
    assert_eq!(bench.app(&token("Welcome.", true)), ["Initiative { preempt: false }"]);
    assert!(bench.app(&token("Ready?", true)).is_empty(), "it has asked already");
    let first = bench.ask(1, ReplyReason::Initiative);
    assert_eq!(
        first,
        [
            r#"Text { reply: ReplyId(1), delta: "Welcome." }"#,
            "Done { reply: ReplyId(1) }",
            "Initiative { preempt: false }"
        ]
    );
    // The caller speaks before it is its turn: the answer has the rest in front.
    let second = bench.ask(2, said("Hi"));
    assert!(second[0].contains("prompt") && second[1].contains("Ready?"), "{second:?}");
}

#[test]
fn pieces_are_told_as_they_are_heard_each_once() {
    let mut bench = Bench::new();
    bench.ask(1, said("Count."));
    bench.app(&token("One is first. Two is next, and three. Four.", true));
    bench.news(begins());
    let mut says = |heard: &str| bench.news(News::AgentSays { heard: heard.into() });
    let played = |piece: &str| format!(r#"{{"type":"info","name":"tokensPlayed","value":"{piece}"}}"#);
    assert!(says("One is").is_empty());
    assert!(says("One is first.").is_empty(), "it may go on");
    assert_eq!(says("One is first. Two"), [played("One is first.")]);
    assert!(says("One is first. Two is next").is_empty());
    assert_eq!(
        says("One is first. Two is next, and three. Fo"),
        [played(" Two is next, "), played("and three.")]
    );
    let whole = "One is first. Two is next, and three. Four.";
    let over = News::AgentSaid { heard: whole.into(), lasted: Duration::from_secs(4), whole: true };
    assert_eq!(bench.news(over)[0], played(" Four."));
    // The next utterance begins anew.
    bench.news(begins());
    assert_eq!(bench.news(News::AgentSays { heard: "Yes. No".into() }), [played("Yes.")]);
    assert!(
        Bench::with(|_| {}).news(News::AgentSays { heard: "Yes. No".into() }).is_empty(),
        "nobody subscribed"
    );
}

#[test]
fn an_interruption_quotes_the_piece_that_was_being_spoken() {
    let mut bench = Bench::new();
    bench.ask(1, said("Count."));
    bench.app(&token("Sentence 1 of twelve. Sentence 2 of twelve.", false));
    bench.command(LlmCommand::Commit { reply: ReplyId(1) });
    bench.news(begins());
    assert_eq!(bench.news(News::CallerBegan), [r#"{"type":"info","name":"clientSpeaking","value":"on"}"#]);
    assert_eq!(
        bench.news(interrupted("Sentence 1 of twelve. Sentence 2 of", 3_500)),
        [
            r#"{"type":"info","name":"tokensPlayed","value":"Sentence 1 of twelve."}"#,
            r#"{"type":"info","name":"tokensPlayed","value":" Sentence 2 of"}"#,
            r#"{"type":"interrupt","utteranceUntilInterrupt":" Sentence 2 of","durationUntilInterruptMs":1400}"#,
            r#"{"type":"info","name":"agentSpeaking","value":"off"}"#,
        ]
    );
    assert!(bench.command(LlmCommand::Cancel { reply: ReplyId(1) }).is_empty(), "it was told once");
    // It still streams; what belongs to the reply that was cut is dropped, up to its end.
    assert!(bench.app(&token(" Sentence 3.", false)).is_empty());
    assert!(bench.app(&token("", true)).is_empty());
    assert_eq!(bench.app(&token("Sorry.", true)), ["Initiative { preempt: false }"]);
}

#[test]
fn a_prompt_ends_what_was_left_of_the_reply_before() {
    let mut bench = Bench::new();
    bench.ask(1, said("A table"));
    bench.app(&token("For how", false));
    // The caller went on before anything was heard.
    assert_eq!(
        bench.command(LlmCommand::Cancel { reply: ReplyId(1) }),
        [r#"{"type":"interrupt","utteranceUntilInterrupt":"","durationUntilInterruptMs":0}"#]
    );
    let prompt = bench.ask(2, said("A table for two"));
    assert!(prompt[0].contains(r#""voicePrompt":"for two""#), "{prompt:?}");
    assert!(bench.app(&token("Fine.", true))[0].contains("ReplyId(2)"));
    // A reply that was complete and never heard is told of as well.
    assert_eq!(bench.command(LlmCommand::Cancel { reply: ReplyId(2) }).len(), 1);
    let prompt = bench.ask(3, said("A table for two tomorrow"));
    assert!(prompt[0].contains("tomorrow\""), "{prompt:?}");
}

#[test]
fn keys_and_partial_prompts_are_told_when_asked_for() {
    let key = || News::Keyed(Key::new('5').unwrap());
    let mut bench = Bench::new();
    assert_eq!(bench.news(key()), [r#"{"type":"dtmf","digit":"5"}"#]);
    assert!(bench.news(News::Hearing { text: "I am".into() }).is_empty());
    let mut bench = Bench::with(|config| {
        config.dtmf_detection = false;
        config.partial_prompts = true;
    });
    assert!(bench.news(key()).is_empty() && bench.news(News::CallerBegan).is_empty());
    assert_eq!(
        bench.news(News::Hearing { text: "I am".into() }),
        [r#"{"type":"prompt","voicePrompt":"I am","lang":"en-US","last":false}"#]
    );
}

#[test]
fn input_during_speech_that_nothing_interrupts_is_lost_unless_it_is_asked_for() {
    let fixed = || News::AgentBegan { interruptible: Interruptible::No };
    let mut bench = Bench::with(|_| {});
    bench.news(fixed());
    bench.news(News::CallerBegan);
    assert!(bench.news(News::Keyed(Key::new('1').unwrap())).is_empty());
    assert_eq!(bench.ask(1, said("Hello?"))[0], "Silent { reply: ReplyId(1) }");
    bench.news(News::AgentSaid { heard: "x".into(), lasted: NOW, whole: true });
    bench.news(News::CallerBegan);
    assert!(bench.ask(2, said("Hello?"))[0].contains("prompt"));
    let mut bench = Bench::with(|config| config.report_input_during_agent_speech = "any".into());
    bench.news(fixed());
    bench.news(News::CallerBegan);
    assert!(bench.news(News::Keyed(Key::new('1').unwrap()))[0].contains("dtmf"));
    assert!(bench.ask(1, said("Hello?"))[0].contains("prompt"));
}

#[test]
fn attributes_of_text_reach_the_call() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hej"));
    let spoken = bench.app(r#"{"type":"text","token":"Hej","lang":"sv-SE","interruptible":false}"#);
    assert_eq!(
        spoken,
        [
            "Interruptible { reply: ReplyId(1), by: No }",
            r#"Language { reply: ReplyId(1), language: "sv-SE" }"#,
            r#"Text { reply: ReplyId(1), delta: "Hej" }"#
        ]
    );
    // What is preemptible gives way to the next message.
    bench.app(r#"{"type":"text","token":" då.","last":true,"preemptible":true}"#);
    bench.command(LlmCommand::Commit { reply: ReplyId(1) });
    bench.news(begins());
    assert_eq!(bench.app(&token("Stop.", true)), ["Initiative { preempt: true }"]);
    let cut = bench.news(interrupted("Hej", 100));
    assert!(cut.iter().all(|frame| !frame.contains("interrupt\"")), "{cut:?}");
}

#[test]
fn languages_keys_and_the_end_are_done_as_tools() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hola"));
    let switched = bench.app(r#"{"type":"language","ttsLanguage":"es-ES","transcriptionLanguage":"es-ES"}"#);
    assert!(switched[0].contains("switch_language") && switched[0].contains("es-ES"), "{switched:?}");
    let spoken = bench.app(&token("Buenos días.", true));
    assert!(spoken[0].contains("Language { reply: ReplyId(1), language: \"es-ES\""), "{spoken:?}");
    bench.app(r#"{"type":"sendDigits","digits":"12"}"#);
    assert!(bench.ask(2, ReplyReason::Initiative)[0].contains("send_dtmf"));
    bench.app(r#"{"type":"end","handoffData":"{\"a\":1}"}"#);
    let end = bench.ask(3, ReplyReason::Initiative);
    assert!(end[0].contains("end_call") && end[0].contains(r#"{\"a\":1}"#), "{end:?}");
    assert!(bench.app(&token("Too late.", true)).is_empty());
    assert!(bench.ask(4, said("Wait"))[0].contains("\"lang\":\"es-ES\""));
}

const HOLD: &str =
    r#"{"type":"play","source":"https://a.example/hold.wav?key=1","loop":2,"interruptible":"dtmf"}"#;

fn fetched(times: u32) -> Result<Recording, String> {
    let sound = Some(AudioChunk::Mulaw(vec![0x20; 800].into()));
    Ok(Recording { sound, ..Recording::at("https://a.example/hold.wav?key=1", times) })
}

#[test]
fn recordings_are_played_in_order_with_speech() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(&token("One moment", false));
    assert_eq!(
        bench.app(HOLD),
        [
            "Done { reply: ReplyId(1) }",
            "prefetch https://a.example/hold.wav?key=1",
            "Initiative { preempt: false }"
        ],
        "the words before it are a reply of their own"
    );
    assert!(bench.app(&token("Here it is.", true)).is_empty());
    bench.command(LlmCommand::Commit { reply: ReplyId(1) });
    bench.news(begins());
    assert_eq!(
        bench.ask(2, ReplyReason::Initiative),
        ["Interruptible { reply: ReplyId(2), by: DtmfOnly }", "fetch https://a.example/hold.wav?key=1"]
    );
    bench.0.on_recording(ReplyId(2), fetched(2));
    let events = bench.take();
    assert!(
        events[0].starts_with(
            "Play { reply: ReplyId(2), recording: Recording { source: \"https://a.example/hold.wav\""
        ),
        "{events:?}"
    );
    assert_eq!(events[1..], ["Done { reply: ReplyId(2) }", "Initiative { preempt: false }"]);
    assert_eq!(
        bench.ask(3, ReplyReason::Initiative),
        [r#"Text { reply: ReplyId(3), delta: "Here it is." }"#, "Done { reply: ReplyId(3) }"]
    );
}

#[test]
fn a_preemptible_recording_makes_way_for_what_comes_next() {
    let hold = HOLD.replace(r#""loop""#, r#""preemptible":true,"loop""#);
    // While it is played.
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(&hold);
    bench.0.on_recording(ReplyId(1), fetched(2));
    bench.take();
    bench.command(LlmCommand::Commit { reply: ReplyId(1) });
    bench.news(News::AgentBegan { interruptible: Interruptible::DtmfOnly });
    assert_eq!(bench.app(&token("Here it is.", true)), ["Initiative { preempt: true }"]);
    // While it is fetched.
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(&hold);
    assert_eq!(
        bench.app(&token("Here it is.", true)),
        [
            "Interruptible { reply: ReplyId(1), by: Yes }",
            r#"Text { reply: ReplyId(1), delta: "Here it is." }"#,
            "Done { reply: ReplyId(1) }"
        ]
    );
    bench.0.on_recording(ReplyId(1), fetched(2));
    assert!(bench.take().is_empty());
    // Before it was its turn.
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(&token("One moment.", true));
    bench.app(&hold);
    bench.app(&token("Here it is.", true));
    let next = bench.ask(2, ReplyReason::Initiative);
    assert_eq!(next[0], r#"Text { reply: ReplyId(2), delta: "Here it is." }"#, "{next:?}");
}

#[test]
fn a_recording_that_cannot_be_had_is_told_and_nothing_waits_for_it() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(HOLD);
    assert_eq!(bench.app(&token("Hello.", true)), ["Initiative { preempt: false }"]);
    bench.0.on_recording(ReplyId(1), Err("Media can't be played, code: 11200, gone".into()));
    assert_eq!(
        bench.take(),
        [
            r#"{"type":"error","description":"Media can't be played, code: 11200, gone"}"#,
            "Silent { reply: ReplyId(1) }",
            "Done { reply: ReplyId(1) }"
        ]
    );
    // One that comes for a reply that was cut off is of no use, and the application isn't taken for still writing.
    bench.ask(2, said("Hi"));
    bench.app(HOLD);
    bench.command(LlmCommand::Cancel { reply: ReplyId(2) });
    bench.0.on_recording(ReplyId(2), fetched(1));
    assert!(bench.take().is_empty());
    bench.ask(3, said("Well?"));
    assert!(!bench.app(&token("Yes.", true)).is_empty());
}

#[test]
fn an_interrupted_recording_quotes_nothing() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(HOLD);
    bench.0.on_recording(ReplyId(1), fetched(2));
    bench.command(LlmCommand::Commit { reply: ReplyId(1) });
    bench.news(begins());
    bench.app(&token("Never heard.", true));
    bench.take();
    let told = bench.news(interrupted("", 1_250));
    assert_eq!(
        told,
        [
            r#"{"type":"interrupt","utteranceUntilInterrupt":"","durationUntilInterruptMs":1250}"#,
            r#"{"type":"info","name":"agentSpeaking","value":"off"}"#
        ]
    );
    bench.ask(2, said("Stop"));
    assert!(bench.app(&token("Yes?", true))[0].contains("Yes?"), "nothing queued behind it is said");
}

#[test]
fn ten_bad_frames_in_a_row_end_the_session() {
    let mut bench = Bench::new();
    for number in 1..=9 {
        let told = bench.app(&format!("this is not json #{number}"));
        let expected = format!("code: 64107, this is not json #{number}");
        assert!(told.len() == 1 && told[0].contains(&expected), "{told:?}");
    }
    bench.ask(1, said("x"));
    bench.app(&token("fine", false));
    for _ in 0..9 {
        assert_eq!(bench.app(r#"{"type":"error"}"#).len(), 1);
    }
    assert_eq!(bench.app("{}").last().unwrap(), "give up");
}

#[test]
fn what_happens_without_a_connection_is_told_afterwards_in_order() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.0.disconnected();
    bench.news(News::Keyed(Key::new('5').unwrap()));
    assert!(bench.take().is_empty());
    bench.0.connected();
    let told = bench.take();
    assert!(told[0].contains("IN_PROGRESS") && told[0].contains("\"sessionId\":\"VX"), "{told:?}");
    assert!(told[1].contains("\"Hi\"") && told[2].contains("dtmf"), "its prompt had no answer: {told:?}");
    // A reply that was half written stays as it is.
    bench.app(&token("Hello", false));
    bench.0.disconnected();
    assert_eq!(bench.take(), ["Done { reply: ReplyId(1) }"]);
    for _ in 0..600 {
        bench.news(News::Keyed(Key::new('5').unwrap()));
    }
    assert_eq!(bench.0.lost, 100);
}

#[test]
fn prompts_are_speculative_only_for_applications_that_asked_for_it() {
    let mut bench = Bench::with(|config| config.speculative = true);
    assert!(bench.request(1, said("Hi"), true)[0].contains(r#""last":true,"speculative":1"#));
    bench.app(&token("Hello.", true));
    assert_eq!(
        bench.command(LlmCommand::Cancel { reply: ReplyId(1) }),
        [r#"{"speculative":1,"type":"cancel"}"#]
    );
    bench.request(2, said("Hi there"), true);
    bench.app(&token("Hello.", false));
    assert_eq!(
        bench.command(LlmCommand::Commit { reply: ReplyId(2) }),
        [r#"{"speculative":2,"type":"commit"}"#]
    );
    let mut bench = Bench::new();
    assert!(!bench.request(1, said("Hi"), true)[0].contains("speculative"));
}

#[test]
fn a_reply_without_its_last_token_is_over_when_it_sounds_so() {
    let mut bench = Bench::new();
    bench.ask(1, said("Hi"));
    bench.app(&token("Let me see", false));
    assert_eq!(bench.0.deadline(), None);
    bench.app(&token(".", false));
    let due = bench.0.deadline().unwrap();
    bench.0.settle(due);
    assert_eq!(bench.take(), ["Done { reply: ReplyId(1) }"]);
}

#[test]
fn addresses_are_encrypted_or_on_this_machine() {
    let new =
        |url: &str| RelayApp::new(RelayAppConfig { url: url.into(), ..RelayAppConfig::default() }, None);
    assert!(new("wss://agent.example.com/relay").is_ok() && new("ws://localhost:8080/").is_ok());
    for (url, why) in [
        ("ws://agent.example.com/", "unencrypted"),
        ("https://a.example/", "no WebSocket"),
        ("", "no address"),
    ] {
        let error = new(url).unwrap_err().to_string();
        assert!(error.contains(why), "{url}: {error}");
    }
}

/// The handshake is signed, the session ends with Twilio's words, and a lost connection comes back.
#[tokio::test]
async fn a_server_is_connected_and_connected_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/relay?a=1", listener.local_addr().unwrap());
    let config = RelayAppConfig { url: url.clone(), ..RelayAppConfig::default() };
    let app = RelayApp::new(config, Some(&Secret::new("a-token"))).unwrap();
    let (to, commands) = bounded(64, WhenFull::PushBack);
    let (events, from) = bounded(64, WhenFull::PushBack);
    let run = tokio::spawn(app.run(info(), commands, events));
    let accept = async || {
        let (stream, _) = listener.accept().await.unwrap();
        let mut signature = None;
        #[allow(clippy::result_large_err, reason = "the library's signature")]
        let look = |request: &Request, response: Response| {
            signature = request.headers().get("x-twilio-signature").cloned();
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, look).await.unwrap();
        let setup = socket.next().await.unwrap().unwrap().into_text().unwrap().to_string();
        (socket, setup, signature.unwrap())
    };
    let (socket, first, signature) = accept().await;
    let expected =
        offhook_twilio::signature::sign(&offhook_twilio::signature::AuthToken::new("a-token"), &url, &[]);
    assert_eq!(signature, expected.as_str());
    drop(socket);
    let (mut socket, again, _) = accept().await;
    assert_eq!(again, first.replace("RINGING", "IN_PROGRESS"));
    let request = ReplyRequest {
        reply: ReplyId(1),
        reason: said("Hi"),
        history: vec![],
        language: None,
        tools: ToolUse::Auto,
        speculative: false,
    };
    to.offer(LlmCommand::Respond(Arc::new(request))).unwrap();
    assert!(socket.next().await.unwrap().unwrap().into_text().unwrap().contains("\"Hi\""));
    socket.send(Message::text(token("Hello.", true))).await.unwrap();
    assert_eq!(from.recv().await, Some(LlmEvent::Text { reply: ReplyId(1), delta: "Hello.".into() }));
    // The call is over, and just drops it.
    run.abort();
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else { panic!("no close frame") };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1_000, "Closing websocket session"));
}
