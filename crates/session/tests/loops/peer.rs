//! Twilio's end of a socket in memory.

use futures_util::{SinkExt, StreamExt};
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Twilio's end.
pub(crate) struct Peer(pub(crate) WebSocketStream<DuplexStream>);

/// Both ends, Twilio's and ours; each way has room for so many octets.
pub(crate) async fn sockets(room: usize) -> (Peer, WebSocketStream<DuplexStream>) {
    let (theirs, ours) = tokio::io::duplex(room);
    let config = Some(offhook_session::socket_config());
    let theirs = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
    (Peer(theirs), WebSocketStream::from_raw_socket(ours, Role::Server, config).await)
}

impl Peer {
    /// Sends text; whether it was taken.
    pub(crate) async fn send(&mut self, text: impl Into<String>) -> bool {
        self.0.send(Message::Text(text.into().into())).await.is_ok()
    }

    /// The next text; `None` when the socket is closed.
    pub(crate) async fn text(&mut self) -> Option<String> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// All text up to the end.
    pub(crate) async fn texts(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some(text) = self.text().await {
            texts.push(text);
        }
        texts
    }
}
