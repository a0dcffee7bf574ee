//! The target site: host and path of `websiteURL` or `pageurl`, read the way a browser reads it (WHATWG URL standard),
//! so that `https://good.example@evil.example` is evil.example for a rule as well.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::Url;

use super::Host;

/// The reason why a submission has no site to match rules with.
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
    host: Host,
    path: Vec<u8>,
}

impl Site {
    /// Parses the text of a `websiteURL` or `pageurl`. A text without a scheme is read as https: `host`, `host:port/path`,
    /// `//host`.
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
        Ok(Self {
            host: Host::from_url(url.host().ok_or(SiteError::Bad)?).map_err(|_| SiteError::Bad)?,
            path: percent_decode_str(url.path()).collect(),
        })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
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

/// The scheme. `x:` is a scheme unless digits and then the end, `/`, `?` or `#` follow: then it is a host with a port.
/// (Backslashes count as slashes.)
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

/// The text after `https:` for a URL without a scheme; `None` for a path alone.
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
            let read = site
                .as_ref()
                .map(|site| site.host().to_string())
                .map_err(|error| *error);
            assert_eq!(read, host.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn paths_are_decoded_and_compared_as_bytes() {
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
