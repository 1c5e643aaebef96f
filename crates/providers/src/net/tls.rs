//! Whom we trust.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
/// Roots of the application's own.
static ADDED: Mutex<Vec<CertificateDer<'static>>> = Mutex::new(Vec::new());

/// The certificates of a PEM file.
///
/// # Errors
/// The text has no certificate, or one that can't be read or trusted.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("a certificate can't be read: {error}"))?;
    if read.is_empty() {
        return Err("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    let mut store = RootCertStore::empty();
    for certificate in &read {
        store.add(certificate.clone()).map_err(|error| format!("a certificate can't be trusted: {error}"))?;
    }
    Ok(read)
}

/// Trusts these [`certificates`] as well, in all connections to providers. To be called before the first of them is made.
///
/// # Errors
/// Connections were made already.
pub fn trust(certificates: Vec<CertificateDer<'static>>) -> Result<(), String> {
    if CONFIG.get().is_some() {
        return Err("connections were made before".to_owned());
    }
    ADDED.lock().unwrap_or_else(PoisonError::into_inner).extend(certificates);
    Ok(())
}

/// TLS as all connections to providers, applications and buckets use it: the web's roots, those of this machine, where a company's
/// proxy or a local server has its own, and those of [`trust`].
pub fn config() -> Arc<ClientConfig> {
    Arc::clone(CONFIG.get_or_init(|| {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let machine = rustls_native_certs::load_native_certs();
        let (_added, _unreadable) = roots.add_parsable_certificates(machine.certs);
        let added = ADDED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (_added, _unreadable) = roots.add_parsable_certificates(added);
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(certificates(b"").unwrap_err().contains("no certificate"));
        let nonsense = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(certificates(nonsense).unwrap_err().contains("can't be trusted"));
    }
}
