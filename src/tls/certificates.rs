//! The certificate for a connection, by the name that its client asks for (SNI, RFC 6066, section 3).

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::PathBuf,
    slice,
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
    /// Whether its files can be read again: a pipe cannot.
    is_followed: bool,
    shown: RwLock<Arc<Shown>>,
    read: Mutex<Contents>,
}

/// Files and what was read of them; none where one could not be read.
pub type Contents = Vec<(PathBuf, Option<Vec<u8>>)>;

enum Shown {
    Own(Arc<CertifiedKey>),
    Issued(Box<Issued>),
}

impl Certificates {
    /// Reads the certificate, or the authority, that connections are shown.
    pub fn read(source: Source) -> Result<Arc<Self>, CertificateError> {
        let paths = source.files();
        let is_followed = paths
            .iter()
            .all(|path| fs::metadata(path).is_ok_and(|metadata| metadata.is_file()));
        let files = paths.each_ref().map(fs::read);
        let read = Mutex::new(contents(paths, &files));
        Ok(Arc::new(Self {
            shown: RwLock::new(Arc::new(source.shown(files)?)),
            source,
            is_followed,
            read,
        }))
    }

    /// Reads it again, if it can be. What was shown before is still shown if that fails.
    pub fn reload(&self) -> Result<(), CertificateError> {
        if !self.is_followed {
            return Ok(());
        }
        let paths = self.source.files();
        let files = paths.each_ref().map(|path| match fs::metadata(path)?.is_file() {
            true => fs::read(path),
            // Even to open a pipe would wait for its writer.
            false => Err(io::Error::other("this is no longer a regular file")),
        });
        *self.read.lock() = contents(paths, &files);
        let shown = Arc::new(self.source.shown(files)?);
        *self.shown.write() = shown;
        Ok(())
    }

    /// The file of the private key, if it is a local CA's and others than its owner can read it.
    pub fn key_others_can_read(&self) -> Option<PathBuf> {
        let [_, key] = self.source.files();
        let is_local_ca = matches!(self.source, Source::LocalCa { .. });
        #[cfg(unix)]
        let is_open = fs::metadata(&key)
            .is_ok_and(|metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0);
        #[cfg(not(unix))]
        let is_open = false;
        (is_local_ca && is_open).then_some(key)
    }

    /// The files that are followed, with what was read of them last.
    pub fn followed(&self) -> Contents {
        match self.is_followed {
            true => self.read.lock().clone(),
            false => Vec::new(),
        }
    }

    /// Whether a client that asks for one of the hosts gets a certificate. Whether one that the user brings is for it is not known.
    pub fn shows(&self, host: &Host) -> bool {
        match &**self.shown.read() {
            Shown::Own(_) => true,
            Shown::Issued(issued) => issued.hosts.contains(host),
        }
    }
}

fn contents(paths: [PathBuf; 2], files: &[io::Result<Vec<u8>>; 2]) -> Contents {
    let read = files.iter().map(|file| file.as_ref().ok().cloned());
    paths.into_iter().zip(read).collect()
}

impl Source {
    /// The files that are read: certificate and key.
    fn files(&self) -> [PathBuf; 2] {
        match self {
            Self::Files { certificate, key } => [certificate.clone(), key.clone()],
            Self::LocalCa { folder, .. } => [folder::CERTIFICATE, folder::KEY].map(|name| folder.join(name)),
        }
    }

    fn shown(&self, files: [io::Result<Vec<u8>>; 2]) -> Result<Shown, CertificateError> {
        Ok(match self {
            Self::Files { certificate, key } => Shown::Own(own_certificate::of_files([certificate, key], files)?),
            Self::LocalCa { folder, hosts } => {
                Shown::Issued(Box::new(Issued::new(folder::of_files(folder, files)?, hosts)))
            }
        })
    }
}

/// What the local CA issues, each when a client asks for it first.
struct Issued {
    ca: LocalCa,
    /// The names that clients may ask for, and addresses. A client that asks for none gets one certificate for all.
    hosts: Vec<Host>,
    issued: Mutex<HashMap<Option<Host>, Fresh>>,
}

struct Fresh {
    certificate: Arc<CertifiedKey>,
    until: SystemTime,
}

impl Issued {
    fn new(ca: LocalCa, hosts: &[Host]) -> Self {
        Self {
            hosts: hosts.iter().filter(|host| ca.permits(host)).cloned().collect(),
            ca,
            issued: Mutex::default(),
        }
    }

    /// The certificate for a name, or for all.
    fn certificate(&self, name: Option<Host>) -> Option<Arc<CertifiedKey>> {
        let hosts = match &name {
            Some(name) if self.hosts.contains(name) => slice::from_ref(name),
            Some(_) => return None,
            None => &self.hosts,
        };
        let now = SystemTime::now();
        let mut issued = self.issued.lock();
        if let Some(fresh) = issued.get(&name).filter(|fresh| now < fresh.until) {
            return Some(fresh.certificate.clone());
        }
        let issue = self.ca.issue(hosts);
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
