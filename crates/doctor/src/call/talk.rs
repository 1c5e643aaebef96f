//! The call's loop: a frame each 20 ms, the server's messages between them.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_simulator::{Messages, Playout, has_voice};
use offhook_twilio::stream::{Outbound, parse_outbound};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::judge::message_cause;
use super::payload::MOST_KEPT;
use super::{BargeIn, Ended, Seen, ended};
use crate::causes;
use crate::limits::{Limits, millis};
use crate::upgrade::Socket;

/// "I'd like to order a pizza", 8 kHz μ-law in a WAV file.
const FIRST_LINE: &[u8] = include_bytes!("../../../../fixtures/callers/pizza-1.wav");
/// Another, to speak over the agent.
const SECOND_LINE: &[u8] = include_bytes!("../../../../fixtures/callers/pizza-3.wav");
const FRAME_MS: u64 = 20;
const WAITING: usize = 400;
/// Octets of the first message that are kept.
const MOST_FIRST: usize = 80_000;
/// The agent's pause after which it is the caller's turn.
const PAUSE_MS: u64 = 900;
/// The caller breaks into an answer that lasts so long.
const LONG_ANSWER_MS: u64 = 1_200;

/// Who is in the call.
pub(crate) struct Parties {
    pub(crate) account: AccountSid,
    pub(crate) call: CallSid,
    pub(crate) stream: StreamSid,
}

enum Part {
    Greeting,
    First {
        said: usize,
    },
    Answer,
    /// The second line, or after a long greeting the first, over the agent's voice.
    Over {
        said: usize,
    },
    /// The agent was spoken over; it may have something to say to that.
    After,
}

/// Makes the call.
pub(crate) async fn talk(
    socket: Socket,
    parties: Parties,
    parameters: &[(String, String)],
    one_way: bool,
    limits: Limits,
) -> Seen {
    let (mut sink, mut source) = socket.split();
    let (outgoing, mut waiting) = mpsc::channel::<Message>(WAITING);
    let writer = tokio::spawn(async move {
        while let Some(message) = waiting.recv().await {
            if let Err(error) = sink.send(message).await {
                tracing::debug!(%error, "the server takes no more");
                break;
            }
        }
        sink
    });
    let messages = Messages::new(parties.account, parties.call, parties.stream.clone());
    let mut talk = Talk {
        messages,
        stream: parties.stream,
        playout: Playout::default(),
        seen: Seen::default(),
        part: Part::Greeting,
        last_voice_ms: None,
        spoke_since: None,
        outgoing: outgoing.clone(),
        limits,
        one_way,
    };
    talk.send(Messages::connected());
    let start = talk.messages.start(parameters);
    talk.send(start);
    let began = Instant::now();
    let mut ticks: u64 = 0;
    loop {
        let due = began + Duration::from_millis(FRAME_MS * ticks);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(due) => {
                if !talk.tick(ticks * FRAME_MS) {
                    break;
                }
                ticks += 1;
            }
            message = source.next() => {
                if let Some(ended) = talk.receive(message, ticks * FRAME_MS) {
                    talk.seen.ended = Some(ended);
                    break;
                }
            }
        }
    }
    talk.seen.length_ms = ticks * FRAME_MS;
    if talk.seen.ended.is_none() {
        let stop = talk.messages.stop();
        talk.send(stop);
        let farewell = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        if talk.outgoing.try_send(Message::Close(Some(farewell))).is_err() {
            tracing::debug!("the server took no farewell");
        }
        let closing = async {
            while let Some(Ok(message)) = source.next().await {
                if message.is_close() {
                    break;
                }
            }
        };
        talk.seen.closed_after_stop = Some(tokio::time::timeout(limits.close, closing).await.is_ok());
    }
    let seen = talk.seen;
    drop(talk.outgoing);
    drop(outgoing);
    writer.abort();
    seen
}

struct Talk {
    messages: Messages,
    stream: StreamSid,
    playout: Playout,
    seen: Seen,
    part: Part,
    last_voice_ms: Option<u64>,
    /// The agent speaks, without a pause, since then.
    spoke_since: Option<u64>,
    outgoing: mpsc::Sender<Message>,
    limits: Limits,
    one_way: bool,
}

