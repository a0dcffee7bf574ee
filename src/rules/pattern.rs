//! A site pattern: `example.com`, `*.example.com`, `=example.com`, `*`, each with an optional path prefix.

use std::{fmt, str::FromStr};

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::submission::Site;

/// Which sites a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SitePattern {
    pub(super) scope: Scope,
    /// Empty for [`Scope::Every`].
    pub(super) host: Box<str>,
    /// Percent-decoded, with a slash before and none behind; empty for the whole site.
    pub(super) path: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    Every,
    Exact,
    Domain,
    Subdomains,
}

/// Why a text is no [`SitePattern`]. The text says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SitePatternError {
    /// Nothing there.
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
    /// Anything else that is no host.
    #[error("\"{0}\" is not a host")]
    Host(String),
}

impl SitePattern {
    /// Whether it matches a site.
    pub fn matches(&self, site: &Site) -> bool {
        let host = site.host();
        let is_below = || {
            !site.is_ip()
                && host
                    .strip_suffix(&*self.host)
                    .is_some_and(|labels| labels.ends_with('.'))
        };
        let host_matches = match self.scope {
            Scope::Every => true,
            Scope::Exact => host == &*self.host,
            Scope::Domain => host == &*self.host || is_below(),
            Scope::Subdomains => is_below(),
        };
        host_matches
            && site
                .path()
                .strip_prefix(&*self.path)
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// The domain that it matches with all its subdomains, or below; none for a single host and for every site.
    pub fn domain(&self) -> Option<&str> {
        matches!(self.scope, Scope::Domain | Scope::Subdomains).then_some(&*self.host)
    }

    /// Whether it is `*` without a path.
    pub fn is_every_site(&self) -> bool {
        self.scope == Scope::Every && self.path.is_empty()
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
        let (scope, name) = match authority.strip_prefix('=') {
            Some(name) => (Scope::Exact, name),
            None if authority == "*" => (Scope::Every, ""),
            None => match authority.strip_prefix("*.") {
                Some(name) => (Scope::Subdomains, name),
                None => (Scope::Domain, authority),
            },
        };
        let host = match scope {
            Scope::Every => String::new(),
            _ => host(name, scope)?,
        };
        Ok(Self {
            scope,
            host: host.into(),
            path: path_prefix(path)?.into(),
        })
    }
}

/// A host as [`Site::host`] gives it.
fn host(name: &str, scope: Scope) -> Result<String, SitePatternError> {
    if name.contains('*') {
        return Err(SitePatternError::Wildcard);
    }
    if name.starts_with('.') || name.contains("..") {
        return Err(SitePatternError::EmptyLabel);
    }
    if name.is_empty() {
        return Err(SitePatternError::Host(name.to_owned()));
    }
    let is_not_a_host = || SitePatternError::Host(name.to_owned());
    let host = match Host::parse(name).map_err(|_| is_not_a_host())? {
        Host::Domain(domain) => domain.strip_suffix('.').unwrap_or(&domain).to_owned(),
        _ if scope == Scope::Subdomains => return Err(SitePatternError::Subdomains(name.to_owned())),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => format!("[{address}]"),
    };
    if host.is_empty() {
        return Err(is_not_a_host());
    }
    if host.split('.').any(str::is_empty) {
        return Err(SitePatternError::EmptyLabel);
    }
    Ok(host)
}

/// A path as [`Site::path`] gives it, without a slash at its end. The same parser reads both.
fn path_prefix(path: &str) -> Result<Vec<u8>, SitePatternError> {
    let url = Url::parse(&format!("https://host{path}")).map_err(|_| SitePatternError::Host(path.to_owned()))?;
    let path = url.path();
    Ok(percent_decode_str(path.strip_suffix('/').unwrap_or(path)).collect())
}

impl fmt::Display for SitePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.scope {
            Scope::Every => "*",
            Scope::Exact => "=",
            Scope::Domain => "",
            Scope::Subdomains => "*.",
        };
        write!(f, "{sign}{}{}", self.host, String::from_utf8_lossy(&self.path))
    }
}
