//! A site pattern: `example.com`, `*.example.com`, `=example.com`, `*`, each with an optional path prefix.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use super::site_pattern_mistake::{
    SitePatternError, SitePatternMistake as Mistake, bare_percent, encoded, is_regex, without_regex,
};
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

    fn is_address(&self) -> bool {
        matches!(
            self,
            Self::Only(Host::Address(_)) | Self::WithSubdomains(Host::Address(_))
        )
    }
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
        read(text).map_err(|unread| SitePatternError {
            mistake: unread.mistake,
            fix: unread.repaired.and_then(valid),
        })
    }
}

/// A text with its further mistakes repaired, too; none if one of them cannot be.
fn valid(mut text: String) -> Option<String> {
    // Each repair removes a kind of mistake; a text that has more than these is not worth a proposal.
    for _ in 0..8 {
        match read(&text) {
            Ok(_) => return Some(text),
            Err(unread) => text = unread.repaired?,
        }
    }
    None
}

/// A mistake, and the text without it, if that is obvious.
struct Unread {
    mistake: Mistake,
    repaired: Option<String>,
}

impl From<Mistake> for Unread {
    fn from(mistake: Mistake) -> Self {
        Self {
            mistake,
            repaired: None,
        }
    }
}

impl Mistake {
    fn repaired(self, text: impl Into<String>) -> Unread {
        Unread {
            mistake: self,
            repaired: Some(text.into()),
        }
    }
}

fn read(text: &str) -> Result<SitePattern, Unread> {
    if text.is_empty() {
        return Err(Mistake::Empty.into());
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Mistake::Space.into());
    }
    if is_regex(text) {
        return Err(Unread {
            mistake: Mistake::Regex,
            repaired: without_regex(text),
        });
    }
    if let Some(rest) = behind_scheme(text) {
        return Err(Mistake::Scheme.repaired(rest));
    }
    if let Some((kept, _)) = text.split_once(['?', '#']) {
        return Err(Mistake::Query.repaired(kept));
    }
    if text.contains('\\') {
        return Err(Mistake::Backslash.repaired(text.replace('\\', "/")));
    }
    let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
    if authority.is_empty() {
        let repaired = match path.strip_prefix("//") {
            Some(host) => host.to_owned(),
            None => format!("*{path}"),
        };
        return Err(Mistake::Slash.repaired(repaired));
    }
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err(Mistake::UserInfo.repaired(format!("{host}{path}")));
    }
    let (sign, name) = ["=", "*."]
        .iter()
        .find_map(|sign| Some((*sign, authority.strip_prefix(sign)?)))
        .unwrap_or(("", authority));
    if name.parse::<Ipv6Addr>().is_ok() && is_bits(path.as_bytes()) {
        return Err(Mistake::Range.into());
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        return Err(Mistake::Brackets.repaired(format!("{sign}[{name}]{path}")));
    }
    if let Some((host, port)) = name.rsplit_once(':')
        && !port.contains(']')
        && !host.contains(':') | host.ends_with(']')
    {
        return Err(Mistake::Port.repaired(format!("{sign}{host}{path}")));
    }
    // What was meant is known by its place: `*shop.example`, `.shop.example`, `shop..example`.
    let is_plain = |rest: &&str| !rest.is_empty() && (sign == "=" || !rest.contains('*'));
    if let Some(rest) = name.strip_prefix(['*', '.']).filter(is_plain) {
        let mistake = match name.starts_with('*') {
            true => Mistake::Wildcard,
            false => Mistake::EmptyLabel,
        };
        return Err(match sign {
            // `=*.example.com` means the opposite of `=example.com`.
            "=" if rest.starts_with('.') => mistake.repaired(format!("{name}{path}")),
            "=" => mistake.into(),
            _ => mistake.repaired(format!("{sign}{rest}{path}")),
        });
    }
    if name.contains("..") {
        return Err(Mistake::EmptyLabel.repaired(format!("{sign}{}{path}", name.replace("..", "."))));
    }
    let hosts = match sign {
        "=" => HostPattern::Only(host(name)?),
        "*." => match host(name)? {
            Host::Address(_) => return Err(Mistake::Subdomains.repaired(format!("{name}{path}"))),
            host => HostPattern::SubdomainsOf(host),
        },
        _ if name == "*" => HostPattern::Every,
        _ => HostPattern::WithSubdomains(host(name)?),
    };
    check_path(&hosts, authority, path)?;
    Ok(SitePattern {
        hosts,
        path: path_prefix(path).into(),
    })
}

