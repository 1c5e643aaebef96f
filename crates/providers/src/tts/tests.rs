//! The wire formats by their vendors' samples, and the run loops over real sockets.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use offhook_call::id::{SegmentId, UtteranceId};
use offhook_call::stage::{AudioChunk, FailureKind, SpeakRequest};
use offhook_stages::{WhenFull, bounded};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message as Raw;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::live::Dialect;
use super::*;
use crate::net::ws::Message;

fn config(text: &str) -> TtsConfig {
    serde_json::from_str(text).unwrap()
}

fn key() -> Option<Secret> {
    Some(Secret::new("key-0123456789"))
}

fn eleven() -> elevenlabs_ws::ElevenlabsWs {
    let text = r#"{"provider":"elevenlabs","model":"some_model","voice":"some-voice","send_language":true,
        "settings":{"stability":0.5,"speed":1.0}}"#;
    let TtsConfig::Elevenlabs(config) = config(text) else { unreachable!("that is what was asked for") };
    elevenlabs_ws::ElevenlabsWs::new("elevenlabs", config, "some-voice", "en-US", key())
}

fn aura() -> aura::Aura {
    let TtsConfig::Deepgram(config) = config(r#"{"provider":"deepgram","voice":"some-voice"}"#) else {
        unreachable!("that is what was asked for")
    };
    aura::Aura::new("deepgram_tts", config, "some-voice", key())
}

fn sonic() -> cartesia::Cartesia {
    let text = r#"{"provider":"cartesia","model":"some-model","voice":"some-voice","speed":1.1}"#;
    let TtsConfig::Cartesia(config) = config(text) else { unreachable!("that is what was asked for") };
    cartesia::Cartesia::new("cartesia", config, "some-voice", "en-US", key())
}

fn wire(dialect: &mut dyn Dialect) -> String {
    let mut lines = vec![dialect.url()];
    lines.extend(dialect.headers().into_iter().map(|(name, value)| format!("{name}: {value}")));
    lines.extend(dialect.speak(7, "Your appointment is on Friday.", Instant::now()));
    lines.extend(dialect.cancel(&[7]));
    lines.extend(dialect.farewell());
    lines.join("\n")
}

fn read(dialect: &mut dyn Dialect, text: &str) -> String {
    format!("{:?}", dialect.read(&Message::Text(text.into())))
}

#[tokio::test]
async fn messages_are_as_documented() {
    insta::assert_snapshot!("elevenlabs", wire(&mut eleven()));
    insta::assert_snapshot!("aura", wire(&mut aura()));
    insta::assert_snapshot!("cartesia", wire(&mut sonic()));
}

#[test]
fn samples_are_understood() {
    let mut eleven = eleven();
    let samples = [
        r#"{"audio":"//8=","isFinal":false,"contextId":"7","alignment":{"chars":["Y","o"],"charStartTimesMs":[0,70],"charDurationsMs":[70,50.5]},"normalizedAlignment":{"chars":["Y"],"charStartTimesMs":[0],"charDurationsMs":[70]}}"#,
        r#"{"audio":"//8=","context_id":"7","is_final":null,"alignment":null,"normalizedAlignment":{"chars":["Y"],"charStartTimesMs":[0],"charsDurationsMs":[70]}}"#,
        r#"{"audio":null,"isFinal":true,"contextId":"7"}"#,
        r#"{"message":"Have not received a new text input within the timeout of 20 seconds.","error":"input_timeout_exceeded","code":1008}"#,
        r#"{"message":"This request exceeds your quota.","error":"quota_exceeded","code":1008}"#,
        r#"{"audio":"!","contextId":"7"}"#,
        r#"{"something":"new"}"#,
        "no JSON",
    ];
    insta::assert_snapshot!("elevenlabs_read", samples.map(|sample| read(&mut eleven, sample)).join("\n"));
    let mut sonic = sonic();
    let samples = [
        r#"{"type":"chunk","data":"//8=","done":false,"status_code":206,"step_time":14.2,"context_id":"7","flush_id":1}"#,
        r#"{"type":"timestamps","done":false,"status_code":206,"context_id":"7","word_timestamps":{"words":["Your","appointment"],"start":[0.02,0.21],"end":[0.2,0.71]}}"#,
        r#"{"type":"flush_done","context_id":"7","flush_id":1,"flush_done":true,"done":false,"status_code":206}"#,
        r#"{"type":"done","done":true,"status_code":200,"context_id":"7"}"#,
        r#"{"type":"error","done":true,"status_code":429,"error_code":"concurrency_limited","title":"Too many","message":"Wait.","request_id":"x","context_id":"7","doc_url":"https://x.example"}"#,
        r#"{"type":"phoneme_timestamps","context_id":"7"}"#,
    ];
    insta::assert_snapshot!("cartesia_read", samples.map(|sample| read(&mut sonic, sample)).join("\n"));
    let mut aura = aura();
    let samples = [
        r#"{"type":"Metadata","request_id":"x","model_name":"aura-2-thalia-en","model_version":"1","model_uuid":"x"}"#,
        r#"{"type":"Flushed","sequence_id":0}"#,
        r#"{"type":"Cleared","sequence_id":1}"#,
        r#"{"type":"Warning","warn_msg":"Odd text","warn_code":"TEXT"}"#,
        r#"{"type":"Warning","description":"Too many flush messages","code":"EXCESSIVE_FLUSH"}"#,
        r#"{"type":"New"}"#,
    ];
    insta::assert_snapshot!("aura_read", samples.map(|sample| read(&mut aura, sample)).join("\n"));
}

