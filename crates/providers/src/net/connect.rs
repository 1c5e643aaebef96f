//! How connections are made, for requests and sockets alike: addresses of both families are tried as they come (RFC 8305), a
//! proxy of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) is used, and TLS trusts the same roots.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use hyper::rt::ReadBufCursor;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service;

use super::tls;

/// Proxies of the environment.
pub(super) static PROXIES: LazyLock<Arc<Matcher>> = LazyLock::new(|| Arc::new(Matcher::from_env()));

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes TCP connections, through a proxy where there is one.
#[derive(Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    proxies: Arc<Matcher>,
    /// What the latest connection took until its first answer, in microseconds.
    took: Arc<AtomicU64>,
}

impl Connector {
    pub(super) fn new(limit: Duration, proxies: Arc<Matcher>) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limit));
        tcp.set_keepalive(Some(Duration::from_secs(20)));
        Self { tcp, proxies, took: Arc::default() }
    }

    /// What the latest connection took until its first answer: names are looked up, and the server says that it listens.
    pub(super) fn round_trip(&self) -> Duration {
        Duration::from_micros(self.took.load(Ordering::Relaxed))
    }

    /// With TLS, for requests over HTTP/1.1 or HTTP/2.
    pub(super) fn for_requests(self) -> HttpsConnector<Self> {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::config().as_ref().clone());
        builder.https_or_http().enable_all_versions().wrap_connector(self)
    }

    /// With TLS, for sockets, which begin as HTTP/1.1.
    pub(super) fn for_sockets(self) -> HttpsConnector<Self> {
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::config().as_ref().clone());
        builder.https_or_http().enable_http1().wrap_connector(self)
    }
}

/// The proxy that requests to this address go through. This machine's own servers need none.
fn proxy(proxies: &Matcher, to: &Uri) -> Option<hyper_util::client::proxy::matcher::Intercept> {
    let host = to.host().unwrap_or("").trim_matches(['[', ']']);
    let here = host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if here { None } else { proxies.intercept(to) }
}

/// What a request in the clear has to show to its proxy.
pub(super) fn proxy_authorization(proxies: &Matcher, to: &Uri) -> Option<HeaderValue> {
    if to.scheme() != Some(&Scheme::HTTP) {
        return None;
    }
    proxy(proxies, to)?.basic_auth().cloned()
}

impl Service<Uri> for Connector {
    type Response = Tcp;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Tcp, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (mut tcp, took, began) = (self.tcp.clone(), Arc::clone(&self.took), Instant::now());
        let Some(found) = proxy(&self.proxies, &to) else {
            let connecting = tcp.call(to);
            return Box::pin(async move {
                let stream = connecting.await?;
                let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
                took.store(micros, Ordering::Relaxed);
                Ok(Tcp::new(stream, false))
            });
        };
        let by = found.uri().clone();
        if by.scheme() != Some(&Scheme::HTTP) {
            let kind = by.scheme_str().unwrap_or("").to_owned();
            return Box::pin(async move {
                Err(format!("a proxy of the kind {kind} is not supported: set one that begins with http://")
                    .into())
            });
        }
        if to.scheme() == Some(&Scheme::HTTPS) {
            let mut tunnel = Tunnel::new(by, tcp);
            if let Some(authorization) = found.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            return Box::pin(async move {
                let stream = tunnel.call(to).await.map_err(|error| format!("its proxy: {error}"))?;
                Ok(Tcp::new(stream, false))
            });
        }
        let connecting = tcp.call(by);
        Box::pin(async move {
            let stream = connecting.await.map_err(|error| format!("its proxy: {error}"))?;
            Ok(Tcp::new(stream, true))
        })
    }
}

/// Octets that are read at a time; and after so many others have their turn.
const PIECE: usize = 8 * 1024;
const AT_ONCE: usize = 16 * 1024;

/// A connection. A server that sends without end has no more than its turn, whatever it sends: hyper, left to itself, reads interim
/// answers (1xx) for as long as there are any, and all calls of the worker wait.
pub(super) struct Tcp {
    stream: TokioIo<TcpStream>,
    /// To a proxy that is told each request's whole address.
    proxied: bool,
    /// Octets read since others had their turn.
    had: usize,
    answered: Answered,
}

impl Tcp {
    fn new(stream: TokioIo<TcpStream>, proxied: bool) -> Self {
        Self { stream, proxied, had: 0, answered: Answered::default() }
    }
}

/// Whether a connection has answered a request: after that it may be closed while the next one is on its way.
#[derive(Clone, Default)]
pub(super) struct Answered(Arc<AtomicBool>);

