//! What is attacked, and the ways to it: connections, signed webhooks, WebSockets.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::webhook::{WebhookForm, incoming_call};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::vendors::Vendors;

pub(crate) const TOKEN: &str = "12345";
pub(crate) const API_TOKEN: &str = "a-token-that-nobody-guesses";
pub(crate) const ACCOUNT: &str = "AC00000000000000000000000000000001";

/// An answer is waited for so long.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// This thread runs on a core, where there are several.
pub(crate) fn on_core(core: usize) {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > core) {
        let mut set = rustix::thread::CpuSet::new();
        set.set(core);
        // Without it figures are worse, not wrong.
        let _pinned = rustix::thread::sched_setaffinity(None, &set);
    }
}

/// Attackers come after the good calls, on the same core.
pub(crate) fn give_way() {
    on_core(1);
    let _nice = rustix::process::nice(10);
}

/// An answer to bytes that were sent.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: Option<u16>,
    pub(crate) text: String,
}

impl Answer {
    /// Whether one of the answers has this status.
    pub(crate) fn has(&self, status: u16) -> bool {
        self.text.contains(&format!("HTTP/1.1 {status}"))
    }
}

/// Refused, or closed without a word.
pub(crate) fn refused(answer: &Answer) -> Result<(), String> {
    match answer.status {
        None | Some(400..=499 | 501 | 505) => Ok(()),
        Some(status) => Err(format!("answered {status}")),
    }
}

/// Anything but a fault of the server's.
pub(crate) fn no_fault(answer: &Answer) -> Result<(), String> {
    match answer.status {
        Some(500 | 502..=504 | 506..) => Err(format!("a fault: {}", answer.text)),
        _ => Ok(()),
    }
}

/// The server.
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) process: u32,
    pub(crate) vendors: Rc<Vendors>,
    calls: std::cell::Cell<u32>,
}

impl Target {
    pub(crate) fn new(address: &str, process: u32, vendors: Vendors) -> Self {
        Self {
            address: address.to_owned(),
            process,
            vendors: Rc::new(vendors),
            calls: std::cell::Cell::new(0),
        }
    }

    pub(crate) async fn connect(&self) -> Result<TcpStream, String> {
        TcpStream::connect(&self.address).await.map_err(|error| format!("can't connect: {error}"))
    }

    /// Sends this, and gives what is answered until the server closes or falls silent.
    pub(crate) async fn told(&self, request: &[u8]) -> Result<Answer, String> {
        let wire = self.connect().await?;
        Ok(self.told_on(wire, request).await)
    }

    pub(crate) async fn told_on(&self, mut wire: TcpStream, request: &[u8]) -> Answer {
        // A server that closes in the midst of a request has answered it.
        let _sent = timeout(PATIENCE, wire.write_all(request)).await;
        let (mut answer, mut piece) = (Vec::new(), [0; 8_192]);
        let mut patience = PATIENCE;
        while let Ok(Ok(count)) = timeout(patience, wire.read(&mut piece)).await {
            if count == 0 {
                break;
            }
            answer.extend_from_slice(&piece[..count]);
            patience = Duration::from_millis(30);
        }
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        Answer { status, text }
    }

    /// A number for one more call.
    pub(crate) fn new_call(&self) -> String {
        let number = self.calls.get() + 1;
        self.calls.set(number);
        format!("CA{number:032x}")
    }

    /// A signed webhook.
    pub(crate) async fn signed(&self, path: &str, form: &WebhookForm) -> Result<Answer, String> {
        let url = format!("http://{}{path}", self.address);
        let (signature, body) = (sign(&AuthToken::new(TOKEN), &url, form.params()), form.encode());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nX-Twilio-Signature: {signature}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.told(request.as_bytes()).await
    }

    /// A request to the API, with its token.
    pub(crate) async fn owner(&self, method: &str, path: &str, body: &[u8]) -> Result<Answer, String> {
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {API_TOKEN}\r\nContent-Type: \
             application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.told(&request).await
    }

    /// The document that answers a call to a number.
    pub(crate) async fn document(&self, to: &str, call: &str) -> Result<String, String> {
        let form = incoming_call(call, ACCOUNT, "+14155550100", to);
        let answer = self.signed("/voice", &form).await?;
        match answer.status {
            Some(200) if answer.text.contains("<Connect") => Ok(answer.text),
            status => Err(format!("the attack did not get in: {status:?} {}", answer.text)),
        }
    }

    /// A WebSocket, upgraded.
    pub(crate) async fn upgrade(&self, path: &str) -> Result<Socket, String> {
        let mut wire = self.connect().await?;
        let signature = sign(&AuthToken::new(TOKEN), &format!("wss://{}{path}", self.address), &[]);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: \
             13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Twilio-Signature: {signature}\r\n\r\n",
            self.address
        );
        wire.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let octet = timeout(PATIENCE, wire.read_u8()).await.map_err(|_| "no answer to the upgrade")?;
            head.push(octet.map_err(|error| error.to_string())?);
        }
        if !head.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no upgrade: {}", String::from_utf8_lossy(&head)));
        }
        Ok(Socket(wire))
    }

    /// A Media Streams call to a number, up to its `start`.
    pub(crate) async fn open(&self, to: &str, call: &str) -> Result<Opened, String> {
        let document = self.document(to, call).await?;
        let token = parameter(&document, "token").ok_or("the document has no token")?.to_owned();
        let mut socket = self.upgrade("/media-stream").await?;
        let stream = call.replacen("CA", "MZ", 1);
        socket.text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#).await?;
        socket.text(&start(&stream, call, &token)).await?;
        Ok(Opened { socket, stream, buffer: Vec::new() })
    }
}

