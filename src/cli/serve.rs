//! `serve`: the gateway.

use std::{io, net::SocketAddr, sync::Arc};

use axum::handler::Handler;
use listenfd::ListenFd;
use tokio::{net::TcpListener, sync::watch};
use tracing::{error, info, warn};

use super::{
    logging,
    output::{Failure, block_on, load},
    stop_signals::StopSignals,
};
use crate::{
    admin::{self, Readiness},
    api::{self, Gateway},
    config::{self, AdminListen, Config, Overrides},
    reload::{Bell, Reloader},
    server::{self, Server},
    upstream::Upstream,
};

pub fn run(overrides: Overrides) -> Result<(), Failure> {
    let config = load(&overrides)?;
    let _flush = logging::init(config.log)?;
    block_on(serve(overrides, config))?
}

async fn serve(overrides: Overrides, config: Config) -> Result<(), Failure> {
    // First of all: a signal that nobody handles ends the process.
    let mut signals = StopSignals::new()?;
    let bell = Bell::default();
    ask_at_hangup(bell.clone())?;
    match &config.file {
        Some(file) => info!(file = %file.display(), rules = config.rules.rules().len(), "configuration"),
        None => info!("no configuration file: the defaults apply"),
    }
    allow_descriptors(&config.server);
    let listeners = match inherited()? {
        inherited if inherited.is_empty() => bind_all(&config.server.listen)?,
        inherited => inherited,
    };
    let own = listeners.iter().map(address).collect::<Result<Vec<_>, _>>()?;
    let upstream = Upstream::new(config.upstream.clone(), &own).map_err(Failure::wrong)?;
    info!(upstream = %upstream.origin(), "forwarding");
    let admin = match config.admin.listen {
        AdminListen::At(address) => Some(bind(address, "[admin] listen, --admin-listen")?),
        AdminListen::Off => None,
    };

    let (stop, stopped) = watch::channel(());
    let readiness = Readiness::default();
    let grace = config.server.shutdown_grace;
    let is_open = config.server.api.allow.is_empty();
    let reloader = Reloader::new(overrides, &config, readiness.clone());
    let gateway = Arc::new(Gateway::new(config.server.api, config.rules, upstream));
    tokio::spawn(warn_of_a_loop(gateway.clone()));
    reloader.follow(gateway.clone(), bell).map_err(Failure::failed)?;
    for address in own {
        info!(%address, "listening");
        if !address.ip().to_canonical().is_loopback() && is_open {
            warn!(
                %address,
                "other machines can reach this address and use the gateway; [server] allow says which may"
            );
        }
    }
    let service = api::handle.with_state(gateway.clone());
    let recorder = gateway.clone();
    let server = Server::new(listeners)
        .limits(config.server.limits)
        .on_head_error(move |error| recorder.record_head_error(error));
    let serving = tokio::spawn(server.run(service, server::closed(stopped), grace));
    if let Some(listener) = admin {
        info!(address = %address(&listener)?, "admin listening");
        let service = admin::service(config.admin.settings, readiness.clone());
        tokio::spawn(Server::new(vec![listener]).run_forever(service));
    }

    let name = signals.next().await;
    readiness.stop();
    let drained = async {
        let delay = config.server.shutdown_delay;
        info!(
            signal = name,
            ?delay,
            ?grace,
            "shutting down: requests in flight may finish within the grace; a second signal stops at once"
        );
        tokio::time::sleep(delay).await;
        drop(stop);
        // It does not panic; if it did, requests in flight would not have finished.
        serving.await.unwrap_or(false)
    };
    let ended = tokio::select! {
        finished = drained => match finished {
            true => {
                info!("stopped");
                Ok(())
            }
            false => {
                error!("stopped with requests still in flight ([server] shutdown_grace)");
                Err(Failure::Logged)
            }
        },
        _ = signals.next() => {
            error!("ended by a second signal");
            Err(Failure::Logged)
        }
    };
    if ended.is_err() {
        gateway.cut_off();
    }
    ended
}

/// A hosts file that points the vendor's name at the gateway is reported at the start, not with the first paid request.
async fn warn_of_a_loop(gateway: Arc<Gateway>) {
    if let Err(error) = gateway.upstream().leads_back().await {
        warn!(cause = %error.cause(), "{error}");
    }
}

/// Raises the limit of open files to what the settings can need: many systems begin with 1,024.
fn allow_descriptors(server: &config::Server) {
    // The clients' connections, one to the upstream per request in flight, and some for files, events and the pool.
    let wanted = (server.limits.connections + server.api.max_in_flight + 512) as u64;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => warn!(
            allowed,
            wanted, "the system allows fewer open files than [server] max_connections and max_in_flight can need"
        ),
        Err(error) => warn!("the limit of open files cannot be raised ({error})"),
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

/// Binds all addresses. `[::1]` is left out on a machine without IPv6.
fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Failure> {
    let mut listeners = Vec::new();
    for &address in addresses {
        match server::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error)
                if address.ip() == std::net::Ipv6Addr::LOCALHOST && has_no_ipv6(&error) && addresses.len() > 1 =>
            {
                info!("this machine has no IPv6, so {address} is left out");
            }
            Err(error) => return Err(bind_failure(address, &error, "[server] listen, --listen")),
        }
    }
    Ok(listeners)
}

fn has_no_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(EAFNOSUPPORT)
}

fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, Failure> {
    server::bind(address).map_err(|error| bind_failure(address, &error, setting))
}

fn bind_failure(address: SocketAddr, error: &io::Error, setting: &str) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => ": is it already running? If not, choose another port",
        io::ErrorKind::PermissionDenied => ": ports below 1024 need privileges",
        io::ErrorKind::AddrNotAvailable => ": this machine does not have that address",
        _ => "",
    };
    Failure::Failed(format!("cannot listen on {address} ({error}){hint} ({setting})"))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(Failure::failed)
}

/// SIGHUP asks for a reload.
#[cfg(unix)]
fn ask_at_hangup(bell: Bell) -> Result<(), Failure> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup()).map_err(Failure::failed)?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            bell.ask();
        }
    });
    Ok(())
}

/// Only Unix has that signal.
#[cfg(not(unix))]
fn ask_at_hangup(_: Bell) -> Result<(), Failure> {
    Ok(())
}
