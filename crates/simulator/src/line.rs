//! A stream of sound while it lasts: what the caller says, hears, and Twilio would tell.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_twilio::StreamSid;
use offhook_twilio::stream::{Outbound, parse_outbound};
use offhook_twilio::twiml::{Finding, StreamFound};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::http::Wire;
use crate::messages::Messages;
use crate::place::{CallPlan, Progress, millis};
use crate::playout::{Gap, Playout};
use crate::report::{CallReport, Reply, has_voice};
use crate::script::Script;

/// Messages that may wait for a server that reads slowly; beyond, Twilio drops the caller's voice (31930).
const WAITING: usize = 100;
const FRAME: Duration = Duration::from_millis(20);

/// The stream while it lasts.
pub(crate) struct OnTheLine<'a, P> {
    messages: Messages,
    stream: StreamSid,
    playout: Playout,
    report: CallReport,
    progress: &'a mut P,
    told: Vec<u32>,
    hang_up_after: u64,
    longest: u64,
    began: Instant,
    /// Where the stream begins on the call's clock, milliseconds: streams before it lie behind.
    base_ms: u64,
}

impl<'a, P: FnMut(Progress)> OnTheLine<'a, P> {
    pub(crate) fn new(plan: &CallPlan, stream: StreamSid, report: CallReport, progress: &'a mut P) -> Self {
        Self {
            messages: Messages::new(plan.account_sid.clone(), plan.call_sid.clone(), stream.clone()),
            stream,
            playout: Playout::default(),
            progress,
            told: Vec::new(),
            hang_up_after: millis(plan.hang_up_after),
            longest: millis(plan.longest),
            began: Instant::now(),
            base_ms: report.caller_sound.len() as u64 / 8,
            report,
        }
    }

    fn find(&mut self, code: u32, what: impl Into<String>) {
        // Twilio tells each of these once a stream.
        if !self.told.contains(&code) {
            self.told.push(code);
            let finding = Finding::new(code, what);
            self.report.findings.push(finding.to_string());
            (self.progress)(Progress::Found(finding));
        }
    }

