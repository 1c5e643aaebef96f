//! The loop.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::StreamExt;
use offhook_call::{Call, CallEvent, CallTime, Input, Key, Output};
use offhook_stage_api::ToolResult;
use offhook_stages::{CallInfo, Notifier};
use offhook_twilio::stream::{Inbound, StartMessage, parse};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::ahead::fetch;
use crate::control::{ControlReceiver, Toolbox};
use crate::guard::StreamGuard;
use crate::link::Link;
use crate::report::{MOST_BAD_MESSAGES, START_WITHIN, SessionEnd, SessionError, SessionReport};
use crate::setup::Setup;
use crate::stages::{Dispatched, Running, StageEvent};

/// Longest payload of one `media` message: 2 s.
const LONGEST_PAYLOAD: usize = 16_000;
/// Payloads up to this, two of Twilio's, are decoded on the stack.
const USUAL_PAYLOAD: usize = 321;

/// Watches a call: the tape, the record, metrics, the console. Called on the call's worker; must not block.
pub trait Observer {
    /// What goes into the state machine.
    fn input(&mut self, now: CallTime, input: &Input<'_>);
    /// What comes out of it.
    fn output(&mut self, now: CallTime, output: &Output);
}

/// Serves one call, from the upgraded socket to its end: [`open_call`], then [`OpenCall::serve`].
pub async fn serve_call<S, A, O, W>(socket: WebSocketStream<S>, admit: A, observe: O) -> SessionReport
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: FnOnce(&StartMessage) -> Result<Setup, String>,
    O: FnOnce(&StartMessage) -> W,
    W: Observer,
{
    match open_call(socket, admit, observe).await {
        Ok(call) => call.serve().await,
        Err(report) => *report,
    }
}

/// Waits for a stream to begin, and readies what serves it. In two steps, so that what the first needs is gone when calls last.
///
/// `admit` judges the `start` message and gives what to serve the call with, or why not; `observe` makes the observer
/// once the stream is known.
///
/// # Errors
/// The report of a call that did not begin: the peer left, isn't Twilio, or was refused.
pub async fn open_call<S, A, O, W>(
    mut socket: WebSocketStream<S>,
    admit: A,
    observe: O,
) -> Result<OpenCall<S, W>, Box<SessionReport>>
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: FnOnce(&StartMessage) -> Result<Setup, String>,
    O: FnOnce(&StartMessage) -> W,
    W: Observer,
{
    let start = match tokio::time::timeout(START_WITHIN, wait_for_start(&mut socket)).await {
        Ok(Ok(Some(start))) => start,
        Ok(Ok(None)) => return Err(Box::default()),
        Ok(Err(error)) => return Err(refuse(socket, None, error).await),
        Err(_) => return Err(refuse(socket, None, SessionError::NoStart).await),
    };
    let setup = match admit(&start) {
        Ok(setup) => setup,
        Err(why) => return Err(refuse(socket, Some(start), SessionError::Refused(why)).await),
    };
    let info = CallInfo {
        call: start.call_sid.to_shared(),
        language: setup.language.as_str().into(),
        goal: setup.goal,
        parameters: setup.parameters,
        bridges: setup.config.bridges().into(),
        meter: setup.meter,
    };
    let mut config = setup.config;
    let model = setup.stages.turn.is_some();
    if config.turn.model != model {
        Arc::make_mut(&mut config).turn.model = model;
    }
    // Sound for which there is a listener must not be kept from it; the rest only costs time.
    if setup.stages.listen() && !config.inbound.heard {
        Arc::make_mut(&mut config).inbound.heard = true;
    }
    // Whoever has something for the call, other than the socket, notifies the same notifier.
    let notifier = setup.control.as_ref().map(|control| Arc::clone(control.notifier())).unwrap_or_default();
    // On the heap, once: futures hold what they are given in more than one place.
    Ok(OpenCall(Box::new(Session {
        link: Link::new(socket, start.stream_sid.clone()),
        guard: StreamGuard::of_sound(),
        longest_gap: config.inbound.max_gap,
        stages: Running::start(&setup.stages, &info, &notifier),
        notifier,
        call: Call::new(config),
        observer: observe(&start),
        clock: Instant::now(),
        backlog: Vec::new(),
        control: setup.control,
        tools: Toolbox::new(setup.tools),
        report: SessionReport { start: Some(start), ..SessionReport::default() },
    })))
}

/// A call whose stream has begun.
pub struct OpenCall<S, W>(Box<Session<S, W>>);

impl<S, W> std::fmt::Debug for OpenCall<S, W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OpenCall").field(&self.0.call).finish()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Observer> OpenCall<S, W> {
    /// Serves it to its end.
    pub async fn serve(self) -> SessionReport {
        self.0.run().await
    }
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    socket: WebSocketStream<S>,
    start: Option<StartMessage>,
    error: SessionError,
) -> Box<SessionReport> {
    if let Ok(nameless) = offhook_twilio::StreamSid::parse("-") {
        Link::new(socket, nameless).close(CloseCode::Policy, "refused").await;
    }
    Box::new(SessionReport { start, end: SessionEnd::Failed(error), ..SessionReport::default() })
}

