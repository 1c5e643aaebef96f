//! The socket to an application: connects, reads and writes, connects again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::id::ReplyId;
use offhook_stage_api::{LlmCommand, LlmEvent, Recording};
use offhook_stages::{CallInfo, Rx, StageError, Tx};
use tokio::time::{Instant, sleep_until};

use super::config::RelayAppConfig;
use super::state::{AppSession, Do};
use crate::net::trace;
use crate::net::ws::{Message, Socket};
use crate::recordings;

/// Twilio's words when a call is over.
const CLOSING: (u16, &str) = (1_000, "Closing websocket session");
/// Twilio's words after ten messages that could not be used.
const MALFORMED: (u16, &str) = (1_007, "Too many consecutive malformed messages.");
/// Between two attempts to connect again, at first; each takes twice as long as the one before.
const AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A connection that is closed in order, also when the call just drops it.
struct Line(Option<Socket>);

impl Line {
    fn close(&mut self, (code, reason): (u16, &'static str)) {
        let (Some(socket), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else {
            return;
        };
        // The farewell takes a moment, which nobody waits for.
        drop(runtime.spawn(socket.close_with(code, reason)));
    }

    async fn recv(&mut self) -> Result<Option<Message>, StageError> {
        match &mut self.0 {
            Some(socket) => socket.recv().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.close(CLOSING);
    }
}

/// When to connect again, and until when that is tried.
struct Again {
    at: Instant,
    wait: Duration,
    until: Instant,
}

pub(super) async fn run(
    mut session: AppSession,
    config: Arc<RelayAppConfig>,
    signature: Option<String>,
    call: CallInfo,
    commands: Rx<LlmCommand>,
    events: Tx<LlmEvent>,
) -> Result<(), StageError> {
    let began = Instant::now();
    let stage = config.stage().to_owned();
    let signature = signature.map(|value| ("x-twilio-signature", value));
    let traceparent = trace::traceparent(&call.call).map(|value| (trace::TRACEPARENT, value));
    let headers: Vec<(&'static str, String)> = signature.into_iter().chain(traceparent).collect();
    let connect = || Socket::connect(&stage, &config.url, &headers, &config.deadlines);
    let mut line = Line(None);
    let mut again: Option<Again> = None;
    let mut connecting = Some(Box::pin(connect()));
    let mut fetching: Option<Fetching> = None;
    let outcome = loop {
        match flush(&mut session, &mut line, &events, (&config.url, &mut fetching)).await {
            Flushed::All => {}
            Flushed::CallOver => break Ok(()),
            Flushed::GivenUp => {
                line.close(MALFORMED);
                break Err(broken(&stage, "it sent ten messages in a row that could not be used (64105)"));
            }
            Flushed::Lost(error) => {
                if let Err(error) = lost(&mut session, &mut line, &config, &mut again, error) {
                    break Err(error);
                }
            }
        }
        let settles = session.deadline().map(|due| began + due);
        tokio::select! {
            biased;
            connected = attempt(&mut connecting) => {
                connecting = None;
                match connected {
                    Ok(socket) => {
                        line.0 = Some(socket);
                        again = None;
                        session.connected();
                    }
                    Err(error) => match &mut again {
                        Some(next) if Instant::now() < next.until => {
                            next.at = Instant::now() + next.wait;
                            next.wait *= 2;
                        }
                        _ => break Err(error),
                    },
                }
            }
            message = line.recv() => match message {
                Ok(Some(Message::Text(text))) => session.on_frame(&text, began.elapsed()),
                Ok(Some(Message::Binary(_))) => session.on_bad_frame("a binary frame"),
                Ok(None) => {
                    let error = broken(&stage, "it closed the connection during a call (64105)");
                    if let Err(error) = lost(&mut session, &mut line, &config, &mut again, error) {
                        break Err(error);
                    }
                }
                Err(error) => {
                    if let Err(error) = lost(&mut session, &mut line, &config, &mut again, error) {
                        break Err(error);
                    }
                }
            },
            command = commands.recv() => match command {
                Some(command) => session.on_command(command, began.elapsed()),
                None => break Ok(()),
            },
            (reply, fetched) = fetched(&mut fetching) => {
                fetching = None;
                session.on_recording(reply, fetched);
            }
            () = due(settles) => session.settle(began.elapsed()),
            () = due(again.as_ref().map(|again| again.at)), if connecting.is_none() && line.0.is_none() => {
                connecting = Some(Box::pin(connect()));
            }
        }
    };
    call.meter.add(&stage, |usage| {
        usage.requests += session.prompts;
        usage.failures += u64::from(outcome.is_err());
    });
    outcome
}

enum Flushed {
    All,
    CallOver,
    GivenUp,
    Lost(StageError),
}

/// A recording on its way. There is one at a time: a reply's.
type Fetching = Pin<Box<dyn Future<Output = (ReplyId, Result<Recording, String>)> + Send>>;

async fn fetched(fetching: &mut Option<Fetching>) -> (ReplyId, Result<Recording, String>) {
    match fetching {
        Some(fetching) => fetching.await,
        None => std::future::pending().await,
    }
}

async fn fetch(recording: Recording, server: String) -> Result<Recording, String> {
    let sound = recordings::fetch(&recording.url, &server).await;
    let sound = sound.map_err(|refused| format!("{refused} ({})", recording.source))?;
    Ok(Recording { sound: Some(sound), ..recording })
}

/// Does what the session wants done.
async fn flush(
    session: &mut AppSession,
    line: &mut Line,
    events: &Tx<LlmEvent>,
    (server, fetching): (&str, &mut Option<Fetching>),
) -> Flushed {
    while let Some(todo) = session.poll() {
        match todo {
            Do::Send(frame) => {
                if let Some(socket) = &mut line.0
                    && let Err(error) = socket.send_text(frame).await
                {
                    return Flushed::Lost(error);
                }
            }
            Do::Say(event) => {
                if events.send(event).await.is_err() {
                    return Flushed::CallOver;
                }
            }
            Do::Prefetch(recording) => {
                // It stays where the reply finds it; what goes wrong is told then.
                drop(tokio::spawn(fetch(recording, server.to_owned())));
            }
            Do::Fetch(reply, recording) => {
                let loading = fetch(recording, server.to_owned());
                *fetching = Some(Box::pin(async move { (reply, loading.await) }));
            }
            Do::GiveUp => return Flushed::GivenUp,
        }
    }
    Flushed::All
}

/// The connection is lost.
///
/// # Errors
/// The same error, if it isn't to be connected again.
fn lost(
    session: &mut AppSession,
    line: &mut Line,
    config: &RelayAppConfig,
    again: &mut Option<Again>,
    error: StageError,
) -> Result<(), StageError> {
    line.0 = None;
    if !config.application_reconnect {
        return Err(error);
    }
    tracing::warn!(stage = config.stage(), %error, "the application's connection was lost; it is connected again");
    session.disconnected();
    let now = Instant::now();
    *again = Some(Again { at: now, wait: AGAIN_AFTER, until: now + config.reconnect_within });
    Ok(())
}

async fn attempt<F: Future<Output = Result<Socket, StageError>> + Unpin>(
    connecting: &mut Option<F>,
) -> Result<Socket, StageError> {
    match connecting {
        Some(connecting) => connecting.await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

fn broken(stage: &str, what: &str) -> StageError {
    StageError::Broken { stage: stage.to_owned(), what: what.to_owned() }
}
