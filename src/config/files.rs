//! Reads the files of a configuration. At the start any file will do: a pipe, `/dev/stdin`, `<(decrypt …)`. But only a
//! regular file can be read again; from anything else a second reader gets nothing, or waits for ever.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use super::{Code, Source};

/// The files of a configuration, as they are read.
pub struct Files<'f> {
    /// What relative paths are relative to.
    pub folder: &'f Path,
    /// The configuration file, and those that it names.
    pub sources: Vec<Source>,
    pub reading: Reading<'f>,
}

/// The occasion on which files are read.
#[derive(Clone, Copy, Debug)]
pub enum Reading<'s> {
    /// They are read for the first time.
    First,
    /// They were read before. Those of these sources that are not followed stay as they were.
    Again(&'s [Source]),
}

/// The reason why there is no text of a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is UTF-16 text: save it as UTF-8 (in PowerShell: Out-File -Encoding utf8)")]
    Utf16,
    #[error("is not UTF-8 text: line {line} contains an invalid byte; save it as UTF-8")]
    NotUtf8 { line: usize },
    /// It was a regular file when it was read first.
    #[error("is no longer a regular file")]
    NotRegular,
    /// It holds nothing at a reload: an editor or a copy may have emptied it to write it anew.
    #[error("is empty, so it is taken for a file that is being written; to remove every rule, write [default] alone")]
    Empty,
}

impl FileError {
    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        match self {
            Self::Utf16 | Self::NotUtf8 { .. } => Code::FileEncoding,
            Self::Io(_) | Self::NotRegular | Self::Empty => Code::FileUnreadable,
        }
    }
}

impl Reading<'_> {
    /// Reads a file.
    pub fn source(self, path: &Path) -> Result<Source, FileError> {
        let name = path.display().to_string();
        if let Self::Again(before) = self {
            let is_kept = |source: &&Source| source.path == name && !source.is_followed;
            if let Some(kept) = before.iter().find(is_kept) {
                return Ok(kept.clone());
            }
            // Even to open a pipe would wait for its writer.
            if !fs::metadata(path)?.is_file() {
                return Err(FileError::NotRegular);
            }
        }
        let mut file = File::open(path)?;
        let is_followed = file.metadata()?.is_file();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(FileError::Utf16);
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            FileError::NotUtf8 {
                line: 1 + memchr::memchr_iter(b'\n', valid).count(),
            }
        })?;
        match self {
            Self::Again(_) if is_blank(&text) => Err(FileError::Empty),
            _ => Ok(Source {
                is_followed,
                ..Source::new(name, text)
            }),
        }
    }
}

/// Whether there is nothing in a file but white space and comments.
fn is_blank(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// What a followed file holds now; `None` if it cannot be read, or is no regular file.
pub fn contents(path: &Path) -> Option<Vec<u8>> {
    let is_regular = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_regular.then(|| fs::read(path).ok()).flatten()
}
