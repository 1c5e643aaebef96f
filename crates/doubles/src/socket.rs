//! WebSockets: a protocol says what to send and when, this sends it, and does what faults order.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use crate::fault::{Fault, Struck, mp3, wav_header};
use crate::seen::{End, Ticket};

/// A provider's side of a WebSocket. Knows no clock: the time since the socket opened is [`Outbox::now`].
pub(crate) trait Protocol: Send + Sync {
    /// The socket is open.
    fn open(&mut self, _out: &mut Outbox) {}
    /// The client sent text.
    fn text(&mut self, text: &str, out: &mut Outbox);
    /// The client sent bytes.
    fn binary(&mut self, bytes: &Bytes, out: &mut Outbox);
    /// When it wants to be called next, whatever happens.
    fn deadline(&self) -> Option<Duration> {
        None
    }
    /// Its deadline has come.
    fn expired(&mut self, _out: &mut Outbox) {}
    /// How this provider reports an error inside of a session, and the code it closes with.
    fn failure(&self) -> (Value, u16);
}

/// Something to send.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Out {
    Json(Value),
    /// Sound as base64 in a member of a message: its name, or a JSON pointer to it.
    JsonAudio {
        value: Value,
        member: &'static str,
        audio: Bytes,
    },
    Audio(Bytes),
    Close {
        code: u16,
        reason: String,
    },
}

#[derive(Clone, Debug)]
struct Queued {
    out: Out,
    tag: u64,
    last: bool,
}

/// What is to be sent, by time.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    now: Duration,
    next: u64,
    queue: BTreeMap<(Duration, u64), Queued>,
    /// Samples per second of outgoing sound, for a WAV header that is ordered.
    pub(crate) rate: u32,
    /// Its JSON goes in binary frames.
    pub(crate) binary: bool,
}

/// More than this waiting to be sent: the client asks for more than it takes.
const MOST_QUEUED: usize = 100_000;
/// A client that takes nothing for so long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(60);

impl Outbox {
    /// Time since the socket opened.
    pub(crate) fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn set_now(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn put(&mut self, at: Duration, queued: Queued) {
        if self.queue.len() < MOST_QUEUED {
            self.next += 1;
            self.queue.insert((at.max(self.now), self.next), queued);
        }
    }

    /// Sends a message now.
    pub(crate) fn say(&mut self, value: Value) {
        self.at(self.now, 0, Out::Json(value));
    }

    /// Sends something at a time. The tag is for [`Self::forget`].
    pub(crate) fn at(&mut self, at: Duration, tag: u64, out: Out) {
        self.put(at, Queued { out, tag, last: false });
    }

    /// Sends a message that marks an end.
    pub(crate) fn last_at(&mut self, at: Duration, tag: u64, value: Value) {
        self.put(at, Queued { out: Out::Json(value), tag, last: true });
    }

    /// Closes at a time, after all that is due then.
    pub(crate) fn close_at(&mut self, at: Duration, code: u16, reason: &str) {
        self.put(
            at,
            Queued { out: Out::Close { code, reason: reason.to_owned() }, tag: u64::MAX, last: false },
        );
    }

    /// Says why, and closes.
    pub(crate) fn fail(&mut self, value: Value, code: u16, reason: &str) {
        self.queue.clear();
        self.say(value);
        self.close_at(self.now, code, reason);
    }

    /// Doesn't send what was queued under a tag and isn't due before `from`. Returns how much that was.
    pub(crate) fn forget(&mut self, tag: u64, from: Duration) -> usize {
        let before = self.queue.len();
        self.queue.retain(|(at, _), queued| queued.tag != tag || *at < from);
        before - self.queue.len()
    }

    /// When the last of a tag goes out.
    pub(crate) fn busy_until(&self, tag: u64) -> Option<Duration> {
        self.queue.iter().rev().find(|(_, queued)| queued.tag == tag).map(|((at, _), _)| *at)
    }

    fn next_due(&self) -> Option<Duration> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn pop(&mut self) -> Option<Queued> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= self.now).then(|| entry.remove())
    }
}

