//! The certificate for a connection, by the name that its client asks for (SNI, RFC 6066, section 3).

use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::{Mutex, RwLock};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tracing::warn;

use super::{CertificateError, LocalCa, folder, own_certificate};
use crate::submission::Host;

/// How long a certificate of the local CA is shown before another is issued. It is valid three times as long.
const FRESH: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where certificates come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// PEM files that the user brings. They are shown whatever name a client asks for.
    Files { certificate: PathBuf, key: PathBuf },
    /// The local CA in a folder, for these hosts as far as it permits them.
    LocalCa { folder: PathBuf, hosts: Vec<Host> },
}

/// The certificates of a listener, which can be read again while it listens.
pub struct Certificates {
    source: Source,
    shown: RwLock<Arc<Shown>>,
}

enum Shown {
    Own(Arc<CertifiedKey>),
    Issued(Box<Issued>),
}

impl Certificates {
    /// Reads the certificate, or the authority, that connections are shown.
    pub fn read(source: Source) -> Result<Arc<Self>, CertificateError> {
        let shown = RwLock::new(Arc::new(source.read()?));
        Ok(Arc::new(Self { source, shown }))
    }

    /// Reads it again. What was shown before is still shown if that fails.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let shown = Arc::new(self.source.read()?);
        *self.shown.write() = shown;
        Ok(())
    }

    /// Whether a client that asks for a host gets a certificate. Whether one that the user brings is for it is not known.
    pub fn shows(&self, host: &Host) -> bool {
        match &**self.shown.read() {
            Shown::Own(_) => true,
            Shown::Issued(issued) => issued.ca.permits(host),
        }
    }

    /// The files that are read.
    pub fn files(&self) -> [PathBuf; 2] {
        match &self.source {
            Source::Files { certificate, key } => [certificate.clone(), key.clone()],
            Source::LocalCa { folder, .. } => [folder::CERTIFICATE, folder::KEY].map(|name| folder.join(name)),
        }
    }
}

impl Source {
    fn read(&self) -> Result<Shown, CertificateError> {
        Ok(match self {
            Self::Files { certificate, key } => Shown::Own(own_certificate::read(certificate, key)?),
            Self::LocalCa { folder, hosts } => Shown::Issued(Box::new(Issued::new(folder::read(folder)?, hosts))),
        })
    }
}

/// What the local CA issues, each when a client asks for it first.
struct Issued {
    ca: LocalCa,
    /// The names that clients may ask for.
    names: Vec<Host>,
    /// What a client without a name gets: addresses.
    addresses: Vec<Host>,
    issued: Mutex<HashMap<Option<Host>, Fresh>>,
}

struct Fresh {
    certificate: Arc<CertifiedKey>,
    until: SystemTime,
}

impl Issued {
    fn new(ca: LocalCa, hosts: &[Host]) -> Self {
        let permitted = hosts.iter().filter(|host| ca.permits(host)).cloned();
        let (names, addresses) = permitted.partition(|host| host.name().is_some());
        Self {
            ca,
            names,
            addresses,
            issued: Mutex::default(),
        }
    }

    /// The certificate for a name, or for the addresses.
    fn certificate(&self, name: Option<Host>) -> Option<Arc<CertifiedKey>> {
        let hosts = match &name {
            Some(name) => self
                .names
                .iter()
                .filter(|known| *known == name)
                .take(1)
                .cloned()
                .collect(),
            None => self.addresses.clone(),
        };
        if hosts.is_empty() {
            return None;
        }
        let now = SystemTime::now();
        let mut issued = self.issued.lock();
        if let Some(fresh) = issued.get(&name).filter(|fresh| now < fresh.until) {
            return Some(fresh.certificate.clone());
        }
        let issue = self.ca.issue(&hosts);
        let certificate = issue.inspect_err(|error| warn!("{error}")).ok()?;
        let fresh = Fresh {
            certificate: certificate.clone(),
            until: now + FRESH,
        };
        issued.insert(name, fresh);
        Some(certificate)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.shown.read().clone();
        match &*shown {
            Shown::Own(certificate) => Some(certificate.clone()),
            Shown::Issued(issued) => issued.certificate(hello.server_name().map(Host::as_written)),
        }
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
