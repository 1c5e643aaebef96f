//! Whom we trust.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

/// TLS as all connections to providers use it: the web's roots, and those of this machine, where a company's proxy or a
/// local server has its own.
pub(crate) fn config() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    Arc::clone(CONFIG.get_or_init(|| {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let machine = rustls_native_certs::load_native_certs();
        let (_added, _unreadable) = roots.add_parsable_certificates(machine.certs);
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    }))
}
