//! A host: a name or an IP address, normalised, so that all spellings of one host are equal.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use smol_str::SmolStr;

/// A host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name: lowercase, without a trailing dot. Read from a URL, its labels are IDNA A-labels.
    Name(SmolStr),
    /// An IP address, which has no subdomains.
    Address(IpAddr),
}

/// The longest host, in bytes (RFC 1035, section 2.3.4).
pub const MAX_HOST: usize = 253;
/// The longest label of a host, in bytes.
pub const MAX_LABEL: usize = 63;

/// The reason why the host of a URL is not valid here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// A label is empty.
    #[error("a label of the host is empty")]
    EmptyLabel,
    /// The host is longer than [`MAX_HOST`], or a label than [`MAX_LABEL`].
    #[error("the host is over {MAX_HOST} bytes, or a label of it over {MAX_LABEL}")]
    TooLong,
}

impl Host {
    /// Takes a host as the WHATWG URL standard's host parser returns it. One trailing dot is dropped.
    pub fn from_url<S: AsRef<str>>(host: url::Host<S>) -> Result<Self, HostError> {
        match host {
            url::Host::Ipv4(address) => Ok(Self::Address(address.into())),
            url::Host::Ipv6(address) => Ok(Self::of_ipv6(address)),
            url::Host::Domain(name) => {
                let name = name.as_ref();
                let name = name.strip_suffix('.').unwrap_or(name);
                if name.split('.').any(str::is_empty) {
                    return Err(HostError::EmptyLabel);
                }
                if name.len() > MAX_HOST || name.split('.').any(|label| label.len() > MAX_LABEL) {
                    return Err(HostError::TooLong);
                }
                Ok(Self::Name(name.into()))
            }
        }
    }

    /// An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`; RFC 4291, section 2.5.5.2) is that address.
    fn of_ipv6(address: Ipv6Addr) -> Self {
        Self::Address(IpAddr::from(address).to_canonical())
    }

    /// Takes the host of an authority as it is written there (RFC 3986, section 3.2.2): nothing but case and one
    /// trailing dot is normalised.
    pub fn as_written(host: &str) -> Self {
        let in_brackets = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = match in_brackets {
            Some(address) => address.parse().ok().map(Self::of_ipv6),
            None => host.parse().ok().map(Self::Address),
        };
        let name = host.strip_suffix('.').unwrap_or(host);
        address.unwrap_or_else(|| Self::Name(name.to_ascii_lowercase().into()))
    }

    /// Takes an authority as it is written (RFC 3986, section 3.2): host and port, without userinfo. `None` if what follows the
    /// host is no port; another reader could take it for a part of the host.
    pub fn of_authority(authority: &str) -> Option<(Self, Option<u16>)> {
        let end = match authority.strip_prefix('[') {
            Some(_) => authority.find(']')? + 1,
            None => authority.find(':').unwrap_or(authority.len()),
        };
        let (host, rest) = authority.split_at(end);
        let port = match rest.strip_prefix(':') {
            None if rest.is_empty() => None,
            // An empty port is the scheme's default.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        let is_plain = !host.is_empty() && !host.contains('@');
        is_plain.then(|| (Self::as_written(host), port))
    }

    /// The name, unless it is an address.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::Address(_) => None,
        }
    }

    /// The domains that the host is a subdomain of, the nearest first. An address has none.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        parents(self.name().unwrap_or_default())
    }

    /// Whether it is a subdomain of another, at any depth.
    pub fn is_below(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(name), Self::Name(domain)) => {
                name.strip_suffix(&**domain).is_some_and(|labels| labels.ends_with('.'))
            }
            _ => false,
        }
    }

    /// Whether it is this machine for every client on it: `localhost` or a loopback address.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => &**name == "localhost",
            Self::Address(address) => address.is_loopback(),
        }
    }

    /// Whether it is one of some hosts, as they are written.
    pub fn is_one_of(&self, names: &[String]) -> bool {
        names.iter().any(|name| Self::as_written(name) == *self)
    }
}

/// Whether an origin (RFC 6454, section 7) is a page of the server itself that is asked for `host`: of that authority, of
/// this machine, or of one of its names.
pub fn is_own_origin(origin: &str, host: Option<&str>, names: &[String]) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| {
        host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
            || Host::of_authority(authority).is_some_and(|(host, _)| host.is_loopback() || host.is_one_of(names))
    })
}

/// The domains that a name is a subdomain of, the nearest first.
pub fn parents(name: &str) -> impl Iterator<Item = &str> {
    memchr::memchr_iter(b'.', name.as_bytes()).map(|dot| &name[dot + 1..])
}

impl fmt::Display for Host {
    /// As in a URL: an IPv6 address is in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Host {
        Host::from_url(url::Host::parse(text).unwrap()).unwrap()
    }

    #[test]
    fn spellings_of_one_host_are_equal() {
        for (text, shown) in [
            ("Example.COM.", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("0x7f.1", "127.0.0.1"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(host(text).to_string(), shown);
            assert_eq!(host(text), host(shown));
        }
        assert_eq!(
            Host::from_url(url::Host::<String>::parse("a..b").unwrap()),
            Err(HostError::EmptyLabel)
        );
    }

    #[test]
    fn an_authority_is_taken_as_written() {
        for (host, shown) in [
            ("API.example", "api.example"),
            ("a.example.", "a.example"),
            ("127.1", "127.1"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0::1]", "[::1]"),
        ] {
            assert_eq!(Host::as_written(host).to_string(), shown);
        }
    }

    #[test]
    fn an_authority_is_host_and_port_or_nothing() {
        for (authority, read) in [
            ("a.example", Some(("a.example", None))),
            ("A.example.:80", Some(("a.example", Some(80)))),
            ("[::1]:80", Some(("[::1]", Some(80)))),
            ("127.0.0.1:", Some(("127.0.0.1", None))),
            ("127.0.0.1:80.evil.example", None),
            ("127.0.0.1:+80", None),
            ("127.0.0.1:99999", None),
            ("[::1]80", None),
            ("[::1", None),
            ("user@a.example", None),
            ("user:80@a.example", None),
            (":80", None),
            ("", None),
        ] {
            let shown = Host::of_authority(authority).map(|(host, port)| (host.to_string(), port));
            assert_eq!(shown, read.map(|(host, port)| (host.to_owned(), port)), "{authority}");
        }
    }

    #[test]
    fn only_names_have_parents() {
        assert_eq!(
            host("a.b.example").parents().collect::<Vec<_>>(),
            ["b.example", "example"]
        );
        assert_eq!(host("192.0.2.1").parents().count(), 0);
        assert!(host("a.b.example").is_below(&host("example")));
        for (a, b) in [("ab.example", "b.example"), ("b.example", "b.example")] {
            assert!(!host(a).is_below(&host(b)), "{a} {b}");
        }
    }
}
