//! Ways to a server: names, addresses, TCP, TLS. Each failure is told by its cause.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::causes::{self, Cause};

/// Twilio gives a TCP connection two tries of 5 s (error 11205).
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const TLS_WITHIN: Duration = Duration::from_secs(10);
/// A certificate that ends sooner is told of.
const SOON: Duration = Duration::from_secs(10 * 24 * 3600);

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

/// Opens a connection. `roots`: authorities trusted besides Mozilla's.
pub(crate) async fn open(
    target: &Target,
    tls: bool,
    roots: &[CertificateDer<'static>],
) -> Result<Connection, Failed> {
    let addresses = resolve(target).await?;
    let connecting = tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(addresses.as_slice()));
    let stream = connecting
        .await
        .map_err(|_| {
            let what = format!("{} took no connection within {CONNECT_WITHIN:?}", target.authority);
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
    if !tls {
        return Ok(Connection { wire: Box::new(stream), ends_soon: None });
    }
    let verifier = Recording::new(roots)?;
    let verifier = Arc::new(verifier);
    let config = rustls::ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| Failed::new(&causes::TLS_WRONG_HOST, format!("`{}`: {error}", target.host)))?;
    let shaking = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream);
    let shaken = tokio::time::timeout(TLS_WITHIN, shaking).await.map_err(|_| {
        let what = format!("{} doesn't answer the TLS handshake within {TLS_WITHIN:?}", target.authority);
        Failed::new(&causes::TLS_BROKEN, what)
    })?;
    let chain = verifier.chain();
    match shaken {
        Ok(wire) => Ok(Connection { wire: Box::new(wire), ends_soon: ends_soon(&chain) }),
        Err(error) => Err(explain_tls(&error, &chain, target)),
    }
}

fn explain_tls(error: &std::io::Error, chain: &[CertificateDer<'static>], target: &Target) -> Failed {
    let host = &target.host;
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return Failed::new(&causes::TLS_BROKEN, format!("the TLS handshake with {host} broke off: {error}"));
    };
    let facts = chain.first().and_then(|first| Facts::read(first)).unwrap_or_default();
    use CertificateError as E;
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            E::Expired | E::ExpiredContext { .. } => {
                Failed::new(&causes::TLS_EXPIRED, format!("{host}'s certificate ended on {}", facts.until))
            }
            E::NotValidYet | E::NotValidYetContext { .. } => {
                Failed::new(&causes::TLS_NOT_YET, format!("{host}'s certificate begins on {}", facts.from))
            }
            E::NotValidForName | E::NotValidForNameContext { .. } => Failed::new(
                &causes::TLS_WRONG_HOST,
                format!("the certificate is for {}, not for {host}", facts.names),
            ),
            _ if facts.self_signed => Failed::new(
                &causes::TLS_SELF_SIGNED,
                format!("{host}'s certificate is signed by itself ({})", facts.subject),
            ),
            E::UnknownIssuer if chain.len() == 1 => Failed::new(
                &causes::TLS_UNTRUSTED,
                format!(
                    "{host} sends its own certificate only, without that of its issuer ({})",
                    facts.issuer
                ),
            ),
            other => Failed::new(
                &causes::TLS_UNTRUSTED,
                format!("{host}'s certificate, issued by {}, is not trusted: {other:?}", facts.issuer),
            ),
        },
        rustls::Error::InvalidMessage(_) => Failed::new(
            &causes::TLS_NONE,
            format!("port {} of {host} doesn't speak TLS: {error}", target.port),
        ),
        other => Failed::new(&causes::TLS_BROKEN, format!("the TLS handshake with {host} failed: {other}")),
    }
}

#[derive(Default)]
struct Facts {
    subject: String,
    issuer: String,
    self_signed: bool,
    names: String,
    from: String,
    until: String,
    left: Option<Duration>,
}

impl Facts {
    fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        let names = certificate.subject_alternative_name().ok().flatten().map(|names| {
            let shown = names.value.general_names.iter().filter_map(|name| match name {
                x509_parser::extensions::GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            });
            shown.take(5).collect::<Vec<_>>().join(", ")
        });
        let validity = certificate.validity();
        Some(Self {
            subject: certificate.subject().to_string(),
            issuer: certificate.issuer().to_string(),
            self_signed: certificate.subject().as_raw() == certificate.issuer().as_raw(),
            names: names
                .filter(|names| !names.is_empty())
                .unwrap_or_else(|| certificate.subject().to_string()),
            from: validity.not_before.to_string(),
            until: validity.not_after.to_string(),
            left: validity.time_to_expiration().and_then(|left| Duration::try_from(left).ok()),
        })
    }
}

fn ends_soon(chain: &[CertificateDer<'static>]) -> Option<String> {
    let facts = Facts::read(chain.first()?)?;
    let left = facts.left.filter(|left| *left < SOON)?;
    Some(format!("the certificate ends on {}, in {} days", facts.until, left.as_secs() / 86_400))
}

/// Checks as usual, and keeps what it was shown.
#[derive(Debug)]
struct Recording {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recording {
    fn new(extra: &[CertificateDer<'static>]) -> Result<Self, Failed> {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(extra.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Failed::new(&causes::TLS_UNTRUSTED, error.to_string()))?;
        Ok(Self { inner, seen: Mutex::new(Vec::new()) })
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.seen.lock().map(|seen| seen.clone()).unwrap_or_default()
    }
}

impl ServerCertVerifier for Recording {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Ok(mut seen) = self.seen.lock() {
            *seen = std::iter::once(end_entity)
                .chain(intermediates)
                .map(|one| one.clone().into_owned())
                .collect();
        }
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
