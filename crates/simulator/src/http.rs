//! Requests as Twilio makes them.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use offhook_twilio::signature::{AuthToken, sign, signed_url};
use offhook_twilio::webhook::{WebhookForm, join_url};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Twilio waits so long for an answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Twilio follows so many redirects (error 11215).
const MOST_REDIRECTS: usize = 10;
/// Longest answer read; more is error 11750 anyway.
const LONGEST_BODY: usize = 1024 * 1024;

/// A connection, with or without TLS.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// Why a request failed: Twilio's code, and what happened.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) code: u32,
    pub(crate) what: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
    /// Where it came from, after redirects.
    pub(crate) url: String,
    location: Option<String>,
}

/// Where a URL points.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: String,
    pub(crate) path: String,
}

impl Target {
    /// Reads a URL of http, https, ws or wss.
    pub(crate) fn parse(url: &str) -> Option<Self> {
        let uri: hyper::Uri = url.parse().ok()?;
        let tls = match uri.scheme_str()? {
            "https" | "wss" => true,
            "http" | "ws" => false,
            _ => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let authority = uri.authority()?.as_str().to_owned();
        let path = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        Some(Self { tls, host, port, authority, path })
    }
}

/// Opens a connection.
pub(crate) async fn connect(target: &Target) -> Result<Box<dyn Wire>, Failed> {
    let stream = TcpStream::connect((target.host.as_str(), target.port)).await.map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => 11202,
            std::io::ErrorKind::TimedOut => 11201,
            _ => 11210,
        };
        Failed { code, what: format!("no connection to {}: {error}", target.authority) }
    })?;
    stream.set_nodelay(true).map_err(|error| Failed { code: 11205, what: error.to_string() })?;
    if !target.tls {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| Failed { code: 11235, what: format!("{}: {error}", target.host) })?;
    let tls = tokio_rustls::TlsConnector::from(crate::trust::config()).connect(name, stream).await.map_err(
        |error| Failed { code: tls_code(&error), what: format!("TLS with {} failed: {error}", target.host) },
    )?;
    Ok(Box::new(tls))
}

/// What Twilio would say of a handshake that failed.
fn tls_code(error: &std::io::Error) -> u32 {
    use rustls::{CertificateError as Bad, Error};
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        // Something else than TLS answers.
        Some(Error::InvalidMessage(_)) => 11206,
        Some(Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. })) => 11236,
        Some(Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. })) => 11235,
        Some(Error::InvalidCertificate(_)) => 11237,
        _ => 11220,
    }
}

/// Asks with a form, signed if there is a token, by POST or GET, and follows redirects as Twilio does.
pub(crate) async fn fetch(
    url: &str,
    get: bool,
    form: &WebhookForm,
    token: Option<&AuthToken>,
) -> Result<Answer, Failed> {
    let timeout = || Failed { code: 11200, what: format!("{url} gave no answer within {PATIENCE:?}") };
    tokio::time::timeout(PATIENCE, follow(url, get, form, token)).await.unwrap_or_else(|_| Err(timeout()))
}

async fn follow(
    url: &str,
    mut get: bool,
    form: &WebhookForm,
    token: Option<&AuthToken>,
) -> Result<Answer, Failed> {
    let mut url = url.to_owned();
    for _ in 0..=MOST_REDIRECTS {
        let answer = ask(&url, get, form, token).await?;
        let Some(location) = answer.location.as_deref() else { return Ok(answer) };
        get |= matches!(answer.status, 301..=303);
        url = join_url(&url, location);
    }
    Err(Failed { code: 11215, what: format!("more than {MOST_REDIRECTS} redirects, the last to {url}") })
}

async fn ask(url: &str, get: bool, form: &WebhookForm, token: Option<&AuthToken>) -> Result<Answer, Failed> {
    let target =
        Target::parse(url).ok_or_else(|| Failed { code: 11100, what: format!("`{url}` is no URL") })?;
    let wire = connect(&target).await?;
    let broken = |error: hyper::Error| Failed {
        code: 11206,
        what: format!("{url} answers in no HTTP that can be read: {error}"),
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the webhook's connection ended");
        }
    });
    let mut path = target.path;
    if get {
        let joint = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{joint}{}", form.encode());
    }
    let mut request = Request::builder()
        .method(if get { "GET" } else { "POST" })
        .uri(path.as_str())
        .header("host", target.authority)
        .header("user-agent", "TwilioProxy/1.1")
        .header("accept", "*/*");
    if let Some(token) = token {
        let signature = match get {
            true => sign(token, &signed_url(&join_url(url, &path)), &[]),
            false => sign(token, &signed_url(url), form.params()),
        };
        request = request.header("x-twilio-signature", signature);
    }
    let mut body = Bytes::new();
    if !get {
        request = request.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        body = Bytes::from(form.encode());
    }
    let request =
        request.body(Full::new(body)).map_err(|error| Failed { code: 11100, what: error.to_string() })?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status().as_u16();
    let header =
        |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let content_type = header("content-type");
    let redirects = matches!(status, 301 | 302 | 303 | 307 | 308);
    let location = header("location").filter(|_| redirects);
    let body = Limited::new(answer.into_body(), LONGEST_BODY)
        .collect()
        .await
        .map_err(|error| Failed { code: 11200, what: format!("{url}: the answer broke off: {error}") })?
        .to_bytes();
    driver.abort();
    Ok(Answer { status, content_type, body, url: url.to_owned(), location })
}
