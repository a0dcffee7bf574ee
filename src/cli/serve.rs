//! `serve`: the gateway.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{
    free_memory,
    listeners::{self, Open, ShownCertificates},
    logging,
    output::{Failure, block_on_threads},
    proxy_variables,
    stop_signals::StopSignals,
    unknown_variables,
};
use crate::{
    admin::{self, LogLevel, Status},
    api::{self, Gateway},
    config::{self, AdminListen, Config, Overrides, Reading, load::PLACES},
    observe::{Counted, Observers, ledger::Keeper},
    reload::{Bell, Reloader},
    server::{Listener, Server, Stop},
    upstream::Upstream,
};

/// How long the clients of requests that are cut off may take to be told.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves until a signal comes. What ends it before is an event of the log, if that is JSON, and a message otherwise.
pub fn run(overrides: Overrides) -> Result<(), Failure> {
    let config = match config::load(&overrides, Reading::First) {
        Ok(config) => config,
        Err(error) => {
            let log = config::load::log(&overrides);
            if !logging::is_json(log) {
                return Err(error.into());
            }
            let _flush = logging::init(log)?;
            return Err(Failure::of(error, false).log());
        }
    };
    let log = config.log;
    let (flush, log_level) = logging::init(log)?;
    let counted = Counted {
        log_lines_dropped: flush.dropped(),
        ..Counted::default()
    };
    let served = block_on_threads(config.server.workers, serve(overrides, config, counted, log_level))?;
    served.map_err(|failure| logging::ending(log, failure))
}

async fn serve(overrides: Overrides, config: Config, counted: Counted, log_level: LogLevel) -> Result<(), Failure> {
    // First of all: a signal that nobody handles ends the process.
    let mut signals = StopSignals::new()?;
    let bell = Bell::default();
    ask_at_hangup(bell.clone())?;
    let version = env!("CARGO_PKG_VERSION");
    let default_action: &str = config.rules.default_rule().action.into();
    match &config.file {
        Some(file) => {
            info!(version, file = %file.display(), rules = config.rules.rules().len(), default_action, "configuration");
        }
        None => info!(
            version,
            default_action,
            "no configuration file: the defaults apply; {} would be read if it were there",
            PLACES.join(" or ")
        ),
    }
    for warning in unknown_variables::warnings() {
        warn!("{warning}");
    }
    allow_descriptors(&config.server);
    let certificates = ShownCertificates::read(&config).map_err(Failure::wrong)?;
    let open = listeners::open(&config.server, &certificates)?;
    let api_addresses = open.api_urls();
    let Open { listeners, addresses } = open;
    let own: Vec<SocketAddr> = addresses.iter().map(|(_, address)| *address).collect();
    let upstream = Upstream::new(config.upstream.clone(), &own).map_err(Failure::wrong)?;
    upstream.leads_back_for_certain().map_err(Failure::wrong)?;
    let proxy = config.upstream.proxy.as_ref().map(tracing::field::display);
    info!(upstream = %upstream.origin(), proxy, "forwarding");
    if let Some(warning) = proxy_variables::warning(&config) {
        warn!("{warning}");
    }
    let admin = match config.admin.listen {
        AdminListen::At(address) => Some(listeners::bind(address, "[admin] listen, --admin-listen")?),
        AdminListen::Off => None,
    };

    let (stop, stops) = watch::channel(Stop::Not);
    let status = Status::default();
    status.change(|facts| facts.api_addresses = api_addresses);
    let grace = config.server.shutdown_grace;
    let is_open = config.server.api.allow.is_empty();
    for doubt in listeners::doubts(&config, &certificates) {
        warn!(doubt, "listeners, names or certificates are probably not as intended");
    }
    let shown = certificates.iter().cloned().collect();
    let reloader = Reloader::new(overrides, &config, shown, status.clone());
    let observers = Observers::new(&config.ledger, counted.clone());
    let _keeper = Keeper::start(observers.ledger.clone()).map_err(Failure::failed)?;
    let gateway = Arc::new(Gateway::new(config.server.api, config.rules, upstream, observers));
    tokio::spawn(warn_of_a_loop(gateway.clone()));
    tokio::spawn(free_memory::give_back(gateway.clone()));
    reloader.follow(gateway.clone(), bell).map_err(Failure::failed)?;
    for (what, address) in addresses {
        info!(%address, "{what}");
        if !address.ip().to_canonical().is_loopback() && is_open {
            warn!(
                %address,
                "other machines can reach this address and use the gateway; [server] allow says which may"
            );
        }
    }
    let service = api::service(gateway.clone());
    let recorder = gateway.clone();
    let server = Server::new(listeners)
        .limits(config.server.limits)
        .count(counted.connections)
        .on_fault(move |fault| recorder.record_fault(fault));
    let serving = tokio::spawn(server.run(service, stops, grace));
    if let Some(listener) = admin {
        let address = listener.local_addr().map_err(Failure::failed)?;
        info!(%address, "admin listening");
        let service = admin::service(config.admin.settings, status.clone(), gateway.clone(), log_level);
        tokio::spawn(Server::new(vec![Listener::http(listener)]).run_forever(service));
    }

    let name = signals.next().await;
    status.stop();
    let drained = async {
        let delay = config.server.shutdown_delay;
        info!(
            signal = name,
            ?delay,
            ?grace,
            "shutting down: requests in flight may finish within the grace; a second signal stops at once"
        );
        tokio::time::sleep(delay).await;
        stop.send_replace(Stop::Begun);
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
                Err(Failure::Said(1))
            }
        },
        _ = signals.next() => {
            error!("ended by a second signal");
            Err(Failure::Said(1))
        }
    };
    if ended.is_err() {
        gateway.cut_off();
        stop.send_replace(Stop::CutOff);
        let is_told = async {
            while gateway.in_flight() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // What streams, or goes to a client that does not read, just ends.
        let _cut_off = tokio::time::timeout(LAST_WORDS, is_told).await;
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
    let wanted = wanted_descriptors(server);
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed >= wanted => {}
        Ok(allowed) => warn!(
            allowed,
            wanted, "the system allows fewer open files than [server] max_connections and max_in_flight can need"
        ),
        Err(error) => warn!("the limit of open files cannot be raised ({error})"),
    }
}

/// How many open files the settings can need: the clients' connections, one to the upstream per request in flight, and some
/// for files, events and the pool.
pub fn wanted_descriptors(server: &config::Server) -> u64 {
    (server.limits.connections + server.api.max_in_flight + 512) as u64
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
