//! `healthcheck`: whether the gateway on this machine is ready, for images without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::output::{Failure, block_on};
use crate::config::{self, AdminListen, LoadError, Overrides};

const PATIENCE: Duration = Duration::from_secs(2);

pub fn run(overrides: &Overrides) -> Result<(), Failure> {
    // Docker reserves 2, the exit code of a wrong configuration.
    let wrong = |error: LoadError| Failure::failed(error);
    match config::load::listeners(overrides).map_err(wrong)? {
        (AdminListen::At(address), _) => block_on(ask(reachable(address)))?,
        (AdminListen::Off, addresses) => connect(&addresses),
    }
}

async fn ask(address: SocketAddr) -> Result<(), Failure> {
    let url = format!("http://{address}/readyz");
    let unreachable = |error: reqwest::Error| Failure::Failed(format!("{url} does not answer: {error}"));
    // The gateway is on this machine, so a proxy of the environment does not apply.
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .map_err(Failure::failed)?;
    let answer = client.get(&url).send().await.map_err(unreachable)?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let body = answer.text().await.map_err(unreachable)?;
    Err(Failure::Failed(format!("not ready ({status}): {}", body.trim_end())))
}

/// With the admin side off, the only sign is whether an API listener accepts. (Of several, one may have been left out at
/// the start.)
fn connect(addresses: &[SocketAddr]) -> Result<(), Failure> {
    let mut last = Failure::failed("there is no listener");
    for &address in addresses {
        match TcpStream::connect_timeout(&reachable(address), PATIENCE) {
            Ok(_) => return Ok(()),
            Err(error) => last = Failure::Failed(format!("{address} does not accept: {error}")),
        }
    }
    Err(last)
}

/// The address that reaches a listener from this machine, even if it listens on every address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