impl Talk {
    fn send(&mut self, text: String) {
        if self.outgoing.try_send(Message::Text(text.into())).is_err() {
            tracing::debug!("the server doesn't read; a message is dropped, as Twilio would");
        }
    }

    /// 20 ms of the call. False when it is over.
    fn tick(&mut self, now: u64) -> bool {
        let heard = self.playout.tick();
        for name in heard.marks {
            let text = self.messages.mark(&name);
            self.send(text);
        }
        let voice = has_voice(&heard.frame);
        self.seen.flow.played(&heard.frame, voice);
        self.listen(voice, now);
        if now == 1_000 {
            self.seen.pinged = self.outgoing.try_send(Message::Ping(b"offhook".as_slice().into())).is_ok();
        }
        let (frame, more) = self.speak(now);
        let text = self.messages.media(&frame);
        self.send(text);
        more
    }

    fn listen(&mut self, voice: bool, now: u64) {
        if voice {
            self.seen.first_voice_ms.get_or_insert(now);
            self.last_voice_ms = Some(now);
            self.spoke_since.get_or_insert(now);
            if let Some(end) = self.seen.line_end_ms {
                self.seen.answer_ms.get_or_insert(now.saturating_sub(end));
            }
        } else if self.silent_for(now).is_some_and(|silent| silent >= 400) {
            self.spoke_since = None;
        }
        if let Some(over) = &mut self.seen.barge_in {
            if voice && !over.paused {
                over.until_ms = now;
            }
            // What is heard after a pause answers the caller.
            if let Some(end) = self.seen.over_end_ms.filter(|_| voice && over.paused) {
                self.seen.after_over_ms.get_or_insert(now.saturating_sub(end));
            }
            over.paused |= self.spoke_since.is_none();
        }
    }

    fn silent_for(&self, now: u64) -> Option<u64> {
        self.last_voice_ms.map(|last| now.saturating_sub(last))
    }

    /// What the caller says now, and whether the call goes on.
    fn speak(&mut self, now: u64) -> ([u8; 160], bool) {
        let speaks_since = |since: Option<u64>, long: u64| since.is_some_and(|since| now - since >= long);
        match self.part {
            Part::Greeting => {
                let greeted = self.silent_for(now).is_some_and(|silent| silent >= PAUSE_MS);
                let unheard = self.last_voice_ms.is_none() && now >= millis(self.limits.greeting);
                if greeted || unheard {
                    self.part = Part::First { said: 0 };
                } else if speaks_since(self.spoke_since, millis(self.limits.long_greeting)) {
                    self.seen.long_greeting = true;
                    self.begin_over(now);
                }
                (SILENCE, true)
            }
            Part::First { said } => {
                let (frame, over) = line(FIRST_LINE, said);
                self.seen.line_began_ms.get_or_insert(now);
                self.part = Part::First { said: said + 160 };
                if over {
                    self.part = Part::Answer;
                    self.seen.line_end_ms = Some(now);
                    // An echo, or one who answers at once, speaks already.
                    if self.silent_for(now).is_some_and(|silent| silent < 200) {
                        self.seen.answer_ms = Some(0);
                    }
                }
                (frame, true)
            }
            Part::Answer => {
                let since = now - self.seen.line_end_ms.unwrap_or(now);
                let begun = self.seen.answer_ms.is_some();
                // So long after the caller's own words nothing of it is an echo.
                let speaks =
                    self.spoke_since.map(|began| began.max(self.seen.line_end_ms.unwrap_or(0) + 300));
                if begun && speaks.is_some_and(|since| now >= since + LONG_ANSWER_MS) {
                    self.begin_over(now);
                    return (SILENCE, true);
                }
                let finished =
                    begun && self.silent_for(now).is_some_and(|silent| silent >= PAUSE_MS) && since > 1_000;
                self.seen.waited_for_answer = since >= millis(self.limits.answer);
                let over = finished || self.seen.waited_for_answer || (self.one_way && since > 1_000);
                (SILENCE, !over)
            }
            Part::Over { said } => {
                let words = if self.seen.long_greeting { FIRST_LINE } else { SECOND_LINE };
                let (frame, over) = line(words, said);
                self.part = Part::Over { said: said + 160 };
                let began = self.seen.barge_in.map_or(now, |over| over.at_ms);
                if over && self.seen.over_end_ms.is_none() {
                    self.seen.over_end_ms = Some(now);
                }
                let stopped = over && now - began >= millis(self.limits.stop_talking);
                if stopped {
                    self.part = Part::After;
                }
                (frame, true)
            }
            Part::After => {
                let end = self.seen.over_end_ms.unwrap_or(now);
                // One who never stopped can't be heard to begin.
                let stopped = self.seen.barge_in.is_some_and(|over| over.paused);
                let quiet = stopped && self.seen.after_over_ms.is_none();
                self.seen.silent_after_over = quiet && now - end >= millis(self.limits.answer);
                (SILENCE, quiet && !self.seen.silent_after_over)
            }
        }
    }

