//! WebSockets to providers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use http::{HeaderName, HeaderValue};
use hyper_util::rt::TokioIo;
use offhook_stages::StageError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message as Raw, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tower_service::Service as _;

use super::connect::{Connector, PROXIES, as_request};
use super::dial::Meter;
use super::secret::{mask, secrets_of};
use super::{Deadlines, http_failure};

/// A ping goes out when nothing came for so long, and the connection is lost when nothing comes for as long again:
/// half-open connections are how a call goes silent.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// A peer that takes no data for so long is gone.
const SLOWEST_WRITE: Duration = Duration::from_secs(5);
/// So long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// A greeting has no more messages.
const MOST_EARLY: usize = 16;
/// No provider's message is longer.
const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A message with meaning; pings and pongs are dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text, mostly JSON.
    Text(Utf8Bytes),
    /// Octets, mostly sound.
    Binary(Bytes),
}

/// A connection.
pub struct Socket {
    stage: String,
    socket: WebSocketStream<Box<dyn Wire>>,
    heard: Instant,
    pinged: bool,
    closed_with: Option<u16>,
    /// What came before anybody listened.
    early: VecDeque<Message>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Socket {
    /// Connects to a `ws://` or `wss://` URL. Headers' values are taken for secrets.
    ///
    /// # Errors
    /// The URL or a header is not valid, the connection can't be had within the deadline, or the upgrade was refused, which
    /// is told like any [refusal](http_failure).
    pub async fn connect(
        stage: &str,
        url: &str,
        headers: &[(&'static str, String)],
        deadlines: &Deadlines,
    ) -> Result<Self, StageError> {
        Self::connect_measured(stage, url, headers, deadlines, &Meter::default()).await
    }

    /// The same, and notes how long it took.
    ///
    /// # Errors
    /// As for [`Socket::connect`].
    pub(crate) async fn connect_measured(
        stage: &str,
        url: &str,
        headers: &[(&'static str, String)],
        deadlines: &Deadlines,
        meter: &Meter,
    ) -> Result<Self, StageError> {
        let limit = deadlines.connect;
        timeout(limit, connect_now(stage, url, headers, limit, meter)).await.unwrap_or_else(|_| {
            Err(StageError::TooSlow { stage: stage.to_owned(), what: "connection", limit })
        })
    }

    /// Sends text.
    ///
    /// # Errors
    /// The connection is lost, or the peer takes no data.
    pub async fn send_text(&mut self, text: String) -> Result<(), StageError> {
        self.send(Raw::Text(text.into())).await
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The connection is lost, or the peer takes no data.
    pub async fn send_binary(&mut self, octets: Bytes) -> Result<(), StageError> {
        self.send(Raw::Binary(octets)).await
    }

    async fn send(&mut self, message: Raw) -> Result<(), StageError> {
        match timeout(SLOWEST_WRITE, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.why_closed(&error.to_string()).await),
            Err(_) => Err(self.broken("the peer takes no data")),
        }
    }

    /// The next message; `None` when the peer closed in peace (1000 or 1001, or without a code). Safe to drop while it waits.
    ///
    /// # Errors
    /// The connection is lost, or the peer closed with another code, which is told with its reason.
    pub async fn recv(&mut self) -> Result<Option<Message>, StageError> {
        if let Some(message) = self.early.pop_front() {
            return Ok(Some(message));
        }
        loop {
            let due = self.heard + if self.pinged { 2 * HEARTBEAT } else { HEARTBEAT };
            let message = tokio::select! {
                message = self.socket.next() => message,
                () = sleep_until(due) => {
                    if self.pinged {
                        return Err(self.broken("it is silent, and does not answer pings"));
                    }
                    self.pinged = true;
                    self.send(Raw::Ping(Bytes::new())).await?;
                    continue;
                }
            };
            self.heard = Instant::now();
            self.pinged = false;
            match message {
                None | Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) => return Ok(None),
                Some(Ok(Raw::Text(text))) => return Ok(Some(Message::Text(text))),
                Some(Ok(Raw::Binary(octets))) => return Ok(Some(Message::Binary(octets))),
                Some(Ok(Raw::Close(frame))) => return self.closed(frame),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(self.broken(&error.to_string())),
            }
        }
    }

    /// Whether it can still be used, after it has waited unheard. What came meanwhile is kept.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.heard = Instant::now();
        while let Some(message) = self.socket.next().now_or_never() {
            match message {
                Some(Ok(Raw::Text(text))) => self.early.push_back(Message::Text(text)),
                Some(Ok(Raw::Binary(octets))) => self.early.push_back(Message::Binary(octets)),
                None | Some(Ok(Raw::Close(_)) | Err(_)) => return false,
                Some(Ok(_)) => {}
            }
            if self.early.len() > MOST_EARLY {
                return false;
            }
        }
        true
    }

    #[cfg(test)]
    pub(crate) fn has_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// A peer that closes says why, and what is sent meanwhile fails: the reason is still there to be read.
    async fn why_closed(&mut self, otherwise: &str) -> StageError {
        let reason = async {
            while let Some(message) = self.socket.next().await {
                match message {
                    Ok(Raw::Close(frame)) => return self.closed(frame).err(),
                    Ok(_) => {}
                    Err(_) => return None,
                }
            }
            None
        };
        match timeout(FAREWELL, reason).await {
            Ok(Some(error)) => error,
            _ => self.broken(otherwise),
        }
    }

    fn closed(&mut self, frame: Option<CloseFrame>) -> Result<Option<Message>, StageError> {
        let Some(frame) = frame else { return Ok(None) };
        let code = u16::from(frame.code);
        self.closed_with = Some(code);
        if matches!(code, 1000 | 1001) {
            return Ok(None);
        }
        Err(self.broken(&format!("it closed with {code}: {}", frame.reason)))
    }

    /// The code that the peer closed with, if it did.
    #[must_use]
    pub const fn close_code(&self) -> Option<u16> {
        self.closed_with
    }

    /// Closes in peace, and gives the peer a moment to do the same.
    pub async fn close(self) {
        self.close_by(None).await;
    }

    /// The same, with a code and a reason.
    pub async fn close_with(self, code: u16, reason: &'static str) {
        self.close_by(Some(CloseFrame { code: code.into(), reason: reason.into() })).await;
    }

    async fn close_by(mut self, frame: Option<CloseFrame>) {
        let farewell = async {
            self.socket.close(frame).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<(), Error>(())
        };
        // A peer that doesn't answer the farewell is as gone as one that does.
        let _gone = timeout(FAREWELL, farewell).await;
    }

    fn broken(&self, what: &str) -> StageError {
        StageError::Broken { stage: self.stage.clone(), what: what.to_owned() }
    }
}

async fn connect_now(
    stage: &str,
    url: &str,
    headers: &[(&'static str, String)],
    limit: Duration,
    meter: &Meter,
) -> Result<Socket, StageError> {
    let unusable = |what: String| StageError::Unavailable {
        stage: stage.to_owned(),
        what,
        hint: "correct the agent's configuration".to_owned(),
    };
    let mut request = url.into_client_request().map_err(|error| {
        unusable(format!("its address is not that of a WebSocket (ws:// or wss://): {error}"))
    })?;
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value).map_err(|_| {
            unusable(format!("the value of the header `{name}` has characters that no header may have"))
        })?;
        value.set_sensitive(true);
        request.headers_mut().insert(HeaderName::from_static(name), value);
    }
    let secrets = secrets_of(request.uri(), request.headers());
    let host = request.uri().host().unwrap_or("").trim_matches(['[', ']']).to_owned();
    let broken = |what: String| StageError::Broken { stage: stage.to_owned(), what };
    let address = as_request(request.uri()).ok_or_else(|| unusable("its address has no host".to_owned()))?;
    let began = Instant::now();
    let connector = Connector::new(limit, Arc::clone(&PROXIES));
    let connected = connector.clone().for_sockets().call(address).await;
    let connected =
        connected.map_err(|error| broken(format!("no connection to {host}: {}", cause(&*error))))?;
    let wire: Box<dyn Wire> = Box::new(TokioIo::new(connected));
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0);
    match client_async_with_config(request, wire, Some(limits)).await {
        Ok((socket, _)) => {
            let heard = Instant::now();
            meter.took(connector.round_trip(), heard.duration_since(began));
            let early = VecDeque::new();
            Ok(Socket { stage: stage.to_owned(), socket, heard, pinged: false, closed_with: None, early })
        }
        Err(Error::Http(answer)) => {
            let body = mask(&String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()), &secrets);
            Err(http_failure(stage, answer.status(), answer.headers(), body.as_bytes()))
        }
        Err(error) => Err(broken(format!("{host} is no WebSocket: {error}"))),
    }
}

/// The innermost reason.
fn cause(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), cause)
}

