//! `sandbox`: the stand-in of the vendor's API, as a server.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use tokio::sync::watch;
use tracing::info;

use super::{
    logging,
    output::{Failure, block_on},
    stop_signals::StopSignals,
};
use crate::{
    config::{Config, Overrides, units},
    sandbox::{Odds, Sandbox, Settings, certificate},
    server::{self, Listener, Protocol, Server, Stop},
};

/// Where it listens, unless `--listen` says otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 6624);

#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// How many polls find a task processing before it is ready
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    polls: u32,
    /// How long a task is processing in the mean, such as 5s: from half of it to one and a half
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    delay: Duration,
    /// How much longer with nocache
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    nocache_delay: Duration,
    /// The share of tokens without nocache that /sandbox/check takes for a site, such as shop.example=0.7 (repeatable)
    #[arg(long, value_name = "SITE=SHARE", value_parser = odds)]
    accept: Vec<Odds>,
    /// Of so many tasks, let one end in ERROR_CAPTCHA_UNSOLVABLE
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    fail_every: u64,
    /// Lock a key for 10 minutes that polls a task more than 120 times, or 10 times faster than every 2 s, or 10 times what is no task
    #[arg(long)]
    ban: bool,
    /// Keep every request and show it under /sandbox/requests (not for real keys)
    #[arg(long)]
    record: bool,
    /// Speak TLS, with a certificate made now and written to this file, for the setting ca_file of upstream
    #[arg(long, value_name = "CERTIFICATE-FILE")]
    tls: Option<PathBuf>,
}

fn duration(text: &str) -> Result<Duration, String> {
    units::duration(text).ok_or_else(|| "expected a duration with its unit, such as 5s or 250ms".to_owned())
}

fn odds(text: &str) -> Result<Odds, String> {
    let odds = text.split_once('=').and_then(|(site, share)| {
        let share = share.parse().ok().filter(|share| (0.0..=1.0).contains(share))?;
        let site = site.to_owned();
        (!site.is_empty()).then_some(Odds { site, share })
    });
    odds.ok_or_else(|| "expected a site and a share from 0 to 1, such as shop.example=0.7".to_owned())
}

pub fn run(args: &SandboxArgs, overrides: &Overrides) -> Result<(), Failure> {
    let mut config = Config::default();
    config.server.listen = vec![LISTEN];
    overrides.apply(&mut config)?;
    let (_flush, _) = logging::init(config.log)?;
    let address = config.server.listen.first().copied().unwrap_or(LISTEN);
    let setting = match config.provenance.get("server.listen") {
        Some(provenance) => provenance.to_string(),
        None => "--listen".to_owned(),
    };
    let served = block_on(serve(address, &setting, args))?;
    served.map_err(|failure| logging::ending(config.log, failure))
}

/// Serves until a signal comes. `setting` is what an address that is taken is reported with.
async fn serve(address: SocketAddr, setting: &str, args: &SandboxArgs) -> Result<(), Failure> {
    let acceptor = match &args.tls {
        Some(file) => {
            let (acceptor, certificate) = certificate::self_signed().map_err(Failure::failed)?;
            std::fs::write(file, certificate)
                .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", file.display())))?;
            Some(acceptor)
        }
        None => None,
    };
    let listener = server::bind(address)
        .map_err(|error| Failure::failed(format!("cannot listen on {address} ({error}) ({setting})")))?;
    let address = listener.local_addr().map_err(Failure::failed)?;
    let mut signals = StopSignals::new()?;
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    info!(%address, "sandbox listening: try nocache-gateway --upstream {scheme}://{address}");
    let sandbox = Sandbox::new(Settings {
        polls: args.polls,
        delay: args.delay,
        nocache_delay: args.nocache_delay,
        accept: args.accept.clone(),
        fail_every: args.fail_every,
        ban: args.ban,
        record: args.record,
    });
    let protocol = acceptor.map_or(Protocol::Http, Protocol::Https);
    let server = Server::new(vec![Listener {
        socket: listener,
        protocol,
    }]);
    let (stop, stops) = watch::channel(Stop::Not);
    let serving = server.run(sandbox.service(), stops, Duration::from_secs(1));
    let stopping = async {
        signals.next().await;
        stop.send_replace(Stop::Begun);
    };
    tokio::join!(serving, stopping);
    Ok(())
}
