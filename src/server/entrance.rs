//! How a request came in.

use std::{net::SocketAddr, sync::Arc};

/// How a request came in.
#[derive(Clone, Debug)]
pub struct Entrance {
    /// The address that its connection came in on.
    pub local: SocketAddr,
    /// The address that its connection came from.
    pub peer: SocketAddr,
    /// The kind of its connection.
    pub way: Way,
}

impl Entrance {
    /// The same connection as one of this kind.
    pub fn through(&self, way: Way) -> Self {
        Self { way, ..self.clone() }
    }
}

/// The kind of connection that a request came on.
#[derive(Clone, Debug)]
pub enum Way {
    /// To a listener that stands for the API, with TLS or without.
    Direct,
    /// Without TLS, to a listener with TLS.
    WithoutTls,
    /// To a proxy.
    Proxy,
    /// Through a tunnel that a proxy was asked for.
    Tunnel(Arc<Tunnel>),
}

/// A tunnel that ends here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// The target of CONNECT: host and port.
    pub authority: String,
    /// The name that the client asked for in its TLS handshake (SNI, RFC 6066, section 3).
    pub server_name: Option<String>,
}
