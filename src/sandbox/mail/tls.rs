//! TLS of the mail sink: with a certificate that whoever starts it brings.
//!
//! Why here: whether a client encrypts, and whom it believes, shows only against a server that
//! does.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

/// Whether and how the sink encrypts.
#[derive(Clone)]
pub enum Tls {
    /// Not at all.
    None,
    /// After `STARTTLS`.
    Offered(TlsAcceptor),
    /// From the first byte.
    Wrapped(TlsAcceptor),
}

/// What the sink shows: a certificate (PEM) and its key (PKCS #8).
///
/// # Errors
/// What is no certificate, or no key of it.
pub fn acceptor(certificate: &[u8], key: &[u8]) -> Result<TlsAcceptor, rustls::Error> {
    let unreadable = |what: &str| rustls::Error::General(format!("read the {what}"));
    let certificate = CertificateDer::from_pem_slice(certificate);
    let certificate = certificate.map_err(|_| unreadable("certificate"))?;
    let key = PrivateKeyDer::try_from(key.to_vec()).map_err(|_| unreadable("key"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
