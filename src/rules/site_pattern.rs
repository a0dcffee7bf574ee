//! A site pattern: `example.com`, `*.example.com`, `=example.com`, `*`, each with an optional path prefix.

use std::{fmt, net::Ipv6Addr, str::FromStr};

use SitePatternMistake as Mistake;

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

/// The reason why a text is not a valid [`SitePattern`]. Its `Display` says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePatternError {
    /// What is wrong.
    pub mistake: SitePatternMistake,
    /// A valid pattern to write instead, if there is an obvious one.
    pub fix: Option<String>,
}

impl std::error::Error for SitePatternError {}

impl fmt::Display for SitePatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mistake.fmt(f)?;
        match &self.fix {
            Some(fix) => write!(f, ": write \"{fix}\""),
            None => Ok(()),
        }
    }
}

/// What is wrong with a text that is meant as a [`SitePattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SitePatternMistake {
    /// The empty text.
    #[error("a site pattern is empty: write a host such as \"example.com\", or \"*\" for every site")]
    Empty,
    /// White space or a control character.
    #[error("a site pattern cannot contain white space or control characters")]
    Space,
    /// `https://…`, `https:…`
    #[error("remove the scheme, and any query: a pattern matches host and path")]
    Scheme,
    /// `/login`, `//example.com`
    #[error("a site pattern begins with a host, or with \"*\" for every host")]
    Slash,
    /// `example.com\login`
    #[error("a path is written with slashes, not with backslashes")]
    Backslash,
    /// `example.com:8080`
    #[error("remove the port: a pattern matches every port")]
    Port,
    /// `user@example.com`
    #[error("remove the user name: a pattern matches host and path")]
    UserInfo,
    /// `example.com/?a`
    #[error("remove the query or fragment: a pattern matches host and path")]
    Query,
    /// `a*.example.com`
    #[error(
        "\"*\" must be the whole pattern or its first label, as in \"*.example.com\"; without it a host covers its subdomains"
    )]
    Wildcard,
    /// `example.com/*`
    #[error("\"*\" is not supported in a path, and not needed: a path matches everything below it")]
    WildcardPath,
    /// `example.com/login*`
    #[error(
        "\"*\" is not supported in a path, which ends with a whole segment: \"/login\" is /login and /login/x, and not /login2; list each path, or leave the path out for the whole site"
    )]
    PartOfSegment,
    /// `www.*.example`
    #[error("\"*\" cannot be inside a host: list each host, such as \"www.shop.example\", \"www.blog.example\"")]
    InnerWildcard,
    /// `example.com/(a|b)`
    #[error("\"{0}\" has no special meaning in a path: write one pattern per path (the character itself is {encoded})", encoded = encoded(&.0.to_string(), |_| true))]
    PathCharacter(char),
    /// `example.com/100%`
    #[error("\"%\" begins a percent-encoded byte; a literal \"%\" is %25")]
    Percent,
    /// `^(www\\.)?example\\.com$`
    #[error(
        "regular expressions are not supported; a host covers its subdomains (\"=host\" is that host alone), a path what is below it"
    )]
    Regex,
    /// `(a|b).example.com`
    #[error(
        "{}", not_in_a_host(*.0)
    )]
    HostCharacter(char),
    /// `*.192.0.2.1`
    #[error("an IP address has no subdomains")]
    Subdomains,
    /// `192.0.2.0/24`
    #[error("address ranges are not supported: list the addresses that occur, such as \"192.0.2.7\"")]
    Range,
    /// `::1`
    #[error("an IPv6 address is written in brackets")]
    Brackets,
    /// `a..example`
    #[error("the host must not begin with a dot or have two in a row")]
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
    mistake: SitePatternMistake,
    repaired: Option<String>,
}

impl From<SitePatternMistake> for Unread {
    fn from(mistake: SitePatternMistake) -> Self {
        Self {
            mistake,
            repaired: None,
        }
    }
}

impl SitePatternMistake {
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
    match name.strip_prefix(['*', '.']) {
        // `=*.example.com` means the opposite of `=example.com`.
        Some(rest) if sign == "=" && !rest.is_empty() => {
            let mistake = if name.starts_with('*') {
                Mistake::Wildcard
            } else {
                Mistake::EmptyLabel
            };
            return Err(match rest.strip_prefix('.') {
                Some(_) => mistake.repaired(format!("{name}{path}")),
                None => mistake.into(),
            });
        }
        Some(rest) if !rest.is_empty() && !rest.contains('*') => {
            let mistake = if name.starts_with('*') {
                Mistake::Wildcard
            } else {
                Mistake::EmptyLabel
            };
            return Err(mistake.repaired(format!("{sign}{rest}{path}")));
        }
        _ => {}
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

/// What to do instead of a sign that no host has.
fn not_in_a_host(sign: char) -> String {
    match sign {
        '!' => "\"!\" excludes nothing: for that site put a rule with action = \"keep\" above this one".to_owned(),
        sign => format!("\"{sign}\" cannot be in a host: list each host as a pattern of its own"),
    }
}

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
        Some('*') => Err(Mistake::PartOfSegment.into()),
        Some(sign) => Err(Mistake::PathCharacter(sign).into()),
        None => Ok(()),
    }
}

/// Where a path has a percent sign that two hexadecimal digits do not follow.
fn bare_percent(path: &str) -> Option<usize> {
    let bytes = path.as_bytes();
    memchr::memchr_iter(b'%', bytes)
        .find(|at| !matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Whether a text has what only regular expressions have: an anchor, an escaped dot, a dot with a star or a plus sign, or a
/// group that is optional.
fn is_regex(text: &str) -> bool {
    let is_anchored = text.starts_with('^') || text.ends_with('$');
    is_anchored
        || text.starts_with(".*")
        || ["\\.", "/.*", ")?", "(?", "(.*", "(.+"]
            .iter()
            .any(|sign| text.contains(sign))
}

/// The pattern that a regular expression means, if it is a host or a URL with no more than optional subdomains in front and
/// anything behind a slash. What else it has would be lost, and a rule that denies would let through what it meant.
fn without_regex(text: &str) -> Option<String> {
    let text = text.trim_start_matches('^').trim_end_matches('$');
    let text = ["https?://", "https?:\\/\\/", "https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    let text = ["(?:www\\.)?", "(www\\.)?", "(.*\\.)?", "(.+\\.)?", ".*\\.", ".+\\."]
        .iter()
        .find_map(|subdomains| text.strip_prefix(subdomains))
        .unwrap_or(text);
    let text = text
        .strip_suffix("/.*")
        .or_else(|| text.strip_suffix("\\/.*"))
        .unwrap_or(text);
    let plain = text.replace("\\.", ".").replace("\\/", "/").replace("\\-", "-");
    let host = plain.split('/').next().unwrap_or_default();
    let is_plain =
        host.contains('.') && !plain.contains(['*', '+', '?', '(', ')', '[', ']', '{', '}', '|', '^', '$', '\\']);
    is_plain.then_some(plain)
}

/// Whether what looks like a path is the number of bits of a range of addresses: `/24`.
fn is_bits(path: &[u8]) -> bool {
    let bits = path.strip_prefix(b"/").and_then(|bits| str::from_utf8(bits).ok());
    bits.is_some_and(|bits| {
        bits.bytes().all(|byte| byte.is_ascii_digit()) && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
    })
}

/// A path with some of its characters percent-encoded.
fn encoded(path: &str, is_encoded: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(path.len());
    for c in path.chars() {
        match is_encoded(c) {
            true => encoded.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}"))),
            false => encoded.push(c),
        }
    }
    encoded
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
