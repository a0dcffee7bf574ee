//! `healthcheck`: whether the gateway on this machine is ready, for images without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::{Failure, load, runtime};
use crate::config::{AdminListen, Overrides};

const PATIENCE: Duration = Duration::from_secs(2);

pub fn run(overrides: &Overrides) -> Result<(), Failure> {
    let config = load(overrides)?;
    match config.admin.listen {
        AdminListen::At(address) => runtime()?.block_on(ask(reachable(address))),
        AdminListen::Off => connect(&config.server.listen),
    }
}

async fn ask(address: SocketAddr) -> Result<(), Failure> {
    let url = format!("http://{address}/readyz");
    let unreachable = |error: reqwest::Error| Failure::Failed(format!("{url} does not answer: {error}"));
    // The gateway is on this machine: a proxy of the environment has no business here.
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

/// With the admin side off all that can be seen is whether the API listener accepts.
fn connect(addresses: &[SocketAddr]) -> Result<(), Failure> {
    let Some(&address) = addresses.first() else {
        return Err(Failure::failed("there is no listener"));
    };
    match TcpStream::connect_timeout(&reachable(address), PATIENCE) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::Failed(format!("{address} does not accept: {error}"))),
    }
}

/// The address under which a listener on every address is reached from here.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