/// What follows a scheme: `https://…`, but also `https:…`, which is no host with a port.
fn behind_scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let is_word = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let is_known = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    (is_word && (is_known || rest.starts_with("//"))).then(|| rest.trim_start_matches('/'))
}

/// Signs of other languages for patterns. In a pattern they would match nothing but themselves, which nobody means.
const SIGNS: [char; 8] = ['*', '(', ')', '|', '^', '$', '!', '\\'];

/// A host as [`Site::host`] returns it.
fn host(name: &str) -> Result<Host, Unread> {
    if name.contains('*') {
        let is_address = name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_digit() || b".*".contains(&byte));
        let mistake = match name.find('*') {
            _ if is_address => Mistake::Range,
            Some(0) => Mistake::Wildcard,
            _ => Mistake::InnerWildcard,
        };
        return Err(mistake.into());
    }
    if let Some(sign) = name.chars().find(|c| SIGNS.contains(c)) {
        return Err(Mistake::HostCharacter(sign).into());
    }
    let host = match url::Host::parse(name) {
        // Percent-encoded, or as other characters that become them.
        Ok(url::Host::Domain(host)) if host.contains(SIGNS) || host.starts_with('=') => {
            return Err(Mistake::Host(name.to_owned()).into());
        }
        Ok(host) if !name.is_empty() => host,
        _ => return Err(Mistake::Host(name.to_owned()).into()),
    };
    Host::from_url(host).map_err(|error| match error {
        HostError::EmptyLabel => Mistake::EmptyLabel.into(),
        HostError::TooLong => Mistake::TooLong.into(),
    })
}

fn check_path(hosts: &HostPattern, authority: &str, path: &str) -> Result<(), Unread> {
    if hosts.is_address() && is_bits(path.as_bytes()) {
        return Err(Mistake::Range.into());
    }
    if let Some(above) = path.strip_suffix("/*").or_else(|| path.strip_suffix("/**")) {
        return Err(Mistake::WildcardPath.repaired(format!("{authority}{above}")));
    }
    if let Some(at) = bare_percent(path) {
        let (before, after) = path.split_at(at + 1);
        return Err(Mistake::Percent.repaired(format!("{authority}{before}25{after}")));
    }
    match path.chars().find(|c| SIGNS.contains(c)) {
        Some('*') if !path.starts_with("/*") => Err(Mistake::PartOfSegment {
            host: authority.to_owned(),
            path: path
                .split('*')
                .next()
                .unwrap_or_default()
                .trim_end_matches('/')
                .to_owned(),
        }
        .into()),
        Some(sign) => Err(Mistake::PathCharacter(sign).into()),
        None => Ok(()),
    }
}

/// Whether what looks like a path is the number of bits of a range of addresses: `/24`.
fn is_bits(path: &[u8]) -> bool {
    let bits = path.strip_prefix(b"/").and_then(|bits| str::from_utf8(bits).ok());
    bits.is_some_and(|bits| {
        bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
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
        let Some((_, path)) = self.path.split_first() else {
            return Ok(());
        };
        // As it can be written in a configuration: what was percent-encoded there because it means something else is so again.
        let is_number = self.hosts.is_address() && is_bits(&self.path);
        let has_dots = path
            .split(|byte| *byte == b'/')
            .any(|segment| matches!(segment, b"." | b".."));
        let is_slash_encoded = has_dots || path.ends_with(b"/");
        let is_encoded = |c: char| {
            SIGNS.contains(&c)
                || matches!(c, '%' | '?' | '#')
                || c.is_whitespace()
                || c.is_control()
                || c == '/' && is_slash_encoded
                || is_number
        };
        // A slash at the end is dropped when it is read.
        f.write_str(if path.is_empty() { "//" } else { "/" })?;
        for chunk in path.utf8_chunks() {
            f.write_str(&encoded(chunk.valid(), is_encoded))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "%{byte:02X}"))?;
        }
        Ok(())
    }
}
