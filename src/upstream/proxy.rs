//! The proxy that connections to the upstream are made through: the value of `[upstream] proxy`.

use std::{fmt, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use url::Url;

/// A proxy: protocol, host, port, and perhaps a user with a password. `Display` and `Debug` mask these two.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    protocol: Protocol,
    /// With brackets around an IPv6 address.
    host: String,
    port: u16,
    credentials: Option<Credentials>,
}

/// How a proxy is asked for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub enum Protocol {
    /// HTTP's CONNECT (RFC 9110, section 9.3.6), for http upstreams as well.
    Http,
    /// SOCKS 5 (RFC 1928) with an address: the upstream's name is looked up here.
    Socks5,
    /// SOCKS 5 with a name, which the proxy looks up.
    Socks5h,
}

/// What a proxy authenticates with. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub user: String,
    pub password: String,
}

/// The reason why a text is not a valid [`Proxy`]. It shows neither user nor password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("this is not a URL: write one such as \"http://proxy.example:3128\"")]
    NotAUrl,
    /// TLS to the proxy itself.
    #[error("TLS to the proxy itself is not supported: use the scheme http, socks5 or socks5h")]
    Https,
    #[error("the scheme is not http, socks5 or socks5h: use the scheme http, socks5 or socks5h")]
    Scheme,
    /// Which port a proxy has is no convention that everybody keeps.
    #[error("the port is missing: write it, for example \"{0}\"")]
    NoPort(String),
    /// More than an origin.
    #[error("only scheme, user, password, host and port belong here: write \"{0}\"")]
    NotAnOrigin(String),
    /// What is behind it looks like the rest of a password, so nothing of it is shown.
    #[error("in user and password, \"/\", \"?\", \"#\" and \"\\\" have to be written as %2F, %3F, %23 and %5C")]
    Unescaped,
    /// User or password cannot be sent.
    #[error("{0}")]
    Credentials(&'static str),
}

impl Proxy {
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Host and port.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Scheme, host and port: what messages show.
    pub fn shown(&self) -> String {
        format!("{}://{}", self.protocol, self.authority())
    }

    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let userinfo = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "{}://{userinfo}{}", self.protocol, self.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError::NotAUrl)?;
        let protocol = match scheme.to_ascii_lowercase().as_str() {
            "https" => return Err(ProxyError::Https),
            scheme => Protocol::from_str(scheme).map_err(|_| ProxyError::Scheme)?,
        };
        let is_cut = |(_, behind): (&str, &str)| behind.contains('@');
        if rest.split_once(['/', '?', '#', '\\']).is_some_and(is_cut) {
            return Err(ProxyError::Unescaped);
        }
        // Hosts of one form, whatever the scheme. `Url` forgets a port that is the scheme's default; no port is that of both.
        let parse = |scheme: &str| Url::parse(&format!("{scheme}://{rest}")).map_err(|_| ProxyError::NotAUrl);
        let (url, other) = (parse("http")?, parse("https")?);
        let host = url.host_str().ok_or(ProxyError::NotAUrl)?.to_owned();
        let credentials = credentials(&url, protocol)?;
        let Some(port) = url.port().or(other.port()) else {
            let usual = match protocol {
                Protocol::Http => 3128,
                Protocol::Socks5 | Protocol::Socks5h => 1080,
            };
            let userinfo = if credentials.is_some() { "…@" } else { "" };
            return Err(ProxyError::NoPort(format!("{protocol}://{userinfo}{host}:{usual}")));
        };
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            let userinfo = if credentials.is_some() { "…@" } else { "" };
            return Err(ProxyError::NotAnOrigin(format!("{protocol}://{userinfo}{host}:{port}")));
        }
        Ok(Self {
            protocol,
            host,
            port,
            credentials,
        })
    }
}