    pub(crate) async fn talk(
        mut self,
        socket: WebSocketStream<Box<dyn Wire>>,
        mut script: Script,
        found: &StreamFound,
    ) -> (CallReport, Script) {
        let (mut sink, mut source) = socket.split();
        let (outgoing, mut waiting) = mpsc::channel::<Message>(WAITING);
        let writer = tokio::spawn(async move {
            while let Some(message) = waiting.recv().await {
                if sink.send(message).await.is_err() {
                    break;
                }
            }
            // The server may be gone already.
            let _gone = sink.close().await;
        });
        let began = Instant::now();
        self.began = began;
        self.send(&outgoing, Messages::connected());
        let start = self.messages.start(&found.parameters);
        self.send(&outgoing, start);
        let mut ticks: u64 = 0;
        let ended_by = loop {
            let due = began + FRAME * u32::try_from(ticks).unwrap_or(u32::MAX);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due) => {
                    self.report.own_lateness_ms = self.report.own_lateness_ms.max(millis(due.elapsed()));
                    ticks += 1;
                    if let Some(end) = self.tick(ticks, &mut script, &outgoing) {
                        break end;
                    }
                }
                message = source.next() => {
                    if let Some(end) = self.receive(message, &outgoing) {
                        break end;
                    }
                }
            }
        };
        if ended_by != "server" {
            let stop = self.messages.stop();
            self.send(&outgoing, stop);
            let farewell = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            if outgoing.try_send(Message::Close(Some(farewell))).is_err() {
                tracing::debug!("the server took no farewell");
            }
        }
        drop(outgoing);
        let _late = tokio::time::timeout(Duration::from_secs(2), writer).await;
        self.report.ended_by = ended_by.to_owned();
        self.report.length_ms = self.base_ms + ticks * 20;
        let gaps = self.playout.gaps().iter();
        self.report.gaps.extend(gaps.map(|gap| Gap { at_ms: self.base_ms + gap.at_ms, ..*gap }));
        (self.report, script)
    }

    fn send(&mut self, outgoing: &mpsc::Sender<Message>, text: String) {
        self.report.messages.push((self.base_ms + millis(self.began.elapsed()), "twilio", text.clone()));
        if let Err(mpsc::error::TrySendError::Full(_)) = outgoing.try_send(Message::Text(text.into())) {
            self.find(31930, format!("{WAITING} messages wait; caller audio is dropped"));
        }
    }

    /// 20 ms: what the caller hears, and what the caller says.
    fn tick(
        &mut self,
        ticks: u64,
        script: &mut Script,
        outgoing: &mpsc::Sender<Message>,
    ) -> Option<&'static str> {
        let now_ms = self.base_ms + (ticks - 1) * 20;
        let heard = self.playout.tick();
        self.report.agent_sound.extend_from_slice(&heard.frame);
        for mark in heard.marks {
            let text = self.messages.mark(&mark);
            self.send(outgoing, text);
        }
        let step = script.step(now_ms, has_voice(&heard.frame));
        if let Some(line) = step.began.and_then(|index| script.lines().get(index)) {
            (self.progress)(Progress::CallerSays { at_ms: now_ms, text: line.text.clone() });
            let reply = Reply {
                said: line.text.clone(),
                barge_in: false,
                from_ms: now_ms,
                until_ms: now_ms,
                response_ms: None,
                stopped_ms: None,
            };
            self.report.replies.push(reply);
        }
        if let Some(key) = step.key {
            let text = self.messages.dtmf(key);
            self.send(outgoing, text);
        }
        let mut frame = [0xFF; 160];
        for (to, from) in frame.iter_mut().zip(&step.octets) {
            *to = *from;
        }
        if (step.key.is_some() || has_voice(&step.octets))
            && let Some(reply) = self.report.replies.last_mut()
        {
            if reply.until_ms == reply.from_ms {
                reply.from_ms = now_ms;
            }
            reply.until_ms = now_ms + 20;
        }
        self.report.caller_sound.extend_from_slice(&frame);
        let text = self.messages.media(&frame);
        self.send(outgoing, text);
        if script.is_done(now_ms, self.hang_up_after) {
            return Some("caller");
        }
        (now_ms >= self.longest).then_some("time limit")
    }

    /// A message from the server. Gives who ended the stream, if it is over.
    fn receive(
        &mut self,
        message: Option<Result<Message, Error>>,
        outgoing: &mpsc::Sender<Message>,
    ) -> Option<&'static str> {
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => {
                self.find(31950, "the server sent a binary frame");
                return None;
            }
            Some(Ok(Message::Close(frame))) => {
                let fault = frame.filter(|frame| (1_002..=1_015).contains(&u16::from(frame.code)));
                if let Some(frame) = fault.filter(|frame| u16::from(frame.code) != 1_005) {
                    let reason = if frame.reason.is_empty() {
                        "no reason".to_owned()
                    } else {
                        format!("“{}”", frame.reason)
                    };
                    self.find(
                        31921,
                        format!("the server closed with code {}, {reason}", u16::from(frame.code)),
                    );
                }
                return Some("server");
            }
            None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Some("server"),
            Some(Ok(_)) => return None,
            Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                self.find(31903, "the connection broke without a close frame");
                return Some("server");
            }
            Some(Err(Error::Protocol(error))) => {
                self.find(31924, error.to_string());
                return Some("server");
            }
            Some(Err(error @ (Error::Capacity(_) | Error::Utf8(_)))) => {
                self.find(31924, error.to_string());
                return Some("server");
            }
            Some(Err(error)) => {
                self.find(31903, error.to_string());
                return Some("server");
            }
        };
        self.report.messages.push((self.base_ms + millis(self.began.elapsed()), "server", text.to_string()));
        match parse_outbound(&text, &self.stream) {
            Ok(Outbound::Media(octets)) => {
                self.report.media_messages += 1;
                if octets.starts_with(b"RIFF") {
                    self.find(31951, "the payload begins with a WAV header: it will be heard as a click");
                }
                if !self.playout.media(&octets) {
                    self.find(31931, "more than 10 minutes of audio wait; the rest was discarded");
                }
            }
            Ok(Outbound::Mark(name)) => {
                self.report.marks += 1;
                if let Some(name) = self.playout.mark(name) {
                    let text = self.messages.mark(&name);
                    self.send(outgoing, text);
                }
            }
            Ok(Outbound::Clear) => {
                self.report.clears += 1;
                for name in self.playout.clear() {
                    let text = self.messages.mark(&name);
                    self.send(outgoing, text);
                }
            }
            Err(error) => self.find(31951, error.why),
        }
        None
    }
}
