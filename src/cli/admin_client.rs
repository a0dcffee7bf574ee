//! Asks the gateway that runs on this machine, by its admin listener.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use serde_json::Value;

use super::output::Failure;
use crate::config::{self, AdminListen, Overrides};

/// How long a listener may take to say whether it works.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to gather what it is asked for: statistics of weeks, of many sites.
const LONG: Duration = Duration::from_secs(30);

/// A response of the admin listener at an address, which may take so long.
pub async fn ask(address: SocketAddr, target: &str, patience: Duration) -> Result<reqwest::Response, Failure> {
    let url = format!("http://{}{target}", reachable(address));
    // The gateway is on this machine, so a proxy of the environment does not apply.
    let client = reqwest::Client::builder().no_proxy().timeout(patience).build();
    let response = client.map_err(Failure::failed)?.get(&url).send().await;
    response.map_err(|error| {
        let cause = cause(&error);
        Failure::Failed(format!("{url} does not respond: {cause}; is the gateway running?"))
    })
}

/// What happened, in the words of who saw it first: reqwest says only that it did.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it took too long".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// What the admin listener says, as JSON. Its address is that of the configuration.
pub async fn get(overrides: &Overrides, target: &str) -> Result<Value, Failure> {
    let AdminListen::At(address) = config::load::listeners(overrides)?.0 else {
        return Err(Failure::failed("the admin listener is off ([admin] listen)"));
    };
    get_from(address, target).await
}

/// The same, at an address.
pub async fn get_from(address: SocketAddr, target: &str) -> Result<Value, Failure> {
    let response = ask(address, target, LONG).await?;
    let status = response.status();
    let body = response.bytes().await.map_err(Failure::failed)?;
    let value: Value = serde_json::from_slice(&body).map_err(|_| {
        Failure::Failed(format!(
            "{address} is not the admin listener of a gateway of this version ({status})"
        ))
    })?;
    match value["error"].as_str() {
        Some(error) => Err(Failure::failed(error)),
        None => Ok(value),
    }
}

/// The address that reaches a listener from this machine, even if it listens on every address.
pub fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}
