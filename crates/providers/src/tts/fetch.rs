//! Voices over HTTP: a request a segment, in order. The next one is asked for while the one before it still comes, so that
//! sentences follow each other without a gap.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use offhook_stage_api::id::UtteranceId;
use offhook_stage_api::{SpeakRequest, TtsCommand, TtsEvent};
use offhook_stages::queue::Closed;
use offhook_stages::{CallInfo, Rx, StageError, Tx};
use tokio::time::{Instant, timeout_at};

use super::Manner;
use super::segment::{Said, Segment, nothing_to_say};
use super::sound::Format;
use crate::net::{Answer, Http, stream_failure};

/// A provider's requests and answers: no I/O.
pub(super) trait Asking: Send + Sync + 'static {
    /// The request for a text, and what was said before it in the same utterance.
    ///
    /// # Errors
    /// The configuration makes no valid request.
    fn request(
        &self,
        text: &str,
        before: Option<&str>,
        language: &str,
    ) -> Result<Request<Full<Bytes>>, StageError>;

    /// Reads an answer's body, piece by piece.
    fn reader(&self) -> Box<dyn Reading>;
}

/// Reads one answer's body.
pub(super) trait Reading: Send + Sync {
    /// Takes the body's next bytes.
    ///
    /// # Errors
    /// It isn't what was asked for.
    fn push(&mut self, bytes: Bytes) -> Result<Vec<Said>, StageError>;

    /// The body is over.
    ///
    /// # Errors
    /// It was cut off.
    fn finish(&mut self) -> Result<Vec<Said>, StageError>;
}

/// A body that is sound and nothing else.
pub(super) struct Bare {
    stage: String,
    begun: bool,
}

impl Bare {
    pub(super) fn new(stage: &str) -> Self {
        Self { stage: stage.to_owned(), begun: false }
    }
}

impl Reading for Bare {
    fn push(&mut self, bytes: Bytes) -> Result<Vec<Said>, StageError> {
        // Some servers tell in the midst of the sound, and in words, that they can't go on.
        if self.begun
            && bytes.starts_with(b"{\"")
            && let Ok(error) = serde_json::from_slice::<serde_json::Value>(&bytes)
        {
            return Err(stream_failure(&self.stage, error.get("error").unwrap_or(&error)));
        }
        self.begun = true;
        Ok(vec![Said::Sound(bytes.to_vec())])
    }

    fn finish(&mut self) -> Result<Vec<Said>, StageError> {
        Ok(Vec::new())
    }
}

enum State {
    Asked(Pin<Box<dyn Future<Output = Result<Answer, StageError>> + Send>>),
    Answering(Answer),
}

/// A request under way.
struct Active {
    segment: Segment,
    state: State,
    reader: Box<dyn Reading>,
    /// By when its next sound must have come.
    due: Instant,
}

type Warming = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Step {
    Warm,
    Command(Option<TtsCommand>),
    Next(Result<Answer, StageError>),
    Answered(Result<Answer, StageError>),
    Chunk(Result<Option<Bytes>, StageError>),
}

/// One call's voice.
pub(super) struct Fetch {
    pub(super) asking: Arc<dyn Asking>,
    pub(super) http: Http,
    pub(super) manner: Manner,
    pub(super) format: Format,
    pub(super) call: CallInfo,
    pub(super) events: Tx<TtsEvent>,
}

/// What is said, and what is still to be said.
#[derive(Default)]
struct Fetcher {
    queue: VecDeque<SpeakRequest>,
    front: Option<Active>,
    /// Asked for ahead.
    next: Option<Active>,
    /// Nothing is asked for ahead: the provider didn't like it.
    patient: bool,
    /// The latest text asked for, and its utterance.
    before: Option<(UtteranceId, String)>,
}

impl Fetch {
    /// Serves the call.
    pub(super) async fn run(self, commands: Rx<TtsCommand>) -> Result<(), StageError> {
        // The other end is gone only when the call is over.
        let _over = self.serve(commands).await;
        Ok(())
    }

