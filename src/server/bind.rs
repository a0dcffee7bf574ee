//! Binds listeners.

use std::{io, net::SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket};

/// How many connections the system holds that are not accepted yet. Beyond that, a client retries after a second.
const BACKLOG: u32 = 1024;

/// Listens on an address. `[::]` means IPv6 alone, on every system, so that `0.0.0.0` can have the same port.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if address.is_ipv6() {
        SockRef::from(&socket).set_only_v6(true)?;
    }
    // On Windows it would allow two programs to listen on one port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
