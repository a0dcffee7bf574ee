//! The upstream's URL: scheme, host and port. It has no path, since the API is mirrored at the root.

use std::{fmt, str::FromStr};

use http::HeaderValue;
use url::Url;

use crate::submission::Host;

/// An origin (RFC 6454): where the upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_https: bool,
    host: Host,
    /// As in the URL, perhaps with a trailing dot.
    written_host: String,
    port: u16,
    host_field: HeaderValue,
}

/// The reason why a text is not a valid [`Origin`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("this is not a URL: write one such as \"https://api.capmonster.cloud\"")]
    NotAUrl,
    /// A scheme other than http and https.
    #[error("the scheme is neither https nor http")]
    Scheme,
    /// More than scheme, host and port.
    #[error("only scheme, host and port belong here, requests keep their own paths: write \"{0}\"")]
    NotAnOrigin(String),
}

impl Origin {
    /// `https://api.capmonster.cloud`
    pub fn vendor() -> Self {
        const HOST: &str = "api.capmonster.cloud";
        Self {
            is_https: true,
            host: Host::Name(HOST.into()),
            written_host: HOST.to_owned(),
            port: 443,
            host_field: HeaderValue::from_static(HOST),
        }
    }

    /// Whether connections to it speak TLS.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The host as the URL has it, perhaps with a trailing dot.
    pub fn written_host(&self) -> &str {
        &self.written_host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The value of the Host field: host as written, and port unless it is the scheme's default.
    pub fn host_field(&self) -> &HeaderValue {
        &self.host_field
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OriginError::Scheme);
        }
        let host = url.host().ok_or(OriginError::NotAUrl)?;
        let written_host = host.to_string();
        let authority = match url.port() {
            Some(port) => format!("{written_host}:{port}"),
            None => written_host.clone(),
        };
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || !url.username().is_empty() || url.password().is_some() {
            return Err(OriginError::NotAnOrigin(format!("{}://{authority}", url.scheme())));
        }
        Ok(Self {
            is_https: url.scheme() == "https",
            port: url.port_or_known_default().ok_or(OriginError::NotAUrl)?,
            host_field: HeaderValue::try_from(authority).map_err(|_| OriginError::NotAUrl)?,
            host: Host::from_url(host).map_err(|_| OriginError::NotAUrl)?,
            written_host,
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", String::from_utf8_lossy(self.host_field.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (text, expected) in [
            ("https://api.capmonster.cloud", "https://api.capmonster.cloud"),
            ("HTTPS://API.capmonster.cloud:443/", "https://api.capmonster.cloud"),
            ("http://127.0.0.1:6624", "http://127.0.0.1:6624"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), expected, "{text}");
        }
        assert_eq!("https://api.capmonster.cloud".parse(), Ok(Origin::vendor()));
        for (text, error) in [
            ("api.capmonster.cloud", OriginError::NotAUrl),
            ("ftp://x", OriginError::Scheme),
            ("https://x/createTask", OriginError::NotAnOrigin("https://x".into())),
            (
                "https://me:secret@x:8443",
                OriginError::NotAnOrigin("https://x:8443".into()),
            ),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(error), "{text}");
        }
    }
}
