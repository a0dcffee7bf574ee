//! Which configuration file is read, and what overrides it: flag, environment, file, default, in this order.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{AdminListen, Config, file, report::Report};
use crate::upstream::Origin;

/// Where a file is looked for that nobody named.
pub const PLACES: [&str; 2] = ["nocache-gateway.toml", "/etc/nocache-gateway/config.toml"];

/// What flags and environment say. (The command line reads the environment where a flag is absent.)
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--listen`
    pub listen: Vec<SocketAddr>,
    /// `--upstream`
    pub upstream: Option<Origin>,
    /// `--admin-listen`
    pub admin_listen: Option<AdminListen>,
    /// `--log-level`
    pub log_level: Option<tracing::Level>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file is not UTF-8.
    #[error("the configuration file {} is not UTF-8 text: line {line} has a byte that is not; save it as UTF-8", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first such byte.
        line: usize,
    },
    /// There are mistakes in it.
    #[error("{0}")]
    Mistakes(Report),
}

/// Loads the configuration.
pub fn load(overrides: &Overrides) -> Result<Config, LoadError> {
    let mut config = match &overrides.file {
        Some(path) => read(path)?,
        None => match PLACES.iter().map(Path::new).find(|path| path.exists()) {
            Some(path) => read(path)?,
            None => Config::default(),
        },
    };
    if !overrides.listen.is_empty() {
        config.server.listen.clone_from(&overrides.listen);
    }
    if let Some(url) = &overrides.upstream {
        config.upstream.url = url.clone();
    }
    if let Some(listen) = overrides.admin_listen {
        config.admin.listen = listen;
    }
    if let Some(level) = overrides.log_level {
        config.log.level = level;
    }
    Ok(config)
}

fn read(path: &Path) -> Result<Config, LoadError> {
    let bytes = fs::read(path).map_err(|error| LoadError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    let text = String::from_utf8(bytes).map_err(|error| LoadError::NotUtf8 {
        path: path.to_owned(),
        line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|&&b| b == b'\n')
            .count(),
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    match file::read(&text, folder) {
        Ok(config) => Ok(Config {
            file: Some(path.to_owned()),
            ..config
        }),
        Err(problems) => Err(LoadError::Mistakes(Report {
            path: path.display().to_string(),
            text,
            problems,
        })),
    }
}
