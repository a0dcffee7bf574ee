//! Configuration: one TOML file, and a few flags and environment variables over it.
//!
//! # Layout
//! - [`load`](mod@load): which file is read, and what overrides it
//! - [`file`](mod@file): the file's sections and keys
//! - [`reader`]: reads a spanned TOML tree and collects every mistake
//! - [`report`]: shows mistakes with the line they stand in
//! - [`settings`]: every setting with its default, and what is in force
//! - [`sample`] and [`schema`]: what is made from them for users and their editors
//! - [`warnings`](mod@warnings): valid settings that are probably not intended; [`expectations`]: the file's own tests
//! - [`units`]: durations and sizes

pub mod expectations;
pub mod file;
pub mod load;
pub mod reader;
pub mod report;
pub mod sample;
pub mod schema;
pub mod settings;
pub mod units;
pub mod warnings;

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use crate::{
    admin, api,
    rewrite::Decision,
    rules::{Rule, RuleSet},
    server,
    submission::Captcha,
    upstream,
};

pub use load::{LoadError, Override, Overrides, load};
pub use report::{Report, Source};

/// Everything that can be configured.
#[derive(Debug)]
pub struct Config {
    /// The file it came from, if there is one.
    pub file: Option<PathBuf>,
    /// `[server]`
    pub server: Server,
    /// `[upstream]`
    pub upstream: upstream::Settings,
    /// `[admin]`
    pub admin: Admin,
    /// `[log]`
    pub log: Log,
    /// `[default]`, `[[rule]]`, `[captchas]` and `[legacy]`
    pub rules: RuleSet,
    /// `[[test]]`
    pub tests: Vec<Test>,
    /// The text of every file that was read, the configuration file first.
    pub sources: Vec<Source>,
    /// Where values come from that are no defaults, by `section.key`.
    pub provenance: BTreeMap<String, Provenance>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// It is built in.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(&'static str),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// `[[test]]`: what has to become of a submission for a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The target page, as a client would send it.
    pub site: String,
    /// The captcha.
    pub captcha: Captcha,
    /// What has to happen.
    pub expect: Decision,
    /// The rule that has to decide, if that is said.
    pub rule: Option<String>,
    /// Where `expect` stands in the configuration file.
    pub span: std::ops::Range<usize>,
}

/// `[server]`: the API listener.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens. Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// How it answers.
    pub api: api::Settings,
    /// What it grants connections.
    pub limits: server::Limits,
    /// Between the signal to stop, when `/readyz` turns 503, and the closing of the listeners.
    pub shutdown_delay: Duration,
    /// How long what runs at a stop may finish.
    pub shutdown_grace: Duration,
}

/// `[admin]`: the admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: AdminListen,
    /// Whom it answers.
    pub settings: admin::Settings,
}

/// Where the admin side listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListen {
    /// At an address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Why a text is no [`AdminListen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address with a port such as \"127.0.0.1:6623\", or \"off\"")]
pub struct AdminListenError;

impl FromStr for AdminListen {
    type Err = AdminListenError;

    fn from_str(text: &str) -> Result<Self, AdminListenError> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::At).map_err(|_| AdminListenError),
        }
    }
}

/// `[log]`
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// The least important level that is logged.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

/// The least important level that is logged.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum LogLevel {
    /// Failures that need somebody.
    Error,
    /// Failures of single requests, and doubtful settings.
    Warn,
    /// Submissions, start and stop.
    Info,
    /// All requests.
    Debug,
    /// Everything.
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// How log lines look.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Where a rule is written.
    pub fn place(&self, rule: &Rule) -> String {
        match (&self.file, rule.line) {
            (Some(file), Some(line)) => format!("{}:{line}", file.display()),
            _ => "built in".to_owned(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            server: Server {
                listen: vec![
                    SocketAddr::from(([127, 0, 0, 1], 6622)),
                    SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 6622)),
                ],
                api: api::Settings::default(),
                limits: server::Limits::default(),
                shutdown_delay: Duration::ZERO,
                shutdown_grace: Duration::from_secs(30),
            },
            upstream: upstream::Settings::default(),
            admin: Admin {
                listen: AdminListen::At(SocketAddr::from(([127, 0, 0, 1], 6623))),
                settings: admin::Settings::default(),
            },
            log: Log {
                level: LogLevel::Info,
                format: LogFormat::Auto,
            },
            rules: RuleSet::default(),
            tests: Vec::new(),
            sources: Vec::new(),
            provenance: BTreeMap::new(),
        }
    }
}
