//! What is wrong with a text that is meant as a site pattern, and what was probably meant.

use std::fmt;

use crate::submission::host::HostError;

/// The reason why a text is not a valid [`SitePattern`](super::SitePattern). Its `Display` says what to write instead.
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
            Some(fix) if self.mistake == SitePatternMistake::Regex && !fix.contains('/') => {
                write!(
                    f,
                    ": write \"{fix}\", which includes subdomains; \"={fix}\" is that host alone"
                )
            }
            Some(fix) => write!(f, ": write \"{fix}\""),
            None => Ok(()),
        }
    }
}

/// What is wrong with a text that is meant as a [`SitePattern`](super::SitePattern).
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
        "\"*\" is not supported in a path: \"{host}{path}\" is {path} and what is below it, not {path}2; list each path, or write \"{host}\" for the whole site"
    )]
    PartOfSegment {
        /// The host.
        host: String,
        /// The path up to the wildcard.
        path: String,
    },
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
    #[error("regular expressions are not supported")]
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

/// What to do instead of a sign that no host has.
fn not_in_a_host(sign: char) -> String {
    match sign {
        '!' => "\"!\" is not supported: put a rule with that site and action = \"keep\" above this one, and write \"*\" here if all others are meant".to_owned(),
        sign => format!("\"{sign}\" cannot be in a host: list each host as a pattern of its own"),
    }
}

/// Where a path has a percent sign that two hexadecimal digits do not follow.
pub(super) fn bare_percent(path: &str) -> Option<usize> {
    let bytes = path.as_bytes();
    memchr::memchr_iter(b'%', bytes)
        .find(|at| !matches!(bytes.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit)))
}

/// Whether a text has what only regular expressions have: an anchor, an escaped dot, a dot with a star or a plus sign, or a
/// group that is optional.
pub(super) fn is_regex(text: &str) -> bool {
    let is_anchored = text.starts_with('^') || text.ends_with('$');
    is_anchored
        || text.starts_with(".*")
        || ["\\.", "/.*", ")?", "(?", "(.*", "(.+"]
            .iter()
            .any(|sign| text.contains(sign))
}

/// The pattern that a regular expression means, if it is a host or a URL with no more than optional subdomains in front and
/// anything behind a slash. What else it has would be lost, and a rule that denies would let through what it meant.
pub(super) fn without_regex(text: &str) -> Option<String> {
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

/// A path with some of its characters percent-encoded.
pub(super) fn encoded(path: &str, is_encoded: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(path.len());
    for c in path.chars() {
        match is_encoded(c) {
            true => encoded.extend(c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("%{byte:02X}"))),
            false => encoded.push(c),
        }
    }
    encoded
}
