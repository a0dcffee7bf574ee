//! The target site: host and path of `websiteURL` or `pageurl`, read the way a browser reads it (WHATWG URL standard),
//! so that `https://good.example@evil.example` is evil.example for a rule as well.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};

/// Why a submission has no site that a rule could match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// There is no `websiteURL` or `pageurl`, or it is null or empty.
    #[error("there is no websiteURL or pageurl")]
    Missing,
    /// It is not a string, or not an http or https URL with a host.
    #[error("the websiteURL or pageurl is not an http or https URL")]
    Bad,
}

/// A target site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    host: String,
    is_ip: bool,
    path: Vec<u8>,
}

impl Site {
    /// Reads the text of a `websiteURL`. What has no scheme is taken for https, as `host`, `host:port/path` and `//host` are written.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let text: String = text
            .trim_matches(|c: char| c <= ' ')
            .chars()
            .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
            .collect();
        if text.is_empty() {
            return Err(SiteError::Missing);
        }
        let url = match scheme(&text) {
            Some(scheme) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                Url::parse(&text)
            }
            Some(_) => return Err(SiteError::Bad),
            None => Url::parse(&format!("https:{}", with_authority(&text).ok_or(SiteError::Bad)?)),
        };
        let url = url.map_err(|_| SiteError::Bad)?;
        let (host, is_ip) = match url.host().ok_or(SiteError::Bad)? {
            Host::Domain(name) => (name.strip_suffix('.').unwrap_or(name).to_owned(), false),
            Host::Ipv4(address) => (address.to_string(), true),
            Host::Ipv6(address) => (format!("[{address}]"), true),
        };
        if !is_ip && host.split('.').any(str::is_empty) {
            return Err(SiteError::Bad);
        }
        Ok(Self {
            host,
            is_ip,
            path: percent_decode_str(url.path()).collect(),
        })
    }

    /// The host: IDNA A-labels in lower case without a trailing dot, or an IP literal, IPv6 in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is an IP literal, which has no subdomains.
    pub fn is_ip(&self) -> bool {
        self.is_ip
    }

    /// The path, dot segments removed and percent-decoded.
    pub fn path(&self) -> &[u8] {
        &self.path
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, String::from_utf8_lossy(&self.path))
    }
}

/// The scheme, unless what looks like one is a host with a port: `x:` is a scheme unless digits and then the end, `/`,
/// `?` or `#` follow (backslashes are slashes).
fn scheme(text: &str) -> Option<&str> {
    let (scheme, rest) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let is_scheme = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_port =
        after_digits.len() < rest.len() && (after_digits.is_empty() || after_digits.starts_with(['/', '\\', '?', '#']));
    (is_scheme && !is_port).then_some(scheme)
}

/// The text behind `https:` for a URL without a scheme; none for a mere path.
fn with_authority(text: &str) -> Option<String> {
    let slashes = text.len() - text.trim_start_matches(['/', '\\']).len();
    match slashes {
        0 => Some(format!("//{text}")),
        1 => None,
        _ => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_a_browser_reads_them() {
        for (text, host) in [
            ("https://a.example/", Ok("a.example")),
            ("HTTPS://EVIL.EXAMPLE./", Ok("evil.example")),
            ("https://good.example@evil.example/", Ok("evil.example")),
            ("https://evil.example\\@good.example", Ok("evil.example")),
            ("//evil.example", Ok("evil.example")),
            ("\\\\evil.example", Ok("evil.example")),
            ("https:/evil.example", Ok("evil.example")),
            ("https:evil.example", Ok("evil.example")),
            ("evil.example", Ok("evil.example")),
            ("evil.example:8080/x", Ok("evil.example")),
            ("localhost:8080", Ok("localhost")),
            (" \thttps://ev\nil.example ", Ok("evil.example")),
            ("https://ｅｖｉｌ.example", Ok("evil.example")),
            ("https://ev\u{ad}il.example", Ok("evil.example")),
            ("https://%65vil.example", Ok("evil.example")),
            ("https://bücher.example", Ok("xn--bcher-kva.example")),
            ("https://0x7f.1/", Ok("127.0.0.1")),
            ("https://[::1]:80/", Ok("[::1]")),
            ("[::1]", Ok("[::1]")),
            ("ftp://a.example", Err(SiteError::Bad)),
            ("mailto:x@a.example", Err(SiteError::Bad)),
            ("user:123@a.example", Err(SiteError::Bad)),
            ("javascript:1", Ok("javascript")),
            ("/login", Err(SiteError::Bad)),
            ("https://a..example", Err(SiteError::Bad)),
            ("https://a.example..", Err(SiteError::Bad)),
            ("https://.", Err(SiteError::Bad)),
            ("https://", Err(SiteError::Bad)),
            ("?x", Err(SiteError::Bad)),
            ("https://a b/", Err(SiteError::Bad)),
            ("", Err(SiteError::Missing)),
            (" ", Err(SiteError::Missing)),
        ] {
            let site = Site::parse(text);
            assert_eq!(site.as_ref().map(Site::host).map_err(|e| *e), host, "{text}");
        }
    }

    #[test]
    fn small_print_17_paths_are_decoded_and_compared_as_bytes() {
        for (text, path) in [
            ("https://a.example", &b"/"[..]),
            ("https://a.example/x/../login", b"/login"),
            ("https://a.example/%6cogin%2Fy?q", b"/login/y"),
            ("a.example\\login", b"/login"),
            ("https://a.example/%ff", b"/\xff"),
        ] {
            assert_eq!(Site::parse(text).unwrap().path(), path, "{text}");
        }
    }
}
