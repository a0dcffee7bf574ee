//! A certificate of the sandbox's own, made at its start.

use std::sync::Arc;

use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

use crate::tls::{CertificateError, acceptor, own_certificate::certified};

/// A TLS acceptor for localhost, and its certificate as PEM for clients to trust.
pub fn self_signed() -> Result<(TlsAcceptor, String), CertificateError> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names)?;
    let certified = certified(vec![made.cert.der().clone()], made.signing_key.into())?;
    let acceptor = acceptor(Arc::new(SingleCertAndKey::from(certified)))?;
    Ok((acceptor, made.cert.pem()))
}
