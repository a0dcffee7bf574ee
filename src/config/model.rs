//! The configuration as the program uses it.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    ops::Range,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use strum::VariantArray;

use super::{Provenance, Source};
use crate::{
    admin, api,
    observe::ledger,
    rewrite::Decision,
    rules::{LegacyPlace, Rule, RuleSet, Unreadable},
    server,
    submission::{Captcha, CaptchaNames, Kind},
    tls, upstream,
};

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
    /// `[ledger]`
    pub ledger: ledger::Settings,
    /// `[log]`
    pub log: Log,
    /// `[default]`, `[legacy]` and `[captchas]`: what `rules` is built with, beside `[[rule]]`.
    pub general: General,
    /// `[[rule]]`, with what `general` says.
    pub rules: RuleSet,
    /// `[[test]]`
    pub tests: Vec<Test>,
    /// The text of every file that was read, the configuration file first.
    pub sources: Vec<Source>,
    /// The origin of every value that is not a default, by `section.key`.
    pub provenance: BTreeMap<String, Provenance>,
}

/// `[[test]]`: what has to become of a submission for a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The target page, as a client would send it.
    pub site: String,
    pub captcha: Captcha,
    /// What has to happen.
    pub expect: Decision,
    /// The rule that has to decide, if that is said.
    pub rule: Option<String>,
    /// The range of `expect` in the configuration file.
    pub span: Range<usize>,
}

/// `[server]`: the API listener.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens. Port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// `[server.tls]`
    pub tls: Tls,
    /// `[server.proxy]`
    pub proxy: Proxy,
    /// `[server.hosts]`
    pub hosts: Hosts,
    /// The certificates of `[server.tls]`, and `[ca]`.
    pub certificates: tls::Settings,
    /// How it responds.
    pub api: api::Settings,
    /// What it grants connections.
    pub limits: server::Limits,
    /// How many threads serve.
    pub workers: usize,
    /// Between the signal to stop, when `/readyz` turns 503, and the closing of the listeners.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take after a stop signal.
    pub shutdown_grace: Duration,
}

/// `[server.tls]`: the API over TLS.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
}

/// `[server.proxy]`: the proxy for the upstream's names.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
}

/// `[server.hosts]`: names that the hosts file points here.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// Where they are served without TLS.
    pub http: Vec<SocketAddr>,
    /// Where they are served over TLS.
    pub https: Vec<SocketAddr>,
}

/// `[admin]`: the admin listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: AdminListen,
    /// Whom it responds to.
    pub settings: admin::Settings,
}

/// Where the admin side listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminListen {
    At(SocketAddr),
    Off,
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Off => f.write_str("off"),
        }
    }
}

impl FromStr for AdminListen {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            _ => match text.parse() {
                Ok(address) => Ok(Self::At(address)),
                Err(_) => Err("expected an address with a port such as \"127.0.0.1:6623\", or \"off\""),
            },
        }
    }
}

/// What holds beside the rules.
#[derive(Clone, Debug)]
pub struct General {
    /// `[default]`: the rule for sites that no other names.
    pub default: Rule,
    /// `[default] unreadable`
    pub unreadable: Unreadable,
    /// `[legacy] place`
    pub legacy_place: LegacyPlace,
    /// `[captchas]`: further type names, by the number of the kind.
    pub type_names: [Vec<String>; KINDS],
}

/// The number of kinds of captchas.
pub const KINDS: usize = Kind::VARIANTS.len();

impl General {
    /// Joins it with rules. Without `unreadable`, the rules decide that.
    pub fn rule_set(&self, rules: Vec<Rule>, unreadable: Option<Unreadable>) -> RuleSet {
        let mut names = CaptchaNames::default();
        for (kind, added) in Kind::VARIANTS.iter().zip(&self.type_names) {
            added.iter().for_each(|name| names.add(name, *kind));
        }
        RuleSet::new(rules, self.default.clone(), unreadable, names).with_legacy_place(self.legacy_place)
    }
}

impl Default for General {
    fn default() -> Self {
        Self {
            default: Rule::built_in_default(),
            unreadable: Unreadable::Forward,
            legacy_place: LegacyPlace::default(),
            type_names: Default::default(),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum LogLevel {
    /// Failures that need somebody.
    Error,
    /// Failures of single requests, and doubtful settings.
    Warn,
    /// Submissions, start and stop.
    Info,
    Debug,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::IntoStaticStr, strum::VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum LogFormat {
    /// Pretty on a terminal, else JSON.
    Auto,
    Pretty,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Where a rule is written.
    pub fn place(&self, rule: &Rule) -> String {
        place(self.file.as_deref(), rule)
    }
}

/// Where a rule of a file is written.
pub fn place(file: Option<&Path>, rule: &Rule) -> String {
    match (file, rule.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        _ => "built in".to_owned(),
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
                tls: Tls::default(),
                proxy: Proxy::default(),
                hosts: Hosts {
                    http: vec![SocketAddr::from(([127, 0, 0, 1], 80))],
                    https: vec![SocketAddr::from(([127, 0, 0, 1], 443))],
                },
                certificates: tls::Settings::default(),
                api: api::Settings::default(),
                limits: server::Limits::default(),
                workers: 1,
                shutdown_delay: Duration::ZERO,
                shutdown_grace: Duration::from_secs(30),
            },
            upstream: upstream::Settings::default(),
            admin: Admin {
                listen: AdminListen::At(SocketAddr::from(([127, 0, 0, 1], 6623))),
                settings: admin::Settings::default(),
            },
            ledger: ledger::Settings::default(),
            log: Log {
                level: LogLevel::Info,
                format: LogFormat::Auto,
            },
            general: General::default(),
            rules: RuleSet::default(),
            tests: Vec::new(),
            sources: Vec::new(),
            provenance: BTreeMap::new(),
        }
    }
}
