//! Ways to a server: names, addresses, TCP, TLS. Each failure is told by its cause.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::causes::{self, Cause};
use crate::certificate::{Recording, ends_soon, explain_tls};
use crate::limits::Limits;

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) cause: &'static Cause,
    pub(crate) what: String,
}

impl Failed {
    pub(crate) fn new(cause: &'static Cause, what: impl Into<String>) -> Self {
        Self { cause, what: what.into() }
    }
}

/// Where a URL points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port as written, without user and password.
    pub(crate) authority: String,
    /// `user:password`, as written.
    pub(crate) login: Option<String>,
    pub(crate) path: String,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.split('#').next()?.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let host = uri.host().filter(|host| !host.is_empty())?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let whole = uri.authority()?.as_str();
        let (login, authority) = match whole.rsplit_once('@') {
            Some((login, rest)) => (Some(login.to_owned()), rest.to_owned()),
            None => (None, whole.to_owned()),
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { tls, host, port, authority, login, path })
    }

    /// The server is on this machine or network, by its name or address.
    pub(crate) fn is_private(&self) -> bool {
        let name = self.host.to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || name.ends_with(".local")
            || name.parse().is_ok_and(is_private)
    }
}

/// Whether the internet has no way to this address (RFC 6890).
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_documentation()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.to_ipv4_mapped().is_some_and(|v4| is_private(IpAddr::V4(v4)))
        }
    }
}

/// The addresses of a host.
pub(crate) async fn resolve(target: &Target) -> Result<Vec<SocketAddr>, Failed> {
    let unknown =
        |why: String| Failed::new(&causes::NAME_UNKNOWN, format!("`{}` has no address{why}", target.host));
    let found = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await
        .map_err(|error| unknown(format!(": {error}")))?;
    let found: Vec<SocketAddr> = found.collect();
    if found.is_empty() { Err(unknown(String::new())) } else { Ok(found) }
}

/// A connection, and what is to be said about its certificate.
pub(crate) struct Connection {
    pub(crate) wire: Box<dyn Wire>,
    pub(crate) ends_soon: Option<String>,
}

/// What every connection needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way<'a> {
    /// Authorities trusted besides Mozilla's.
    pub(crate) roots: &'a [CertificateDer<'static>],
    pub(crate) limits: &'a Limits,
}

/// Opens a connection.
pub(crate) async fn open(target: &Target, tls: bool, way: Way<'_>) -> Result<Connection, Failed> {
    let stream = connect(target, way.limits).await?;
    if !tls {
        return Ok(Connection { wire: Box::new(stream), ends_soon: None });
    }
    let verifier = Arc::new(Recording::new(way.roots)?);
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| Failed::new(&causes::TLS_WRONG_HOST, format!("`{}`: {error}", target.host)))?;
    let shaking = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream);
    let Ok(shaken) = tokio::time::timeout(way.limits.tls, shaking).await else {
        return Err(unanswered(target, way.limits).await);
    };
    let chain = verifier.chain();
    match shaken {
        Ok(wire) => Ok(Connection { wire: Box::new(wire), ends_soon: ends_soon(&chain) }),
        Err(error) => Err(explain_tls(&error, &chain, target)),
    }
}

/// Nothing came in answer to TLS: is it a server of plain HTTP that waits for the rest of a request, or does nobody listen?
async fn unanswered(target: &Target, limits: &Limits) -> Failed {
    let asking = async {
        let mut stream = connect(target, limits).await.ok()?;
        let request = format!("HEAD / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", target.authority);
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut start = [0; 5];
        stream.read_exact(&mut start).await.ok()?;
        (start == *b"HTTP/").then_some(())
    };
    let within = limits.tls;
    if let Ok(Some(())) = tokio::time::timeout(within, asking).await {
        let what =
            format!("port {} of {} answers plain HTTP, and leaves TLS unanswered", target.port, target.host);
        return Failed::new(&causes::TLS_NONE, what);
    }
    let what = format!(
        "{} takes the connection, and answers neither TLS nor HTTP within {within:?}",
        target.authority
    );
    Failed::new(&causes::TLS_SILENT, what)
}

async fn connect(target: &Target, limits: &Limits) -> Result<TcpStream, Failed> {
    let addresses = resolve(target).await?;
    let connecting = tokio::time::timeout(limits.connect, TcpStream::connect(addresses.as_slice()));
    let stream = connecting
        .await
        .map_err(|_| {
            let what = format!("{} took no connection within {:?}", target.authority, limits.connect);
            Failed::new(&causes::CONNECT_TIMEOUT, what)
        })?
        .map_err(|error| {
            let cause = match error.kind() {
                std::io::ErrorKind::ConnectionRefused => &causes::REFUSED,
                std::io::ErrorKind::TimedOut => &causes::CONNECT_TIMEOUT,
                _ => &causes::UNREACHABLE,
            };
            Failed::new(cause, format!("no connection to {}, port {}: {error}", target.host, target.port))
        })?;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small packets may wait");
    }
    Ok(stream)
}
