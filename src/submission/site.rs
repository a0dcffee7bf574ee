//! The target site: host and path of `websiteURL` or `pageurl`, read the way a browser reads it (WHATWG URL standard),
//! so that `https://good.example@evil.example` is evil.example for a rule as well.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use smallvec::SmallVec;

use super::{Host, plain_shape::skeleton::is_invisible, plain_site};

/// The longest host that is looked at, in bytes as written. Encoded it may have [`MAX_HOST`](super::host::MAX_HOST) bytes;
/// written with other characters and percent-encoded it takes several times as many.
const MAX_HOST_AS_WRITTEN: usize = 4 << 10;

/// The reason why a submission has no site to match rules with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    /// There is no `websiteURL` or `pageurl`, or it is null or empty.
    #[error("there is no websiteURL or pageurl")]
    Missing,
    /// It is not a string, or not an http or https URL with a host.
    #[error("the websiteURL or pageurl is not an http or https URL")]
    Bad,
    /// A character that nobody sees is in front of the scheme or in the host, where it was copied from a page: some readers
    /// drop it, others take the text for another host.
    #[error("the websiteURL or pageurl has the invisible character U+{:04X} in front of its scheme or in its host", u32::from(*.0))]
    Invisible(char),
}

/// A target site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    host: Host,
    path: SmallVec<[u8; 40]>,
}

