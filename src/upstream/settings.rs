//! The settings of the upstream.

use std::{iter, net::SocketAddr, path::PathBuf, time::Duration};

use super::{Origin, Proxy};

/// Where the upstream is and how long it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: Origin,
    /// Another URL of the same API, used only where no connection to the first can be made.
    pub fallback: Option<Origin>,
    /// An address to dial instead of the URL's host; Host field and SNI remain the URL's.
    pub connect_to: Option<SocketAddr>,
    /// The proxy that every connection is made through.
    pub proxy: Option<Proxy>,
    /// From the lookup of the name to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// Until the response's header section has arrived; if the body streams, from its end.
    pub timeout: Duration,
    /// Between two reads of a response body; also how long a pooled connection may be idle.
    pub idle_timeout: Duration,
    /// The longest idle time of a connection that a submission reuses.
    pub reuse_idle: Duration,
    /// A PEM file of certificates to trust as well as the built-in roots.
    pub ca_file: Option<PathBuf>,
    /// Whether the certificates that the system trusts are trusted as well.
    pub system_roots: bool,
}

impl Settings {
    /// The URL, and the fallback if there is one.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        iter::once(&self.url).chain(&self.fallback)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            url: Origin::vendor(),
            fallback: None,
            connect_to: None,
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(60),
            reuse_idle: Duration::from_secs(2),
            ca_file: None,
            system_roots: false,
        }
    }
}
