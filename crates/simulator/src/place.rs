//! One call against a server, over real sockets, in real time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_twilio::signature::{AuthToken, sign};
use offhook_twilio::stream::{Outbound, parse_outbound};
use offhook_twilio::twiml::{Finding, RelayFound, StreamFound, TwimlReport, check};
use offhook_twilio::webhook::incoming_call;
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::http::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::http::{Target, Wire, connect, post};
use crate::messages::Messages;
use crate::playout::Playout;
use crate::relay;
use crate::report::{CallReport, Reply, has_voice};
use crate::script::{Say, Script};

/// Messages that may wait for a server that reads slowly; beyond, Twilio drops the caller's voice (31930).
const WAITING: usize = 100;
/// What a voice server may take to answer the handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
const FRAME: Duration = Duration::from_millis(20);

/// What call to place.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// The webhook's URL.
    pub url: String,
    /// The account's token, to sign with.
    pub auth_token: Option<AuthToken>,
    /// The call's id.
    pub call_sid: CallSid,
    /// The stream's id.
    pub stream_sid: StreamSid,
    /// The account's id.
    pub account_sid: AccountSid,
    /// Who calls.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What the caller says.
    pub script: Script,
    /// After the last line and its answer, hang up when the agent has been silent for so long.
    pub hang_up_after: Duration,
    /// The longest call.
    pub longest: Duration,
    /// The socket of a call of text breaks after so long, once.
    pub drop_after: Option<Duration>,
}

/// Why a call could not be placed. What was found out before stands in the report.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Twilio would have ended the call.
    #[error("Twilio would have ended the call: {0}")]
    Refused(Finding, Box<CallReport>),
}

/// What happens, while it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The webhook answered.
    Webhook {
        /// Its status.
        status: u16,
    },
    /// The stream began.
    Streaming {
        /// Where.
        url: String,
    },
    /// The caller begins a line.
    CallerSays {
        /// When, milliseconds of the stream.
        at_ms: u64,
        /// Its words.
        text: String,
    },
    /// The agent said something; only of calls of text its words are known.
    AgentSaid {
        /// When it was said, milliseconds of the call.
        at_ms: u64,
        /// What was heard of it.
        text: String,
        /// The caller interrupted it.
        interrupted: bool,
    },
    /// Twilio would say this.
    Found(Finding),
}

/// Places a call and stays on the line to its end.
///
/// # Errors
/// If it fails before the stream begins.
pub async fn place(plan: CallPlan, progress: impl FnMut(Progress)) -> Result<CallReport, PlaceError> {
    place_typed(plan, None, progress).await
}

/// The same; where the server wants text, the caller also says what is typed, until the sender is dropped.
///
/// # Errors
/// If it fails before the stream begins.
pub async fn place_typed(
    plan: CallPlan,
    typed: Option<mpsc::Receiver<String>>,
    mut progress: impl FnMut(Progress),
) -> Result<CallReport, PlaceError> {
    let mut report = CallReport {
        call_sid: plan.call_sid.to_string(),
        stream_sid: plan.stream_sid.to_string(),
        ..CallReport::default()
    };
    let found = match fetch_twiml(&plan, &mut report, &mut progress).await {
        Ok(Found::Stream(found)) => found,
        Ok(Found::Relay(found)) => return relay::place(plan, found, typed, report, progress).await,
        Err(finding) => return Err(PlaceError::Refused(finding, Box::new(report))),
    };
    let opening = match no_words(&plan) {
        Some(finding) => Err(finding),
        None => open_socket(&plan, &found.url, "Twilio.TmeWs/1.0", &mut report).await,
    };
    let socket = match opening {
        Ok(socket) => socket,
        Err(finding) => return Err(PlaceError::Refused(finding, Box::new(report))),
    };
    progress(Progress::Streaming { url: found.url.clone() });
    let line = OnTheLine::new(&plan, report, &mut progress);
    let mut report = line.talk(socket, plan.script.clone(), &found).await;
    go_on(&plan, &found, &mut report).await;
    report.conclude();
    Ok(report)
}

/// What a document connects to.
enum Found {
    Stream(StreamFound),
    Relay(RelayFound),
}

/// Text can't be said to a server that wants sound.
fn no_words(plan: &CallPlan) -> Option<Finding> {
    let words = plan.script.lines().iter().find(|line| line.say == Say::Words)?;
    let what = format!(
        "the server wants sound (<Stream>), and “{}” is text: give a sound file, or serve the agent over ConversationRelay",
        words.text
    );
    Some(Finding::new(0, what))
}

async fn fetch_twiml(
    plan: &CallPlan,
    report: &mut CallReport,
    progress: &mut impl FnMut(Progress),
) -> Result<Found, Finding> {
    let form = incoming_call(plan.call_sid.as_str(), plan.account_sid.as_str(), &plan.from, &plan.to);
    let asked = Instant::now();
    let answer = post(&plan.url, &form, plan.auth_token.as_ref())
        .await
        .map_err(|failed| Finding::new(failed.code, failed.what))?;
    report.webhook_ms = millis(asked.elapsed());
    progress(Progress::Webhook { status: answer.status });
    let TwimlReport { findings, verbs, stream, relay } =
        check(answer.status, answer.content_type.as_deref(), &answer.body);
    for finding in &findings {
        progress(Progress::Found(finding.clone()));
        report.findings.push(finding.to_string());
    }
    if let Some(error) = findings.into_iter().find(|finding| !finding.is_warning()) {
        return Err(error);
    }
    let stream = stream.filter(|stream| !stream.url.is_empty()).map(Found::Stream);
    relay.map(Found::Relay).or(stream).ok_or_else(|| {
        let only = verbs.join(", ");
        Finding::new(
            12200,
            format!("the document connects to no <Stream> or <ConversationRelay>, only: {only}"),
        )
    })
}

