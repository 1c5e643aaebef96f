//! What a server shows to prove itself, and why it doesn't.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};

use crate::causes;
use crate::dial::{Failed, Target};

/// A certificate that ends sooner is told of.
const SOON: Duration = Duration::from_secs(10 * 24 * 3600);

/// Why TLS failed.
pub(crate) fn explain_tls(
    error: &std::io::Error,
    chain: &[CertificateDer<'static>],
    target: &Target,
) -> Failed {
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

pub(crate) fn ends_soon(chain: &[CertificateDer<'static>]) -> Option<String> {
    let facts = Facts::read(chain.first()?)?;
    let left = facts.left.filter(|left| *left < SOON)?;
    Some(format!("the certificate ends on {}, in {} days", facts.until, left.as_secs() / 86_400))
}

/// Checks as usual, and keeps what it was shown.
#[derive(Debug)]
pub(crate) struct Recording {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<CertificateDer<'static>>>,
}

impl Recording {
    pub(crate) fn new(extra: &[CertificateDer<'static>]) -> Result<Self, Failed> {
        let mut roots = rustls::RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(extra.iter().cloned());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| Failed::new(&causes::TLS_UNTRUSTED, error.to_string()))?;
        Ok(Self { inner, seen: Mutex::new(Vec::new()) })
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
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