/// Serves a socket until it is closed.
pub(crate) async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    mut protocol: Box<dyn Protocol>,
    struck: Option<Struck>,
    ticket: Ticket,
) {
    let start = Instant::now();
    let mut out = Outbox { rate: 8_000, ..Outbox::default() };
    let mut wire = Wire { socket, struck, event: 0, stalled: false, sound_begun: false, binary: false };
    protocol.open(&mut out);
    wire.binary = out.binary;
    let end = loop {
        let due = [out.next_due(), protocol.deadline()].into_iter().flatten().min();
        let wake = start + due.unwrap_or(Duration::from_secs(86_400 * 365));
        tokio::select! {
            biased;
            () = sleep_until(wake) => {}
            message = wire.socket.next() => {
                out.set_now(start.elapsed());
                match message {
                    Some(Ok(Message::Text(text))) => {
                        ticket.message(|| text.as_str().to_owned());
                        protocol.text(&text, &mut out);
                    }
                    Some(Ok(Message::Binary(bytes))) => {
                        ticket.message(|| format!("({} bytes)", bytes.len()));
                        protocol.binary(&bytes, &mut out);
                    }
                    Some(Ok(Message::Close(_))) => break End::Complete,
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break End::ClientLeft,
                }
            }
        }
        out.set_now(start.elapsed());
        if protocol.deadline().is_some_and(|deadline| deadline <= out.now()) {
            protocol.expired(&mut out);
        }
        let sent = timeout(SEND_PATIENCE, wire.send_due(&mut out, protocol.as_ref())).await;
        match sent.unwrap_or(Some(End::ClientLeft)) {
            None => {}
            Some(end) => break end,
        }
    };
    ticket.end(end);
}

struct Wire<S> {
    socket: WebSocketStream<S>,
    struck: Option<Struck>,
    event: u64,
    stalled: bool,
    sound_begun: bool,
    binary: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Sends what is due. An end means that the socket is done with.
    async fn send_due(&mut self, out: &mut Outbox, protocol: &dyn Protocol) -> Option<End> {
        while let Some(queued) = out.pop() {
            if self.stalled {
                continue;
            }
            if let Out::Close { code, reason } = queued.out {
                return Some(self.close(code, &reason).await);
            }
            self.event += 1;
            if let Some(end) = self.send(queued, out.rate, protocol).await {
                return Some(end);
            }
        }
        None
    }

    async fn send(&mut self, queued: Queued, rate: u32, protocol: &dyn Protocol) -> Option<End> {
        let event = self.event;
        let Some(struck) = self.struck.clone() else { return self.write(self.message(queued.out)).await };
        let fault = &struck.fault;
        match fault {
            Fault::NoTerminator if queued.last => return None,
            Fault::Stall if struck.before(event) || struck.during(event) => {
                self.stalled = true;
                return None;
            }
            Fault::Cut | Fault::Close { .. } | Fault::ErrorEvent if struck.before(event) => {
                return self.strike(fault, protocol).await;
            }
            Fault::Cut if struck.during(event) => {
                self.half(self.message(queued.out)).await;
                return Some(End::Fault);
            }
            Fault::Close { .. } | Fault::ErrorEvent if struck.during(event) => {
                return self.strike(fault, protocol).await;
            }
            _ => {}
        }
        let sounds = matches!(queued.out, Out::Audio(_) | Out::JsonAudio { .. });
        let first_sound = sounds && !std::mem::replace(&mut self.sound_begun, true);
        let this = if sounds { first_sound } else { struck.this(event) };
        let changed = change(queued.out, fault, this, rate)?; // none: not sent, and no end either
        let message = self.message(changed);
        let again = *fault == Fault::Duplicate && (struck.at.is_none() || struck.this(event));
        let end = match fault {
            Fault::Split => self.fragments(message, Duration::ZERO).await,
            Fault::Drip { every } if struck.since(event) => self.fragments(message, *every).await,
            _ if again => match self.write(message.clone()).await {
                None => self.write(message).await,
                end => end,
            },
            _ => self.write(message).await,
        };
        if end.is_none() && struck.after(event) {
            match fault {
                Fault::Stall => self.stalled = true,
                Fault::Cut | Fault::Close { .. } | Fault::ErrorEvent => {
                    return self.strike(fault, protocol).await;
                }
                _ => {}
            }
        }
        end
    }

