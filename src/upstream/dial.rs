//! Makes connections: name, TCP (both address families, by hyper-util's connector), TLS (rustls).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use http::Uri;
use hyper_util::{
    client::legacy::connect::{HttpConnector, dns::Name},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tower::{Service, ServiceExt};

use super::{
    Origin, Settings, UpstreamError,
    socket::Socket,
    trust::{TlsError, tls},
};

/// An open connection.
pub enum Stream {
    /// Without TLS.
    Plain(Socket),
    /// With TLS, and what it runs on.
    Tls(Box<TlsStream<Socket>>, Socket),
}

/// Dials the upstream.
#[derive(Clone)]
pub struct Dialer {
    origin: Origin,
    /// What is resolved and dialled: the origin, or `connect_to`.
    target: Uri,
    tcp: HttpConnector<Resolver>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
    /// The gateway's own listeners.
    own: Vec<SocketAddr>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Dialer {
    /// Reads the certificates to trust. Nothing is dialled. A connection to one of the addresses in `own` is refused.
    pub fn new(
        origin: &Origin,
        connect_to: Option<SocketAddr>,
        settings: &Settings,
        own: &[SocketAddr],
    ) -> Result<Self, TlsError> {
        let origin = origin.clone();
        // As written: a trailing dot keeps the resolver from trying search domains.
        let authority = match connect_to {
            Some(address) => address.to_string(),
            None => format!("{}:{}", origin.written_host(), origin.port()),
        };
        let target = format!("http://{authority}").parse::<Uri>();
        let mut tcp = HttpConnector::new_with_resolver(Resolver(Arc::new(Semaphore::new(LOOKUPS))));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(DEAD_PATH));
        Ok(Self {
            target: target.map_err(|error| TlsError::Setup(error.to_string()))?,
            tcp,
            tls: origin.is_https().then(|| tls(&origin, settings)).transpose()?,
            timeout: settings.connect_timeout,
            origin,
            own: own.to_vec(),
        })
    }

    /// Where it leads.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Makes a connection, within the connect timeout.
    pub async fn dial(&self) -> Result<Stream, UpstreamError> {
        match tokio::time::timeout(self.timeout, self.dial_all()).await {
            Ok(result) => result,
            Err(_) => Err(self.timed_out()),
        }
    }

    async fn dial_all(&self) -> Result<Stream, UpstreamError> {
        let tcp = self.tcp.clone().oneshot(self.target.clone()).await;
        let stream = tcp.map(TokioIo::into_inner).map_err(|error| self.tcp_error(&error))?;
        if let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr())
            && self.is_own(peer, local.ip())
        {
            return Err(self.looped());
        }
        let Some((tls, name)) = &self.tls else {
            return Ok(Stream::Plain(Socket::new(stream)));
        };
        let socket = Socket::new(stream);
        match tls.connect(name.clone(), socket.clone()).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream), socket)),
            Err(error) => Err(UpstreamError::Tls {
                origin: self.origin.to_string(),
                error,
            }),
        }
    }

    /// Fails if the upstream's name currently leads to one of our own listeners. Nothing is connected to. A name that
    /// does not resolve leads nowhere.
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        let (Some(host), Some(port)) = (self.target.host(), self.target.port_u16()) else {
            return Ok(());
        };
        let look_up = tokio::net::lookup_host(format!("{host}:{port}"));
        let Ok(Ok(addresses)) = tokio::time::timeout(self.timeout, look_up).await else {
            return Ok(());
        };
        for peer in addresses {
            if own_address_towards(peer).is_some_and(|local| self.is_own(peer, local)) {
                return Err(self.looped());
            }
        }
        Ok(())
    }

    /// Whether a connection from `local` to `peer`, on which nothing was sent yet, ends at one of our own listeners.
    fn is_own(&self, peer: SocketAddr, local: IpAddr) -> bool {
        // An IPv4 address can be written as an IPv6 one (RFC 4291, section 2.5.5.2).
        let ip = peer.ip().to_canonical();
        let is_here = ip.is_loopback() || ip == local.to_canonical();
        self.own.iter().any(|own| {
            let own_ip = own.ip().to_canonical();
            own.port() == peer.port() && (own_ip == ip || own_ip.is_unspecified() && is_here)
        })
    }

    fn looped(&self) -> UpstreamError {
        UpstreamError::Loop {
            origin: self.origin.to_string(),
        }
    }

    /// The connector's error is a chain without public types; the original error is in it.
    fn tcp_error(&self, error: &(dyn std::error::Error + 'static)) -> UpstreamError {
        let origin = self.origin.to_string();
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(Unresolved(kind, text)) = error.downcast_ref() {
                return UpstreamError::Resolve {
                    host: self.origin.host().to_string(),
                    error: io::Error::new(*kind, text.clone()),
                };
            }
            match error.downcast_ref::<io::Error>() {
                Some(error) if error.kind() == io::ErrorKind::TimedOut => return self.timed_out(),
                Some(error) => {
                    let error = io::Error::new(error.kind(), error.to_string());
                    return UpstreamError::Connect { origin, error };
                }
                None => cause = error.source(),
            }
        }
        UpstreamError::Connect {
            origin,
            error: io::Error::other(error.to_string()),
        }
    }

    fn timed_out(&self) -> UpstreamError {
        UpstreamError::ConnectTimeout {
            origin: self.origin.to_string(),
            timeout: self.timeout,
        }
    }
}

/// The address of this machine from which another is reached. A connected UDP socket knows it, and nothing is sent.
fn own_address_towards(peer: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match peer {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// When the system begins to ask a connection on which nothing happens whether it is still there. The path of a suspended
/// laptop or a lost link dies without a word, and official clients give up after 15 to 21 s.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How often it asks.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

/// How long bytes may stay unacknowledged, a question included, before the connection counts as dead (RFC 5482).
#[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
const DEAD_PATH: Duration = Duration::from_secs(10);

/// How many lookups may run at once. Each holds a thread until the system's resolver gives up, perhaps long after anyone
/// waits for it, and other work needs threads too.
const LOOKUPS: usize = 32;

/// The system's resolver, with an error type of its own.
#[derive(Clone, Debug)]
struct Resolver(Arc<Semaphore>);

/// A name that did not resolve.
#[derive(Debug, thiserror::Error)]
#[error("{1}")]
struct Unresolved(io::ErrorKind, String);

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unresolved;
    type Future = BoxFuture<'static, Result<Self::Response, Unresolved>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unresolved>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let free = self.0.clone();
        async move {
            // The semaphore is never closed.
            let permit = free.acquire_owned().await;
            let looked_up = tokio::task::spawn_blocking(move || {
                let addresses = (name.as_str(), 0).to_socket_addrs();
                drop(permit);
                addresses
            });
            let unresolved = |error: io::Error| Unresolved(error.kind(), error.to_string());
            looked_up.await.map_err(io::Error::from).flatten().map_err(unresolved)
        }
        .boxed()
    }
}
