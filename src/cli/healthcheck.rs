//! `healthcheck`: whether the gateway on this machine is ready, for images without a shell.

use std::net::{SocketAddr, TcpStream};

use super::{
    admin_client::{self, PATIENCE, reachable},
    output::{Failure, block_on},
};
use crate::config::{self, AdminListen, LoadError, Overrides};

pub fn run(overrides: &Overrides) -> Result<(), Failure> {
    // Docker reserves 2, the exit code of a wrong configuration.
    let wrong = |error: LoadError| Failure::failed(error);
    match config::load::listeners(overrides).map_err(wrong)? {
        (AdminListen::At(address), _) => block_on(ask(address))?,
        (AdminListen::Off, addresses) => connect(&addresses),
    }
}

async fn ask(address: SocketAddr) -> Result<(), Failure> {
    let response = admin_client::ask(address, "/readyz", PATIENCE).await?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = response.text().await.map_err(Failure::failed)?;
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