/// Reads up to `start`; `None` if the peer leaves before.
async fn wait_for_start<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
) -> Result<Option<StartMessage>, SessionError> {
    let (mut guard, begun) = (StreamGuard::of_sound(), Instant::now());
    while let Some(message) = socket.next().await {
        let length = message.as_ref().map_or(0, Message::len);
        guard.message(length, begun.elapsed()).map_err(SessionError::TooMuch)?;
        if guard.rests() {
            tokio::task::yield_now().await;
        }
        let text = match message {
            Ok(Message::Text(text)) => text,
            Ok(Message::Ping(_) | Message::Pong(_)) => continue,
            Ok(Message::Close(_)) => return Ok(None),
            Ok(_) => return Err(SessionError::BadStart("a binary frame; Media Streams sends text".into())),
            Err(error) => return Err(SessionError::Socket(error.to_string())),
        };
        match parse(&text) {
            Ok(Inbound::Connected { .. } | Inbound::Unknown { .. }) => {}
            Ok(Inbound::Start(start)) => return Ok(Some(*start)),
            Ok(Inbound::Stop) => return Ok(None),
            Ok(_) => return Err(SessionError::BadStart("another message; `start` must be first".into())),
            Err(error) => return Err(SessionError::BadStart(error.to_string())),
        }
    }
    Ok(None)
}

struct Session<S, W> {
    link: Link<S>,
    guard: StreamGuard,
    /// Gaps up to this length are filled in.
    longest_gap: Duration,
    stages: Running,
    /// Rung when a stage has said something, or the application wants something.
    notifier: Arc<Notifier>,
    call: Call,
    observer: W,
    clock: Instant,
    /// What stages could not take, as events for the call.
    backlog: Vec<StageEvent>,
    control: Option<ControlReceiver>,
    tools: Toolbox,
    report: SessionReport,
}

enum Happened {
    Message(Option<Result<Message, Error>>),
    Notifier,
    Tool(ToolResult),
    Deadline,
}