#[test]
fn bodies_are_as_documented() {
    let text = r#"{"provider":"openai","model":"some-model","voice":"usual","voices":{"de":"deutsch"},"speed":1.1,
        "body":{"stream":true},"without":["speed"]}"#;
    let TtsConfig::Openai(config) = config(text) else { unreachable!("that is what was asked for") };
    let speech = openai_speech::OpenaiSpeech { name: "openai".to_owned(), config, key: key() };
    insta::assert_snapshot!(speech.body("Hallo.", "de-AT"), @r#"{"input":"Hallo.","model":"some-model","response_format":"pcm","stream":true,"voice":"deutsch"}"#);
    let text = r#"{"provider":"elevenlabs_http","model":"some_model","voice":"v","settings":{"style":0}}"#;
    let TtsConfig::ElevenlabsHttp(config) = self::config(text) else {
        unreachable!("that is what was asked for")
    };
    let eleven = elevenlabs_http::ElevenlabsHttp { name: "e".to_owned(), config, key: key() };
    insta::assert_snapshot!(eleven.url("en"), @"https://api.elevenlabs.io/v1/text-to-speech/v/stream/with-timestamps?output_format=ulaw_8000");
    insta::assert_snapshot!(eleven.body("Two.", Some("One."), "en"), @r#"{"model_id":"some_model","previous_text":"One.","text":"Two.","voice_settings":{"style":0.0}}"#);
}

#[test]
fn typos_and_missing_models_are_refused() {
    let wrong = [r#"{"provider":"cartesia","voice":"v"}"#, r#"{"provider":"deepgram","voice":"v","sped":1}"#];
    let told = wrong.map(|text| serde_json::from_str::<TtsConfig>(text).unwrap_err().to_string());
    assert!(
        told[0].contains("missing field `model`") && told[1].contains("unknown field `sped`"),
        "{told:?}"
    );
}

#[test]
fn long_texts_are_cut_at_spaces() {
    assert_eq!(pieces("one two three", 8), ["one two ", "three"]);
    assert_eq!(pieces("äöüäöü", 4), ["äöüä", "öü"]);
    assert_eq!(pieces("one", 8), ["one"]);
}

// ------------------------------------------------------------------------------------------------ the run loops

/// A voice in a call, and what comes of it.
struct Line {
    to: Option<Tx<TtsCommand>>,
    from: Rx<TtsEvent>,
    call: CallInfo,
    run: tokio::task::JoinHandle<Result<(), StageError>>,
}

impl Line {
    fn new(config: &Value) -> Self {
        let config: TtsConfig = serde_json::from_value(config.clone()).unwrap();
        let call = CallInfo { language: "en-US".into(), ..CallInfo::default() };
        let (to, commands) = bounded(64, WhenFull::PushBack);
        let (events, from) = bounded(1_024, WhenFull::PushBack);
        let run = tokio::spawn(config.build(key()).run(call.clone(), commands, events));
        Self { to: Some(to), from, call, run }
    }

    fn speak(&self, utterance: u32, segment: u32, text: &str) {
        let (utterance, segment) = (UtteranceId(utterance), SegmentId(segment));
        let request = SpeakRequest { utterance, segment, text: text.to_owned(), last: false };
        self.to.as_ref().unwrap().offer(TtsCommand::Speak(request)).unwrap();
    }

    fn cancel(&self, utterance: u32) {
        let cancel = TtsCommand::Cancel { utterance: UtteranceId(utterance) };
        self.to.as_ref().unwrap().offer(cancel).unwrap();
    }

    /// Everything up to so many `Done`s and `Failed`s; sound in milliseconds, run together.
    async fn hear(&self, ends: usize) -> Vec<String> {
        let (mut lines, mut ended): (Vec<String>, _) = (Vec::new(), 0);
        let mut sound: Option<(String, u128)> = None;
        while ended < ends {
            let event = timeout(Duration::from_secs(5), self.from.recv()).await;
            let Ok(Some(event)) = event else {
                lines.push("nothing more".to_owned());
                break;
            };
            if let TtsEvent::Audio { utterance, segment, chunk } = &event {
                let id = format!("{utterance}/{segment}");
                let ms = chunk.duration().as_millis();
                assert!(
                    !matches!(chunk, AudioChunk::Mulaw(octets) if octets.contains(&0)),
                    "the past is heard"
                );
                match &mut sound {
                    Some((of, length)) if *of == id => *length += ms,
                    _ => {
                        lines.extend(sound.replace((id, ms)).map(|(id, ms)| format!("{id} {ms} ms")));
                    }
                }
                continue;
            }
            if !matches!(event, TtsEvent::Words { .. }) {
                lines.extend(sound.take().map(|(id, ms)| format!("{id} {ms} ms")));
            }
            match event {
                TtsEvent::Words { utterance, segment, words } => {
                    let words: Vec<String> =
                        words.iter().map(|w| format!("{} {}-{}", w.word, w.start_ms, w.end_ms)).collect();
                    lines.push(format!("{utterance}/{segment} {}", words.join(", ")));
                }
                TtsEvent::Done { utterance, segment } => {
                    ended += 1;
                    lines.push(format!("{utterance}/{segment} done"));
                }
                TtsEvent::Failed { utterance, segment, failure } => {
                    ended += 1;
                    lines.push(format!("{utterance}/{segment} failed: {:?}", failure.kind));
                }
                TtsEvent::Audio { .. } => {}
            }
        }
        lines
    }

    async fn end(mut self) -> Result<(), StageError> {
        self.to = None;
        timeout(Duration::from_secs(5), self.run).await.unwrap().unwrap()
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

type Peer = WebSocketStream<TcpStream>;

async fn accept(listener: &TcpListener) -> Peer {
    accept_async(listener.accept().await.unwrap().0).await.unwrap()
}

/// The next text, as JSON; `None` when the other side is gone.
async fn text(peer: &mut Peer) -> Option<Value> {
    loop {
        match peer.next().await? {
            Ok(Raw::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Raw::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

async fn say(peer: &mut Peer, message: Value) {
    peer.send(Raw::text(message.to_string())).await.unwrap();
}

fn sound(ms: usize) -> String {
    STANDARD.encode(vec![0x10; ms * 8])
}

/// The text of the next context: its number and its words.
async fn context(peer: &mut Peer) -> Option<(String, String)> {
    let first = text(peer).await?;
    assert_eq!(first["text"], " ", "{first}");
    let words = text(peer).await?;
    assert_eq!(text(peer).await?["flush"], true);
    assert_eq!(text(peer).await?["close_context"], true);
    Some((first["context_id"].as_str()?.to_owned(), words["text"].as_str()?.to_owned()))
}

#[tokio::test]
async fn elevenlabs_speaks_in_order_and_times_words() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let (one, text_one) = context(&mut peer).await.unwrap();
        let (two, _) = context(&mut peer).await.unwrap();
        assert_eq!(text_one, "five dollars. ");
        // The second sentence is quicker than the first.
        say(&mut peer, json!({"audio": sound(200), "contextId": two})).await;
        say(&mut peer, json!({"contextId": two, "isFinal": true})).await;
        let alignment = json!({"chars": ["f", "i", "v", "e", " ", "d"], "charStartTimesMs": [0, 10, 20, 30, 40, 50],
            "charDurationsMs": [10, 10, 10, 10, 10, 10]});
        say(&mut peer, json!({"audio": sound(150), "contextId": one, "alignment": alignment})).await;
        let alignment = json!({"chars": ["o", "llars", "."], "charStartTimesMs": [0, 10, 40],
            "charDurationsMs": [10, 30, 50]});
        say(&mut peer, json!({"audio": sound(100), "contextId": one, "alignment": alignment})).await;
        say(&mut peer, json!({"contextId": one, "isFinal": true})).await;
        assert_eq!(text(&mut peer).await.unwrap()["close_socket"], true);
    });
    let line = Line::new(
        &json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": format!("http://{address}")}),
    );
    line.speak(1, 0, "$5.");
    line.speak(1, 1, "Two.");
    let heard = line.hear(2).await;
    // Both spoken words stand for one written one.
    let expected = ["u1/s0 250 ms", "u1/s0 $5. 0-240", "u1/s0 done", "u1/s1 200 ms", "u1/s1 done"];
    let mut sorted = heard.clone();
    sorted.sort();
    let mut wanted = expected.map(str::to_owned).to_vec();
    wanted.sort();
    assert_eq!(sorted, wanted, "{heard:?}");
    let usage = line.call.meter.read()["elevenlabs"];
    assert_eq!((usage.requests, usage.characters, usage.audio_ms), (1, 17, 450));
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn elevenlabs_drops_what_was_cancelled() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let (one, _) = context(&mut peer).await.unwrap();
        say(&mut peer, json!({"audio": sound(150), "contextId": one})).await;
        let (two, _) = context(&mut peer).await.unwrap();
        let late = STANDARD.encode([0_u8; 1_600]);
        say(&mut peer, json!({"audio": late, "contextId": one})).await;
        say(&mut peer, json!({"audio": sound(200), "contextId": two})).await;
        say(&mut peer, json!({"audio": late, "contextId": one, "isFinal": true})).await;
        say(&mut peer, json!({"contextId": two, "isFinal": true})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "elevenlabs", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "A long story.");
    let first = timeout(Duration::from_secs(5), line.from.recv()).await.unwrap();
    assert!(matches!(first, Some(TtsEvent::Audio { .. })), "{first:?}");
    line.cancel(1);
    line.speak(2, 0, "Yes?");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn aura_is_fenced_by_cleared() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Speak", "text": "One."}));
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Flush"}));
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Clear"}));
        peer.send(Raw::binary(vec![0; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed", "sequence_id": 0})).await;
        peer.send(Raw::binary(vec![0; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Cleared", "sequence_id": 1})).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Speak", "text": "Two."}));
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Flush"}));
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed", "sequence_id": 2})).await;
        assert_eq!(text(&mut peer).await.unwrap(), json!({"type": "Close"}));
    });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    let first = timeout(Duration::from_secs(5), line.from.recv()).await.unwrap();
    assert!(matches!(first, Some(TtsEvent::Audio { .. })), "{first:?}");
    line.cancel(1);
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_clear_without_an_answer_costs_the_connection() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut old = accept(&listener).await;
        text(&mut old).await;
        text(&mut old).await;
        old.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        let mut peer = accept(&listener).await;
        assert_eq!(text(&mut peer).await.unwrap()["text"], "Two.");
        peer.send(Raw::binary(vec![0x10; 1_600])).await.unwrap();
        say(&mut peer, json!({"type": "Flushed"})).await;
        text(&mut peer).await;
    });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    line.from.recv().await;
    line.cancel(1);
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(1).await, ["u2/s0 200 ms", "u2/s0 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_connection_lost_before_any_sound_is_replaced_once() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let mut peer = accept(&listener).await;
            text(&mut peer).await;
        }
        let mut peer = accept(&listener).await;
        let spoken = text(&mut peer).await.unwrap();
        let id = spoken["context_id"].clone();
        say(&mut peer, json!({"type": "chunk", "data": sound(200), "context_id": id})).await;
        say(
            &mut peer,
            json!({"type": "timestamps", "context_id": id,
            "word_timestamps": {"words": ["Three."], "start": [0.02], "end": [0.19]}}),
        )
        .await;
        say(&mut peer, json!({"type": "done", "context_id": id})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    line.speak(1, 1, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 failed: Broken", "u1/s1 failed: Broken"]);
    line.speak(2, 0, "Three.");
    assert_eq!(line.hear(1).await, ["u2/s0 Three. 20-190", "u2/s0 200 ms", "u2/s0 done"]);
    assert_eq!(line.call.meter.read()["cartesia"].failures, 1);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn haste_that_is_refused_is_given_up() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let one = text(&mut peer).await.unwrap()["context_id"].clone();
        let two = text(&mut peer).await.unwrap()["context_id"].clone();
        say(
            &mut peer,
            json!({"type": "error", "status_code": 429, "message": "too many", "context_id": two}),
        )
        .await;
        say(&mut peer, json!({"type": "chunk", "data": sound(200), "context_id": one})).await;
        say(&mut peer, json!({"type": "done", "context_id": one})).await;
        let two = text(&mut peer).await.unwrap()["context_id"].clone();
        say(&mut peer, json!({"type": "chunk", "data": sound(300), "context_id": two})).await;
        say(&mut peer, json!({"type": "done", "context_id": two})).await;
        text(&mut peer).await;
    });
    let line = Line::new(
        &json!({"provider": "cartesia", "model": "m", "voice": "v", "base_url": format!("ws://{address}")}),
    );
    line.speak(1, 0, "One.");
    line.speak(1, 1, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 200 ms", "u1/s0 done", "u1/s1 300 ms", "u1/s1 done"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_refuses_ends_the_stage() {
    let (listener, address) = listen().await;
    let server =
        tokio::spawn(async move { answer(&listener, "401 Unauthorized", b"{\"message\":\"no\"}").await });
    let line =
        Line::new(&json!({"provider": "deepgram", "voice": "v", "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    line.speak(2, 0, "Two.");
    assert_eq!(line.hear(2).await, ["u1/s0 failed: Refused", "u2/s0 failed: Refused"]);
    assert_eq!(line.end().await.unwrap_err().kind(), FailureKind::Refused);
    server.await.unwrap();
}

#[tokio::test]
async fn a_provider_that_hangs_is_given_up() {
    let (listener, address) = listen().await;
    let deadlines = json!({"connect": "1s", "first": "100ms", "gap": "100ms"});
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        text(&mut peer).await;
        let _again = listener.accept().await.unwrap();
    });
    let line = Line::new(&json!({"provider": "cartesia", "model": "m", "voice": "v", "deadlines": deadlines,
        "base_url": format!("ws://{address}")}));
    line.speak(1, 0, "One.");
    assert_eq!(line.hear(1).await, ["u1/s0 failed: TooSlow"]);
    line.end().await.unwrap();
    server.await.unwrap();
}

/// Answers one request with a body, and gives the request.
async fn answer(listener: &TcpListener, status: &str, body: &[u8]) -> String {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = String::new();
        let mut bytes = [0; 4_096];
        loop {
            let count = stream.read(&mut bytes).await.unwrap();
            request.push_str(&String::from_utf8_lossy(&bytes[..count]));
            let whole =
                request.contains("\r\n\r\n") && (!request.starts_with("POST") || request.ends_with('}'));
            if count == 0 || whole {
                break;
            }
        }
        if request.starts_with("HEAD") {
            stream
                .write_all(b"HTTP/1.1 405 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
                .await
                .unwrap();
            continue;
        }
        let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        for piece in body.chunks(333) {
            let size = format!("{:x}\r\n", piece.len());
            // Whoever cancels doesn't listen to the end.
            if stream.write_all(&[size.as_bytes(), piece, b"\r\n"].concat()).await.is_err() {
                return request;
            }
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        return request;
    }
}

fn pcm(ms: usize) -> Vec<u8> {
    (0..ms * 24).flat_map(|n| (((n as f64 * 0.1).sin() * 3_000.0) as i16 + 300).to_le_bytes()).collect()
}

#[tokio::test]
async fn speech_over_http_is_heard_and_errors_are_not() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let first = answer(&listener, "200 OK", &pcm(400)).await;
        answer(&listener, "200 OK", b"{\"error\":{\"message\":\"no voice\"}}").await;
        answer(&listener, "429 Too Many", b"{\"error\":{\"message\":\"slow down\"}}").await;
        answer(&listener, "200 OK", &pcm(100)).await;
        first
    });
    let line = Line::new(&json!({"provider": "openai", "model": "m", "voice": "v", "ahead": 0,
        "base_url": format!("http://{address}/v1")}));
    line.speak(1, 0, "**Hello** there.");
    line.speak(1, 1, "😀");
    line.speak(2, 0, "Two.");
    line.speak(2, 1, "Three.");
    let heard = line.hear(4).await;
    assert!(
        heard.first().is_some_and(|first| first.starts_with("u1/s0 3") || first.starts_with("u1/s0 4")),
        "{heard:?}"
    );
    assert_eq!(heard[1..], ["u1/s0 done", "u1/s1 done", "u2/s0 failed: Garbage", "u2/s1 failed: Garbage"]);
    line.speak(3, 0, "Four.");
    assert_eq!(line.hear(1).await, ["u3/s0 failed: Busy"]);
    line.speak(4, 0, "Five.");
    assert_eq!(line.hear(1).await.last().map(String::as_str), Some("u4/s0 done"));
    let usage = line.call.meter.read()["openai"];
    assert_eq!((usage.requests, usage.failures, usage.characters), (4, 2, 12 + 4 + 5 + 5));
    line.end().await.unwrap();
    let request = server.await.unwrap();
    assert!(
        request.contains("\"input\":\"Hello there.\"") && request.contains("Bearer key-0123456789"),
        "{request}"
    );
}

#[tokio::test]
async fn sentences_are_asked_for_ahead_and_heard_in_order() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        let piece = |ms: usize, c: &str, start: f64| {
            json!({"audio_base64": sound(ms), "alignment": {"characters": [c, " "],
                "character_start_times_seconds": [start, start], "character_end_times_seconds": [start + 0.1, start]}})
            .to_string()
        };
        let body = format!("{}\n{}\n", piece(200, "One", 0.0), piece(150, "two", 0.21));
        answer(&listener, "200 OK", body.as_bytes()).await;
        answer(&listener, "200 OK", piece(300, "Three", 0.0).as_bytes()).await
    });
    let line = Line::new(&json!({"provider": "elevenlabs_http", "model": "m", "voice": "v",
        "base_url": format!("http://{address}")}));
    line.speak(1, 0, "One two");
    line.speak(1, 1, "Three");
    assert_eq!(
        line.hear(2).await,
        [
            "u1/s0 One 0-100",
            "u1/s0 two 210-310",
            "u1/s0 350 ms",
            "u1/s0 done",
            "u1/s1 Three 0-100",
            "u1/s1 300 ms",
            "u1/s1 done"
        ]
    );
    line.end().await.unwrap();
    assert!(server.await.unwrap().contains("\"previous_text\":\"One two\""));
}

#[tokio::test]
async fn a_cancelled_request_is_dropped_at_the_server() {
    let (listener, address) = listen().await;
    let server = tokio::spawn(async move {
        // Much more than a caller hears before he interrupts, and more than sockets hold.
        let request = answer(&listener, "200 OK", &pcm(400_000)).await;
        let next = answer(&listener, "200 OK", &pcm(100)).await;
        (request, next)
    });
    let line = Line::new(&json!({"provider": "openai", "model": "m", "voice": "v", "trim_silence": false,
        "base_url": format!("http://{address}/v1")}));
    line.speak(1, 0, "A very long story.");
    line.from.recv().await;
    line.cancel(1);
    line.speak(2, 0, "Yes?");
    loop {
        match timeout(Duration::from_secs(5), line.from.recv()).await.unwrap() {
            Some(TtsEvent::Done { utterance, .. }) => break assert_eq!(utterance, UtteranceId(2)),
            Some(TtsEvent::Audio { .. }) => {} // of the first, until the cancellation is read
            other => unreachable!("{other:?}"),
        }
    }
    line.end().await.unwrap();
    server.await.unwrap();
}
