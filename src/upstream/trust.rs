//! Whom TLS to the upstream trusts.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;
use tracing::warn;

use super::{Origin, Settings};
use crate::submission::Host;

/// The reason why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of [`Settings::ca_file`] cannot be read as PEM.
    #[error("[upstream] ca_file: {path} cannot be read ({error})", path = path.display())]
    CaFile {
        path: PathBuf,
        error: rustls::pki_types::pem::Error,
    },
    /// The file holds no certificate.
    #[error("[upstream] ca_file: there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// The system has no certificates, or none can be read.
    #[error("[upstream] system_roots: no certificate of this system can be read ({0})")]
    SystemRoots(String),
    /// A certificate in it is broken, or the upstream's host cannot be the name in a certificate.
    #[error("TLS to the upstream cannot be set up: {0}")]
    Setup(String),
}

/// The client's side of TLS to an origin, and the name that its certificate must have.
pub fn tls(origin: &Origin, settings: &Settings) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .with_root_certificates(roots(settings)?)
        .with_no_client_auth();
    let name = match origin.host() {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => {
            ServerName::try_from(name.to_string()).map_err(|error| TlsError::Setup(error.to_string()))?
        }
    };
    Ok((TlsConnector::from(Arc::new(config)), name))
}

/// The built-in roots, and what the settings add to them.
fn roots(settings: &Settings) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    };
    if let Some(path) = &settings.ca_file {
        let unreadable = |error| TlsError::CaFile {
            path: path.to_owned(),
            error,
        };
        let mut added = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            roots
                .add(certificate.map_err(unreadable)?)
                .map_err(|error| TlsError::Setup(format!("{}: {error}", path.display())))?;
            added += 1;
        }
        if added == 0 {
            return Err(TlsError::NoCertificate(path.to_owned()));
        }
    }
    if settings.system_roots {
        add_system_roots(&mut roots)?;
    }
    Ok(roots)
}

/// Adds what the system trusts. Some systems have certificates that rustls does not take; they are left out.
fn add_system_roots(roots: &mut RootCertStore) -> Result<(), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
    let errors = errors.join("; ");
    match roots.add_parsable_certificates(found.certs) {
        (0, _) if errors.is_empty() => Err(TlsError::SystemRoots("there is none".to_owned())),
        (0, _) => Err(TlsError::SystemRoots(errors)),
        _ if errors.is_empty() => Ok(()),
        _ => {
            warn!("[upstream] system_roots: some certificates of this system cannot be read: {errors}");
            Ok(())
        }
    }
}
