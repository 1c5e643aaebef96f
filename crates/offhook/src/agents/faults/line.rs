//! One call over WebSockets: a server's side as `serve` has it, and a caller who measures.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_conversation::{CallEvent, Deadline, Input, Output};
use offhook_media_line::{CallConfig, MediaInput, MediaLine, MediaWire};
use offhook_session::{Observer, SessionReport, Setup, serve_call};
use offhook_simulator::{Messages, Playout, has_voice};
use offhook_stage_api::CallTime;
use offhook_twilio::stream::{Outbound, parse_outbound};
use offhook_twilio::{AccountSid, CallSid, StreamSid};
use tokio::io::DuplexStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::agents::Agent;

const FRAME: Duration = Duration::from_millis(20);
/// The caller speaks when the agent has been silent for 0.9 s.
const POLITE: u32 = 45;
/// Longer waits aren't measured.
const MISSED: Duration = Duration::from_secs(7);

/// A caller's line.
#[derive(Clone, Debug)]
pub(super) struct Said {
    frames: Vec<[u8; 160]>,
    /// The frame after the last with speech in it.
    ends: usize,
}

impl Said {
    /// The line of this name among the fixtures.
    pub(super) fn fixture(name: &str) -> Self {
        let path = format!("{}/../../fixtures/callers/{name}.wav", env!("CARGO_MANIFEST_DIR"));
        let wav = std::fs::read(path).unwrap();
        let data = wav.windows(4).position(|four| four == b"data").unwrap() + 8;
        let frames: Vec<[u8; 160]> =
            wav[data..].chunks_exact(160).map(|frame| frame.try_into().unwrap()).collect();
        let ends = frames.iter().rposition(|frame| has_voice(frame)).unwrap() + 1;
        Self { frames, ends }
    }
}

/// How long the caller waited for a sound.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// From the end of the caller's speech, or the stream's start, to the first sound on the wire. `None`: none came.
    pub(super) sound: Option<Duration>,
    /// How late the caller itself was meanwhile: the machine was busy.
    pub(super) lateness: Duration,
}

/// How a call went.
#[derive(Debug)]
pub(super) struct Went {
    /// For the greeting, then for each line.
    pub(super) waits: Vec<Wait>,
    pub(super) report: SessionReport,
    /// What happened, in order.
    pub(super) events: Vec<String>,
}

/// What the caller does besides talking.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mood {
    /// Hangs up, without a farewell, after so long.
    pub(super) leaves_after: Option<Duration>,
}

/// Places a call. `between` is called before the caller's second line.
pub(super) async fn call(agent: &Agent, lines: &[Said], mood: Mood, between: impl FnOnce()) -> Went {
    let events = Arc::new(Mutex::new(Vec::new()));
    let mut setup = Setup::new(
        Arc::new(agent.call_config(&CallConfig::default())),
        agent.stages.clone(),
        &agent.language,
    );
    setup.tools = agent.tools.clone().map(|tools| tools as std::sync::Arc<dyn offhook_session::Tools>);
    let watch = Watch(Arc::clone(&events));
    // In memory: what is on its way through the kernel doesn't hold a virtual clock.
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server = tokio::task::spawn_local(async move {
        let socket = tokio_tungstenite::accept_async(ours).await.unwrap();
        serve_call(socket, |_| Ok(setup), |_| watch).await
    });
    let (socket, _) = client_async("ws://offhook.test/", theirs).await.unwrap();
    let waits = Caller::new().talk(socket, lines, mood, between).await;
    let report = tokio::time::timeout(Duration::from_secs(5), server).await;
    let report = report.expect("the session ends with its socket").expect("the session doesn't panic");
    let events = std::mem::take(&mut *events.lock().unwrap());
    Went { waits, report, events }
}

struct Watch(Arc<Mutex<Vec<String>>>);

