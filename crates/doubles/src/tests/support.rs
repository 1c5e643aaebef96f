//! A plain client, over connections in memory: with the clock paused, time passes only when nobody has anything to do.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::speaker::{Hum, Speaker};
use crate::{Doubles, DoublesConfig, Fault, FaultRule, Moment, Stage};

pub(super) const OPENAI: (&str, &str) = ("authorization", "Bearer key");
pub(super) const DEEPGRAM: (&str, &str) = ("authorization", "Token key");
pub(super) const ELEVEN: (&str, &str) = ("xi-api-key", "key");

pub(super) async fn start() -> Doubles {
    Doubles::start(DoublesConfig::default()).await.unwrap()
}

pub(super) async fn faulty(stage: Stage, fault: Fault, at: Option<Moment>) -> Doubles {
    let doubles = start().await;
    doubles.add_fault(FaultRule { at, ..FaultRule::always(stage, fault) });
    doubles
}

/// An answer as it came: frames of the body, and whether it broke.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: hyper::HeaderMap,
    pub(super) frames: Vec<Bytes>,
    pub(super) broken: bool,
}

impl Got {
    pub(super) fn body(&self) -> Vec<u8> {
        self.frames.concat()
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap()
    }

    /// The data of an event stream's events.
    pub(super) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }
}

/// Sends a request; none if the connection ended without an answer.
pub(super) async fn post(
    doubles: &Doubles,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Option<Got> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(doubles.connect())).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut request = Request::post(path).header("host", "double");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.ok()?;
    let (parts, mut body) = answer.into_parts();
    let (mut frames, mut broken) = (Vec::new(), false);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => frames.extend(frame.into_data()),
            Err(_) => {
                broken = true;
                break;
            }
        }
    }
    driver.abort();
    Some(Got { status: parts.status.as_u16(), headers: parts.headers, frames, broken })
}

/// A WebSocket.
pub(super) struct Line(pub(super) WebSocketStream<DuplexStream>);

/// Opens a WebSocket, or gives the refusal.
pub(super) async fn open(doubles: &Doubles, path: &str, headers: &[(&str, &str)]) -> Result<Line, Response> {
    let mut request = format!("ws://double{path}").into_client_request().unwrap();
    for (name, value) in headers {
        let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, doubles.connect()).await {
        Ok((socket, _)) => Ok(Line(socket)),
        Err(Error::Http(response)) => Err(*response),
        Err(error) => panic!("{error}"),
    }
}

/// What came over a WebSocket.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Came {
    Text(Value),
    /// Text that is not JSON.
    Garbled(String),
    Sound(usize),
    Closed(u16, String),
    Broken,
}

impl Line {
    pub(super) async fn say(&mut self, value: &Value) {
        self.0.send(Message::text(value.to_string())).await.unwrap();
    }

    pub(super) async fn send(&mut self, message: Message) {
        self.0.send(message).await.unwrap();
    }

    pub(super) async fn next(&mut self) -> Came {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text)
                .map_or_else(|_| Came::Garbled(text.as_str().to_owned()), Came::Text),
            Some(Ok(Message::Binary(bytes))) if bytes.starts_with(b"{") => {
                Came::Text(serde_json::from_slice(&bytes).unwrap())
            }
            Some(Ok(Message::Binary(bytes))) => Came::Sound(bytes.len()),
            Some(Ok(Message::Close(Some(frame)))) => {
                Came::Closed(frame.code.into(), frame.reason.as_str().to_owned())
            }
            Some(Ok(Message::Close(None))) => Came::Closed(1005, String::new()),
            Some(Ok(_)) => Came::Sound(0),
            Some(Err(_)) | None => Came::Broken,
        }
    }

    /// Everything until the end, or until nothing comes for a second.
    pub(super) async fn rest(&mut self) -> Vec<Came> {
        let mut all = Vec::new();
        while let Ok(came) = tokio::time::timeout(std::time::Duration::from_secs(1), self.next()).await {
            let over = matches!(came, Came::Closed(..) | Came::Broken);
            all.push(came);
            if over {
                break;
            }
        }
        all
    }

    /// Until a text fits.
    pub(super) async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        loop {
            match self.next().await {
                Came::Text(value) if fits(&value) => return value,
                end @ (Came::Closed(..) | Came::Broken) => panic!("ended with {end:?}"),
                _ => {}
            }
        }
    }

    /// Sends sound in real time, in messages of a length.
    pub(super) async fn speak(&mut self, sound: &[u8], bytes: usize, each: std::time::Duration) {
        for chunk in sound.chunks(bytes) {
            self.send(Message::binary(chunk.to_vec())).await;
            tokio::time::sleep(each).await;
        }
    }
}

/// Half a second of silence, speech, a second and a half of silence.
pub(super) fn caller(text: &str) -> Vec<i16> {
    let mut sound = vec![0; 4_000];
    sound.extend(Hum.speak(text, 8_000).samples);
    sound.extend([0; 12_000]);
    sound
}

/// The texts among what came, by a member.
pub(super) fn texts(came: &[Came]) -> Vec<Value> {
    let texts = came.iter().filter_map(|came| match came {
        Came::Text(value) => Some(value.clone()),
        _ => None,
    });
    texts.collect()
}