    async fn serve(&self, commands: Rx<TtsCommand>) -> Result<(), Closed> {
        let mut warming = self.asking.request("", None, &self.call.language).ok().map(|request| {
            let http = self.http.clone();
            let warming: Warming = Box::pin(async move { http.open_ahead(request.uri()).await });
            warming
        });
        let mut fetcher = Fetcher::default();
        let mut more = true;
        loop {
            self.feed(&mut fetcher).await?;
            if !more && fetcher.front.is_none() && fetcher.queue.is_empty() {
                return Ok(());
            }
            let (front, ahead) = (fetcher.front.as_mut(), fetcher.next.as_mut());
            let step = tokio::select! {
                biased;
                command = commands.recv(), if more => Step::Command(command),
                step = advance(front, &self.manner) => step,
                answer = answer(ahead) => Step::Next(answer),
                () = warm(&mut warming) => Step::Warm,
            };
            match step {
                Step::Warm => warming = None,
                Step::Command(None) => more = false,
                Step::Command(Some(TtsCommand::Speak(request))) => fetcher.queue.push_back(request),
                Step::Command(Some(TtsCommand::Cancel { utterance })) => self.cancel(&mut fetcher, utterance),
                Step::Next(Ok(answer)) => {
                    if let Some(next) = &mut fetcher.next {
                        next.state = State::Answering(answer);
                    }
                }
                Step::Next(Err(error)) => {
                    // It may do better once the one before it is done; if it was our haste, it will.
                    tracing::debug!(call = %self.call.call, %error, "a request made ahead failed");
                    if let Some(next) = fetcher.next.take() {
                        fetcher.queue.push_front(next.segment.request);
                        fetcher.patient = true;
                    }
                }
                Step::Answered(Ok(answer)) => {
                    if let Some(front) = &mut fetcher.front {
                        front.state = State::Answering(answer);
                    }
                }
                Step::Answered(Err(error)) | Step::Chunk(Err(error)) => {
                    self.fail(&mut fetcher, &error).await?
                }
                Step::Chunk(Ok(bytes)) => self.chunk(&mut fetcher, bytes).await?,
            }
        }
    }

    /// Asks for what may be asked for.
    async fn feed(&self, fetcher: &mut Fetcher) -> Result<(), Closed> {
        loop {
            if fetcher.front.is_none() {
                fetcher.front = fetcher.next.take();
                if let Some(front) = &mut fetcher.front {
                    front.due = Instant::now() + self.manner.deadlines.first;
                }
            }
            let ahead = match &fetcher.front {
                None => false,
                Some(_) if fetcher.next.is_some() => return Ok(()),
                // A local server has one model: what is waited for comes first.
                Some(front) if front.segment.sounded => self.manner.ahead > 0 && !fetcher.patient,
                Some(_) => return Ok(()),
            };
            let said = fetcher.front.as_ref().map(|front| front.segment.request.utterance);
            let Some(request) = fetcher.queue.front() else { return Ok(()) };
            let speakable = request.text.chars().any(char::is_alphanumeric);
            if said.is_some_and(|said| !ahead || said != request.utterance || !speakable) {
                return Ok(());
            }
            let Some(request) = fetcher.queue.pop_front() else { return Ok(()) };
            let (utterance, segment) = (request.utterance, request.segment);
            if !speakable {
                for event in nothing_to_say(&request) {
                    self.events.send(event).await?;
                }
                continue;
            }
            let before =
                fetcher.before.take().filter(|(before, _)| *before == utterance).map(|(_, text)| text);
            let begins = before.is_none() && !ahead;
            let active = self.ask(request, before.as_deref(), begins);
            match active {
                Ok(active) => {
                    fetcher.before = Some((utterance, active.segment.request.text.clone()));
                    if ahead {
                        fetcher.next = Some(active);
                    } else {
                        fetcher.front = Some(active);
                    }
                }
                Err(error) => {
                    let failure = error.to_failure();
                    self.events.send(TtsEvent::Failed { utterance, segment, failure }).await?;
                }
            }
        }
    }

