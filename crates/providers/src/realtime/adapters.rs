//! The session as three stages of a call.

use std::sync::Arc;

use offhook_stage_api::{LlmCommand, LlmEvent, SttCommand, SttEvent, TtsCommand, TtsEvent};
use offhook_stages::{BoxFuture, CallInfo, Distance, Llm, Rx, StageError, Stt, Tts, Tx, WhenFull, bounded};

use super::dialect::Dialect;
use super::run::Running;
use super::session::Session;
use super::shared_session::{Open, SharedSession, ToSession};
use super::{Inner, language};

/// As the call's own queues are.
const QUEUE: usize = 256;

/// Hears, and has the connection.
pub(super) struct SttAdapter(pub(super) Arc<Inner>);

/// Thinks.
pub(super) struct LlmAdapter(pub(super) Arc<Inner>);

/// Speaks.
pub(super) struct TtsAdapter(pub(super) Arc<Inner>);

impl Stt for SttAdapter {
    fn name(&self) -> &str {
        &self.0.config.name
    }

    fn warm(&self, _call: &CallInfo) -> BoxFuture<()> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            if inner.check().is_ok() {
                let (url, headers) = (inner.url.clone(), inner.headers());
                inner.dial.open_ahead(&inner.config.name, url, headers, &inner.config.deadlines).await;
            }
        })
    }

    fn distance(&self) -> Distance {
        self.0.dial.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<SttCommand>,
        events: Tx<SttEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let inner = Arc::clone(&self.0);
        let line = inner.sessions.of(&call.call);
        Box::pin(async move {
            inner.check()?;
            let (to, incoming) = bounded(QUEUE, WhenFull::PushBack);
            let _open = Open::new(line, to);
            let prompt = inner.prompt.with_goal(&call).unwrap_or_else(|| inner.prompt.clone());
            let instructions = format!("{}\n\n{}", prompt.fixed(), prompt.of_call(&call));
            let language = language(&inner.config, &call);
            let session = Session::new(Arc::clone(&inner.config), language, instructions, prompt.tools);
            let dialect = Dialect::new(&inner.config);
            let running = Running {
                inner,
                call,
                session,
                dialect,
                commands,
                incoming,
                events,
                model: None,
                voice: None,
            };
            running.serve().await
        })
    }
}

/// The way to the session, if it is open. Another one, after one was lost, is first told who speaks.
async fn way(
    line: &mut tokio::sync::watch::Receiver<Option<Tx<ToSession>>>,
    hello: impl FnOnce() -> ToSession,
) -> Option<Tx<ToSession>> {
    let is_new = line.has_changed().unwrap_or(false);
    let to = line.borrow_and_update().clone().filter(|to| !to.is_closed())?;
    if is_new && to.send(hello()).await.is_err() {
        return None;
    }
    Some(to)
}

fn subscribe(line: &SharedSession) -> tokio::sync::watch::Receiver<Option<Tx<ToSession>>> {
    let mut receiver = line.subscribe();
    // Whoever is there already must be told who speaks.
    receiver.mark_changed();
    receiver
}

impl Llm for LlmAdapter {
    fn name(&self) -> &str {
        &self.0.config.name
    }

    fn distance(&self) -> Distance {
        self.0.dial.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<LlmCommand>,
        events: Tx<LlmEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let inner = Arc::clone(&self.0);
        let line = inner.sessions.of(&call.call);
        Box::pin(async move {
            let mut sessions = subscribe(&line);
            let mut met = false;
            loop {
                let command = tokio::select! {
                    biased;
                    changed = sessions.changed() => {
                        if changed.is_err() {
                            return Ok(());
                        }
                        sessions.mark_changed();
                        let _told = way(&mut sessions, || ToSession::Model(events.clone())).await;
                        continue;
                    }
                    command = commands.recv() => command,
                };
                let Some(command) = command else { return Ok(()) };
                let reply = match &command {
                    LlmCommand::Respond(request) => Some(request.reply),
                    _ => None,
                };
                if !std::mem::replace(&mut met, true) {
                    // The call has just begun, and its hearing with it.
                    let begun = sessions.wait_for(Option::is_some);
                    let _begun = tokio::time::timeout(inner.config.deadlines.connect, begun).await.is_ok();
                    sessions.mark_changed();
                }
                let to = way(&mut sessions, || ToSession::Model(events.clone())).await;
                let taken = match to {
                    Some(to) => to.send(ToSession::Llm(command)).await.is_ok(),
                    None => false,
                };
                if let Some(reply) = reply.filter(|_| !taken) {
                    let failure = inner.no_session().to_failure();
                    let _gone = events.send(LlmEvent::Failed { reply, failure }).await;
                }
            }
        })
    }
}

impl Tts for TtsAdapter {
    fn name(&self) -> &str {
        &self.0.config.name
    }

    fn voice(&self) -> &str {
        &self.0.config.voice
    }

    fn distance(&self) -> Distance {
        self.0.dial.distance()
    }

    fn run(
        &self,
        call: CallInfo,
        commands: Rx<TtsCommand>,
        events: Tx<TtsEvent>,
    ) -> BoxFuture<Result<(), StageError>> {
        let inner = Arc::clone(&self.0);
        let line = inner.sessions.of(&call.call);
        Box::pin(async move {
            let (voice, voice_commands) = bounded(QUEUE, WhenFull::PushBack);
            let mut speaking = Some(inner.voice.run(call, voice_commands, events.clone()));
            let mut sessions = subscribe(&line);
            loop {
                let command = tokio::select! {
                    biased;
                    changed = sessions.changed() => {
                        if changed.is_err() {
                            return Ok(());
                        }
                        sessions.mark_changed();
                        let hello = || ToSession::Voice(events.clone(), voice.clone());
                        let _told = way(&mut sessions, hello).await;
                        continue;
                    }
                    command = commands.recv() => command,
                    outcome = spoken(&mut speaking) => {
                        speaking = None;
                        if let Err(error) = outcome {
                            tracing::error!(%error, "the voice beside the model's ended");
                        }
                        continue;
                    }
                };
                let Some(command) = command else { return Ok(()) };
                match way(&mut sessions, || ToSession::Voice(events.clone(), voice.clone())).await {
                    Some(to) => {
                        // A session that ends just now tells nobody: its reply has failed already.
                        let _ended = to.send(ToSession::Tts(command)).await;
                    }
                    None => to_voice(&inner, &voice, &events, command).await,
                }
            }
        })
    }
}

/// Waits for the other voice's end; for ever, if it has come.
async fn spoken(speaking: &mut Option<BoxFuture<Result<(), StageError>>>) -> Result<(), StageError> {
    match speaking {
        Some(speaking) => speaking.await,
        None => std::future::pending().await,
    }
}

/// Has the other voice do something; where it can't, the call is told so.
pub(super) async fn to_voice(
    inner: &Inner,
    voice: &Tx<TtsCommand>,
    events: &Tx<TtsEvent>,
    command: TtsCommand,
) {
    let speak = match &command {
        TtsCommand::Speak(request) => Some((request.utterance, request.segment)),
        TtsCommand::Cancel { .. } => None,
    };
    let taken = voice.offer(command).is_ok();
    if let Some((utterance, segment)) = speak.filter(|_| !taken) {
        let what = "it has stopped taking requests".to_owned();
        let failure = StageError::Broken { stage: inner.voice.name().to_owned(), what }.to_failure();
        let _gone = events.send(TtsEvent::Failed { utterance, segment, failure }).await;
    }
}
