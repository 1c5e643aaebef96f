//! Requests as Twilio makes them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use offhook_twilio::signature::{AuthToken, sign, signed_url};
use offhook_twilio::webhook::WebhookForm;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Twilio waits so long for an answer, connecting included.
const PATIENCE: Duration = Duration::from_secs(15);
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
    let roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(target.host.clone())
        .map_err(|error| Failed { code: 11235, what: format!("{}: {error}", target.host) })?;
    let tls = tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
        .map_err(|error| Failed { code: 11237, what: format!("TLS with {} failed: {error}", target.host) })?;
    Ok(Box::new(tls))
}

/// Posts a form to a webhook, signed if there is a token.
pub(crate) async fn post(url: &str, form: &WebhookForm, token: Option<&AuthToken>) -> Result<Answer, Failed> {
    let timeout = || Failed { code: 11200, what: format!("{url} gave no answer within {PATIENCE:?}") };
    tokio::time::timeout(PATIENCE, post_now(url, form, token)).await.unwrap_or_else(|_| Err(timeout()))
}

async fn post_now(url: &str, form: &WebhookForm, token: Option<&AuthToken>) -> Result<Answer, Failed> {
    let target =
        Target::parse(url).ok_or_else(|| Failed { code: 11100, what: format!("`{url}` is no URL") })?;
    let wire = connect(&target).await?;
    let broken = |error: hyper::Error| Failed { code: 11206, what: format!("{url}: {error}") };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
    let driver = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "the webhook's connection ended");
        }
    });
    let mut request = Request::post(target.path)
        .header("host", target.authority)
        .header("user-agent", "TwilioProxy/1.1")
        .header("accept", "*/*")
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
    if let Some(token) = token {
        request = request.header("x-twilio-signature", sign(token, &signed_url(url), form.params()));
    }
    let request = request
        .body(Full::new(Bytes::from(form.encode())))
        .map_err(|error| Failed { code: 11100, what: error.to_string() })?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    let status = answer.status().as_u16();
    let content_type =
        answer.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = Limited::new(answer.into_body(), LONGEST_BODY)
        .collect()
        .await
        .map_err(|error| Failed { code: 11200, what: format!("{url}: the answer broke off: {error}") })?
        .to_bytes();
    driver.abort();
    Ok(Answer { status, content_type, body })
}
