//! A server as small as a fault needs: raw HTTP, and a WebSocket behind it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

pub(crate) type Socket = WebSocketStream<TcpStream>;
type Agent = Arc<dyn Fn(Socket) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// As an answer to a handshake: none ever comes.
pub(crate) const NEVER: &str = "never";

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    address: String,
}

impl Server {
    /// `webhook`: whole request and own address to the whole answer. `upgrade`: the same to an answer instead of the right
    /// one. Empty answers close the connection.
    pub(crate) async fn start<W, U, A, F>(webhook: W, upgrade: U, agent: A) -> Self
    where
        W: Fn(&str, &str) -> String + Send + Sync + 'static,
        U: Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
        A: Fn(Socket) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::slow(Duration::ZERO, webhook, upgrade, agent).await
    }

    /// Whose webhook takes so long.
    pub(crate) async fn slow<W, U, A, F>(takes: Duration, webhook: W, upgrade: U, agent: A) -> Self
    where
        W: Fn(&str, &str) -> String + Send + Sync + 'static,
        U: Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
        A: Fn(Socket) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let agent: Agent = Arc::new(move |socket| Box::pin(agent(socket)));
        let (webhook, upgrade, own) = (Arc::new(webhook), Arc::new(upgrade), address.clone());
        tokio::spawn(async move {
            while let Ok((wire, _)) = listener.accept().await {
                let (webhook, upgrade, agent, own) =
                    (Arc::clone(&webhook), Arc::clone(&upgrade), Arc::clone(&agent), own.clone());
                tokio::spawn(async move { serve(wire, takes, &*webhook, &*upgrade, &agent, &own).await });
            }
        });
        Self { address }
    }

    /// Only a webhook.
    pub(crate) async fn webhook(webhook: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> Self {
        Self::start(webhook, ok, crate::agents::echo).await
    }

    /// A fault in the handshake.
    pub(crate) async fn upgrade(
        upgrade: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self::start(|_, own| connect_to(&format!("wss://{own}/media")), upgrade, crate::agents::echo).await
    }

    /// All is well but perhaps the agent.
    pub(crate) async fn good<A, F>(agent: A) -> Self
    where
        A: Fn(Socket) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start(|_, own| connect_to(&format!("wss://{own}/media")), ok, agent).await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/voice", self.address)
    }
}

async fn serve(
    mut wire: TcpStream,
    takes: Duration,
    webhook: &(dyn Fn(&str, &str) -> String + Send + Sync),
    upgrade: &(dyn Fn(&str, &str) -> Option<String> + Send + Sync),
    agent: &Agent,
    own: &str,
) {
    let mut read = Vec::new();
    let head = loop {
        let mut buffer = [0; 4096];
        let Ok(count) = wire.read(&mut buffer).await else { return };
        if count == 0 {
            return;
        }
        read.extend(&buffer[..count]);
        if read.starts_with(&[0x16]) {
            // As servers of plain HTTP answer a TLS greeting.
            let _gone = wire.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
            return;
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if read.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
                break head;
            }
        }
    };
    if !head.contains("upgrade: websocket") {
        tokio::time::sleep(takes).await;
        let _gone = wire.write_all(webhook(&String::from_utf8_lossy(&read), own).as_bytes()).await;
        let _closed = wire.shutdown().await;
        return;
    }
    if let Some(answer) = upgrade(&head, own) {
        if answer == NEVER {
            return std::future::pending().await;
        }
        let _gone = wire.write_all(answer.as_bytes()).await;
        let _closed = wire.shutdown().await;
        return;
    }
    wire.write_all(switching(&head, "").as_bytes()).await.unwrap();
    agent(WebSocketStream::from_raw_socket(wire, Role::Server, None).await).await;
}

/// The right answer to a handshake.
pub(crate) fn switching(head: &str, extra: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
    let accept = derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n{extra}Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

/// No fault in the handshake.
pub(crate) fn ok(_: &str, _: &str) -> Option<String> {
    None
}

/// A document.
pub(crate) fn xml(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// The usual document.
pub(crate) fn connect_to(url: &str) -> String {
    xml(&format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Connect><Stream url=\"{url}\"/></Connect></Response>"
    ))
}
