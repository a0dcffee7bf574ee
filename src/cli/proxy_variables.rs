//! The variables that other programs take a proxy from. The gateway does not: who runs it says which way paid requests go.

use std::env;

use crate::config::Config;

const NAMES: [&str; 6] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
];

/// A warning of those that are set, without their values. None if the configuration names a proxy.
pub fn warning(config: &Config) -> Option<String> {
    let is_set = |name: &&str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let set: Vec<&str> = NAMES.into_iter().filter(is_set).collect();
    let (first, others) = set.split_first()?;
    if config.upstream.proxy.is_some() {
        return None;
    }
    let is_set = match others {
        [] => format!("{first} is set and not obeyed"),
        _ => format!("{first}, {} are set and not obeyed", others.join(", ")),
    };
    Some(format!(
        "{is_set}: connections to the upstream are direct; [upstream] proxy sends them through a proxy"
    ))
}
