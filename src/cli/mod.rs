//! The command line. Results go to stdout, everything else to stderr; exit codes are 0, 1 (it failed) and 2 (its input is
//! wrong).
//!
//! # Layout
//! A file per verb. `args`: flags that verbs share; `admin_client`: asks the running gateway; `curl_command`: reads a command
//! line of curl; `doctor_checks`: what `doctor` looks at, and `finding`: what it finds; `help`: examples and exit codes;
//! `output`: all output, results and failures; `listeners`: opens the gateway's listeners; `logging`: the log; `json_log`: the form of its lines; `log_queue`: lines that wait to be written; `log_bench`: what is measured of it;
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
mod doctor;
mod doctor_checks;
mod explain;
mod explain_batch;
mod explain_input;
mod finding;
mod free_memory;
mod healthcheck;
mod help;
mod hosts;
mod init;
mod json_log;
mod listeners;
pub mod log_bench;
mod log_queue;
mod logging;
mod man;
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

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};

use args::{Every, FileAlone, OfRunning, OfSandbox, OfUpstream, OverrideArgs};

/// A local gateway for the CapMonster Cloud API: sets nocache on reCAPTCHA tasks, by rules per target site, and forwards
/// everything else untouched.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = help::GATEWAY,
    after_long_help = help::GATEWAY_LONG,
)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    overrides: OverrideArgs<Every>,
}

/// In the order in which they are used.
#[derive(Debug, Subcommand)]
enum Verb {
    /// See it work: sandbox, gateway and one request of each kind; no account, no network
    #[command(after_long_help = help::DEMO)]
    Demo(demo::DemoArgs),
    /// Write a configuration to begin with
    #[command(after_long_help = help::INIT)]
    Init(init::InitArgs),
    /// Run the gateway (the default)
    #[command(after_long_help = help::SERVE)]
    Serve(OverrideArgs<Every>),
    /// Validate the configuration and run its tests; exit code 2 if something is wrong
    #[command(after_long_help = help::CHECK)]
    Check {
        #[command(flatten)]
        args: check::CheckArgs,
        #[command(flatten)]
        overrides: OverrideArgs<Every>,
    },
    /// Show what the rules do to a request or a site, without sending anything
    #[command(after_long_help = help::EXPLAIN)]
    Explain {
        #[command(flatten)]
        args: explain::ExplainArgs,
        #[command(flatten)]
        overrides: OverrideArgs<FileAlone>,
    },
    /// Show the configuration that is in force
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// What became of the tasks, per site, with nocache and without
    #[command(after_long_help = help::STATS)]
    Stats {
        #[command(flatten)]
        args: stats::StatsArgs,
        #[command(flatten)]
        overrides: OverrideArgs<OfRunning>,
    },
    /// Find what is wrong between a bot and the API; nothing is sent
    #[command(after_long_help = help::DOCTOR)]
    Doctor {
        #[command(flatten)]
        args: doctor::DoctorArgs,
        #[command(flatten)]
        overrides: OverrideArgs<Every>,
    },
    /// Run a stand-in of the vendor's API, for testing bots without paying
    #[command(after_long_help = help::SANDBOX)]
    Sandbox {
        #[command(flatten)]
        args: sandbox::SandboxArgs,
        #[command(flatten)]
        overrides: OverrideArgs<OfSandbox>,
    },
    /// Exit 0 if the gateway is ready, else 1
    #[command(after_long_help = help::HEALTHCHECK)]
    Healthcheck(OverrideArgs<OfRunning>),
    /// Make or show the local CA, for clients whose address is fixed to https
    #[command(after_long_help = help::CA)]
    Ca {
        #[command(subcommand)]
        verb: ca::CaVerb,
    },
    /// Show and check the lines of the hosts file that point names here
    #[command(after_long_help = help::HOSTS)]
    Hosts {
        #[command(flatten)]
        args: hosts::HostsArgs,
        #[command(flatten)]
        overrides: OverrideArgs<OfUpstream>,
    },
    /// Print the JSON Schema of the configuration file, for editors
    #[command(after_long_help = help::SCHEMA)]
    Schema,
    /// Print completions for a shell
    #[command(after_long_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(after_long_help = help::MAN)]
    Man(man::ManArgs),
}

#[derive(Debug, Subcommand)]
enum ConfigVerb {
    /// Every setting with its value and where that comes from
    #[command(after_long_help = help::CONFIG_SHOW)]
    Show {
        #[command(flatten)]
        args: config_show::ConfigShowArgs,
        #[command(flatten)]
        overrides: OverrideArgs<Every>,
    },
}

impl Verb {
    /// Adds the flags in front of it, or returns one that it has no use for.
    fn add_front(&mut self, front: &OverrideArgs<Every>) -> Result<(), &'static str> {
        match self {
            Self::Serve(overrides)
            | Self::Check { overrides, .. }
            | Self::Doctor { overrides, .. }
            | Self::Config {
                verb: ConfigVerb::Show { overrides, .. },
            } => overrides.add_front(front),
            Self::Explain { overrides, .. } => overrides.add_front(front),
            Self::Hosts { overrides, .. } => overrides.add_front(front),
            Self::Stats { overrides, .. } | Self::Healthcheck(overrides) => overrides.add_front(front),
            Self::Ca {
                verb: ca::CaVerb::Init { overrides, .. } | ca::CaVerb::Show(overrides),
            } => overrides.add_front(front),
            Self::Sandbox { overrides, .. } => overrides.add_front(front),
            Self::Demo(_) | Self::Init(_) | Self::Schema | Self::Completions { .. } | Self::Man(_) => front.refuse(),
        }
    }
}

/// Reads the command line and does what it says.
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = args::with_curl_joined(env::args_os().collect());
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        // clap repeats what it does not understand, so it is told of it without the secrets.
        Err(error) => match Cli::try_parse_from(args::masked(&arguments)) {
            Err(masked) => return output::report_usage(masked),
            Ok(_) => return output::report_usage(clap::Error::new(error.kind()).with_cmd(&Cli::command())),
        },
    };
    let verb = match cli.verb {
        Some(mut verb) => match verb.add_front(&cli.overrides) {
            Ok(()) => verb,
            Err(flag) => {
                let message = format!("unexpected argument '{flag}': this command has no use for it");
                return output::report_usage(Cli::command().error(ErrorKind::UnknownArgument, message));
            }
        },
        None => Verb::Serve(cli.overrides),
    };
    let result = match verb {
        Verb::Serve(overrides) => serve::run(overrides.0),
        Verb::Check { args, overrides } => check::run(&overrides.0, &args),
        Verb::Config {
            verb: ConfigVerb::Show { args, overrides },
        } => config_show::run(&overrides.0, &args),
        Verb::Init(args) => init::run(&args),
        Verb::Ca { verb } => ca::run(verb),
        Verb::Hosts { args, overrides } => hosts::run(&args, &overrides.0),
        Verb::Schema => schema::run(),
        Verb::Completions { shell } => completions::run(shell),
        Verb::Man(args) => man::run(&args),
        Verb::Explain { args, overrides } if args.is_batch() => explain_batch::run(&overrides.0, &args),
        Verb::Explain { args, overrides } => explain::run(&overrides.0, &args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Doctor { args, overrides } => doctor::run(&overrides.0, &args),
        Verb::Sandbox { args, overrides } => sandbox::run(&args, &overrides.0),
        Verb::Healthcheck(overrides) => healthcheck::run(&overrides.0),
        Verb::Stats { args, overrides } => stats::run(&overrides.0, &args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
