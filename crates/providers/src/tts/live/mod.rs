//! Voices over a WebSocket: one connection for a call, opened when the call begins and again when it is lost, segments in
//! order, each in a context of its own.

mod dialect;
mod failing;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{FailureKind, SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Tx};
use tokio::time::{Instant, sleep_until};

pub(super) use dialect::{Dialect, Heard};

use super::Manner;
use super::segment::{Said, Segment, nothing_to_say};
use super::sound::Format;
use crate::net::dial::Dial;
use crate::net::ws::{Message, Socket};

/// How long an acknowledgement is waited for before the connection is replaced.
const ACKNOWLEDGED: Duration = Duration::from_millis(800);
/// A connection that was lost sooner isn't opened again before it is needed.
const SHORT_LIVED: Duration = Duration::from_secs(5);
/// Providers end connections after an hour.
const OLDEST: Duration = Duration::from_secs(50 * 60);

enum Link {
    Down,
    Opening(Pin<Box<dyn Future<Output = Result<Box<Socket>, StageError>> + Send>>),
    Up { socket: Box<Socket>, since: Instant },
}

/// A segment that the provider has.
struct Flying {
    context: u32,
    segment: Segment,
    /// Events kept back until the segments before it are done.
    held: Vec<TtsEvent>,
    done: bool,
    /// It was sent before, over a connection that was lost.
    retried: bool,
    /// Since when something of it is waited for.
    since: Instant,
    heard: bool,
}

/// Why the loop ends.
enum End {
    /// The call is over.
    CallOver,
    Failed(StageError),
}

impl From<Closed> for End {
    fn from(_: Closed) -> Self {
        Self::CallOver
    }
}

/// One call's voice.
pub(super) struct Live<D> {
    dialect: D,
    manner: Manner,
    dial: Dial,
    /// A connection was opened before.
    opened: bool,
    format: Format,
    call: CallInfo,
    events: Tx<TtsEvent>,
    /// Not sent yet, and whether they were sent before.
    queue: VecDeque<(SpeakRequest, bool)>,
    flying: VecDeque<Flying>,
    link: Link,
    contexts: u32,
    /// The latest utterance of which something was sent.
    speaking: Option<UtteranceId>,
    /// Segments sent ahead of the one that is being spoken.
    ahead: usize,
    /// Since when the dialect isn't ready.
    blocked: Option<Instant>,
}

enum Step {
    Command(Option<TtsCommand>),
    Opened(Result<Box<Socket>, StageError>),
    Message(Result<Option<Message>, StageError>),
    Due,
}

impl<D: Dialect> Live<D> {
    pub(super) fn new(
        dialect: D,
        manner: Manner,
        dial: Dial,
        format: Format,
        call: CallInfo,
        events: Tx<TtsEvent>,
    ) -> Self {
        Self {
            dialect,
            ahead: manner.ahead,
            manner,
            dial,
            opened: false,
            format,
            call,
            events,
            queue: VecDeque::new(),
            flying: VecDeque::new(),
            link: Link::Down,
            contexts: 0,
            speaking: None,
            blocked: None,
        }
    }

    /// Serves the call.
    pub(super) async fn run(mut self, commands: Rx<TtsCommand>) -> Result<(), StageError> {
        match self.serve(commands).await {
            Ok(()) | Err(End::CallOver) => {
                if let Link::Up { mut socket, .. } = self.link {
                    if let Some(farewell) = self.dialect.farewell() {
                        // The connection ends here anyway.
                        let _ends = socket.send_text(farewell).await;
                    }
                    socket.close().await;
                }
                Ok(())
            }
            Err(End::Failed(error)) => Err(error),
        }
    }