/// The `start` message of a stream.
pub(crate) fn start(stream: &str, call: &str, token: &str) -> String {
    format!(
        r#"{{"event":"start","sequenceNumber":"1","start":{{"accountSid":"{ACCOUNT}","streamSid":"{stream}","callSid":"{call}","tracks":["inbound"],"mediaFormat":{{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}},"customParameters":{{"token":"{token}","from":"+14155550100"}}}},"streamSid":"{stream}"}}"#
    )
}

/// A parameter of a document.
pub(crate) fn parameter<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let rest = document.split_once(&format!("name=\"{name}\" value=\""))?.1;
    Some(rest.split_once('"')?.0)
}

/// A WebSocket of which every bit can be wrong.
pub(crate) struct Socket(pub(crate) TcpStream);

impl Socket {
    pub(crate) async fn raw(&mut self, octets: &[u8]) -> Result<(), String> {
        match timeout(PATIENCE, self.0.write_all(octets)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the server takes nothing".to_owned()),
        }
    }

    pub(crate) async fn text(&mut self, text: &str) -> Result<(), String> {
        self.raw(&frame(0x81, text.as_bytes())).await
    }

    /// Reads until the server closes, or so long. Gives whether it closed.
    pub(crate) async fn closed_within(&mut self, within: Duration) -> bool {
        let mut piece = [0; 16_384];
        let read = async { while matches!(self.0.read(&mut piece).await, Ok(1..)) {} };
        timeout(within, read).await.is_ok()
    }
}

/// A masked frame with this first octet.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ ..65_536 => {
            out.push(0x80 | 126);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend((length as u64).to_be_bytes());
        }
    }
    // A mask of zero is valid.
    out.extend([0; 4]);
    out.extend_from_slice(payload);
    out
}

/// A call that has begun.
pub(crate) struct Opened {
    pub(crate) socket: Socket,
    pub(crate) stream: String,
    buffer: Vec<u8>,
}

impl Opened {
    /// A frame of sound, in base64.
    pub(crate) async fn media(&mut self, number: u64, payload: &str) -> Result<(), String> {
        let text = media(&self.stream, number, &(number * 20).to_string(), payload);
        self.socket.text(&text).await
    }

    /// Waits for messages; gives how many octets of sound are in them, and answers their marks.
    pub(crate) async fn read(&mut self) -> Result<usize, String> {
        let count = self.socket.0.read_buf(&mut self.buffer).await.map_err(|error| error.to_string())?;
        if count == 0 {
            return Err("the server has closed".to_owned());
        }
        let mut octets = 0;
        while let Some((opcode, payload)) = take_frame(&mut self.buffer) {
            if opcode == 0x8 {
                return Err(format!("the server has closed: {}", String::from_utf8_lossy(&payload)));
            }
            let text = String::from_utf8_lossy(&payload);
            let value = |name: &str| Some(text.split_once(name)?.1.split_once('"')?.0.to_owned());
            if let Some(sound) = value(r#""payload":""#) {
                octets +=
                    base64::engine::general_purpose::STANDARD.decode(sound).map_or(0, |sound| sound.len());
            } else if let Some(mark) = value(r#""mark":{"name":""#) {
                let stream = &self.stream;
                let back = format!(r#"{{"event":"mark","streamSid":"{stream}","mark":{{"name":"{mark}"}}}}"#);
                self.socket.text(&back).await?;
            }
        }
        Ok(octets)
    }

    /// Speaks and listens for so long, as a caller does; an end by the server is one, too.
    pub(crate) async fn last(&mut self, time: Duration) {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        let end = tokio::time::Instant::now() + time;
        let (mut number, silence) = (0, "/".repeat(213) + "w==");
        while tokio::time::Instant::now() < end {
            tokio::select! {
                _due = ticks.tick() => {
                    number += 1;
                    if self.media(number, &silence).await.is_err() {
                        return;
                    }
                }
                read = self.read() => if read.is_err() {
                    return;
                },
            }
        }
        let _stopped =
            self.socket.text(r#"{"event":"stop","stop":{"accountSid":"AC1","callSid":"CA1"}}"#).await;
        self.socket.closed_within(Duration::from_millis(100)).await;
    }
}

/// A `media` message.
pub(crate) fn media(stream: &str, number: u64, timestamp: &str, payload: &str) -> String {
    format!(
        r#"{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":"{number}","timestamp":"{timestamp}","payload":"{payload}"}},"streamSid":"{stream}"}}"#
    )
}

/// The first whole frame of the server's.
fn take_frame(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (length, head) = match second & 0x7F {
        126 => (usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?)), 4),
        127 => (usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?, 10),
        short => (usize::from(short), 2),
    };
    let payload = buffer.get(head..head + length)?.to_vec();
    buffer.drain(..head + length);
    Some((first & 0x0F, payload))
}
