//! Which configuration file is read, and what overrides it: flag, environment, file, default, in this order.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{AdminListen, Config, LogLevel, Provenance, Report, Source, file};
use crate::upstream;

/// Where a file is looked for that nobody named.
pub const PLACES: [&str; 2] = ["nocache-gateway.toml", "/etc/nocache-gateway/config.toml"];

/// What flags and environment say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub file: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<Override<Vec<SocketAddr>>>,
    /// `--upstream`
    pub upstream: Option<Override<upstream::Origin>>,
    /// `--admin-listen`
    pub admin_listen: Option<Override<AdminListen>>,
    /// `--log-level`
    pub log_level: Option<Override<LogLevel>>,
}

/// A value, and which flag or variable said it.
#[derive(Clone, Debug)]
pub struct Override<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub provenance: Provenance,
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
    let mut config = match path(overrides) {
        Some(path) => read(&path)?,
        None => Config::default(),
    };
    let origins = &mut config.provenance;
    apply(&overrides.listen, &mut config.server.listen, "server.listen", origins);
    apply(&overrides.upstream, &mut config.upstream.url, "upstream.url", origins);
    apply(
        &overrides.admin_listen,
        &mut config.admin.listen,
        "admin.listen",
        origins,
    );
    apply(&overrides.log_level, &mut config.log.level, "log.level", origins);
    Ok(config)
}

/// The listeners of the gateway that runs by this configuration, admin side and API. A file that has mistakes by now says
/// nothing of whether it runs: what overrides the file counts, else what can be read of it, else the defaults.
pub fn listeners(overrides: &Overrides) -> (AdminListen, Vec<SocketAddr>) {
    if let Ok(config) = load(overrides) {
        return (config.admin.listen, config.server.listen);
    }
    let text = path(overrides).and_then(|path| fs::read(path).ok());
    let (admin, server) = file::listeners(&String::from_utf8_lossy(&text.unwrap_or_default()));
    let default = Config::default();
    let admin = overrides.admin_listen.as_ref().map(|said| said.value).or(admin);
    let server = overrides.listen.as_ref().map(|said| said.value.clone()).or(server);
    (
        admin.unwrap_or(default.admin.listen),
        server.unwrap_or(default.server.listen),
    )
}

/// The file that is read: the one that was named, or the first that is there. One of which that cannot be told is there: rules
/// that cannot be reached are a mistake, and not the defaults.
pub fn path(overrides: &Overrides) -> Option<PathBuf> {
    let is_there = |path: &PathBuf| !matches!(path.try_exists(), Ok(false));
    let found = || PLACES.iter().map(PathBuf::from).find(is_there);
    overrides.file.clone().or_else(found)
}

fn apply<T: Clone>(
    said: &Option<Override<T>>,
    setting: &mut T,
    path: &str,
    origins: &mut BTreeMap<String, Provenance>,
) {
    if let Some(said) = said {
        setting.clone_from(&said.value);
        origins.insert(path.to_owned(), said.provenance.clone());
    }
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
    let source = Source {
        path: path.display().to_string(),
        text,
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let config = file::read(source, folder).map_err(LoadError::Mistakes)?;
    Ok(Config {
        file: Some(path.to_owned()),
        ..config
    })
}
