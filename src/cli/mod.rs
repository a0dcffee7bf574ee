//! The command line. Results go to stdout, everything else to stderr; exit codes are 0, 1 (it failed) and 2 (what you gave
//! it is wrong).
//!
//! # Layout
//! A file per verb; `log` sets up logging, `show` marks changed bytes.

mod check;
mod demo;
mod explain;
mod healthcheck;
mod log;
mod sandbox;
mod serve;
mod show;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, AdminListen, Config, LoadError, Overrides},
    upstream::Origin,
};

/// A local gateway for the CapMonster Cloud API: sets nocache on reCAPTCHA tasks, by rules per target site, and forwards
/// everything else untouched.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Without a command it serves. Without a configuration file it serves with the defaults:\n\
    http://127.0.0.1:6622, the vendor's API as upstream, nocache added to every reCAPTCHA v2 and v3 task."
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    overrides: OverrideArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway (the default)
    Serve,
    /// Validate the configuration; exit code 2 if something is wrong
    Check,
    /// Show what the rules do to a request or a site, without sending anything
    Explain(explain::ExplainArgs),
    /// See it work: sandbox, gateway and one request of each kind; no account, no network
    Demo,
    /// Run a stand-in of the vendor's API, for testing bots without paying
    Sandbox(sandbox::SandboxArgs),
    /// Exit 0 if the gateway is ready, else 1
    Healthcheck,
}

/// What overrides the configuration file.
#[derive(Debug, Args)]
#[command(next_help_heading = "Configuration (a flag wins over its environment variable, that over the file)")]
struct OverrideArgs {
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
    upstream: Option<Origin>,
    /// Where health is shown, or "off" [default: 127.0.0.1:6623]
    #[arg(long, global = true, value_name = "ADDRESS", env = "NOCACHE_GATEWAY_ADMIN_LISTEN")]
    admin_listen: Option<AdminListen>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, global = true, value_name = "LEVEL", env = "NOCACHE_GATEWAY_LOG_LEVEL", value_parser = level)]
    log_level: Option<tracing::Level>,
}

fn level(text: &str) -> Result<tracing::Level, String> {
    let known = config::LEVELS.iter().find(|(name, _)| *name == text);
    known
        .map(|(_, level)| *level)
        .ok_or_else(|| "expected error, warn, info, debug or trace".to_owned())
}

impl From<OverrideArgs> for Overrides {
    fn from(args: OverrideArgs) -> Self {
        Self {
            file: args.config,
            listen: args.listen,
            upstream: args.upstream,
            admin_listen: args.admin_listen,
            log_level: args.log_level,
        }
    }
}

/// Why a verb ends without success.
#[derive(Debug)]
enum Failure {
    /// It failed: exit code 1.
    Failed(String),
    /// What it was given is wrong: exit code 2.
    Wrong(String),
    /// The reader of stdout went away, as `head` does. Nobody is left to tell.
    Unread,
}

impl Failure {
    fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }

    fn wrong(error: impl ToString) -> Self {
        Self::Wrong(error.to_string())
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let overrides = Overrides::from(cli.overrides);
    let result = match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve::run(&overrides),
        Verb::Check => check::run(&overrides),
        Verb::Explain(args) => explain::run(&overrides, &args),
        Verb::Demo => demo::run(),
        Verb::Sandbox(args) => sandbox::run(&args, &overrides),
        Verb::Healthcheck => healthcheck::run(&overrides),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(message)) => {
            eprintln!("nocache-gateway: {message}");
            ExitCode::from(1)
        }
        Err(Failure::Wrong(message)) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
        Err(Failure::Unread) => ExitCode::from(1),
    }
}

fn load(overrides: &Overrides) -> Result<Config, Failure> {
    config::load(overrides).map_err(|error| match error {
        LoadError::Mistakes(report) => Failure::Wrong(report.render(has_colours(&std::io::stderr()))),
        error => Failure::Wrong(format!("error: {error}")),
    })
}

/// Whether colours are welcome (<https://no-color.org>).
fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result.
fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|_| Failure::Unread)
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)
}
