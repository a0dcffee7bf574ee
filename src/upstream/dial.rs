//! Makes connections: name, TCP (both address families, by hyper-util's connector), perhaps a proxy, TLS (rustls).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use http::Uri;
use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_socks::TargetAddr;
use tower::ServiceExt;

use super::{
    Origin, Settings, UpstreamError,
    proxy::{Protocol, Proxy},
    refusal::Refusal,
    resolver::{Resolver, Unresolved},
    socket::Socket,
    trust::{TlsError, tls},
    tunnel,
};
use crate::submission::Host;

/// An open connection.
pub enum Stream {
    /// Without TLS.
    Plain(Socket),
    /// With TLS, and what it runs on.
    Tls(Box<TlsStream<Socket>>, Socket),
}

/// Dials the upstream, perhaps through a proxy.
#[derive(Clone)]
pub struct Dialer {
    origin: Origin,
    /// The origin, or `connect_to`.
    target: TargetAddr<'static>,
    proxy: Option<Proxy>,
    /// What is resolved and dialled: the target, or the proxy.
    peer: Uri,
    resolver: Resolver,
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
            .field("proxy", &self.proxy)
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
        let target = match (connect_to, origin.host()) {
            (Some(address), _) => TargetAddr::Ip(address),
            (None, Host::Address(address)) => TargetAddr::Ip((*address, origin.port()).into()),
            // As written: a trailing dot keeps the resolver from trying search domains.
            (None, Host::Name(_)) => TargetAddr::Domain(origin.written_host().to_owned().into(), origin.port()),
        };
        let proxy = settings.proxy.clone();
        let authority = proxy.as_ref().map_or_else(|| target.to_string(), Proxy::authority);
        let peer = format!("http://{authority}").parse::<Uri>();
        let resolver = Resolver::default();
        let mut tcp = HttpConnector::new_with_resolver(resolver.clone());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(settings.connect_timeout));
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        tcp.set_tcp_user_timeout(Some(DEAD_PATH));
        Ok(Self {
            target,
            proxy,
            peer: peer.map_err(|error| TlsError::Setup(error.to_string()))?,
            resolver,
            tcp,
            tls: origin.is_https().then(|| tls(origin, settings)).transpose()?,
            timeout: settings.connect_timeout,
            origin: origin.clone(),
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
        let stream = match &self.proxy {
            None => self.connect().await?,
            Some(proxy) => self.connect_through(proxy).await?,
        };
        let socket = Socket::new(stream);
        let Some((tls, name)) = &self.tls else {
            return Ok(Stream::Plain(socket));
        };
        match tls.connect(name.clone(), socket.clone()).await {
            Ok(stream) => Ok(Stream::Tls(Box::new(stream), socket)),
            Err(error) => Err(UpstreamError::Tls {
                origin: self.origin.to_string(),
                error,
            }),
        }
    }

    /// Connects to the proxy, else to the target.
    async fn connect(&self) -> Result<TcpStream, UpstreamError> {
        let tcp = self.tcp.clone().oneshot(self.peer.clone()).await;
        let stream = tcp.map(TokioIo::into_inner).map_err(|error| self.tcp_error(&error))?;
        if let (Ok(peer), Ok(local)) = (stream.peer_addr(), stream.local_addr())
            && self.is_own(peer, local.ip())
        {
            return Err(self.looped());
        }
        Ok(stream)
    }

    /// Connects to the target through the proxy. If its name is looked up here, each address is tried: the proxy may reach
    /// only some of them.
    async fn connect_through(&self, proxy: &Proxy) -> Result<TcpStream, UpstreamError> {
        let targets = match (proxy.protocol(), &self.target) {
            (Protocol::Socks5, TargetAddr::Domain(name, port)) => {
                let found = self.resolver.look_up(name, *port).await;
                found.map_err(|unresolved| self.unresolved(&unresolved))?.collect()
            }
            _ => Vec::new(),
        };
        let Some((last, others)) = targets.split_last() else {
            return tunnel::open(self.connect().await?, proxy, &self.target).await;
        };
        for address in others {
            match tunnel::open(self.connect().await?, proxy, &TargetAddr::Ip(*address)).await {
                Err(UpstreamError::ProxyRefused {
                    refusal: Refusal::Reply(_),
                    ..
                }) => {}
                opened => return opened,
            }
        }
        tunnel::open(self.connect().await?, proxy, &TargetAddr::Ip(*last)).await
    }

    /// Fails if the upstream's name, or the proxy's, currently leads to one of our own listeners. Nothing is connected to. A
    /// name that does not resolve leads nowhere.
    pub async fn leads_back(&self) -> Result<(), UpstreamError> {
        let (Some(host), Some(port)) = (self.peer.host(), self.peer.port_u16()) else {
            return Ok(());
        };
        let look_up = tokio::net::lookup_host(format!("{host}:{port}"));
        let Ok(Ok(addresses)) = tokio::time::timeout(self.timeout, look_up).await else {
            return Ok(());
        };
        for peer in addresses {
            if self.leads_here(peer) {
                return Err(self.looped());
            }
        }
        Ok(())
    }

    /// Fails if it is dialled by an address, and that is one of the gateway's own listeners: no DNS server can be blamed.
    pub fn leads_back_for_certain(&self) -> Result<(), UpstreamError> {
        match self.literal_peer().is_some_and(|peer| self.leads_here(peer)) {
            true => Err(self.looped()),
            false => Ok(()),
        }
    }

    /// The address that the upstream is dialled by; `None` if that is a name, which may lead elsewhere tomorrow, or a proxy's.
    fn literal_peer(&self) -> Option<SocketAddr> {
        match (&self.proxy, &self.target) {
            (None, TargetAddr::Ip(peer)) => Some(*peer),
            _ => None,
        }
    }

    /// Whether a connection to a peer would end at one of our own listeners.
    fn leads_here(&self, peer: SocketAddr) -> bool {
        own_address_towards(peer).is_some_and(|local| self.is_own(peer, local))
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

    /// The connector's error is a chain without public types; the original error is in it.
    fn tcp_error(&self, error: &(dyn std::error::Error + 'static)) -> UpstreamError {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(unresolved) = error.downcast_ref::<Unresolved>() {
                return match &self.proxy {
                    None => self.unresolved(unresolved),
                    Some(proxy) => UpstreamError::ProxyResolve {
                        proxy: proxy.shown(),
                        error: unresolved.to_io(),
                    },
                };
            }
            match error.downcast_ref::<io::Error>() {
                Some(error) if error.kind() == io::ErrorKind::TimedOut => return self.timed_out(),
                Some(error) => return self.unconnected(io::Error::new(error.kind(), error.to_string())),
                None => cause = error.source(),
            }
        }
        self.unconnected(io::Error::other(error.to_string()))
    }

    /// The upstream's name did not resolve.
    fn unresolved(&self, unresolved: &Unresolved) -> UpstreamError {
        UpstreamError::Resolve {
            host: self.origin.host().to_string(),
            error: unresolved.to_io(),
        }
    }

    fn unconnected(&self, error: io::Error) -> UpstreamError {
        match &self.proxy {
            None => UpstreamError::Connect {
                origin: self.origin.to_string(),
                error,
            },
            Some(proxy) => UpstreamError::ProxyConnect {
                proxy: proxy.shown(),
                error,
            },
        }
    }

    fn looped(&self) -> UpstreamError {
        match &self.proxy {
            None => UpstreamError::Loop {
                origin: self.origin.to_string(),
                why: match (self.literal_peer(), self.origin.host()) {
                    (Some(_), Host::Name(_)) => "set [upstream] connect_to to the address of the API",
                    (Some(_), Host::Address(_)) => {
                        "set [upstream] url (or fallback) to the address of the API, such as https://api.capmonster.cloud"
                    }
                    (None, _) => {
                        "a hosts file or a DNS entry points its name here; [upstream] connect_to dials the real address"
                    }
                },
            },
            Some(proxy) => UpstreamError::ProxyLoop { proxy: proxy.shown() },
        }
    }

    fn timed_out(&self) -> UpstreamError {
        let (origin, timeout) = (self.origin.to_string(), self.timeout);
        match &self.proxy {
            None => UpstreamError::ConnectTimeout { origin, timeout },
            Some(proxy) => UpstreamError::ProxyTimeout {
                proxy: proxy.shown(),
                origin,
                timeout,
            },
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
