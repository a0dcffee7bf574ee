//! The files of the local CA: its certificate, for clients to trust, and its private key, which only its owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{CertificateError, LocalCa};
use crate::submission::Host;

/// The certificate.
pub const CERTIFICATE: &str = "ca.pem";
/// The private key.
pub const KEY: &str = "ca-key.pem";

/// Makes an authority in a folder. One that is there is left as it is.
pub fn create(folder: &Path, hosts: &[Host]) -> Result<(), CertificateError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| CertificateError::Io(path, error)
    };
    fs::create_dir_all(folder).map_err(at(folder))?;
    if [CERTIFICATE, KEY].iter().any(|name| folder.join(name).exists()) {
        return Err(CertificateError::Exists(folder.to_owned()));
    }
    let new = LocalCa::generate(hosts)?;
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    write(&key, &new.key, 0o600).map_err(at(&key))?;
    write(&certificate, &new.certificate, 0o644).map_err(at(&certificate))
}

/// Reads the authority in a folder.
pub fn read(folder: &Path) -> Result<LocalCa, CertificateError> {
    let text = |path: PathBuf| match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(CertificateError::NoCa(folder.to_owned())),
        text => text.map_err(|error| CertificateError::Io(path, error)),
    };
    let (certificate, key) = (text(folder.join(CERTIFICATE))?, text(folder.join(KEY))?);
    LocalCa::from_pem(&certificate, &key).map_err(|error| CertificateError::LocalCa(folder.to_owned(), error))
}

/// Writes a new file that only its owner can change, and that nobody else can read unless `mode` says so.
#[cfg_attr(not(unix), expect(unused_variables, reason = "the folder's own rules decide there"))]
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path)?.write_all(text.as_bytes())
}