impl Observer<MediaLine> for Watch {
    fn input(&mut self, _: CallTime, _: &Input<MediaInput<'_>>, _: Option<Deadline>) {}

    fn output(&mut self, now: CallTime, output: &Output<MediaWire>) {
        if let Output::Event(event) = output
            && !matches!(event, CallEvent::Hearing { .. })
        {
            self.0.lock().unwrap().push(format!("{:>6} {event:?}", now.since_start().as_millis()));
        }
    }
}

type Socket = WebSocketStream<DuplexStream>;

struct Caller {
    stream: StreamSid,
    messages: Messages,
    playout: Playout,
    waits: Vec<Wait>,
    /// Since when a sound is waited for.
    since: Option<Instant>,
    lateness: Duration,
    /// Frames since the last sound.
    quiet: u32,
}

impl Caller {
    fn new() -> Self {
        let stream = StreamSid::parse(&format!("MZ{:032x}", 1)).unwrap();
        let call = CallSid::parse(&format!("CA{:032x}", 1)).unwrap();
        let account = AccountSid::parse(&format!("AC{:032x}", 1)).unwrap();
        let messages = Messages::new(account, call, stream.clone());
        Self {
            stream,
            messages,
            playout: Playout::default(),
            waits: Vec::new(),
            since: None,
            lateness: Duration::ZERO,
            quiet: 0,
        }
    }

    async fn talk(
        mut self,
        mut socket: Socket,
        lines: &[Said],
        mood: Mood,
        between: impl FnOnce(),
    ) -> Vec<Wait> {
        let mut between = Some(between);
        let mut next = 0;
        let mut speaking: Option<(&Said, usize)> = None;
        socket.send(Message::Text(Messages::connected().into())).await.unwrap();
        socket.send(Message::Text(self.messages.start(&[]).into())).await.unwrap();
        let began = Instant::now();
        self.since = Some(began);
        let mut ticks = 0;
        loop {
            let due = began + FRAME * ticks;
            tokio::select! {
                biased;
                message = socket.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        for mark in self.on_message(&text) {
                            let returned = self.messages.mark(&mark);
                            // The server may just have left.
                            let _gone = socket.send(Message::Text(returned.into())).await;
                        }
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                    Some(Ok(_)) => {}
                },
                () = tokio::time::sleep_until(due) => {
                    ticks += 1;
                    self.lateness = self.lateness.max(due.elapsed());
                    if mood.leaves_after.is_some_and(|after| began.elapsed() >= after) {
                        return self.waits; // the socket breaks
                    }
                    let tick = self.playout.tick();
                    let voice = tick.sounded && has_voice(&tick.frame);
                    self.quiet = if voice { 0 } else { self.quiet + 1 };
                    let mut frame = [0xFF; 160];
                    match &mut speaking {
                        Some((said, at)) => {
                            frame = said.frames[*at];
                            *at += 1;
                            if *at == said.ends {
                                self.wait();
                            }
                            if *at == said.frames.len() {
                                speaking = None;
                            }
                        }
                        None if self.since.is_some_and(|since| since.elapsed() > MISSED) => self.waited(None),
                        None if self.since.is_none() && self.quiet >= POLITE => {
                            if next == 1 && let Some(between) = between.take() {
                                between();
                            }
                            let Some(said) = lines.get(next) else { break };
                            speaking = Some((said, 0));
                            next += 1;
                        }
                        None => {}
                    }
                    let mut out = vec![self.messages.media(&frame)];
                    out.extend(tick.marks.iter().map(|mark| self.messages.mark(mark)));
                    for text in out {
                        let _gone = socket.send(Message::Text(text.into())).await;
                    }
                }
            }
        }
        if self.since.is_some() {
            self.waited(None);
        }
        let stop = self.messages.stop();
        let _gone = socket.send(Message::Text(stop.into())).await;
        let _gone = socket.close(None).await;
        self.waits
    }

    /// Takes a message; gives marks that are to be returned at once.
    fn on_message(&mut self, text: &str) -> Vec<String> {
        match parse_outbound(text, &self.stream).unwrap() {
            Outbound::Media(octets) => {
                self.playout.media(&octets);
                if octets.chunks(160).any(has_voice) {
                    self.quiet = 0;
                    if let Some(since) = self.since {
                        self.waited(Some(since.elapsed()));
                    }
                }
                Vec::new()
            }
            Outbound::Mark(name) => self.playout.mark(name).into_iter().collect(),
            Outbound::Clear => self.playout.clear(),
        }
    }

    fn wait(&mut self) {
        self.since = Some(Instant::now());
        self.lateness = Duration::ZERO;
    }

    fn waited(&mut self, sound: Option<Duration>) {
        self.waits.push(Wait { sound, lateness: self.lateness });
        self.since = None;
        self.quiet = 0;
    }
}
