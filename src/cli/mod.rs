//! The command line. Results go to stdout, everything else to stderr; exit codes are 0, 1 (it failed) and 2 (its input is
//! wrong).
//!
//! # Layout
//! A file per verb. `args`: flags that verbs share; `admin_client`: asks the running gateway; `curl_command`: reads a command
//! line of curl; `output`: all output, results and failures; `listeners`: opens the gateway's listeners; `logging`: the log; `json_log`: the form of its lines; `log_queue`: lines that wait to be written;
//! `marks`: marks changed bytes; `proxy_variables`: proxies that are not used; `secrets`: finds what `explain` masks;
//! `stop_signals`: waits for signals; `unknown_variables`: names that are mistyped.

mod admin_client;
mod args;
mod ca;
mod check;
mod completions;
mod config_show;
mod curl_command;
mod demo;
mod demo_serve;
mod explain;
mod explain_batch;
mod explain_input;
mod free_memory;
mod healthcheck;
mod hosts;
mod init;
mod json_log;
mod listeners;
mod log_queue;
mod logging;
mod marks;
mod output;
mod proxy_variables;
mod sandbox;
mod schema;
mod secrets;
mod serve;
mod stats;
mod stop_signals;
mod unknown_variables;

use std::{env, ffi::OsString, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

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
    overrides: args::OverrideArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the gateway (the default)
    Serve,
    /// Validate the configuration and run its tests; exit code 2 if something is wrong
    Check(check::CheckArgs),
    /// Show the configuration that is in force
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Show what the rules do to a request or a site, without sending anything
    Explain(explain::ExplainArgs),
    /// See it work: sandbox, gateway and one request of each kind; no account, no network
    Demo(demo::DemoArgs),
    /// Run a stand-in of the vendor's API, for testing bots without paying
    Sandbox(sandbox::SandboxArgs),
    /// Exit 0 if the gateway is ready, else 1
    Healthcheck,
    /// What became of the tasks, per site, with nocache and without
    Stats(stats::StatsArgs),
    /// Write a commented configuration to begin with
    Init(init::InitArgs),
    /// Make or show the local CA, for clients whose address is fixed to https
    Ca {
        #[command(subcommand)]
        verb: ca::CaVerb,
    },
    /// Show and check the lines of the hosts file that point names here
    Hosts(hosts::HostsArgs),
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
    Show(config_show::ConfigShowArgs),
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        // clap repeats what it does not understand, so it is told of it without the secrets.
        Err(error) => match Cli::try_parse_from(args::masked(&arguments)) {
            Err(masked) => return output::report_usage(&masked),
            Ok(_) => return output::report_usage(&clap::Error::new(error.kind()).with_cmd(&Cli::command())),
        },
    };
    let overrides = cli.overrides.0;
    let result = match cli.verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve::run(overrides),
        Verb::Check(args) => check::run(&overrides, &args),
        Verb::Config {
            verb: ConfigVerb::Show(args),
        } => config_show::run(&overrides, &args),
        Verb::Init(args) => init::run(&args),
        Verb::Ca { verb } => ca::run(verb, &overrides),
        Verb::Hosts(args) => hosts::run(&args, &overrides),
        Verb::Schema => schema::run(),
        Verb::Completions { shell } => completions::run(shell),
        Verb::Explain(args) if args.is_batch() => explain_batch::run(&overrides, &args),
        Verb::Explain(args) => explain::run(&overrides, &args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Sandbox(args) => sandbox::run(&args, &overrides),
        Verb::Healthcheck => healthcheck::run(&overrides),
        Verb::Stats(args) => stats::run(&overrides, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
