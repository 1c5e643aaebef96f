//! The socket: Media Streams messages in and out.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Sink, SinkExt, StreamExt};
use offhook_call::{MarkName, Output};
use offhook_twilio::StreamSid;
use offhook_twilio::stream::{LONGEST_MESSAGE, write_clear, write_mark, write_media};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// A peer that doesn't take our messages for so long is gone.
const SLOWEST_WRITE: Duration = Duration::from_secs(5);

/// What a call's WebSocket is best configured with.
#[must_use]
pub fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
        // The defaults are 128 KiB each; Twilio's messages have some 400 octets, ours 1.2 KiB at most. Buffers grow by doubling
        // and stay: what is read begins small, and what is written is handed on after each large message.
        .read_buffer_size(512)
        .write_buffer_size(1024)
        .max_write_buffer_size(1024 * 1024)
}

/// A call's socket.
pub(crate) struct Link<S> {
    socket: WebSocketStream<S>,
    stream: StreamSid,
    text: String,
    dirty: bool,
    /// Consecutive frames that go into one message.
    media: Vec<u8>,
}

/// Most frames in one message: 100 ms.
const MOST_OCTETS: usize = 800;

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) const fn new(socket: WebSocketStream<S>, stream: StreamSid) -> Self {
        Self { socket, stream, text: String::new(), dirty: false, media: Vec::new() }
    }

    /// The next message; `None` when the peer has closed.
    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.socket.poll_next_unpin(context)
    }

    /// Writes an output that is for Twilio into the socket's buffer; false if it is for somebody else. It goes out, and a peer
    /// that takes nothing is waited for, with [`flush`](Self::flush).
    pub(crate) fn write(&mut self, output: &Output) -> Result<bool, Error> {
        match output {
            Output::Media(frame) | Output::HiddenMedia(frame) => {
                self.media.extend_from_slice(&frame.0);
                if self.media.len() >= MOST_OCTETS {
                    self.write_media()?;
                }
            }
            Output::Mark(name) => {
                self.write_media()?;
                self.write_mark(*name)?;
            }
            Output::Clear => {
                self.write_media()?;
                write_clear(&mut self.text, &self.stream);
                self.feed()?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn write_media(&mut self) -> Result<(), Error> {
        if self.media.is_empty() {
            return Ok(());
        }
        write_media(&mut self.text, &self.stream, &self.media);
        self.media.clear();
        self.feed()
    }

    /// Marks stand where a sentence ends: perhaps it is quiet for a while, and needs no room.
    fn write_mark(&mut self, name: MarkName) -> Result<(), Error> {
        self.media = Vec::new();
        write_mark(&mut self.text, &self.stream, &name.to_string());
        self.feed()
    }

    fn feed(&mut self) -> Result<(), Error> {
        // Given away rather than copied: a link that is silent holds nothing.
        let text = Utf8Bytes::from(std::mem::take(&mut self.text));
        self.dirty = true;
        // Needs no room to be there: whoever writes flushes next.
        Pin::new(&mut self.socket).start_send(Message::Text(text))
    }

    /// Sends what was written.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        self.write_media()?;
        if std::mem::take(&mut self.dirty) {
            in_time(self.socket.flush()).await?;
        }
        Ok(())
    }

    /// Sends the answer to the peer's close, if it has sent one.
    pub(crate) async fn answer_close(&mut self) {
        // A peer that has left without a word gets none.
        let _left = tokio::time::timeout(Duration::from_secs(1), self.socket.flush()).await;
    }

    /// Closes politely, and lets the peer answer for a moment.
    pub(crate) async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let farewell = async {
            self.socket.close(Some(frame)).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<(), Error>(())
        };
        // A peer that doesn't answer the farewell is as gone as one that does.
        let _gone = tokio::time::timeout(Duration::from_secs(1), farewell).await;
    }
}

/// A write, unless it takes too long.
pub(crate) async fn in_time(write: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    match tokio::time::timeout(SLOWEST_WRITE, write).await {
        Ok(result) => result,
        Err(_) => Err(Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "the peer takes no data"))),
    }
}