impl<S: AsyncRead + AsyncWrite + Unpin, W: Observer> Session<S, W> {
    async fn run(mut self: Box<Self>) -> SessionReport {
        self.feed(Input::Start);
        // One timer for the whole call, moved only when the deadline moves.
        let timer = tokio::time::sleep_until(self.clock);
        tokio::pin!(timer);
        self.report.end = loop {
            match self.drain().await {
                Ok(false) => {}
                Ok(true) => break SessionEnd::HungUp,
                Err(error) => break SessionEnd::Failed(SessionError::Socket(error.to_string())),
            }
            let deadline = self.call.deadline().map(|at| self.clock + at.since_start());
            if let Some(deadline) = deadline.filter(|deadline| *deadline != timer.deadline()) {
                timer.as_mut().reset(deadline);
            }
            // The socket comes after everything else that is there already: messages without end keep nobody waiting, not even
            // the deadline, which a peer that only pings would else hold up.
            let mut woken = false;
            let happened = poll_fn(|context| {
                if std::mem::replace(&mut woken, true) {
                    // While the socket is read, which takes some microseconds.
                    fetch(&*self);
                }
                if self.notifier.was_notified() {
                    return Poll::Ready(Happened::Notifier);
                }
                if self.tools.at_work()
                    && let Poll::Ready(result) = self.tools.poll_result(context)
                {
                    return Poll::Ready(Happened::Tool(result));
                }
                if deadline.is_some() && timer.as_mut().poll(context).is_ready() {
                    return Poll::Ready(Happened::Deadline);
                }
                if let Poll::Ready(message) = self.link.poll_recv(context) {
                    return Poll::Ready(Happened::Message(message));
                }
                self.notifier.poll(context).map(|()| Happened::Notifier)
            });
            match happened.await {
                Happened::Notifier => {
                    while let Some(event) = self.stages.next() {
                        self.on_stage(event);
                    }
                    if self.control.as_ref().is_some_and(ControlReceiver::is_cut) {
                        break SessionEnd::HungUp;
                    }
                    while let Some(control) = self.control.as_ref().and_then(ControlReceiver::try_recv) {
                        self.feed(Input::Control(control));
                    }
                }
                Happened::Tool(result) => self.feed(Input::Tool(result)),
                Happened::Deadline => self.feed(Input::Timeout),
                Happened::Message(message) => match self.on_message(message) {
                    None if self.guard.rests() => tokio::task::yield_now().await,
                    None => {}
                    Some(end) => break end,
                },
            }
        };
        if self.report.end == SessionEnd::HungUp {
            // Closing lets Twilio go on with the TwiML after `<Connect>`, which hangs up.
            self.link.close(CloseCode::Normal, "done").await;
        } else if self.report.end == SessionEnd::Stopped {
            self.link.answer_close().await;
        } else if let SessionEnd::Failed(SessionError::TooMuch(_)) = self.report.end {
            self.link.close(CloseCode::Policy, "too much at once").await;
        } else if let SessionEnd::Failed(_) = self.report.end {
            self.link.close(CloseCode::Policy, "failed").await;
        }
        self.feed(Input::Stop);
        while let Some(output) = self.call.poll_output() {
            self.observer.output(self.now(), &output);
        }
        self.report.turns = self.call.turns().to_vec();
        self.report.totals = self.call.totals();
        self.report.dropped_audio = self.stages.dropped_audio();
        self.report.refused_commands = self.stages.refused_commands();
        // What they used last is written down when they end: before the observer sums up.
        self.stages.end().await;
        self.report
    }

    fn now(&self) -> CallTime {
        // Whole microseconds, so that the tape has the very time that the call was given.
        CallTime::after(Duration::from_micros(
            u64::try_from(self.clock.elapsed().as_micros()).unwrap_or(u64::MAX),
        ))
    }

    fn feed(&mut self, input: Input<'_>) {
        let now = self.now();
        self.observer.input(now, &input);
        self.call.handle(input, now);
    }

    fn on_stage(&mut self, event: StageEvent) {
        self.feed(match event {
            StageEvent::Stt(event) => Input::Stt(event),
            StageEvent::Turn(event) => Input::Turn(event),
            StageEvent::Llm(event) => Input::Llm(event),
            StageEvent::Tts(event) => Input::Tts(event),
            StageEvent::Tool(result) => Input::Tool(result),
        });
    }

