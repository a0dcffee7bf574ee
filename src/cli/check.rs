//! `check`: validates the configuration.

use super::{Failure, load, print};
use crate::{
    config::{AdminListen, Overrides},
    upstream::Upstream,
};

pub fn run(overrides: &Overrides) -> Result<(), Failure> {
    let config = load(overrides)?;
    let upstream = Upstream::new(config.upstream).map_err(Failure::wrong)?;
    let from = match &config.file {
        Some(file) => format!("{} is right.", file.display()),
        None => "There is no configuration file: the defaults are in force.".to_owned(),
    };
    let listen: Vec<String> = config
        .server
        .listen
        .iter()
        .map(|address| format!("http://{address}"))
        .collect();
    let admin = match config.admin.listen {
        AdminListen::At(address) => format!("http://{address}"),
        AdminListen::Off => "off".to_owned(),
    };
    let patterns: usize = config.rules.rules().iter().map(|rule| rule.sites.len()).sum();
    print(&format!(
        "{from}\n  listens   {}\n  forwards  {}\n  admin     {admin}\n  rules     {}, with {patterns} site patterns; elsewhere {}",
        listen.join(", "),
        upstream.origin(),
        config.rules.rules().len(),
        config.rules.default_rule().action,
    ))
}
