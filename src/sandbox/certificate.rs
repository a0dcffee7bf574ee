//! A certificate of the sandbox's own, made at its start.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use crate::tls::{CertificateError, acceptor, own_certificate::certified};

/// A TLS acceptor for localhost, and its certificate as PEM for clients to trust.
pub fn self_signed() -> Result<(TlsAcceptor, String), CertificateError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certified = certified(vec![made.cert.der().clone()], key)?;
    let acceptor = acceptor(std::sync::Arc::new(rustls::sign::SingleCertAndKey::from(certified)))?;
    Ok((acceptor, made.cert.pem()))
}
