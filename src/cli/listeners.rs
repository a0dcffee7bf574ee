//! Opens the listeners of the gateway, each with what is spoken on it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use listenfd::ListenFd;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tracing::info;

use super::output::Failure;
use crate::{
    config::{self, Config},
    server::{self, Listener, Protocol},
    submission::Host,
    tls::{self, CertificateError, Certificates},
};

/// The open listeners.
#[derive(Default)]
pub struct Open {
    pub listeners: Vec<Listener>,
    /// What each is, in the words of the log, and its address.
    pub addresses: Vec<(&'static str, SocketAddr)>,
}

/// The certificates that the configured listeners show.
#[derive(Default)]
pub struct ShownCertificates {
    /// What the user brings for the TLS listener.
    own: Option<Arc<Certificates>>,
    /// Of all other listeners with TLS.
    local_ca: Option<Arc<Certificates>>,
}

impl ShownCertificates {
    /// Reads the certificates that a configuration needs.
    pub fn read(config: &Config) -> Result<Self, CertificateError> {
        let server = &config.server;
        let settings = &server.certificates;
        let has_tls = !server.tls.listen.is_empty();
        let own = if has_tls { settings.own()? } else { None };
        let [http, https] = of_hosts_file(server);
        let stands_for_others = ![&server.proxy.listen, http, https].into_iter().all(<[_]>::is_empty);
        let local_ca = (stands_for_others || has_tls && own.is_none()).then(|| settings.local_ca(hosts(config)));
        Ok(Self {
            own: own.map(Certificates::read).transpose()?,
            local_ca: local_ca.map(Certificates::read).transpose()?,
        })
    }

    /// Whether a listener shows a certificate of the local CA.
    pub fn has_local_ca(&self) -> bool {
        self.local_ca.is_some()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Certificates>> {
        self.own.iter().chain(&self.local_ca)
    }
}

/// Where the names of the hosts file are served: without TLS, and with it.
fn of_hosts_file(server: &config::Server) -> [&[SocketAddr]; 2] {
    match server.api.hosts_file_names.is_empty() {
        true => [&[]; 2],
        false => [&server.hosts.http, &server.hosts.https],
    }
}

/// What is valid and probably not intended about listeners, names and certificates.
pub fn doubts(config: &Config, certificates: &ShownCertificates) -> Vec<String> {
    let server = &config.server;
    let mut doubts = Vec::new();
    for (is_idle, message) in [
        (
            server.tls.listen.is_empty() && server.certificates.certificate.is_some(),
            "[server.tls] has a certificate and no listen, so nothing is served over TLS there",
        ),
        (
            server.proxy.listen.is_empty() && !server.api.proxy_names.is_empty(),
            "[server.proxy] has names and no listen, so there is no proxy",
        ),
    ] {
        doubts.extend(is_idle.then(|| message.to_owned()));
    }
    let readable = certificates
        .iter()
        .filter_map(|certificates| certificates.key_others_can_read());
    doubts.extend(readable.map(|key| format!("others can read the private key {}: chmod 600 it", key.display())));
    let is_missing = |host: &Host| certificates.iter().any(|certificates| !certificates.shows(host));
    let missing: Vec<String> = named(config).filter(is_missing).map(|host| host.to_string()).collect();
    if !missing.is_empty() {
        doubts.push(format!(
            "the local CA is not for {}: it is for the names that were configured when it was made; remove its folder and \
             make another (nocache-gateway ca init)",
            missing.join(", ")
        ));
    }
    doubts
}

/// The names that the configuration gives the gateway, the upstream's among them.
pub fn named(config: &Config) -> impl Iterator<Item = Host> {
    let api = &config.server.api;
    let names = [&api.names, &api.hosts_file_names, &api.proxy_names];
    let origins = config.upstream.origins().map(|origin| origin.host().clone());
    names
        .into_iter()
        .flatten()
        .map(|name| Host::as_written(name))
        .chain(origins)
}

/// Every host that a client may take the gateway for.
fn hosts(config: &Config) -> Vec<Host> {
    let server = &config.server;
    let listening = [&server.tls.listen, &server.proxy.listen, &server.hosts.https];
    let addresses = listening.into_iter().flatten().map(SocketAddr::ip);
    let this_machine = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let addresses = addresses
        .filter(|address| !address.is_unspecified())
        .chain(this_machine);
    let mut hosts: Vec<Host> = named(config).collect();
    hosts.push(Host::as_written("localhost"));
    for address in addresses.map(|address: IpAddr| Host::Address(address.to_canonical())) {
        if !hosts.contains(&address) {
            hosts.push(address);
        }
    }
    hosts
}

/// Where the gateway of a configuration listens.
pub fn addresses(server: &config::Server) -> Vec<SocketAddr> {
    let [http, https] = of_hosts_file(server);
    [&server.listen, &server.tls.listen, &server.proxy.listen, http, https].concat()
}

/// Opens the listeners that are configured, or takes the API's from a service manager.
pub fn open(server: &config::Server, certificates: &ShownCertificates) -> Result<Open, Failure> {
    let mut open = Open::default();
    let inherited = inherited()?;
    if inherited.is_empty() {
        open.bind("listening", &server.listen, Protocol::Http, "[server] listen, --listen")?;
    }
    for socket in inherited {
        open.add("listening", socket, Protocol::Http)?;
    }
    let local_ca = certificates.local_ca.as_ref().map(acceptor).transpose()?;
    let of_tls = match &certificates.own {
        Some(own) => Some(acceptor(own)?),
        None => local_ca.clone(),
    };
    if let Some(of_tls) = of_tls {
        open.bind(
            "listening over TLS",
            &server.tls.listen,
            Protocol::Https(of_tls),
            "[server.tls] listen, --tls-listen",
        )?;
    }
    if let Some(local_ca) = local_ca {
        open.bind(
            "listening as a proxy",
            &server.proxy.listen,
            Protocol::Proxy(local_ca.clone()),
            "[server.proxy] listen, --proxy-listen",
        )?;
        const MESSAGE: &str = "listening for the hosts file";
        let [http, https] = of_hosts_file(server);
        open.bind(MESSAGE, http, Protocol::Http, "[server.hosts] http")?;
        open.bind(MESSAGE, https, Protocol::Https(local_ca), "[server.hosts] https")?;
    }
    Ok(open)
}

fn acceptor(certificates: &Arc<Certificates>) -> Result<TlsAcceptor, Failure> {
    tls::acceptor(certificates.clone()).map_err(Failure::failed)
}

impl Open {
    /// The URLs of the API, without a proxy's.
    pub fn api_urls(&self) -> Vec<String> {
        let served = self.listeners.iter().zip(&self.addresses);
        served
            .filter_map(|(listener, (_, address))| match listener.protocol {
                Protocol::Http => Some(format!("http://{address}")),
                Protocol::Https(_) => Some(format!("https://{address}")),
                _ => None,
            })
            .collect()
    }