    /// Ends the session as a fault orders it.
    async fn strike(&mut self, fault: &Fault, protocol: &dyn Protocol) -> Option<End> {
        match fault {
            Fault::Close { code, reason } => {
                self.close(*code, reason).await;
            }
            Fault::ErrorEvent => {
                let (value, code) = protocol.failure();
                let _gone = self.write(self.message(Out::Json(value))).await;
                self.close(code, "").await;
            }
            _ => {}
        }
        Some(End::Fault)
    }

    fn message(&self, out: Out) -> Message {
        match message(out) {
            Message::Text(text) if self.binary => Message::Binary(text.into()),
            message => message,
        }
    }

    async fn write(&mut self, message: Message) -> Option<End> {
        self.socket.send(message).await.is_err().then_some(End::ClientLeft)
    }

    /// Sends a message in fragments of one byte.
    async fn fragments(&mut self, message: Message, every: Duration) -> Option<End> {
        let first = if message.is_text() { Data::Text } else { Data::Binary };
        let bytes = message.into_data();
        for at in 0..bytes.len() {
            tokio::time::sleep(every).await;
            let code = OpCode::Data(if at == 0 { first } else { Data::Continue });
            let frame = Frame::message(bytes.slice(at..=at), code, at + 1 == bytes.len());
            if let Some(end) = self.write(Message::Frame(frame)).await {
                return Some(end);
            }
        }
        None
    }

    /// Sends half a frame.
    async fn half(&mut self, message: Message) {
        let code = OpCode::Data(if message.is_text() { Data::Text } else { Data::Binary });
        let mut frame = Vec::new();
        if Frame::message(message.into_data(), code, true).format(&mut frame).is_ok() {
            frame.truncate(frame.len() / 2);
            let _gone = self.socket.get_mut().write_all(&frame).await;
            let _gone = self.socket.get_mut().flush().await;
        }
    }

    /// Closes, and gives the client a moment to agree.
    async fn close(&mut self, code: u16, reason: &str) -> End {
        if code != 1006 {
            let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
            let _gone = self.socket.close(Some(frame)).await;
            let agree = async { while let Some(Ok(_)) = self.socket.next().await {} };
            let _late = timeout(Duration::from_secs(1), agree).await;
        }
        if code == 1000 { End::Complete } else { End::Refused }
    }
}

/// What a fault makes of a message; none if it is not sent. `this`: it is the event meant, or the first sound.
fn change(out: Out, fault: &Fault, this: bool, rate: u32) -> Option<Out> {
    let sound = |audio: Bytes| -> Option<Bytes> {
        Some(match fault {
            Fault::EmptyAudio => return None,
            Fault::Mp3 => mp3().into(),
            Fault::WavHeader if this => [wav_header(rate), audio.to_vec()].concat().into(),
            Fault::OddBytes => [audio.as_ref(), &[0]].concat().into(),
            _ => audio,
        })
    };
    Some(match out {
        Out::Audio(audio) => Out::Audio(sound(audio)?),
        Out::JsonAudio { value, member, audio } => Out::JsonAudio { value, member, audio: sound(audio)? },
        Out::Json(value) if *fault == Fault::BrokenJson && this => {
            let text = value.to_string();
            let half = text.chars().count() / 2;
            Out::Json(Value::String(text.chars().take(half).collect()))
        }
        other => other,
    })
}

fn message(out: Out) -> Message {
    match out {
        // Only a broken message is a bare string: no provider sends one.
        Out::Json(Value::String(broken)) => Message::text(broken),
        Out::Json(value) => Message::text(value.to_string()),
        Out::JsonAudio { mut value, member, audio } => {
            if let Some(place) = value.pointer_mut(member) {
                *place = STANDARD.encode(&audio).into();
            } else if let Some(members) = value.as_object_mut() {
                members.insert(member.to_owned(), STANDARD.encode(&audio).into());
            }
            Message::text(value.to_string())
        }
        Out::Audio(audio) => Message::Binary(audio),
        Out::Close { reason, .. } => Message::text(reason),
    }
}
