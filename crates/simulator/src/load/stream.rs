//! One of many calls.

use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

use memchr::{memchr, memmem};
use offhook_twilio::twiml::check;
use offhook_twilio::webhook::incoming_call;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;

use super::figures::Figures;
use super::metronome::Metronome;
use super::wire::{frame, push, push_text};
use super::{FRAME, LoadPlan, Said, Times, Window, stamp};
use crate::http::{Target, Wire, connect, fetch};
use crate::messages::Messages;

/// A pause no longer than this, in the midst of speech, is a hole; longer ones are pauses between utterances.
const LONGEST_GAP: Duration = Duration::from_millis(500);
/// Sound that comes so long after what was there had been played can't be heard as a hole.
const INAUDIBLE: Duration = Duration::from_millis(2);
const FIRST_TIMESTAMP_MS: u64 = 155;

/// Places one call and stays on the line to the window's end.
pub(crate) async fn run(
    plan: &LoadPlan,
    said: &Said,
    (index, times): (usize, Times),
    window: Window,
) -> Result<Figures, String> {
    let sid = |kind: &str| format!("{kind}{index:032x}");
    let names = (CallSid::parse(&sid("CA")), StreamSid::parse(&sid("MZ")), AccountSid::parse(&sid("AC")));
    let (Ok(call), Ok(stream), Ok(account)) = names else { return Err("no ids".to_owned()) };
    let (url, parameters) = if plan.url.starts_with("ws") {
        (plan.url.clone(), Vec::new())
    } else {
        let form = incoming_call(call.as_str(), account.as_str(), "+14155550100", "+14155550101");
        let answer =
            fetch(&plan.url, false, &form, plan.auth_token.as_ref()).await.map_err(|failed| failed.what)?;
        let found = check(answer.status, answer.content_type.as_deref(), &answer.body)
            .stream
            .ok_or_else(|| format!("the webhook answered {} without a stream", answer.status))?;
        (found.url, found.parameters)
    };
    let wire = open(plan, &url).await?;
    let mut messages = Messages::new(account, call, stream.clone());
    let mut line = OnTheLine {
        wire,
        figures: Figures::default(),
        out: Vec::with_capacity(2_048),
        read: Vec::with_capacity(8_192),
        text: Vec::with_capacity(512),
        window,
        echo: plan.echo,
        sent: VecDeque::with_capacity(64),
        returned: 0,
        playing_until: None,
        marks: VecDeque::new(),
        speech_ended: None,
        began: next_on(times.grid, Instant::now()),
        stamps: plan.stamps,
    };
    push_text(&mut line.out, Messages::connected().as_bytes());
    push_text(&mut line.out, messages.start(&parameters).as_bytes());
    line.talk(said, stream.as_str(), (index, times.metronome.as_deref())).await?;
    let stop = messages.stop();
    push_text(&mut line.out, stop.as_bytes());
    push(&mut line.out, 0x8, &1_000u16.to_be_bytes());
    // Measured is measured, whether or not the server takes the farewell.
    let _gone = line.flush().await;
    Ok(line.figures)
}

