//! Which certificates are shown.

use std::path::PathBuf;

use super::{certificates::Source, local_ca::LocalCaError};
use crate::submission::Host;

/// The certificates of the listeners.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the local CA.
    pub ca_folder: PathBuf,
    /// The chain that the TLS listener shows instead of one by the local CA: a PEM file.
    pub certificate: Option<PathBuf>,
    /// Its key: a PEM file.
    pub key: Option<PathBuf>,
}

/// The name of the local CA's folder, beside the configuration file.
pub const CA_FOLDER: &str = "nocache-gateway-ca";

impl Default for Settings {
    fn default() -> Self {
        Self {
            ca_folder: PathBuf::from(CA_FOLDER),
            certificate: None,
            key: None,
        }
    }
}

/// The reason why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// There is no local CA, and it is needed.
    #[error(
        "there is no local CA in {path}; make one: nocache-gateway ca init; or [ca] folder names another",
        path = .0.display()
    )]
    NoCa(PathBuf),
    /// `certificate` without `key`, or `key` without `certificate`.
    #[error("[server.tls] certificate and key belong together: write both, or neither for the local CA")]
    Half,
    /// A file cannot be read as PEM.
    #[error("{path} cannot be read ({1})", path = .0.display())]
    Pem(PathBuf, rustls::pki_types::pem::Error),
    /// A file holds no certificate.
    #[error("there is no certificate in {path}", path = .0.display())]
    Empty(PathBuf),
    /// A certificate and its key cannot be used, or do not belong together.
    #[error("the certificate {path} cannot be used with its key ({1})", path = .0.display())]
    Unusable(PathBuf, rustls::Error),
    /// The files of the local CA are not one.
    #[error("the local CA in {path} cannot be used: {1}", path = .0.display())]
    LocalCa(PathBuf, LocalCaError),
    /// A file of the local CA cannot be read or written.
    #[error("{path}: {1}", path = .0.display())]
    Io(PathBuf, std::io::Error),
    /// A local CA is there already.
    #[error(
        "there is a local CA, or half of one, in {path} already, which clients may trust; it was left as it is. To make another, remove that folder first",
        path = .0.display()
    )]
    Exists(PathBuf),
    /// A certificate cannot be made.
    #[error("a certificate could not be made ({0})")]
    Make(#[from] rcgen::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up ({0})")]
    Setup(#[from] rustls::Error),
}

impl Settings {
    /// The files that the user brings, if there are any.
    pub fn own(&self) -> Result<Option<Source>, CertificateError> {
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Ok(Some(Source::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            })),
            (None, None) => Ok(None),
            _ => Err(CertificateError::Half),
        }
    }

    /// The local CA, for these hosts.
    pub fn local_ca(&self, hosts: Vec<Host>) -> Source {
        Source::LocalCa {
            folder: self.ca_folder.clone(),
            hosts,
        }
    }
}