    fn add(&mut self, what: &'static str, socket: TcpListener, protocol: Protocol) -> Result<(), Failure> {
        self.addresses
            .push((what, socket.local_addr().map_err(Failure::failed)?));
        self.listeners.push(Listener { socket, protocol });
        Ok(())
    }

    /// Binds all addresses. `[::1]` is left out on a machine without IPv6.
    fn bind(
        &mut self,
        what: &'static str,
        addresses: &[SocketAddr],
        protocol: Protocol,
        setting: &str,
    ) -> Result<(), Failure> {
        for &address in addresses {
            match server::bind(address) {
                Ok(socket) => self.add(what, socket, protocol.clone())?,
                Err(error) if address.ip() == Ipv6Addr::LOCALHOST && has_no_ipv6(&error) && addresses.len() > 1 => {
                    info!("this machine has no IPv6, so {address} is left out");
                }
                Err(error) => return Err(bind_failure(address, &error, setting)),
            }
        }
        Ok(())
    }
}

/// The listeners that a service manager opened for the API (systemd's socket activation).
fn inherited() -> Result<Vec<TcpListener>, Failure> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for number in 0..passed.len() {
        if let Some(listener) = passed.take_tcp_listener(number).map_err(Failure::failed)? {
            listener.set_nonblocking(true).map_err(Failure::failed)?;
            listeners.push(TcpListener::from_std(listener).map_err(Failure::failed)?);
        }
    }
    Ok(listeners)
}

/// Whether an address cannot be bound since the machine has no IPv6.
pub fn has_no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

/// Binds one address.
pub fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    server::bind(address).map_err(|error| bind_failure(address, &error, setting))
}

fn bind_failure(address: SocketAddr, error: &io::Error, setting: &str) -> Failure {
    Failure::Failed(format!("{} ({setting})", why_not_bound(address, error)))
}

/// What to say of an address that cannot be bound.
pub fn why_not_bound(address: SocketAddr, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": is it already running? If not, choose another port",
        io::ErrorKind::PermissionDenied => {
            ": ports below 1024 need privileges (on Linux: setcap cap_net_bind_service=+ep on the program, or the same capability in its unit file)"
        }
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    };
    format!("cannot listen on {address} ({error}){hint}")
}
