//! The files of the local CA: its certificate, for clients to trust, and its private key, which only its owner can read.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::{CertificateError, LocalCa};
use crate::submission::Host;

/// The certificate.
pub const CERTIFICATE: &str = "ca.pem";
/// The private key.
pub const KEY: &str = "ca-key.pem";

/// Makes an authority in a folder. One that is there is left as it is.
pub fn create(folder: &Path, hosts: &[Host]) -> Result<LocalCa, CertificateError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| CertificateError::Io(path, error)
    };
    let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
    if certificate.exists() || key.exists() {
        return Err(CertificateError::Exists(folder.to_owned()));
    }
    let new = LocalCa::generate(hosts)?;
    let unusable = |error| CertificateError::LocalCa(folder.to_owned(), error);
    let ca = LocalCa::from_pem(&new.certificate, &new.key).map_err(unusable)?;
    make(folder).map_err(at(folder))?;
    // Under other names first: half of an authority would be in the way of the next attempt.
    let files = [(&key, &new.key, 0o600), (&certificate, &new.certificate, 0o644)];
    let new_name = |path: &Path| path.with_extension("pem.new");
    for (path, text, mode) in files {
        let _left_by_an_earlier_attempt = fs::remove_file(new_name(path));
        write(&new_name(path), text, mode).map_err(at(path))?;
    }
    for (path, ..) in files {
        fs::rename(new_name(path), path).map_err(at(path))?;
    }
    Ok(ca)
}

/// Makes a folder that others can read: their programs are to trust the certificate.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o755);
    builder.recursive(true).create(folder)
}

/// Reads the authority in a folder.
pub fn read(folder: &Path) -> Result<LocalCa, CertificateError> {
    of_files(folder, [CERTIFICATE, KEY].map(|name| fs::read(folder.join(name))))
}

/// The authority whose files were read.
pub fn of_files(folder: &Path, [certificate, key]: [io::Result<Vec<u8>>; 2]) -> Result<LocalCa, CertificateError> {
    let is_missing = |file: &io::Result<Vec<u8>>| {
        file.as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    if is_missing(&certificate) && is_missing(&key) {
        return Err(CertificateError::NoCa(folder.to_owned()));
    }
    let text = |name: &str, file: io::Result<Vec<u8>>| {
        let bytes = file.map_err(|error| CertificateError::Io(folder.join(name), error))?;
        Ok::<_, CertificateError>(String::from_utf8_lossy(&bytes).into_owned())
    };
    let (certificate, key) = (text(CERTIFICATE, certificate)?, text(KEY, key)?);
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