pub(crate) async fn open_socket(
    plan: &CallPlan,
    url: &str,
    user_agent: &str,
    report: &mut CallReport,
) -> Result<WebSocketStream<Box<dyn Wire>>, Finding> {
    url.clone_into(&mut report.stream_url);
    let mut target = Target::parse(url).ok_or_else(|| Finding::new(31923, url.to_owned()))?;
    if plan.url.starts_with("http://") && target.tls {
        // A server under test without a certificate; Twilio would insist on TLS.
        target.tls = false;
    }
    let mut request = Request::builder()
        .uri(format!("ws://{}{}", target.authority, target.path))
        .header("Host", &target.authority)
        .header("User-Agent", user_agent)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key());
    if let Some(token) = &plan.auth_token {
        request = request.header("X-Twilio-Signature", sign(token, url, &[]));
    }
    let request = request.body(()).map_err(|error| Finding::new(31923, error.to_string()))?;
    let asked = Instant::now();
    let opening = async {
        let wire = connect(&target).await.map_err(|failed| {
            let code = match failed.code {
                11202 => 31902,
                11235 | 11237 => 31910,
                _ => 31904,
            };
            Finding::new(code, failed.what)
        })?;
        client_async(request, wire).await.map_err(|error| match error {
            Error::Http(answer) => Finding::new(31920, format!("{url} answered with {}", answer.status())),
            other => Finding::new(31920, format!("{url}: {other}")),
        })
    };
    let (socket, _) = tokio::time::timeout(HANDSHAKE_WITHIN, opening)
        .await
        .map_err(|_| Finding::new(31901, format!("{url} did not answer within {HANDSHAKE_WITHIN:?}")))??;
    report.handshake_ms = millis(asked.elapsed());
    Ok(socket)
}

/// An action's URL, which may be relative to the webhook's.
pub(crate) fn absolute(action: &str, plan: &CallPlan) -> String {
    if action.contains("://") {
        return action.to_owned();
    }
    let base = Target::parse(&plan.url).map(|target| target.authority).unwrap_or_default();
    let scheme = plan.url.split("://").next().unwrap_or("https");
    format!("{scheme}://{base}/{}", action.trim_start_matches('/'))
}

/// The stream has ended: does what the TwiML says next, as Twilio would.
async fn go_on(plan: &CallPlan, found: &StreamFound, report: &mut CallReport) {
    let Some(action) = &found.action else { return };
    let url = absolute(action, plan);
    let form = incoming_call(plan.call_sid.as_str(), plan.account_sid.as_str(), &plan.from, &plan.to);
    match post(&url, &form, plan.auth_token.as_ref()).await {
        Ok(answer) => {
            let next = check(answer.status, answer.content_type.as_deref(), &answer.body);
            report
                .findings
                .extend(next.findings.iter().map(|finding| format!("after the stream: {finding}")));
            report.after = next.verbs;
        }
        Err(failed) => {
            report.findings.push(format!("after the stream: {}", Finding::new(failed.code, failed.what)));
        }
    }
}

/// The stream while it lasts.
struct OnTheLine<'a, P> {
    messages: Messages,
    stream: StreamSid,
    playout: Playout,
    report: CallReport,
    progress: &'a mut P,
    told: Vec<u32>,
    hang_up_after: u64,
    longest: u64,
    began: Instant,
}

impl<'a, P: FnMut(Progress)> OnTheLine<'a, P> {
    fn new(plan: &CallPlan, report: CallReport, progress: &'a mut P) -> Self {
        Self {
            messages: Messages::new(plan.account_sid.clone(), plan.call_sid.clone(), plan.stream_sid.clone()),
            stream: plan.stream_sid.clone(),
            playout: Playout::default(),
            report,
            progress,
            told: Vec::new(),
            hang_up_after: millis(plan.hang_up_after),
            longest: millis(plan.longest),
            began: Instant::now(),
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

    async fn talk(
        mut self,
        socket: WebSocketStream<Box<dyn Wire>>,
        mut script: Script,
        found: &StreamFound,
    ) -> CallReport {
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
        self.report.length_ms = ticks * 20;
        self.report.gaps = self.playout.gaps().to_vec();
        self.report
    }

    fn send(&mut self, outgoing: &mpsc::Sender<Message>, text: String) {
        self.report.messages.push((millis(self.began.elapsed()), "twilio", text.clone()));
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
        let now_ms = (ticks - 1) * 20;
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
        let answered = script.silent_for_ms(now_ms).is_some_and(|silent| silent >= self.hang_up_after);
        if script.is_over() && answered && self.playout.is_empty() {
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
            Some(Ok(Message::Close(_))) | None => return Some("server"),
            Some(Ok(_)) => return None,
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Some("server"),
            Some(Err(Error::Protocol(error))) => {
                self.find(31924, error.to_string());
                return Some("server");
            }
            Some(Err(error)) => {
                self.find(31903, error.to_string());
                return Some("server");
            }
        };
        self.report.messages.push((millis(self.began.elapsed()), "server", text.to_string()));
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
