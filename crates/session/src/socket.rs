//! A WebSocket that is written without waiting: what is written waits in its buffer until it is flushed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, StreamExt};
use offhook_twilio::stream::LONGEST_MESSAGE;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// A peer has so long to answer our closing.
const CLOSED_WITHIN: Duration = Duration::from_secs(1);

/// What a call's WebSocket is best configured with.
#[must_use]
pub fn socket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
        // The defaults are 128 KiB each; Twilio's messages have some 400 octets, ours 1.2 KiB at most. Buffers grow by doubling
        // and stay: what is read begins small, and what is written is handed on after each message, so that no two are in the buffer.
        .read_buffer_size(512)
        .write_buffer_size(0)
        .max_write_buffer_size(1024 * 1024)
}

/// A call's WebSocket.
pub(crate) struct Socket<S> {
    stream: WebSocketStream<S>,
    /// Messages written.
    pub(crate) sent: u32,
    dirty: bool,
    /// Why nothing can be written any more, until that is noticed.
    broken: Option<Error>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    pub(crate) const fn new(stream: WebSocketStream<S>) -> Self {
        Self { stream, sent: 0, dirty: false, broken: None }
    }

    /// The next message; `None` when the peer has closed.
    pub(crate) fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        self.stream.poll_next_unpin(context)
    }

    /// The next message; `None` when the peer has closed. Safe to drop while it waits.
    pub(crate) async fn recv(&mut self) -> Option<Result<Message, Error>> {
        self.stream.next().await
    }

    /// Sends the answer to the peer's close, if it has sent one.
    pub(crate) async fn answer_close(&mut self) {
        let flush = std::future::poll_fn(|context| Pin::new(&mut self.stream).poll_flush(context));
        // A peer that has left without a word gets none.
        let _left = tokio::time::timeout(CLOSED_WITHIN, flush).await;
    }

    /// Writes a message into the buffer.
    pub(crate) fn write(&mut self, text: String) {
        self.sent += 1;
        self.dirty = true;
        // Needs no room to be there: the buffer's limit is what some minutes of sound take.
        if let Err(error) = Pin::new(&mut self.stream).start_send(Message::Text(Utf8Bytes::from(text))) {
            self.broken.get_or_insert(error);
        }
    }

    /// Sends what was written.
    pub(crate) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Err(error));
        }
        if self.dirty {
            ready!(Pin::new(&mut self.stream).poll_flush(context))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes politely, and lets the peer answer for a moment.
    pub(crate) async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let farewell = async {
            self.stream.close(Some(CloseFrame { code, reason: reason.into() })).await?;
            while let Some(message) = self.stream.next().await {
                message?;
            }
            Ok::<(), Error>(())
        };
        // A peer that doesn't answer the farewell is as gone as one that does.
        let _gone = tokio::time::timeout(CLOSED_WITHIN, farewell).await;
    }

    /// Lets the peer close, who has been asked to; what it still sends before is of no use.
    pub(crate) async fn wait_for_close(&mut self, within: Duration) {
        let closed = async {
            if std::future::poll_fn(|context| self.poll_flush(context)).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        if tokio::time::timeout(within, closed).await.is_err() {
            self.close(CloseCode::Normal, "done").await;
        }
    }
}
