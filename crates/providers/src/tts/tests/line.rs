//! A call's side of a voice, and a provider's.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{SinkExt, StreamExt};
use offhook_stage_api::id::{SegmentId, UtteranceId};
use offhook_stage_api::{AudioChunk, SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::{CallInfo, Rx, StageError, Tx, WhenFull, bounded};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message as Raw;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::key;
use crate::tts::TtsConfig;

/// A voice in a call, and what comes of it.
pub(super) struct Line {
    pub(super) to: Option<Tx<TtsCommand>>,
    pub(super) from: Rx<TtsEvent>,
    pub(super) call: CallInfo,
    pub(super) run: tokio::task::JoinHandle<Result<(), StageError>>,
}

impl Line {
    pub(super) fn new(config: &Value) -> Self {
        let config: TtsConfig = serde_json::from_value(config.clone()).unwrap();
        let call = CallInfo { language: "en-US".into(), ..CallInfo::default() };
        let (to, commands) = bounded(64, WhenFull::PushBack);
        let (events, from) = bounded(1_024, WhenFull::PushBack);
        let run = tokio::spawn(config.build(key()).run(call.clone(), commands, events));
        Self { to: Some(to), from, call, run }
    }

    pub(super) fn speak(&self, utterance: u32, segment: u32, text: &str) {
        let (utterance, segment) = (UtteranceId(utterance), SegmentId(segment));
        let request = SpeakRequest {
            utterance,
            segment,
            text: text.to_owned(),
            last: false,
            language: None,
            recording: None,
        };
        self.to.as_ref().unwrap().offer(TtsCommand::Speak(request)).unwrap();
    }

    pub(super) fn cancel(&self, utterance: u32) {
        let cancel = TtsCommand::Cancel { utterance: UtteranceId(utterance) };
        self.to.as_ref().unwrap().offer(cancel).unwrap();
    }

    /// Everything up to so many `Done`s and `Failed`s; sound in milliseconds, run together.
    pub(super) async fn hear(&self, ends: usize) -> Vec<String> {
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

    pub(super) async fn end(mut self) -> Result<(), StageError> {
        self.to = None;
        timeout(Duration::from_secs(5), self.run).await.unwrap().unwrap()
    }
}

pub(super) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

pub(super) type Peer = WebSocketStream<TcpStream>;

pub(super) async fn accept(listener: &TcpListener) -> Peer {
    accept_async(listener.accept().await.unwrap().0).await.unwrap()
}

/// The next text, as JSON; `None` when the other side is gone.
pub(super) async fn text(peer: &mut Peer) -> Option<Value> {
    loop {
        match peer.next().await? {
            Ok(Raw::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Raw::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

pub(super) async fn say(peer: &mut Peer, message: Value) {
    peer.send(Raw::text(message.to_string())).await.unwrap();
}

pub(super) fn sound(ms: usize) -> String {
    STANDARD.encode(vec![0x10; ms * 8])
}

/// The text of the next context: its number and its words.
pub(super) async fn context(peer: &mut Peer) -> Option<(String, String)> {
    let first = text(peer).await?;
    assert_eq!(first["text"], " ", "{first}");
    let words = text(peer).await?;
    assert_eq!(text(peer).await?["flush"], true);
    assert_eq!(text(peer).await?["close_context"], true);
    Some((first["context_id"].as_str()?.to_owned(), words["text"].as_str()?.to_owned()))
}

/// Answers one request with a body, and gives the request.
pub(super) async fn answer(listener: &TcpListener, status: &str, body: &[u8]) -> String {
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
        // A connection that was opened ahead, and then not needed.
        if request.is_empty() {
            continue;
        }
        assert!(!request.starts_with("HEAD"), "nobody asked for that: {request}");
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

pub(super) fn pcm(ms: usize) -> Vec<u8> {
    (0..ms * 24).flat_map(|n| (((n as f64 * 0.1).sin() * 3_000.0) as i16 + 300).to_le_bytes()).collect()
}
