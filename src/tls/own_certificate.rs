//! A certificate that the user brings.

use std::{io, path::Path, sync::Arc};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

use super::CertificateError;

/// The certificate chain and its key of two PEM files that were read.
pub fn of_files(
    [certificate, key]: [&Path; 2],
    [chain, private]: [io::Result<Vec<u8>>; 2],
) -> Result<Arc<CertifiedKey>, CertificateError> {
    let chain = chain.map_err(|error| CertificateError::Io(certificate.to_owned(), error))?;
    let private = private.map_err(|error| CertificateError::Io(key.to_owned(), error))?;
    let of_certificate = |error| CertificateError::Pem(certificate.to_owned(), error);
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<_, _>>()
        .map_err(of_certificate)?;
    if chain.is_empty() {
        return Err(CertificateError::Empty(certificate.to_owned()));
    }
    let private =
        PrivateKeyDer::from_pem_slice(&private).map_err(|error| CertificateError::Pem(key.to_owned(), error))?;
    certified(chain, private).map_err(|error| CertificateError::Unusable(certificate.to_owned(), error))
}

/// Joins a chain with its key.
pub fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, key, &provider).map(Arc::new)
}