fn credentials(url: &Url, protocol: Protocol) -> Result<Option<Credentials>, ProxyError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |text| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(String::from)
            .map_err(|_| ProxyError::Credentials("user and password have to be UTF-8"))
    };
    let credentials = Credentials {
        user: decoded(url.username())?,
        password: decoded(url.password().unwrap_or_default())?,
    };
    let Credentials { user, password } = &credentials;
    let fits = |text: &str| (1..=255).contains(&text.len());
    match protocol {
        Protocol::Http if user.contains(':') => Err(ProxyError::Credentials(
            "the user cannot contain a colon (RFC 7617, section 2)",
        )),
        Protocol::Socks5 | Protocol::Socks5h if !fits(user) || !fits(password) => Err(ProxyError::Credentials(
            "user and password have to have 1 to 255 bytes each (RFC 1929, section 2)",
        )),
        _ => Ok(Some(credentials)),
    }
}

impl Credentials {
    /// The value of the Proxy-Authorization field (RFC 7617).
    pub fn basic(&self) -> Option<HeaderValue> {
        let encoded = BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password));
        // Base64 is always a valid field value.
        let mut value = HeaderValue::try_from(format!("Basic {encoded}")).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_shown_without_its_credentials() {
        for (text, shown, expected) in [
            ("http://proxy.example:3128", "http://proxy.example:3128", None),
            ("HTTP://proxy.example:80/", "http://proxy.example:80", None),
            ("http://proxy.example:443", "http://proxy.example:443", None),
            ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080", None),
            ("socks5h://[::1]:1080", "socks5h://[::1]:1080", None),
            ("http://me:pw@x:1", "http://***@x:1", Some(("me", "pw"))),
            ("http://me@x:1", "http://***@x:1", Some(("me", ""))),
            ("http://:pw@x:1", "http://***@x:1", Some(("", "pw"))),
            ("http://a%40b:p%3a%2Fw@x:1", "http://***@x:1", Some(("a@b", "p:/w"))),
            ("socks5://m%C3%BC:pw@x:1", "socks5://***@x:1", Some(("mü", "pw"))),
        ] {
            let proxy: Proxy = text.parse().unwrap();
            assert_eq!((proxy.to_string(), format!("{proxy:?}")), (shown.into(), shown.into()));
            let found = proxy.credentials().map(|found| (&*found.user, &*found.password));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_proxy_that_is_not_valid_is_told_what_to_write() {
        let origin = |text: &str| ProxyError::NotAnOrigin(text.to_owned());
        let port = |text: &str| ProxyError::NoPort(text.to_owned());
        for (text, error) in [
            ("", ProxyError::NotAUrl),
            ("proxy.example:3128", ProxyError::NotAUrl),
            ("http://", ProxyError::NotAUrl),
            ("http://x:99999", ProxyError::NotAUrl),
            ("https://x:3128", ProxyError::Https),
            ("http://me:12/34@x:1", ProxyError::Unescaped),
            ("http://me#34@x", ProxyError::Unescaped),
            ("socks5://me:12?34@x:1", ProxyError::Unescaped),
            ("http://me:\\34@x:1", ProxyError::Unescaped),
            ("socks4://x:1080", ProxyError::Scheme),
            ("http://x", port("http://x:3128")),
            ("http://me:secret@x/", port("http://…@x:3128")),
            ("socks5://x", port("socks5://x:1080")),
            ("http://x:1/a", origin("http://x:1")),
            ("http://me:secret@x:1?a", origin("http://…@x:1")),
            ("http://x:1#a", origin("http://x:1")),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(error), "{text}");
        }
        let long = format!("socks5://me:{}@x:1", "p".repeat(256));
        for text in [
            "http://a%3Ab:c@x:1",
            "http://%ff@x:1",
            "socks5://me@x:1",
            "socks5h://:pw@x:1",
            &long,
        ] {
            let error = text.parse::<Proxy>().unwrap_err();
            assert!(matches!(error, ProxyError::Credentials(_)), "{text}: {error}");
        }
    }

    #[test]
    fn basic_authentication_is_of_user_and_password() {
        // The example of RFC 7617, section 2, and one that is not ASCII (section 2.1).
        for (user, password, expected) in [
            ("Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123£", "Basic dGVzdDoxMjPCow=="),
        ] {
            let credentials = Credentials {
                user: user.to_owned(),
                password: password.to_owned(),
            };
            let value = credentials.basic().unwrap();
            assert_eq!(value, expected);
            assert!(value.is_sensitive());
        }
    }
}
