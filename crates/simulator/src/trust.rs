//! Whose certificates are trusted: those of the web's authorities, as by Twilio, and those that a test adds.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Roots of the user's own.
static ADDED: Mutex<Vec<CertificateDer<'static>>> = Mutex::new(Vec::new());

/// Trusts these certificates (PEM) as well, in all calls from now on: for servers with a test's or a company's own authority, which
/// Twilio itself would refuse (error 11237).
///
/// # Errors
/// The text has no certificate, or one that can't be read or trusted.
pub fn trust(pem: &[u8]) -> Result<(), String> {
    let read: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|error| format!("a certificate can't be read: {error}"))?;
    if read.is_empty() {
        return Err("there is no certificate in it (`-----BEGIN CERTIFICATE-----`)".to_owned());
    }
    let mut store = RootCertStore::empty();
    for certificate in &read {
        store.add(certificate.clone()).map_err(|error| format!("a certificate can't be trusted: {error}"))?;
    }
    ADDED.lock().unwrap_or_else(PoisonError::into_inner).extend(read);
    Ok(())
}

/// TLS as calls use it.
pub(crate) fn config() -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let added = ADDED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (_added, _unreadable) = roots.add_parsable_certificates(added);
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