async fn open(plan: &LoadPlan, url: &str) -> Result<Box<dyn Wire>, String> {
    let mut target = Target::parse(url).ok_or_else(|| format!("`{url}` is no URL"))?;
    if plan.url.starts_with("http://") {
        target.tls = false;
    }
    let request = Request::builder()
        .uri(format!("ws://{}{}", target.authority, target.path))
        .header("Host", &target.authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    let request = match &plan.auth_token {
        Some(token) => request.header("X-Twilio-Signature", offhook_twilio::signature::sign(token, url, &[])),
        None => request,
    };
    let request = request.body(()).map_err(|error| error.to_string())?;
    let wire = connect(&target).await.map_err(|failed| failed.what)?;
    let (socket, _) = client_async(request, wire).await.map_err(|error| format!("no handshake: {error}"))?;
    // The server has nothing to say before `start`, so nothing was read beyond the handshake.
    Ok(socket.into_inner())
}

struct OnTheLine {
    wire: Box<dyn Wire>,
    figures: Figures,
    out: Vec<u8>,
    read: Vec<u8>,
    text: Vec<u8>,
    window: Window,
    echo: bool,
    /// When frames left whose echo hasn't come.
    sent: VecDeque<Instant>,
    /// Octets of the echo that are no whole frame yet.
    returned: usize,
    /// When all sound received so far will have been played, while an utterance lasts.
    playing_until: Option<Instant>,
    /// Marks, and when what lies before them was played.
    marks: VecDeque<(Instant, Vec<u8>)>,
    /// When the caller's speech ended that has no answer yet.
    speech_ended: Option<Instant>,
    /// When its first frame is due.
    began: Instant,
    stamps: Option<Instant>,
}

/// The first of `grid`'s frames that isn't over.
fn next_on(grid: Instant, now: Instant) -> Instant {
    let frames = now.saturating_duration_since(grid).as_nanos().div_ceil(FRAME.as_nanos());
    grid + FRAME * u32::try_from(frames).unwrap_or(u32::MAX)
}

impl OnTheLine {
    async fn talk(
        &mut self,
        said: &Said,
        stream: &str,
        (index, metronome): (usize, Option<&Metronome>),
    ) -> Result<(), String> {
        let began = self.began;
        let mut ticks: u64 = 0;
        let mut due = began;
        let timer = tokio::time::sleep_until(due);
        tokio::pin!(timer);
        loop {
            let tick = async {
                match metronome {
                    Some(metronome) => metronome.at(due, index).await,
                    None => timer.as_mut().await,
                }
            };
            tokio::select! {
                biased;
                () = tick => {
                    let now = Instant::now();
                    if now >= self.window.until {
                        return Ok(());
                    }
                    self.tick(ticks, now, said, stream);
                    if self.window.contains(now) {
                        let late = u32::try_from(now.saturating_duration_since(due).as_micros());
                        self.figures.own_lateness_us.push(late.unwrap_or(u32::MAX));
                    }
                    self.flush().await?;
                    ticks += 1;
                    due = began + FRAME * u32::try_from(ticks).unwrap_or(u32::MAX);
                    timer.as_mut().reset(due);
                }
                count = self.wire.read_buf(&mut self.read) => {
                    match count {
                        Ok(0) => return Err("the server ended the call".to_owned()),
                        Ok(_) => self.take(stream)?,
                        Err(error) => return Err(format!("the socket failed: {error}")),
                    }
                }
            }
        }
    }

    /// 20 ms of the caller's voice, and marks that were reached.
    fn tick(&mut self, ticks: u64, now: Instant, said: &Said, stream: &str) {
        while self.marks.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, name)) = self.marks.pop_front() {
                self.write_mark(&name, stream);
            }
        }
        let place = (ticks % said.frames.len().max(1) as u64) as usize;
        let Some(payload) = said.frames.get(place) else { return };
        let (number, timestamp) = (ticks + 2, FIRST_TIMESTAMP_MS + ticks * 20);
        let chunk = ticks + 1;
        let since = |from: Instant| u64::try_from(from.elapsed().as_micros()).unwrap_or(u64::MAX);
        let stamp = self.stamps.map(|from| stamp::write(since(from)));
        let head = stamp.as_ref().and_then(|stamp| std::str::from_utf8(stamp).ok()).unwrap_or("");
        let rest = payload.get(head.len()..).unwrap_or(payload);
        self.text.clear();
        // Into memory, which takes it.
        let _written = write!(
            self.text,
            r#"{{"event":"media","sequenceNumber":"{number}","media":{{"track":"inbound","chunk":"{chunk}","timestamp":"{timestamp}","payload":"{head}{rest}"}},"streamSid":"{stream}"}}"#
        );
        push_text(&mut self.out, &self.text);
        self.figures.frames_sent += u64::from(self.window.contains(now));
        if self.echo {
            self.sent.push_back(now);
        } else if place + 1 == said.speech {
            if self.speech_ended.take().is_some_and(|since| self.window.contains(since)) {
                self.figures.unanswered += 1;
            }
            self.speech_ended = Some(now + FRAME);
        }
    }

    async fn flush(&mut self) -> Result<(), String> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = self.wire.write_all(&self.out).await;
        self.out.clear();
        written.map_err(|error| format!("the socket failed: {error}"))
    }

    /// Takes what the server sent.
    fn take(&mut self, stream: &str) -> Result<(), String> {
        let now = Instant::now();
        let read = std::mem::take(&mut self.read);
        let mut from = 0;
        while let Some(frame) = frame(&read, from).map_err(|why| format!("the server sent {why}"))? {
            let payload = read.get(frame.payload.clone()).unwrap_or(&[]);
            match frame.opcode {
                0x1 => self.message(payload, now, stream),
                0x8 => return Err("the server closed the stream".to_owned()),
                0x9 => push(&mut self.out, 0xA, payload),
                _ => {}
            }
            from = frame.end;
        }
        self.read = read;
        self.read.drain(..from);
        Ok(())
    }

    fn message(&mut self, text: &[u8], now: Instant, stream: &str) {
        self.figures.messages += u64::from(self.window.contains(now));
        if let Some(octets) = payload_octets(text) {
            self.sound(octets, now);
        } else if let Some(name) = string_of(text, br#""name":"#) {
            match self.playing_until {
                Some(at) if at > now => self.marks.push_back((at, name.to_vec())),
                _ => self.write_mark(name, stream),
            }
            // What comes now is a new utterance, or the next sentence of this one, which may come a little late.
            self.playing_until = self.playing_until.filter(|at| *at > now);
        } else if string_of(text, br#""event":"#) == Some(b"clear") {
            self.playing_until = None;
            for (_, name) in std::mem::take(&mut self.marks) {
                self.write_mark(&name, stream);
            }
        }
    }

    fn sound(&mut self, octets: usize, now: Instant) {
        let measured = self.window.contains(now);
        if measured {
            self.figures.octets_received += octets as u64;
        }
        if self.figures.first_sound_ms.is_none() {
            self.figures.first_sound_ms = u32::try_from((now - self.began).as_millis()).ok();
        }
        if self.echo {
            self.returned += octets;
            while self.returned >= 160 {
                self.returned -= 160;
                let Some(left) = self.sent.pop_front() else { continue };
                if measured {
                    let us = u32::try_from((now - left).as_micros()).unwrap_or(u32::MAX);
                    self.figures.round_trips_us.push(us);
                }
            }
            return;
        }
        if let Some(since) = self.speech_ended.take()
            && self.window.contains(since)
        {
            let ms = now.saturating_duration_since(since).as_millis();
            self.figures.responses_ms.push(u32::try_from(ms).unwrap_or(u32::MAX));
        }
        if let Some(at) = self.playing_until {
            let hole = now.saturating_duration_since(at);
            if measured && hole > INAUDIBLE && hole <= LONGEST_GAP {
                self.figures.gaps += 1;
            }
        }
        let from = self.playing_until.map_or(now, |at| at.max(now));
        self.playing_until = Some(from + Duration::from_micros(octets as u64 * 125));
    }

    fn write_mark(&mut self, name: &[u8], stream: &str) {
        self.text.clear();
        self.text.extend_from_slice(br#"{"event":"mark","sequenceNumber":"1","streamSid":""#);
        self.text.extend_from_slice(stream.as_bytes());
        self.text.extend_from_slice(br#"","mark":{"name":""#);
        // As the server wrote it, escapes included.
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(br#""}}"#);
        let text = std::mem::take(&mut self.text);
        push_text(&mut self.out, &text);
        self.text = text;
    }
}

/// How many octets a message's `payload` holds in base64.
fn payload_octets(text: &[u8]) -> Option<usize> {
    let payload = string_of(text, br#""payload":"#)?;
    let padding = payload.iter().rev().take_while(|byte| **byte == b'=').count();
    Some((payload.len() / 4 * 3).saturating_sub(padding))
}

/// The string that follows a key, as it stands there.
fn string_of<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = text.get(memmem::find(text, key)? + key.len()..)?;
    let open = memchr(b'"', rest)?;
    let value = rest.get(open + 1..)?;
    memchr(b'"', value).and_then(|end| value.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_on_their_grid() {
        let grid = Instant::now();
        assert_eq!(next_on(grid, grid - FRAME), grid);
        assert_eq!(next_on(grid, grid), grid);
        assert_eq!(next_on(grid, grid + FRAME.mul_f64(2.1)), grid + FRAME * 3);
    }

    #[test]
    fn what_is_measured_is_found_in_messages() {
        let media = br#"{"event":"media","streamSid":"MZ","media":{"payload":"/////w=="}}"#;
        assert_eq!(payload_octets(media), Some(4));
        let spaced = br#"{"event": "media", "streamSid": "MZ", "media": {"payload": "AAAA"}}"#;
        assert_eq!(payload_octets(spaced), Some(3));
        assert_eq!(string_of(br#"{"mark":{"name":"g1-2"}}"#, br#""name":"#), Some(&b"g1-2"[..]));
        assert_eq!(payload_octets(br#"{"event":"clear"}"#), None);
    }
}
