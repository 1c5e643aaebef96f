//! The session with its socket: the speech-to-text adapter's future.

use std::sync::Arc;
use std::time::Duration;

use offhook_stage_api::{FailureKind, LlmEvent, SttCommand, SttEvent, TtsCommand, TtsEvent};
use offhook_stages::{CallInfo, Rx, StageError, Tx};
use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::dialect::Dialect;
use super::session::Session;
use super::shared_session::ToSession;
use crate::net::ws::{Message, Socket};

/// A session that is lost so soon after the last isn't opened again.
const REOPEN: Duration = Duration::from_secs(60);

/// Serves a call.
pub(super) struct Running {
    pub(super) inner: Arc<Inner>,
    pub(super) call: CallInfo,
    pub(super) session: Session,
    pub(super) dialect: Dialect,
    pub(super) commands: Rx<SttCommand>,
    pub(super) incoming: Rx<ToSession>,
    pub(super) events: Tx<SttEvent>,
    pub(super) model: Option<Tx<LlmEvent>>,
    pub(super) voice: Option<(Tx<TtsEvent>, Tx<TtsCommand>)>,
}

/// Writes down what was used, however the call ends.
impl Drop for Running {
    fn drop(&mut self) {
        self.write_bill();
    }
}

impl Running {
    pub(super) async fn serve(mut self) -> Result<(), StageError> {
        let outcome = self.serve_all().await;
        if let Err(error) = &outcome {
            self.session.usage.failures += 1;
            self.session.fail(error, Instant::now());
            self.tell().await;
        }
        outcome
    }

    async fn serve_all(&mut self) -> Result<(), StageError> {
        let mut opened: Option<Instant> = None;
        loop {
            let Some(mut socket) = self.connect(opened.is_some()).await? else { return Ok(()) };
            let since = opened.replace(Instant::now());
            let error = match self.converse(&mut socket).await {
                Ok(()) => {
                    socket.close().await;
                    return Ok(());
                }
                Err(error) => error,
            };
            let again = since.is_none_or(|_| opened.is_some_and(|at| at.elapsed() > REOPEN));
            if error.kind() != FailureKind::Broken || !again {
                return Err(error);
            }
            tracing::warn!(call = %self.call.call, %error, "the session is opened again");
            self.session.lost(&error, Instant::now());
            self.tell().await;
        }
    }

    /// Opens the connection, and keeps what comes meanwhile. `None`: the call is over.
    async fn connect(&mut self, again: bool) -> Result<Option<Socket>, StageError> {
        self.session.usage.requests += 1;
        let inner = Arc::clone(&self.inner);
        let headers = inner.headers();
        let call = Arc::clone(&self.call.call);
        let (name, deadlines) = (&inner.config.name, &inner.config.deadlines);
        let connecting = async {
            if again {
                inner.dial.reconnect(name, &inner.url, &headers, deadlines, &call).await
            } else {
                inner.dial.connect(name, &inner.url, &headers, deadlines).await
            }
        };
        let mut connecting = std::pin::pin!(connecting);
        loop {
            tokio::select! {
                socket = &mut connecting => {
                    let socket = socket?;
                    self.dialect.opened();
                    self.session.opened(Instant::now());
                    return Ok(Some(socket));
                }
                Some(incoming) = self.incoming.recv() => self.on_incoming(incoming),
                command = self.commands.recv() => match command {
                    Some(command) => self.session.on_stt(&command, Instant::now()),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Until the call is over or the socket fails. Nothing more is handed over once another session has taken the call's line:
    /// this one then only listens until it is dropped.
    async fn converse(&mut self, socket: &mut Socket) -> Result<(), StageError> {
        loop {
            // All that has come at once belongs together: a reply that is dropped and asked for again, say.
            while let Ok(incoming) = self.incoming.try_recv() {
                self.on_incoming(incoming);
            }
            self.session.settle(Instant::now())?;
            for event in std::mem::take(&mut self.session.say) {
                let passed = self.dialect.send(event);
                for event in passed.wire {
                    socket.send_text(event.to_string()).await?;
                }
                for heard in passed.heard {
                    self.session.on_heard(heard, Instant::now())?;
                }
            }
            self.tell().await;
            let due = self.session.due();
            tokio::select! {
                biased;
                Some(incoming) = self.incoming.recv() => self.on_incoming(incoming),
                command = self.commands.recv() => match command {
                    Some(command) => self.session.on_stt(&command, Instant::now()),
                    None => return Ok(()),
                },
                message = socket.recv() => match message? {
                    Some(Message::Text(text)) => self.on_text(&text)?,
                    // Gemini's text.
                    Some(Message::Binary(octets)) => self.on_text(&String::from_utf8_lossy(&octets))?,
                    None => {
                        let what = "it closed the session in the midst of the call".to_owned();
                        return Err(StageError::Broken { stage: self.inner.config.name.clone(), what });
                    }
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    fn on_text(&mut self, text: &str) -> Result<(), StageError> {
        match self.dialect.receive(text) {
            Ok(heard) => heard.into_iter().try_for_each(|heard| self.session.on_heard(heard, Instant::now())),
            Err(error) => {
                self.session.on_unreadable(&error);
                Ok(())
            }
        }
    }

    fn on_incoming(&mut self, incoming: ToSession) {
        let now = Instant::now();
        match incoming {
            ToSession::Model(events) => self.model = Some(events),
            ToSession::Voice(events, voice) => self.voice = Some((events, voice)),
            ToSession::Llm(command) => self.session.on_llm(command, now),
            ToSession::Tts(command) => self.session.on_tts(command, now),
        }
    }

    /// Hands on what came out. A call that is gone needs none of it.
    async fn tell(&mut self) {
        for event in self.session.hears() {
            if matches!(event, SttEvent::Partial(_)) {
                let _out_of_date = self.events.offer(event);
            } else {
                let _gone = self.events.send(event).await;
            }
        }
        for event in std::mem::take(&mut self.session.llm) {
            if matches!(event, LlmEvent::Done { .. } | LlmEvent::Failed { .. }) {
                self.write_bill();
            }
            if let Some(model) = &self.model {
                let _gone = model.send(event).await;
            }
        }
        for event in std::mem::take(&mut self.session.tts) {
            if let Some((voice, _)) = &self.voice {
                let _gone = voice.send(event).await;
            }
        }
        for command in std::mem::take(&mut self.session.voice) {
            let Some((events, voice)) = &self.voice else { continue };
            super::adapters::to_voice(&self.inner, voice, events, command).await;
        }
    }

    fn write_bill(&mut self) {
        let name = &self.inner.config.name;
        let mut used = std::mem::take(&mut self.session.usage);
        used.audio_ms += std::mem::take(&mut self.session.input.octets) / 8;
        let transcription = std::mem::take(&mut self.session.transcription);
        let bills = [(name.clone(), used), (format!("{name} transcription"), transcription)];
        for (name, used) in bills.into_iter().filter(|(_, used)| *used != offhook_stages::Usage::default()) {
            self.call.meter.add(&name, |total| {
                total.requests += used.requests;
                total.failures += used.failures;
                total.audio_ms += used.audio_ms;
                total.input_tokens += used.input_tokens;
                total.cached_tokens += used.cached_tokens;
                total.output_tokens += used.output_tokens;
            });
        }
    }
}