    /// Does everything that the call wants done. True if it wants to end.
    async fn drain(&mut self) -> Result<bool, Error> {
        let mut hang_up = false;
        loop {
            while let Some(output) = self.call.poll_output() {
                self.observer.output(self.now(), &output);
                if self.link.write(&output)? {
                    continue;
                }
                match self.stages.dispatch(output) {
                    Dispatched::Taken => {}
                    Dispatched::Refused(event) => self.backlog.push(event),
                    Dispatched::HangUp => hang_up = true,
                    Dispatched::CancelTool(id) => self.tools.give_up(&id),
                    Dispatched::Tool(call) => {
                        if let Some(result) = self.tools.begin(call) {
                            self.backlog.push(StageEvent::Tool(result));
                        }
                    }
                }
            }
            let Some(event) = self.backlog.pop() else { break };
            self.on_stage(event);
        }
        self.link.flush().await?;
        Ok(hang_up)
    }

    /// Takes a message. Gives why the session ends, if it does.
    fn on_message(&mut self, message: Option<Result<Message, Error>>) -> Option<SessionEnd> {
        if let Some(Ok(message)) = &message
            && let Err(what) = self.guard.message(message.len(), self.clock.elapsed())
        {
            return Some(SessionEnd::Failed(SessionError::TooMuch(what)));
        }
        let text = match message {
            None => return Some(SessionEnd::Stopped),
            Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Some(SessionEnd::Stopped),
            Some(Err(error)) => return Some(SessionEnd::Failed(SessionError::Socket(error.to_string()))),
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Close(_))) => return Some(SessionEnd::Stopped),
            Some(Ok(Message::Binary(_))) => {
                return not_media_streams("a binary frame; its messages are text");
            }
            Some(Ok(_)) => return None,
        };
        match parse(&text) {
            Ok(Inbound::Media(media)) => {
                // Twilio's have 160 octets; clearing room for the longest costs more than decoding these.
                let (mut usual, mut longest);
                let octets: &mut [u8] = if media.payload.len() <= USUAL_PAYLOAD * 4 / 3 {
                    usual = [0; USUAL_PAYLOAD];
                    &mut usual
                } else {
                    longest = vec![0; LONGEST_PAYLOAD];
                    &mut longest
                };
                let samples = media.payload.len() / 4 * 3;
                let (stamp, elapsed) = (media.timestamp_ms, self.clock.elapsed());
                if let Err(what) = self.guard.sound(samples, stamp, self.longest_gap, elapsed) {
                    return Some(SessionEnd::Failed(SessionError::TooMuch(what)));
                }
                match media.decode(octets) {
                    Ok(payload) => self.feed(Input::Media { timestamp_ms: media.timestamp_ms, payload }),
                    Err(error) => return self.bad_message(&error.to_string()),
                }
            }
            Ok(Inbound::Mark { name }) => self.feed(Input::Mark(&name)),
            Ok(Inbound::Dtmf { digit }) => match Key::new(digit) {
                Some(key) => self.feed(Input::Dtmf(key)),
                None => return self.bad_message("a digit that no keypad has"),
            },
            Ok(Inbound::Stop) => return Some(SessionEnd::Stopped),
            Ok(Inbound::Start(_)) => return not_media_streams("a second `start`; a stream has one"),
            Ok(Inbound::Connected { .. }) => {}
            Ok(Inbound::Unknown { .. }) => self.report.unknown_events += 1,
            Err(error) => return not_media_streams(&error.to_string()),
        }
        None
    }

    fn bad_message(&mut self, why: &str) -> Option<SessionEnd> {
        self.report.bad_messages += 1;
        if self.report.bad_messages == 1 {
            let message = format!("a message could not be used and was dropped: {why}");
            self.observer.output(self.now(), &Output::Event(CallEvent::Trouble { message }));
        }
        let over = self.report.bad_messages >= MOST_BAD_MESSAGES;
        over.then(|| SessionEnd::Failed(SessionError::TooManyBad(why.to_owned())))
    }
}

fn not_media_streams(what: &str) -> Option<SessionEnd> {
    Some(SessionEnd::Failed(SessionError::NotMediaStreams(what.to_owned())))
}