impl Answered {
    /// Notes that this answer came over its connection.
    pub(super) fn note<B>(answer: &http::Response<B>) {
        if let Some(answered) = answer.extensions().get::<Self>() {
            answered.0.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a connection was kept, unused: its server may have closed it as if it had answered.
    pub(super) fn was_kept(connection: &Connected) {
        let mut extras = http::Extensions::new();
        connection.get_extras(&mut extras);
        if let Some(answered) = extras.get::<Self>() {
            answered.0.store(true, Ordering::Relaxed);
        }
    }

    /// Whether this connection had answered before.
    pub(super) fn before(connection: &Connected) -> bool {
        let mut extras = http::Extensions::new();
        connection.get_extras(&mut extras);
        extras.get::<Self>().is_some_and(|answered| answered.0.load(Ordering::Relaxed))
    }
}

impl Connection for Tcp {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxied).extra(self.answered.clone())
    }
}

impl hyper::rt::Read for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.had >= AT_ONCE {
            self.had = 0;
            // Polled once, it has this task woken after the others and the network had their turn.
            if std::pin::pin!(tokio::task::yield_now()).poll(context).is_ready() {
                context.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        let mut piece = [0; PIECE];
        let room = buffer.remaining().min(PIECE);
        let mut read = tokio::io::ReadBuf::new(&mut piece[..room]);
        let outcome = Pin::new(self.stream.inner_mut()).poll_read(context, &mut read);
        if outcome.is_pending() {
            self.had = 0;
        } else {
            self.had += read.filled().len();
            buffer.put_slice(read.filled());
        }
        outcome
    }
}

impl hyper::rt::Write for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }
}

/// The address of a socket's server as one for requests: proxies and TLS know no other.
pub(super) fn as_request(socket: &Uri) -> Option<Uri> {
    let tls = socket.scheme_str() == Some("wss");
    let (scheme, port) = if tls { (Scheme::HTTPS, 443) } else { (Scheme::HTTP, 80) };
    let host = socket.host()?;
    let port = socket.port_u16().unwrap_or(port);
    let authority: Authority = format!("{host}:{port}").parse().ok()?;
    let path = PathAndQuery::from_static("/");
    Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build().ok()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn by(proxies: &Matcher, to: &str) -> Option<String> {
        proxy(proxies, &to.parse().unwrap()).map(|found| found.uri().to_string())
    }

    #[test]
    fn proxies_are_found_as_the_environment_says() {
        let proxies = Matcher::builder().all("http://proxy.example:3128").no("internal.example").build();
        assert_eq!(by(&proxies, "https://api.example/v1").as_deref(), Some("http://proxy.example:3128/"));
        for direct in [
            "https://a.internal.example/",
            "http://localhost:11434/v1",
            "http://127.0.0.1:8080/",
            "http://[::1]/",
        ] {
            assert_eq!(by(&proxies, direct), None, "{direct}");
        }
        let secret = Matcher::builder().all("http://me:secret@proxy.example").build();
        let shown = |to: &str| proxy_authorization(&secret, &to.parse().unwrap());
        assert!(
            shown("http://a.example/").is_some_and(|value| value.to_str().unwrap().starts_with("Basic "))
        );
        assert!(shown("https://a.example/").is_none(), "the tunnel shows it");
    }

    #[test]
    fn a_sockets_address_has_its_port() {
        let address = |url: &str| as_request(&url.parse().unwrap()).unwrap().to_string();
        assert_eq!(address("wss://a.example/v1?x=1"), "https://a.example:443/");
        assert_eq!(address("ws://[::1]:9/v1"), "http://[::1]:9/");
    }

    /// How often others have their turn while 4 MB of this are read.
    async fn turns_beside(first: &[u8], again: &[u8]) -> usize {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let flood = [first, &again.repeat(4_000_000 / again.len())].concat();
        let server = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (mut stream, _) = listener.accept().await.unwrap();
                // What comes before the request ends the connection, and floods nobody.
                let asked = stream.read(&mut [0; 4_096]).await.unwrap();
                assert!(asked > 0);
                // Until the client has had enough.
                let _left = stream.write_all(&flood).await;
            });
        });
        let http = super::super::Http::new("x", super::super::Deadlines::default());
        let request = http::Request::get(url).body(http_body_util::Full::default()).unwrap();
        let asked = async {
            if let Ok(mut answer) = http.send(request).await {
                let _all = answer.bytes(8_000_000).await;
            }
        };
        let mut turns = 0;
        tokio::select! {
            () = asked => {}
            () = async { loop { turns += 1; tokio::task::yield_now().await; } } => {}
        }
        server.join().unwrap();
        turns
    }

    #[tokio::test]
    async fn a_server_without_end_leaves_others_their_turn() {
        let answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".as_slice();
        for (first, again) in
            [(b"".as_slice(), b"HTTP/1.1 103 Early Hints\r\n\r\n".as_slice()), (answer, b"octets")]
        {
            let turns = turns_beside(first, again).await;
            assert!(turns > 200, "others had {turns} turns");
        }
    }
}
