//! The streaming recognisers against scripted servers on this machine.

mod assemblyai;
mod deepgram;
mod flux;
mod nonsense;
mod vosk;
mod whisper;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_audio::{MulawFrame, SamplePos};
use offhook_stage_api::{SttCommand, SttEvent};
use offhook_stages::{CallInfo, Meter, Rx, StageError, Stt, Tx, WhenFull, bounded};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

/// What a server got.
#[derive(Clone, Debug)]
pub(super) enum Got {
    Open,
    Text(String),
    Sound(usize),
}

/// What it does then.
pub(super) enum Do {
    Say(&'static str),
    Close(u16, &'static str),
    Leave,
}

/// A server and all that it got.
pub(super) struct Server {
    pub(super) url: String,
    pub(super) log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Accepts connections, one after the other, and answers each message as the script says.
    pub(super) async fn start(mut script: impl FnMut(Got) -> Vec<Do> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/listen", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let opened = Arc::clone(&noted);
                #[allow(clippy::result_large_err, reason = "the type is the library's")]
                let on_open = move |request: &Request, answer: Response| -> Result<Response, ErrorResponse> {
                    let key =
                        request.headers().get("authorization").map(|key| key.to_str().unwrap().to_owned());
                    opened.lock().unwrap().push(format!(
                        "open {} {}",
                        request.uri(),
                        key.unwrap_or_default()
                    ));
                    Ok(answer)
                };
                let mut socket = tokio_tungstenite::accept_hdr_async(stream, on_open).await.unwrap();
                let mut got = Some(Got::Open);
                loop {
                    if let Some(got) = got.take() {
                        for act in script(got) {
                            let sent = match act {
                                Do::Say(text) => socket.send(Message::text(text)).await,
                                Do::Close(code, reason) => {
                                    let frame = CloseFrame { code: code.into(), reason: reason.into() };
                                    socket.close(Some(frame)).await
                                }
                                Do::Leave => socket.close(None).await,
                            };
                            let _gone = sent;
                        }
                    }
                    match socket.next().await {
                        Some(Ok(Message::Text(text))) => {
                            noted.lock().unwrap().push(text.to_string());
                            got = Some(Got::Text(text.to_string()));
                        }
                        Some(Ok(Message::Binary(sound))) => {
                            noted.lock().unwrap().push(format!("sound {}", sound.len()));
                            got = Some(Got::Sound(sound.len()));
                        }
                        Some(Ok(_)) => {}
                        Some(Err(_)) | None => break,
                    }
                }
            }
        });
        Self { url, log }
    }

    /// What came that isn't sound, in order.
    pub(super) fn texts(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|entry| !entry.starts_with("sound ")).cloned().collect()
    }

    /// The length of each message of sound.
    pub(super) fn sounds(&self) -> Vec<usize> {
        let log = self.log.lock().unwrap();
        log.iter().filter_map(|entry| entry.strip_prefix("sound ")?.parse().ok()).collect()
    }
}

/// A call that listens.
pub(super) struct Call {
    pub(super) commands: Tx<SttCommand>,
    events: Rx<SttEvent>,
    pub(super) task: JoinHandle<Result<(), StageError>>,
    pub(super) meter: Meter,
    /// The next sample.
    at: u64,
}

impl Call {
    pub(super) fn start(stt: &Arc<dyn Stt>) -> Self {
        let (commands, for_stage) = bounded(1_000, WhenFull::DropOldest);
        let (from_stage, events) = bounded(64, WhenFull::PushBack);
        let call = CallInfo { language: "en-US".into(), ..CallInfo::default() };
        let meter = call.meter.clone();
        let task = tokio::spawn(stt.run(call, for_stage, from_stage));
        Self { commands, events, task, meter, at: 0 }
    }

    /// So many milliseconds of sound, all at once.
    pub(super) fn sound(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            let frame = MulawFrame([0x80; 160]);
            self.tell(SttCommand::Audio { at: SamplePos(self.at), frame });
            self.at += 160;
        }
    }

    pub(super) fn tell(&self, command: SttCommand) {
        assert!(self.commands.offer(command).is_ok());
    }

    pub(super) fn speech_started(&self, ms: u64) {
        self.tell(SttCommand::SpeechStarted { at: SamplePos(ms * 8) });
    }

    pub(super) fn speech_paused(&self, from_ms: u64, until_ms: u64) {
        let (from, until) = (SamplePos(from_ms * 8), SamplePos(until_ms * 8));
        self.tell(SttCommand::SpeechPaused { from, until });
    }

    pub(super) fn turn_ended(&self, ms: u64) {
        self.tell(SttCommand::TurnEnded { until: SamplePos(ms * 8) });
    }

    /// The next event, as a line; times in milliseconds.
    pub(super) async fn event(&mut self) -> String {
        let event = timeout(Duration::from_secs(4), self.events.recv()).await.unwrap();
        match event {
            Some(SttEvent::Partial(told)) => {
                format!("partial {}..{} {}", told.from / 8, told.until / 8, told.text)
            }
            Some(SttEvent::Final(told)) => {
                format!("final {}..{} {}", told.from / 8, told.until / 8, told.text)
            }
            other => format!("{other:?}"),
        }
    }

    /// Hangs up, and waits for the stage to end.
    pub(super) async fn end(self) -> Result<(), StageError> {
        drop(self.commands);
        timeout(Duration::from_secs(4), self.task).await.unwrap().unwrap()
    }

    /// Waits for the stage to end by itself.
    pub(super) async fn failure(self) -> StageError {
        timeout(Duration::from_secs(6), self.task).await.unwrap().unwrap().unwrap_err()
    }
}

/// A server that answers nothing but this.
pub(super) async fn refusing(answer: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/listen", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4_096];
            let _read = stream.read(&mut request).await;
            let _written = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}