    async fn serve(&mut self, commands: Rx<TtsCommand>) -> Result<(), End> {
        self.open();
        let mut more = true;
        loop {
            self.feed().await?;
            if !more && self.queue.is_empty() && self.flying.is_empty() {
                return Ok(());
            }
            let due = self.due();
            let step = tokio::select! {
                biased;
                command = commands.recv(), if more => Step::Command(command),
                step = next(&mut self.link) => step,
                () = sleep_until(due) => Step::Due,
            };
            match step {
                Step::Command(None) => more = false,
                Step::Command(Some(TtsCommand::Speak(request))) => self.queue.push_back((request, false)),
                Step::Command(Some(TtsCommand::Cancel { utterance })) => self.cancel(utterance).await?,
                Step::Opened(Ok(socket)) => {
                    self.dialect.opened();
                    self.blocked = None;
                    self.call.meter.add(&self.manner.name, |usage| usage.requests += 1);
                    self.link = Link::Up { socket, since: Instant::now() };
                }
                Step::Opened(Err(error)) => self.not_opened(error).await?,
                Step::Message(Ok(Some(message))) => match self.dialect.read(&message) {
                    Ok(heard) => self.heard(heard).await?,
                    Err(error) => self.lost(error).await?,
                },
                Step::Message(Ok(None)) => {
                    let what = "the connection was closed".to_owned();
                    self.lost(StageError::Broken { stage: self.manner.name.clone(), what }).await?;
                }
                Step::Message(Err(error)) => self.lost(error).await?,
                Step::Due => self.too_late().await?,
            }
        }
    }

    fn open(&mut self) {
        let (name, url, headers) = (self.manner.name.clone(), self.dialect.url(), self.dialect.headers());
        let (deadlines, dial, call) = (self.manner.deadlines, self.dial.clone(), Arc::clone(&self.call.call));
        // Whoever waits for a voice doesn't wait longer for a lost connection's sake.
        let again = std::mem::replace(&mut self.opened, true) && self.queue.is_empty();
        self.link = Link::Opening(Box::pin(async move {
            let opened = if again {
                dial.reconnect(&name, &url, &headers, &deadlines, &call).await
            } else {
                dial.connect(&name, &url, &headers, &deadlines).await
            };
            opened.map(Box::new)
        }));
    }

    /// Sends what may be sent.
    async fn feed(&mut self) -> Result<(), End> {
        let now = Instant::now();
        loop {
            // Only an utterance's beginning is trimmed: between sentences a pause belongs.
            let trim = self.manner.trim_silence && !self.goes_on();
            let worn = match &self.link {
                Link::Up { since, .. } => now.duration_since(*since) > OLDEST || self.dialect.worn(now),
                _ => false,
            };
            if worn && self.flying.is_empty() {
                self.open();
            }
            let Some((request, _)) = self.queue.front() else { return Ok(()) };
            let follows =
                self.flying.back().is_none_or(|last| last.segment.request.utterance == request.utterance);
            if !follows || self.flying.len() > self.ahead || (worn && !self.flying.is_empty()) {
                return Ok(());
            }
            if !request.text.chars().any(char::is_alphanumeric) {
                self.skip().await?;
                continue;
            }
            match &mut self.link {
                Link::Down => {
                    self.open();
                    return Ok(());
                }
                Link::Opening(_) => return Ok(()),
                Link::Up { .. } if !self.dialect.ready() => {
                    if self.flying.is_empty() {
                        self.blocked.get_or_insert(now);
                    }
                    return Ok(());
                }
                Link::Up { socket, .. } => {
                    self.blocked = None;
                    let Some((request, retried)) = self.queue.pop_front() else { return Ok(()) };
                    self.contexts = self.contexts.wrapping_add(1);
                    let context = self.contexts;
                    self.speaking = Some(request.utterance);
                    let messages = self.dialect.speak(context, &request.text, now);
                    let characters = request.text.chars().count() as u64;
                    self.call.meter.add(&self.manner.name, |usage| usage.characters += characters);
                    let segment = Segment::new(&self.manner.name, request, self.format, trim);
                    let (held, done, heard, since) = (Vec::new(), false, false, now);
                    let mut sent = Ok(());
                    for message in messages {
                        sent = sent.and(socket.send_text(message).await);
                    }
                    self.flying.push_back(Flying { context, segment, held, done, retried, since, heard });
                    if let Err(error) = sent {
                        self.lost(error).await?;
                    }
                }
            }
        }
    }

    /// The next segment isn't its utterance's first.
    fn goes_on(&self) -> bool {
        self.queue.front().is_some_and(|(request, _)| self.speaking == Some(request.utterance))
    }

    /// Nothing in it can be spoken: done at once, but in order.
    async fn skip(&mut self) -> Result<(), End> {
        let Some((request, retried)) = self.queue.pop_front() else { return Ok(()) };
        let held = nothing_to_say(&request).to_vec();
        let segment = Segment::new(&self.manner.name, request, self.format, false);
        let since = Instant::now();
        self.flying.push_back(Flying { context: 0, segment, held, done: true, retried, since, heard: true });
        self.flush().await
    }