#[cfg(test)]
mod tests {
    use offhook_stage_api::FailureKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

    use super::*;

    async fn listen() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1", listener.local_addr().unwrap());
        (listener, url)
    }

    #[tokio::test]
    async fn messages_come_and_a_close_code_is_told() {
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            let first = socket.next().await.unwrap().unwrap();
            socket.send(first).await.unwrap();
            let frame = CloseFrame { code: CloseCode::Library(4_001), reason: "no such model".into() };
            socket.close(Some(frame)).await.unwrap();
        });
        let mut socket = Socket::connect("x", &url, &[], &Deadlines::default()).await.unwrap();
        socket.send_text("hello".to_owned()).await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(Message::Text("hello".into())));
        let error = socket.recv().await.unwrap_err();
        assert_eq!(error.to_string(), "x broke off: it closed with 4001: no such model");
        assert_eq!(socket.close_code(), Some(4_001));
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_refused_upgrade_is_told_without_the_key() {
        let (listener, url) = listen().await;
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let _read = stream.read(&mut request).await.unwrap();
            let body = r#"{"err_code":"INVALID_AUTH","err_msg":"Bad key tok-secret-123."}"#;
            let answer = format!("HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        let headers = [("authorization", "Token tok-secret-123".to_owned())];
        let error = Socket::connect("x", &url, &headers, &Deadlines::default()).await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Refused);
        let text = error.to_string();
        assert!(
            text.contains("401") && text.contains("INVALID_AUTH") && !text.contains("tok-secret"),
            "{text}"
        );
        server.await.unwrap();
    }

    #[tokio::test]
    async fn why_the_peer_closed_is_told_although_what_is_sent_meanwhile_fails() {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let wire: Box<dyn Wire> = Box::new(ours);
        let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
        let inner = WebSocketStream::from_raw_socket(wire, role, None).await;
        let (heard, stage) = (Instant::now(), "x".to_owned());
        let mut socket =
            Socket { stage, socket: inner, heard, pinged: false, closed_with: None, early: VecDeque::new() };
        let reason = b"bad key";
        theirs.write_all(&[0x88, 2 + reason.len() as u8, 0x03, 0xF0]).await.unwrap();
        theirs.write_all(reason).await.unwrap();
        drop(theirs);
        let error = socket.send_text("hello".to_owned()).await.unwrap_err();
        assert_eq!(error.to_string(), "x broke off: it closed with 1008: bad key");
        assert_eq!(socket.close_code(), Some(1_008));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_answer_pings_is_gone() {
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let wire: Box<dyn Wire> = Box::new(ours);
        let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
        let inner = WebSocketStream::from_raw_socket(wire, role, None).await;
        let (heard, stage) = (Instant::now(), "x".to_owned());
        let mut socket =
            Socket { stage, socket: inner, heard, pinged: false, closed_with: None, early: VecDeque::new() };
        let error = socket.recv().await.unwrap_err();
        assert!(error.to_string().contains("pings"), "{error}");
        assert_eq!(heard.elapsed(), 2 * HEARTBEAT);
        let mut ping = [0; 2];
        theirs.read_exact(&mut ping).await.unwrap();
        assert_eq!(ping[0], 0x89);
    }
}
