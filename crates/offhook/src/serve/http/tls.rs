//! TLS of one's own: a certificate and its key from files, which are read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Context;
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::wire::{Stream, Wire};

/// A handshake must be done within this.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// So often the files are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// `[http.tls]`: the files. Without the table a proxy has to terminate TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// The certificate and those between it and a root, in PEM: certbot's `fullchain.pem`.
    pub(crate) certificate: PathBuf,
    /// Its key, in PEM: certbot's `privkey.pem`.
    pub(crate) key: PathBuf,
}

impl TlsConfig {
    /// Reads both, and makes sure that they belong together.
    ///
    /// # Errors
    /// Which file is not right, and why.
    pub(crate) fn load(&self) -> anyhow::Result<Arc<CertifiedKey>> {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_file_iter(&self.certificate).and_then(Iterator::collect).with_context(
                || format!("no certificate could be read from {certificate}, `certificate` in [http.tls]"),
            )?;
        anyhow::ensure!(
            !chain.is_empty(),
            "{certificate}, `certificate` in [http.tls], holds no certificate in PEM"
        );
        let secret = PrivateKeyDer::from_pem_file(&self.key)
            .with_context(|| format!("no key could be read from {key}, `key` in [http.tls]"))?;
        CertifiedKey::from_der(chain, secret, &ring::default_provider())
            .map(Arc::new)
            .with_context(|| format!("the key in {key} is not that of the certificate in {certificate}"))
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        let changed = |path: &Path| std::fs::metadata(path).and_then(|about| about.modified()).ok();
        [changed(&self.certificate), changed(&self.key)]
    }
}

/// The certificate as it is now.
#[derive(Debug)]
struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// Terminates TLS.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    config: TlsConfig,
    certificate: Arc<Certificate>,
    /// When the files had changed that were read last.
    read: Mutex<[Option<SystemTime>; 2]>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// As [`TlsConfig::load`] has.
    pub(crate) fn new(config: TlsConfig) -> anyhow::Result<Self> {
        let changed = config.changed();
        let certificate = Arc::new(Certificate(ArcSwap::new(config.load()?)));
        let mut server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(server));
        Ok(Self { acceptor, config, certificate, read: Mutex::new(changed) })
    }

    /// Shakes hands. `None` if the peer doesn't, or not in time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> Option<Wire> {
        let shaken = tokio::time::timeout(HANDSHAKE_WITHIN, self.acceptor.accept(Stream::Here(stream))).await;
        match shaken {
            Ok(Ok(stream)) => Some(Wire::Tls(Box::new(stream))),
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => None,
        }
    }

    /// Reads the files again if they have changed. What isn't right changes nothing.
    pub(crate) fn renew(&self) {
        let changed = self.config.changed();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if changed == *read {
            return;
        }
        *read = changed;
        drop(read);
        match self.config.load() {
            Ok(certificate) => {
                self.certificate.0.store(certificate);
                tracing::info!("the certificate was read again");
            }
            // One of two files may be new already: the other's change is seen as well.
            Err(error) => tracing::error!("the certificate stays as it was: {error:#}"),
        }
    }

    /// Looks at the files, over and over.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.renew();
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn pem(folder: &Path, name: &str, kind: &str, der: &str) -> PathBuf {
        let der = std::fs::read(format!("{}/../doctor/tests/certificates/{der}", env!("CARGO_MANIFEST_DIR")))
            .unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let path = folder.join(name);
        std::fs::write(&path, format!("-----BEGIN {kind}-----\n{text}\n-----END {kind}-----\n")).unwrap();
        path
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = pem(folder.path(), "chain.pem", "CERTIFICATE", "good.der");
        let key = pem(folder.path(), "key.pem", "PRIVATE KEY", "server.key.der");
        let tls = Tls::new(TlsConfig { certificate: certificate.clone(), key }).unwrap();
        let now = || tls.certificate.0.load().cert[0].to_vec();
        let first = now();
        let later = |seconds: u64| {
            let file = std::fs::File::options().write(true).open(&certificate).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
        };
        std::fs::write(&certificate, "half a certif").unwrap();
        later(10);
        tls.renew();
        assert_eq!(now(), first);
        pem(folder.path(), "chain.pem", "CERTIFICATE", "other.der");
        later(20);
        tls.renew();
        assert_ne!(now(), first);
    }

    #[test]
    fn what_is_not_right_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let key = pem(folder.path(), "key.pem", "PRIVATE KEY", "server.key.der");
        let certificate = folder.path().join("missing.pem");
        let why = |certificate: PathBuf| {
            let loaded = TlsConfig { certificate, key: key.clone() }.load();
            format!("{:#}", loaded.unwrap_err())
        };
        assert!(why(certificate.clone()).contains("missing.pem, `certificate` in [http.tls]"));
        std::fs::write(&certificate, "").unwrap();
        assert!(why(certificate).contains("no certificate"));
    }
}
