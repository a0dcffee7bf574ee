//! The flags that verbs share.

use std::{net::SocketAddr, path::PathBuf};

use clap::{ArgMatches, Args, parser::ValueSource};

use crate::{
    config::{AdminListen, LogLevel, Override, Overrides, Provenance, settings::SETTINGS},
    upstream,
};

/// For verbs that only show something.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// One JSON object, for machines
    #[arg(long)]
    pub json: bool,
}

/// What overrides the configuration file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration (a flag wins over its environment variable, that over the file)")]
pub struct OverrideArgs {
    /// The configuration file [default: ./nocache-gateway.toml, then /etc/nocache-gateway/config.toml, if one is there]
    #[arg(long, global = true, value_name = "FILE", env = "NOCACHE_GATEWAY_CONFIG")]
    config: Option<PathBuf>,
    // As `help`, since rustdoc would take the brackets for a link.
    #[arg(
        help = "Where the API is mirrored; several addresses with commas [default: 127.0.0.1:6622,[::1]:6622; sandbox: 127.0.0.1:6624]",
        long,
        global = true,
        value_name = "ADDRESS",
        env = "NOCACHE_GATEWAY_LISTEN",
        value_delimiter = ','
    )]
    listen: Vec<SocketAddr>,
    #[arg(
        help = "The API to forward to [default: https://api.capmonster.cloud]",
        long,
        global = true,
        value_name = "URL",
        env = "NOCACHE_GATEWAY_UPSTREAM"
    )]
    upstream: Option<upstream::Origin>,
    /// Where health is shown, or "off" [default: 127.0.0.1:6623]
    #[arg(long, global = true, value_name = "ADDRESS", env = "NOCACHE_GATEWAY_ADMIN_LISTEN")]
    admin_listen: Option<AdminListen>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", env = "NOCACHE_GATEWAY_LOG_LEVEL", value_parser = level)]
    log_level: Option<LogLevel>,
}

fn level(text: &str) -> Result<LogLevel, String> {
    text.parse()
        .map_err(|_| "expected error, warn, info, debug or trace".to_owned())
}

impl OverrideArgs {
    /// The overrides, each with whether its flag or its variable said it.
    pub fn overrides(self, matches: &ArgMatches) -> Overrides {
        fn said<T>(value: Option<T>, matches: &ArgMatches, id: &str, path: &str) -> Option<Override<T>> {
            let by = SETTINGS
                .iter()
                .find(|setting| format!("{}.{}", setting.section, setting.key) == path);
            let (flag, variable) = by?.overridden_by?;
            let provenance = match source(matches, id) {
                Some(ValueSource::EnvVariable) => Provenance::Variable(variable),
                _ => Provenance::Flag(flag),
            };
            value.map(|value| Override { value, provenance })
        }
        let listen = Some(self.listen).filter(|addresses| !addresses.is_empty());
        Overrides {
            file: self.config,
            listen: said(listen, matches, "listen", "server.listen"),
            upstream: said(self.upstream, matches, "upstream", "upstream.url"),
            admin_listen: said(self.admin_listen, matches, "admin_listen", "admin.listen"),
            log_level: said(self.log_level, matches, "log_level", "log.level"),
        }
    }
}

/// Where an argument's value comes from: it may stand before the verb or behind it.
fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    let behind = matches.subcommand().and_then(|(_, verb)| source(verb, id));
    behind.or_else(|| matches.try_get_raw(id).ok().and_then(|_| matches.value_source(id)))
}