    /// When something must have come.
    fn due(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3_600);
        let voice = self.flying.front().map_or(far, |front| front.since + self.limit(front));
        let blocked = self.blocked.map_or(far, |since| since + ACKNOWLEDGED);
        voice.min(blocked)
    }

    fn limit(&self, flying: &Flying) -> Duration {
        if flying.heard { self.manner.deadlines.gap } else { self.manner.deadlines.first }
    }

    async fn cancel(&mut self, utterance: UtteranceId) -> Result<(), End> {
        self.queue.retain(|(request, _)| request.utterance != utterance);
        let mut contexts = Vec::new();
        for flying in &self.flying {
            if flying.segment.request.utterance == utterance {
                self.note(&flying.segment);
                if !flying.done {
                    contexts.push(flying.context);
                }
            }
        }
        self.flying.retain(|flying| flying.segment.request.utterance != utterance);
        self.send_cancel(&contexts).await
    }

    async fn send_cancel(&mut self, contexts: &[u32]) -> Result<(), End> {
        let Link::Up { socket, .. } = &mut self.link else { return Ok(()) };
        if contexts.is_empty() {
            return Ok(());
        }
        let mut sent = Ok(());
        for message in self.dialect.cancel(contexts) {
            sent = sent.and(socket.send_text(message).await);
        }
        match sent {
            Ok(()) => Ok(()),
            Err(error) => self.lost(error).await,
        }
    }

    async fn heard(&mut self, heard: Vec<Heard>) -> Result<(), End> {
        for heard in heard {
            let place = |context: Option<u32>, flying: &VecDeque<Flying>| match context {
                Some(context) => flying.iter().position(|flying| flying.context == context && !flying.done),
                None => flying.iter().position(|flying| !flying.done),
            };
            match heard {
                Heard::Of(context, said) => {
                    if let Some(at) = place(Some(context), &self.flying) {
                        self.said(at, said).await?;
                    }
                }
                Heard::Current(said) => {
                    if let Some(at) = place(None, &self.flying) {
                        self.said(at, said).await?;
                    }
                }
                Heard::Failed(context, error) => {
                    let Some(at) = place(context, &self.flying) else { continue };
                    if at > 0 && error.kind() == FailureKind::Busy {
                        // Too much at once: it is sent again when those before it are done.
                        self.ahead = 0;
                        for flying in self.flying.drain(at..).rev() {
                            self.queue.push_front((flying.segment.request, flying.retried));
                        }
                        continue;
                    }
                    let utterance = self.flying.get(at).map(|flying| flying.segment.request.utterance);
                    if let Some(utterance) = utterance {
                        self.stop_and_fail(utterance, &error).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn said(&mut self, at: usize, said: Said) -> Result<(), End> {
        let Some(flying) = self.flying.get_mut(at) else { return Ok(()) };
        let ends = said == Said::End;
        (flying.heard, flying.since) = (true, Instant::now());
        match flying.segment.say(said) {
            Ok(events) => {
                flying.held.extend(events);
                flying.done |= ends;
                self.flush().await
            }
            Err(error) => {
                let utterance = flying.segment.request.utterance;
                self.stop_and_fail(utterance, &error).await
            }
        }
    }

    /// Tells the call what may be told.
    async fn flush(&mut self) -> Result<(), End> {
        loop {
            let Some(front) = self.flying.front_mut() else { return Ok(()) };
            for event in front.held.drain(..) {
                self.events.send(event).await?;
            }
            if !front.done {
                return Ok(());
            }
            let done = self.flying.pop_front();
            if let Some(done) = done {
                self.note(&done.segment);
            }
            if let Some(front) = self.flying.front_mut() {
                front.since = Instant::now();
            }
        }
    }

    /// Writes down what was used.
    fn note(&self, segment: &Segment) {
        self.call.meter.add(&self.manner.name, |usage| usage.add_audio(segment.spoken()));
    }
}

/// What comes next from the connection. Safe to drop while it waits.
async fn next(link: &mut Link) -> Step {
    match link {
        Link::Down => std::future::pending().await,
        Link::Opening(opening) => Step::Opened(opening.await),
        Link::Up { socket, .. } => Step::Message(socket.recv().await),
    }
}