impl Site {
    /// Parses the text of a `websiteURL` or `pageurl`. A text without a scheme is read as https: `host`, `host:port/path`,
    /// `//host`. Stricter than the standard: invisible characters in front of the path are an error.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let Some((host, path)) = plain_site::read(text) else {
            return Self::parse_any(text);
        };
        Ok(Self {
            host: Host::Name(host.into()),
            path: SmallVec::from_slice(path.as_bytes()),
        })
    }

    /// What [`Self::parse`] returns, for every text.
    pub(crate) fn parse_any(text: &str) -> Result<Self, SiteError> {
        let text = text.trim_start_matches(' ').trim_end_matches(|c: char| c <= ' ');
        if let Some(c) = invisible(text) {
            return Err(SiteError::Invisible(c));
        }
        let ignored = ['\t', '\n', '\r'];
        let text = match text.contains(ignored) {
            true => Cow::Owned(text.replace(ignored, "")),
            false => Cow::Borrowed(text),
        };
        if text.is_empty() {
            return Err(SiteError::Missing);
        }
        let scheme = scheme(&text);
        let rest = match scheme {
            Some(scheme) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
                &text[scheme.len() + 1..]
            }
            Some(_) => return Err(SiteError::Bad),
            None if is_path_alone(&text) => return Err(SiteError::Bad),
            None => &text,
        };
        let rest = rest.trim_start_matches(['/', '\\']);
        let (rest, _) = rest.split_once(['?', '#']).unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
        // What is in front of `://` is a scheme, or else no host either.
        if scheme.is_none() && authority.ends_with(':') {
            return Err(SiteError::Bad);
        }
        Ok(Self {
            host: host(authority).ok_or(SiteError::Bad)?,
            path: decoded(without_dot_segments(path)).into(),
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
        // Decoded, it may hold what a terminal takes for a command.
        let path = String::from_utf8_lossy(&self.path);
        write!(f, "{}", self.host)?;
        path.chars().try_for_each(|c| match c.is_control() || is_invisible(c) {
            true => write!(f, "{}", c.escape_unicode()),
            false => f.write_char(c),
        })
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

/// The first invisible character in front of a URL's path.
fn invisible(text: &str) -> Option<char> {
    let slash = ['/', '\\'];
    // A scheme ends at its colon; without one the host is in front of the first slash.
    let start = match text.find(':') {
        Some(colon) if !text[..colon].contains(slash) => colon + 1,
        _ => 0,
    };
    let is_slash = |c: &char| slash.contains(c) || is_invisible(*c);
    let host = start
        + text[start..]
            .chars()
            .take_while(is_slash)
            .map(char::len_utf8)
            .sum::<usize>();
    let end = text[host..]
        .find(['/', '\\', '?', '#'])
        .map_or(text.len(), |end| host + end);
    text[..end].chars().find(|c| is_invisible(*c))
}

/// Whether a text without a scheme is a path on some host.
fn is_path_alone(text: &str) -> bool {
    let is_slash = |c: char| matches!(c, '/' | '\\');
    text.starts_with(is_slash) && !text[1..].starts_with(is_slash)
}

/// The host of an authority, behind a user name and in front of a port.
fn host(authority: &str) -> Option<Host> {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    if host.len() > MAX_HOST_AS_WRITTEN {
        return None;
    }
    let url = url::Url::parse(&format!("https://{host}/")).ok()?;
    Host::from_url(url.host()?).ok()
}

/// A path as written, without dot segments and with slashes instead of backslashes. The standard's parser for http and https
/// returns the same, encoded; it holds a long path several times.
pub(crate) fn without_dot_segments(written: &str) -> Vec<u8> {
    let mut path = Vec::with_capacity(written.len() + 1);
    let is_slash = ['/', '\\'];
    let mut segments = written
        .strip_prefix(is_slash)
        .unwrap_or(written)
        .split(is_slash)
        .peekable();
    while let Some(segment) = segments.next() {
        match dots(segment) {
            0 => {
                path.push(b'/');
                path.extend_from_slice(segment.as_bytes());
                continue;
            }
            1 => {}
            _ => path.truncate(memchr::memrchr(b'/', &path).unwrap_or(0)),
        }
        if segments.peek().is_none() {
            path.push(b'/');
        }
    }
    path
}

/// 1 for a segment that means the path itself, 2 for one that means its parent, 0 for any other.
fn dots(segment: &str) -> usize {
    if segment.len() > "%2e%2e".len() {
        return 0;
    }
    let decoded = segment.replace("%2e", ".").replace("%2E", ".");
    ["", ".", ".."].iter().position(|dots| *dots == decoded).unwrap_or(0)
}

/// Percent-decodes a text.
pub(crate) fn decoded(mut bytes: Vec<u8>) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let Some(first) = memchr::memchr(b'%', &bytes) else {
        return bytes;
    };
    let (mut from, mut to) = (first, first);
    while let Some(&byte) = bytes.get(from) {
        let escape = match bytes[from..] {
            [b'%', high, low, ..] => digit(high).zip(digit(low)),
            _ => None,
        };
        (bytes[to], from) = match escape {
            Some((high, low)) => ((high * 16 + low) as u8, from + 3),
            None => (byte, from + 1),
        };
        to += 1;
    }
    bytes.truncate(to);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            (" https://evil.example/\t\n ", Ok("evil.example")),
            ("https://ｅｖｉｌ.example", Ok("evil.example")),
            ("https://%65vil.example", Ok("evil.example")),
            ("https://bücher.example", Ok("xn--bcher-kva.example")),
            ("https://[::ffff:203.0.113.5]/", Ok("203.0.113.5")),
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
            ("(https://a.example", Err(SiteError::Bad)),
            ("\u{2800}https://a.example", Err(SiteError::Bad)),
            ("https:/\\//a.example", Ok("a.example")),
            ("https://a:b@c@a.example:1/@x.example", Ok("a.example")),
            ("https://@a.example", Ok("a.example")),
            ("https://a.example?@x.example", Ok("a.example")),
            ("https://user@", Err(SiteError::Bad)),
            ("https://a.example:x", Err(SiteError::Bad)),
            ("https://a.example:65536", Err(SiteError::Bad)),
            ("https:?x", Err(SiteError::Bad)),
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
    fn an_invisible_character_in_front_of_the_path_is_named() {
        for (text, invisible) in [
            ("\u{feff}https://a.example", Some('\u{feff}')),
            ("\u{200b}https://a.example", Some('\u{200b}')),
            ("\u{ad}https://a.example", Some('\u{ad}')),
            ("\u{2060}https://a.example", Some('\u{2060}')),
            ("\u{2028}https://a.example", Some('\u{2028}')),
            (" \thttps://a.example", Some('\t')),
            ("ht\ntps://a.example", Some('\n')),
            ("https:\u{200b}//a.example", Some('\u{200b}')),
            ("https://a.\u{ad}example", Some('\u{ad}')),
            ("https://a.example\u{200e}?x", Some('\u{200e}')),
            ("a.example\u{200d}:80/x", Some('\u{200d}')),
            ("//\u{0}a.example", Some('\0')),
            ("https://a.example/\u{200b}", None),
            ("https://a.example?\u{200b}", None),
            ("https://a.example \r\n", None),
        ] {
            let expected = invisible.map(SiteError::Invisible);
            assert_eq!(Site::parse(text).err(), expected, "{text:?}");
        }
        assert!(SiteError::Invisible('\u{feff}').to_string().contains("U+FEFF"));
    }

    #[test]
    fn a_host_is_as_long_as_dns_allows() {
        let label = "a".repeat(63);
        let host = |last: usize| format!("{label}.{label}.{label}.{}", "b".repeat(last));
        for (url, is_read) in [
            (host(61), true),
            (host(61) + ".", true),
            (host(62), false),
            (format!("{label}.example"), true),
            (format!("{label}a.example"), false),
            // Written longer than it is.
            (host(61).replace('a', "%EF%BD%81"), true),
            (format!("{}a.example", "%C2%AD".repeat(10_000)), false),
            ("a.".repeat(200_000) + "example", false),
        ] {
            let expected = if is_read { Ok(()) } else { Err(SiteError::Bad) };
            assert_eq!(Site::parse(&url).map(|_| ()), expected, "{url:.300}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// The path and the host are the standard's, read by its own parser.
        #[test]
        fn a_site_is_what_the_standards_parser_reads(
            slashes in "[/\\\\]{1,3}",
            rest in "(a|\\.|%2[eE]|/|\\\\|@|:|[0-9]|%|%4|é|\\?|#|;| |\t|\u{1}|\u{fffd}){0,24}",
        ) {
            let text = format!("https:{slashes}{rest}");
            let standard = url::Url::parse(&text).ok().and_then(|url| {
                let host = Host::from_url(url.host()?).ok()?;
                Some((host, percent_encoding::percent_decode_str(url.path()).collect::<Vec<u8>>()))
            });
            let site = match Site::parse_any(&text) {
                // Stricter than the standard.
                Err(SiteError::Invisible(_)) => return Ok(()),
                site => site.ok().map(|site| (site.host, site.path.into_vec())),
            };
            prop_assert_eq!(site, standard, "{:?}", text);
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
