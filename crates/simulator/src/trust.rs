//! Whose certificates are trusted: those of the web's authorities, as by Twilio, and those that a test adds.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Roots of the user's own.
static ADDED: Mutex<Vec<CertificateDer<'static>>> = Mutex::new(Vec::new());

/// Trusts these certificates as well, in all calls from now on: for servers with a test's or a company's own authority, which Twilio
/// itself would refuse (error 11237).
pub fn trust(certificates: Vec<CertificateDer<'static>>) {
    ADDED.lock().unwrap_or_else(PoisonError::into_inner).extend(certificates);
}

/// TLS as calls use it.
pub(crate) fn config() -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let added = ADDED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (_added, _unreadable) = roots.add_parsable_certificates(added);
    Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
}
