//! A site pattern: `example.com`, `*.example.com`, `=example.com`, `*`, each with an optional path prefix.

use std::{fmt, str::FromStr};

use crate::submission::{Host, Site, host::HostError, site};

/// A pattern for sites.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SitePattern {
    pub(super) hosts: HostPattern,
    /// Percent-decoded, with a leading and without a trailing slash; empty for the whole site.
    pub(super) path: Box<[u8]>,
}

/// A pattern for hosts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum HostPattern {
    Every,
    Only(Host),
    WithSubdomains(Host),
    SubdomainsOf(Host),
}

impl HostPattern {
    pub(super) fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Every => true,
            Self::Only(own) => host == own,
            Self::WithSubdomains(own) => host == own || host.is_below(own),
            Self::SubdomainsOf(own) => host.is_below(own),
        }
    }
}

/// The reason why a text is not a valid [`SitePattern`]. Its `Display` says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SitePatternError {
    /// The empty text.
    #[error("a site pattern is empty: write a host such as \"example.com\", or \"*\" for every site")]
    Empty,
    /// White space or a control character.
    #[error("a site pattern has no white space or control characters in it")]
    Space,
    /// `https://…`
    #[error("a site pattern has no scheme: write \"{0}\"")]
    Scheme(String),
    /// `example.com:8080`
    #[error("a site pattern has no port, every port of the host matches: write \"{0}\"")]
    Port(String),
    /// `user@example.com`
    #[error("a site pattern has no user name: write \"{0}\"")]
    UserInfo(String),
    /// `example.com/?a`
    #[error("a site pattern ends with the path, queries and fragments are not compared: write \"{0}\"")]
    Query(String),
    /// `a*.example.com`
    #[error("a wildcard stands alone or as the first label: \"*\" or \"*.example.com\"")]
    Wildcard,
    /// `*.192.0.2.1`
    #[error("an IP address has no subdomains: write \"{0}\"")]
    Subdomains(String),
    /// `a..example`
    #[error("a label of the host is empty: two dots follow each other, or one comes first")]
    EmptyLabel,
    /// A host or a label beyond what DNS allows.
    #[error("{long}", long = HostError::TooLong)]
    TooLong,
    /// Anything else that is not a host.
    #[error("\"{0}\" is not a host")]
    Host(String),
}

impl SitePattern {
    /// Whether it matches a site.
    pub fn matches(&self, site: &Site) -> bool {
        self.hosts.matches(site.host())
            && site
                .path()
                .strip_prefix(&*self.path)
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The domain whose subdomains it matches, with or without the domain itself; `None` for a single host, for an
    /// address and for every site.
    pub fn domain(&self) -> Option<&str> {
        match &self.hosts {
            HostPattern::WithSubdomains(host) | HostPattern::SubdomainsOf(host) => host.name(),
            HostPattern::Every | HostPattern::Only(_) => None,
        }
    }
}

impl FromStr for SitePattern {
    type Err = SitePatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(SitePatternError::Empty);
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(SitePatternError::Space);
        }
        if let Some((_, rest)) = text.split_once("://") {
            return Err(SitePatternError::Scheme(rest.to_owned()));
        }
        if let Some((kept, _)) = text.split_once(['?', '#']) {
            return Err(SitePatternError::Query(kept.to_owned()));
        }
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(SitePatternError::UserInfo(format!("{host}{path}")));
        }
        if let Some((host, port)) = authority.rsplit_once(':')
            && !port.contains(']')
            && !host.contains(':') | host.ends_with(']')
        {
            return Err(SitePatternError::Port(format!("{host}{path}")));
        }
        let hosts = match authority.strip_prefix('=') {
            Some(name) => HostPattern::Only(host(name)?),
            None if authority == "*" => HostPattern::Every,
            None => match authority.strip_prefix("*.") {
                None => HostPattern::WithSubdomains(host(authority)?),
                Some(name) => match host(name)? {
                    Host::Address(_) => return Err(SitePatternError::Subdomains(name.to_owned())),
                    host => HostPattern::SubdomainsOf(host),
                },
            },
        };
        Ok(Self {
            hosts,
            path: path_prefix(path).into(),
        })
    }
}

/// A host as [`Site::host`] returns it.
fn host(name: &str) -> Result<Host, SitePatternError> {
    if name.contains('*') {
        return Err(SitePatternError::Wildcard);
    }
    if name.starts_with('.') || name.contains("..") {
        return Err(SitePatternError::EmptyLabel);
    }
    if name.is_empty() {
        return Err(SitePatternError::Host(name.to_owned()));
    }
    let host = url::Host::parse(name).map_err(|_| SitePatternError::Host(name.to_owned()))?;
    Host::from_url(host).map_err(|error| match error {
        HostError::EmptyLabel => SitePatternError::EmptyLabel,
        HostError::TooLong => SitePatternError::TooLong,
    })
}

/// A path as [`Site::path`] returns it, without a trailing slash. The same parser reads both.
fn path_prefix(path: &str) -> Vec<u8> {
    let mut path = site::without_dot_segments(path);
    path.pop_if(|last| *last == b'/');
    site::decoded(path)
}

impl fmt::Display for SitePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.hosts {
            HostPattern::Every => f.write_str("*"),
            HostPattern::Only(host) => write!(f, "={host}"),
            HostPattern::WithSubdomains(host) => write!(f, "{host}"),
            HostPattern::SubdomainsOf(host) => write!(f, "*.{host}"),
        }?;
        f.write_str(&String::from_utf8_lossy(&self.path))
    }
}
