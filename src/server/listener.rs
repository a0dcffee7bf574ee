//! Listeners, and what is spoken on them.

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A socket that accepts connections.
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// What clients speak on a listener.
#[derive(Clone)]
pub enum Protocol {
    /// HTTP without TLS.
    Http,
    /// HTTP over TLS.
    Https(TlsAcceptor),
    /// HTTP to a proxy: CONNECT begins a tunnel (RFC 9110, section 9.3.6), which ends here, over TLS or without.
    Proxy(TlsAcceptor),
}

impl Listener {
    /// A listener without TLS.
    pub fn http(socket: TcpListener) -> Self {
        Self {
            socket,
            protocol: Protocol::Http,
        }
    }
}