    fn ask(&self, request: SpeakRequest, before: Option<&str>, begins: bool) -> Result<Active, StageError> {
        let asked = self.asking.request(&request.text, before, &self.call.language)?;
        let characters = request.text.chars().count() as u64;
        self.call.meter.add(&self.manner.name, |usage| {
            usage.requests += 1;
            usage.characters += characters;
        });
        let http = self.http.clone();
        let state = State::Asked(Box::pin(async move { http.send(asked).await }));
        let trim = self.manner.trim_silence && begins;
        let segment = Segment::new(&self.manner.name, request, self.format, trim);
        let due = Instant::now() + self.manner.deadlines.first;
        Ok(Active { segment, state, reader: self.asking.reader(), due })
    }

    async fn chunk(&self, fetcher: &mut Fetcher, bytes: Option<Bytes>) -> Result<(), Closed> {
        let Some(front) = &mut fetcher.front else { return Ok(()) };
        front.due = Instant::now() + self.manner.deadlines.gap;
        let over = bytes.is_none();
        let said = match bytes {
            Some(bytes) => front.reader.push(bytes),
            None => front.reader.finish().map(|mut said| {
                said.push(Said::End);
                said
            }),
        };
        let mut told = Vec::new();
        let mut outcome = said.and_then(|said| {
            for said in said {
                told.extend(front.segment.say(said)?);
            }
            Ok(())
        });
        for event in told {
            self.events.send(event).await?;
        }
        if over && outcome.is_ok() {
            if let Some(done) = fetcher.front.take() {
                self.note(&done.segment);
            }
            return Ok(());
        }
        if let Err(error) = &mut outcome {
            self.fail(fetcher, error).await?;
        }
        Ok(())
    }

    /// Dropping a request ends it at the server.
    fn cancel(&self, fetcher: &mut Fetcher, utterance: UtteranceId) {
        fetcher.queue.retain(|request| request.utterance != utterance);
        for active in [&mut fetcher.front, &mut fetcher.next] {
            if let Some(cancelled) = active.take_if(|active| active.segment.request.utterance == utterance) {
                self.note(&cancelled.segment);
            }
        }
    }

    /// Writes down what was used.
    fn note(&self, segment: &Segment) {
        self.call.meter.add(&self.manner.name, |usage| usage.add_audio(segment.spoken()));
    }

    /// What of the utterance isn't spoken yet won't be.
    async fn fail(&self, fetcher: &mut Fetcher, error: &StageError) -> Result<(), Closed> {
        let Some(front) = fetcher.front.take() else { return Ok(()) };
        self.note(&front.segment);
        self.call.meter.add(&self.manner.name, |usage| usage.failures += 1);
        tracing::warn!(call = %self.call.call, %error, "a sentence could not be spoken");
        let utterance = front.segment.request.utterance;
        let mut failed = vec![front.segment.request];
        if let Some(next) = fetcher.next.take_if(|next| next.segment.request.utterance == utterance) {
            failed.push(next.segment.request);
        }
        for request in std::mem::take(&mut fetcher.queue) {
            if request.utterance == utterance {
                failed.push(request);
            } else {
                fetcher.queue.push_back(request);
            }
        }
        for SpeakRequest { utterance, segment, .. } in failed {
            self.events.send(TtsEvent::Failed { utterance, segment, failure: error.to_failure() }).await?;
        }
        Ok(())
    }
}

/// What comes next of a request. Safe to drop while it waits.
async fn advance(active: Option<&mut Active>, manner: &Manner) -> Step {
    let Some(active) = active else { return std::future::pending().await };
    let limit = if active.segment.sounded { manner.deadlines.gap } else { manner.deadlines.first };
    let late = || StageError::TooSlow { stage: manner.name.clone(), what: "sound", limit };
    match &mut active.state {
        State::Asked(asked) => {
            Step::Answered(timeout_at(active.due, asked).await.unwrap_or_else(|_| Err(late())))
        }
        State::Answering(answer) => {
            Step::Chunk(timeout_at(active.due, answer.chunk()).await.unwrap_or_else(|_| Err(late())))
        }
    }
}

/// The head of an answer asked for ahead; its body waits.
async fn answer(active: Option<&mut Active>) -> Result<Answer, StageError> {
    match active {
        Some(Active { state: State::Asked(asked), .. }) => asked.await,
        _ => std::future::pending().await,
    }
}

async fn warm(warming: &mut Option<Warming>) {
    match warming {
        Some(warming) => warming.await,
        None => std::future::pending().await,
    }
}