    fn begin_over(&mut self, now: u64) {
        self.part = Part::Over { said: 0 };
        self.seen.barge_in = Some(BargeIn {
            at_ms: now,
            queued_ms: self.playout.waiting_ms(),
            until_ms: now,
            ..BargeIn::default()
        });
    }

    fn wrong(&mut self, cause: &'static causes::Cause, what: String) {
        if self.seen.wrong.iter().all(|(known, _)| *known != cause) {
            self.seen.wrong.push((cause, what));
        }
    }

    fn receive(&mut self, message: Option<Result<Message, Error>>, now: u64) -> Option<Ended> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(octets))) => {
                self.wrong(&causes::BINARY, format!("a binary frame of {} bytes", octets.len()));
                return None;
            }
            Some(Ok(Message::Pong(_))) => {
                self.seen.ponged = true;
                return None;
            }
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => return None,
            other => return ended(other, now),
        };
        match parse_outbound(&text, &self.stream) {
            Ok(Outbound::Media(octets)) => self.media(&octets, now),
            Ok(Outbound::Mark(name)) => {
                if let Some(name) = self.playout.mark(name) {
                    let text = self.messages.mark(&name);
                    self.send(text);
                }
            }
            Ok(Outbound::Clear) => {
                if let Some(over) = &mut self.seen.barge_in {
                    over.cleared_ms.get_or_insert(now);
                }
                if self.seen.line_began_ms.is_none() {
                    self.seen.cleared_own_ms += self.playout.waiting_ms();
                }
                for name in self.playout.clear() {
                    let text = self.messages.mark(&name);
                    self.send(text);
                }
            }
            Err(error) => {
                let cause = message_cause(&text, &error.why);
                self.wrong(cause, error.why);
                // Twilio may play it all the same: judge the rest of the call as if.
                if cause == &causes::EXTRA_FIELD
                    && let Some(octets) = super::judge::media_with_more(&text)
                {
                    self.media(&octets, now);
                }
            }
        }
        None
    }

    fn media(&mut self, octets: &[u8], now: u64) {
        self.seen.media_messages += 1;
        self.seen.octets += octets.len();
        self.seen.pace.note(now, octets.len());
        self.seen.flow.piece(octets);
        if self.seen.first_payload.is_empty() {
            self.seen.first_payload = octets.iter().copied().take(MOST_FIRST).collect();
        }
        let silence = octets.iter().all(|octet| matches!(octet, 0xFF | 0x7F));
        if !silence && self.seen.sound.len() < MOST_KEPT {
            self.seen.sound.extend(octets.iter().take(MOST_KEPT));
        }
        if !self.playout.media(octets) {
            self.wrong(&causes::OVERFLOW, "more than 10 minutes of sound were queued".to_owned());
        }
    }
}

const SILENCE: [u8; 160] = [0xFF; 160];

/// 20 ms of a line, and whether it ends with them.
fn line(wav: &[u8], said: usize) -> ([u8; 160], bool) {
    let data = wav.windows(4).position(|four| four == b"data").map_or(0, |at| at + 8);
    let rest = wav.get(data + said..).unwrap_or(&[]);
    let mut frame = SILENCE;
    for (to, from) in frame.iter_mut().zip(rest) {
        *to = *from;
    }
    (frame, rest.len() <= 160)
}
