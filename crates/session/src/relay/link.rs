//! The socket: ConversationRelay messages out.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use offhook_call::relay::RelayOutput;
use offhook_twilio::relay::{Outbound, Play, RelayDigits, Text};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::link::in_time;

/// A session's socket.
pub(super) struct RelayLink<S> {
    socket: WebSocketStream<S>,
    /// Pieces of one utterance that came together go out together.
    text: Option<Text>,
    sent: u32,
    dirty: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> RelayLink<S> {
    pub(super) const fn new(socket: WebSocketStream<S>) -> Self {
        Self { socket, text: None, sent: 0, dirty: false }
    }

    /// The next message; `None` when the peer is gone. Safe to drop while it waits.
    pub(super) async fn recv(&mut self) -> Option<Result<Message, Error>> {
        self.socket.next().await
    }

    pub(super) const fn sent(&self) -> u32 {
        self.sent
    }

    /// Writes an output into the socket's buffer.
    pub(super) async fn write(&mut self, output: RelayOutput) -> Result<(), Error> {
        match output {
            RelayOutput::Text { token, last, interruptible } => {
                if let Some(text) = self.text.as_mut().filter(|text| !text.last) {
                    text.token.push_str(&token);
                    text.last = last;
                } else {
                    self.write_text().await?;
                    // What may interrupt the rest, the TwiML says.
                    let interruptible = (!interruptible).then_some(false);
                    self.text = Some(Text { token, last, interruptible, ..Text::default() });
                }
                Ok(())
            }
            RelayOutput::Play { source } => {
                self.write_text().await?;
                let yes = Some(true);
                self.feed(&Outbound::Play(Play {
                    source,
                    times: Some(0),
                    preemptible: yes,
                    interruptible: yes,
                }))
                .await
            }
            RelayOutput::Language { tag } => {
                self.write_text().await?;
                let (tts, transcription) = (Some(tag.clone()), Some(tag));
                self.feed(&Outbound::Language { tts, transcription }).await
            }
            RelayOutput::Press(digits) => {
                self.write_text().await?;
                match RelayDigits::new(digits.reveal()) {
                    Some(digits) => self.feed(&Outbound::SendDigits { digits }).await,
                    // The call lets only such keys through.
                    None => Ok(()),
                }
            }
            RelayOutput::End { handoff } => {
                self.write_text().await?;
                let handoff = handoff.and_then(|call| serde_json::to_string(&call).ok());
                self.feed(&Outbound::End { handoff }).await
            }
            RelayOutput::Llm(_)
            | RelayOutput::Tool(_)
            | RelayOutput::CancelTool { .. }
            | RelayOutput::Event(_) => Ok(()),
        }
    }

    async fn write_text(&mut self) -> Result<(), Error> {
        match self.text.take() {
            Some(text) => self.feed(&Outbound::Text(text)).await,
            None => Ok(()),
        }
    }

    async fn feed(&mut self, message: &Outbound) -> Result<(), Error> {
        self.sent += 1;
        self.dirty = true;
        in_time(self.socket.feed(Message::Text(message.to_json().into()))).await
    }

    /// Sends what was written.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.write_text().await?;
        if std::mem::take(&mut self.dirty) {
            in_time(self.socket.flush()).await?;
        }
        Ok(())
    }

    /// Twilio closes after `end`; what it still sends before is of no use.
    pub(super) async fn wait_for_close(&mut self, within: Duration) {
        let closed = async { while let Some(Ok(_)) = self.socket.next().await {} };
        if tokio::time::timeout(within, closed).await.is_err() {
            self.close(CloseCode::Normal, "done").await;
        }
    }

    /// Closes politely, and lets the peer answer for a moment.
    pub(super) async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let farewell = async {
            self.socket.close(Some(CloseFrame { code, reason: reason.into() })).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<(), Error>(())
        };
        // A peer that doesn't answer the farewell is as gone as one that does.
        let _gone = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }
}
