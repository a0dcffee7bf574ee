//! The command line. Results go to stdout, everything else to stderr; exit codes are 0, 1 (it failed) and 2 (what you gave
//! it is wrong).
//!
//! # Layout
//! A file per verb; `log` sets up logging, `show` marks changed bytes, `stop` waits for signals.

mod batch;
mod check;
mod demo;
mod explain;
mod healthcheck;
mod init;
mod log;
mod sandbox;
mod serve;
mod show;
mod stop;

use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

use clap::{
    ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue},
    parser::ValueSource,
};

use crate::{
    config::{self, AdminListen, Config, LoadError, Origin, Override, Overrides, report, settings::SETTINGS},
    upstream,
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
    /// Validate the configuration and run its tests; exit code 2 if something is wrong
    Check(ShowArgs),
    /// Show the configuration that is in force
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Show what the rules do to a request or a site, without sending anything
    Explain(explain::ExplainArgs),
    /// See it work: sandbox, gateway and one request of each kind; no account, no network
    Demo,
    /// Run a stand-in of the vendor's API, for testing bots without paying
    Sandbox(sandbox::SandboxArgs),
    /// Exit 0 if the gateway is ready, else 1
    Healthcheck,
    /// Write a commented configuration to begin with
    Init(init::InitArgs),
    /// Print the JSON Schema of the configuration file, for editors
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Every setting with its value and where that comes from
    Show(ShowArgs),
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
    upstream: Option<upstream::Origin>,
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

impl OverrideArgs {
    /// The overrides, each with whether its flag or its variable said it.
    fn overrides(self, matches: &ArgMatches) -> Overrides {
        fn said<T>(value: Option<T>, matches: &ArgMatches, id: &str, path: &str) -> Option<Override<T>> {
            let by = SETTINGS
                .iter()
                .find(|setting| format!("{}.{}", setting.section, setting.key) == path);
            let (flag, variable) = by?.overridden_by?;
            let origin = match source(matches, id) {
                Some(ValueSource::EnvVariable) => Origin::Variable(variable),
                _ => Origin::Flag(flag),
            };
            value.map(|value| Override { value, origin })
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
    let matches = Cli::command().try_get_matches().unwrap_or_else(|error| exit(error));
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| exit(error));
    let overrides = cli.overrides.overrides(&matches);
    let result = match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve::run(overrides),
        Verb::Check(args) => check::run(&overrides, &args),
        Verb::Config {
            verb: ConfigVerb::Show(args),
        } => check::show(&overrides, &args),
        Verb::Init(args) => init::run(&args),
        Verb::Schema => print(&init::schema()),
        Verb::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "nocache-gateway", &mut std::io::stdout());
            Ok(())
        }
        Verb::Explain(args) if args.is_batch() => batch::run(&overrides, &args),
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

/// Ends with clap's own words, without the names and passwords of URLs.
fn exit(mut error: clap::Error) -> ! {
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let value = report::without_userinfo(value);
        error.insert(ContextKind::InvalidValue, ContextValue::String(value));
    }
    error.exit()
}

fn load(overrides: &Overrides) -> Result<Config, Failure> {
    config::load(overrides).map_err(Failure::from)
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Mistakes(report) => Self::Wrong(report.render(has_colours(&std::io::stderr()))),
            error => Self::Wrong(format!("error: {error}")),
        }
    }
}

/// For verbs that only show something.
#[derive(Debug, Args)]
struct ShowArgs {
    /// One JSON object, for machines
    #[arg(long)]
    json: bool,
}

/// Whether colours are welcome (<https://no-color.org>).
fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result.
fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|_| Failure::Unread)
}

/// Runs to its end what waits for others. A resolver that nobody answers is not waited for.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    Ok(result)
}
