//! Which configuration file is read, and what overrides it: flag, environment, file, default, in this order.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    AdminListen, Code, Config, Log, Provenance, Reading, Report,
    files::{self, FileError},
    mask::{mask, mask_value},
    read,
    read::read_leniently,
    sections,
};

/// Where a file is looked for if none is named.
pub const PLACES: [&str; 2] = ["nocache-gateway.toml", "/etc/nocache-gateway/config.toml"];

/// What flags and environment say.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The file that `--config` or its variable names.
    pub file: Option<PathBuf>,
    /// The variable that names the file, if no flag does.
    pub file_variable: Option<&'static str>,
    /// What they say about settings.
    pub said: Vec<Override>,
}

/// What a flag or a variable says about a setting. Its `Debug` masks secrets.
#[derive(Clone)]
pub struct Override {
    /// The setting, as `section.key`.
    pub path: String,
    /// The value, as it is written in a flag.
    pub text: String,
    /// The flag or the variable.
    pub provenance: Provenance,
}

impl fmt::Debug for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {:?} ({})", self.path, mask_value(&self.text), self.provenance)
    }
}

impl Overrides {
    /// The same for another file.
    pub fn with_file(&self, file: &Path) -> Self {
        Self {
            file: Some(file.to_owned()),
            file_variable: None,
            ..self.clone()
        }
    }

    /// Whether a flag names the file.
    pub fn is_file_named(&self) -> bool {
        self.file.is_some() && self.file_variable.is_none()
    }

    /// Puts what they say into a configuration.
    pub fn apply(&self, config: &mut Config) -> Result<(), LoadError> {
        for Override { path, text, provenance } in &self.said {
            set(config, path, text).map_err(|message| LoadError::Override {
                provenance: provenance.clone(),
                value: text.clone(),
                message,
            })?;
            config.provenance.insert(path.clone(), provenance.clone());
        }
        Ok(())
    }
}

/// Sets a setting to what a flag or a variable says.
pub fn set(config: &mut Config, path: &str, text: &str) -> Result<(), String> {
    for section in sections::plain() {
        let mut keys = section.keys.iter();
        if let Some(key) = keys.find(|key| sections::path(section.name, key.name) == path) {
            return key.read_text(config, text);
        }
    }
    Err(format!("there is no setting {path}"))
}

/// The reason why there is no configuration. Secrets in it are masked.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("the configuration file {} {error}{}", mask_value(&path.display().to_string()), named_by(*variable))]
    File {
        path: PathBuf,
        /// The variable that names it, if one does.
        variable: Option<&'static str>,
        error: FileError,
    },
    /// A flag or a variable has an invalid value.
    #[error("invalid value '{}' for {provenance}: {}", mask_value(value), mask(message))]
    Override {
        /// The flag or the variable.
        provenance: Provenance,
        value: String,
        message: String,
    },
    /// There are mistakes in it.
    #[error("{0}")]
    Mistakes(Report),
}

impl LoadError {
    /// What kind of problem it is; of several, that of the first.
    pub fn code(&self) -> Code {
        match self {
            Self::File { error, .. } => error.code(),
            Self::Override { .. } => Code::InvalidValue,
            Self::Mistakes(report) => report.problems.first().map_or(Code::Syntax, |problem| problem.code),
        }
    }
}

fn named_by(variable: Option<&str>) -> String {
    variable.map_or(String::new(), |variable| format!(" ({variable} names it)"))
}

/// Loads the configuration.
pub fn load(overrides: &Overrides, reading: Reading<'_>) -> Result<Config, LoadError> {
    let mut config = match path(overrides) {
        Some(path) => read_file(&path, overrides.file_variable, reading)?,
        None => Config::default(),
    };
    overrides.apply(&mut config)?;
    // One setting for both directions.
    config.server.limits.write_timeout = config.server.api.body_timeout;
    Ok(config)
}

/// The listeners of the gateway that runs by this configuration, admin side and API. A file that has mistakes by now says
/// nothing of whether it runs: what overrides the file counts, else what can be read of it, else the defaults.
pub fn listeners(overrides: &Overrides) -> Result<(AdminListen, Vec<SocketAddr>), LoadError> {
    // What cannot be read again is not taken away from the gateway either.
    let config = load(overrides, Reading::Again(&[])).or_else(|_| {
        let mut config = leniently(overrides);
        overrides.apply(&mut config).map(|()| config)
    })?;
    Ok((config.admin.listen, config.server.listen))
}

/// How to log by a configuration that has mistakes, as far as it can be read.
pub fn log(overrides: &Overrides) -> Log {
    let mut config = leniently(overrides);
    // What is invalid among them leaves what the file says.
    let _invalid = overrides.apply(&mut config);
    config.log
}

/// What can be read of a file that may have mistakes.
fn leniently(overrides: &Overrides) -> Config {
    let bytes = path(overrides).and_then(|path| files::contents(&path));
    read_leniently(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

/// The file that is read: the one that was named, or the first that is there. One of which that cannot be told is there: rules
/// that cannot be reached are a mistake, and not the defaults.
pub fn path(overrides: &Overrides) -> Option<PathBuf> {
    let is_there = |path: &PathBuf| !matches!(path.try_exists(), Ok(false));
    let found = || PLACES.iter().map(PathBuf::from).find(is_there);
    overrides.file.clone().or_else(found)
}

fn read_file(path: &Path, variable: Option<&'static str>, reading: Reading<'_>) -> Result<Config, LoadError> {
    let source = reading.source(path).map_err(|error| LoadError::File {
        path: path.to_owned(),
        variable,
        error,
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut config = read(source, folder, reading).map_err(LoadError::Mistakes)?;
    if !config.provenance.contains_key("ca.folder") {
        let ca_folder = &mut config.server.certificates.ca_folder;
        *ca_folder = folder.join(&ca_folder);
    }
    Ok(Config {
        file: Some(path.to_owned()),
        ..config
    })
}
