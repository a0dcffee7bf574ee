//! What verbs share: results on stdout, everything else on stderr, failures with their exit codes, and the runtime.
//! `print` and `tell` are the only writers; println! and eprintln! would panic when a reader has gone.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::error::{ContextKind, ErrorKind};
use tokio::runtime::Builder;
use tracing::error;

use crate::config::{self, Config, LoadError, Overrides, Reading, mask::mask};

/// The reason why a verb ends without success.
#[derive(Debug)]
pub enum Failure {
    /// It failed: exit code 1.
    Failed(String),
    /// Its input is wrong: exit code 2.
    Wrong(String),
    /// It ends with this exit code, and what there is to say has been said: in the log, whose stderr may be a pipe that is
    /// full, or on stdout.
    Said(u8),
    /// The reader of stdout has gone, as `head` does. That is a quiet end and no fault.
    Unread,
}

impl Failure {
    /// Secrets in the message are masked.
    pub fn failed(error: impl ToString) -> Self {
        Self::Failed(mask(&error.to_string()))
    }

    /// Its message begins with "error: ", and secrets in it are masked.
    pub fn wrong(error: impl fmt::Display) -> Self {
        Self::Wrong(mask(&format!("error: {error}")))
    }

    /// Logs it as an error, instead of what [`Self::report`] would say.
    pub fn log(self) -> Self {
        match self {
            Self::Failed(message) => {
                error!("{message}");
                Self::Said(1)
            }
            Self::Wrong(message) => {
                error!("{}", message.strip_prefix("error: ").unwrap_or(&message));
                Self::Said(2)
            }
            other => other,
        }
    }

    /// Reports it on stderr and returns the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                tell(&format!("error: {message}"));
                ExitCode::from(1)
            }
            Self::Wrong(message) => {
                tell(&message);
                ExitCode::from(2)
            }
            Self::Said(code) => ExitCode::from(code),
            Self::Unread => ExitCode::SUCCESS,
        }
    }
}

pub fn load(overrides: &Overrides) -> Result<Config, Failure> {
    config::load(overrides, Reading::First).map_err(Failure::from)
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::of(error, has_colours(&io::stderr()))
    }
}

impl Failure {
    /// What a configuration is refused for, with colours or without.
    pub fn of(error: LoadError, has_colours: bool) -> Self {
        match error {
            LoadError::Mistakes(report) => Self::Wrong(report.render(has_colours)),
            error => Self::Wrong(format!("error[{}]: {error}", error.code())),
        }
    }
}

/// "1 rule", "2 rules"
pub fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Whether a stream shows colours (<https://no-color.org>).
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result, with a line end.
pub fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout(), "{text}") {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Unread),
        Err(error) => Err(Failure::Failed(format!("stdout cannot be written: {error}"))),
    }
}

/// Says on stderr what is not a result, with a line end. If nobody reads stderr, nobody is left to tell.
pub fn tell(text: &str) {
    let _unread = writeln!(io::stderr(), "{text}");
}

/// Ends as clap says, whose words these are.
pub fn report_usage(mut error: clap::Error) -> ExitCode {
    // "To pass it as a value" is right for no command of ours.
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    let text = |has_colours: bool| match has_colours {
        true => error.render().ansi().to_string(),
        false => error.render().to_string(),
    };
    // clap's texts end in a line end.
    if error.use_stderr() {
        tell(text(has_colours(&io::stderr())).trim_end());
        return ExitCode::from(2);
    }
    match print(text(has_colours(&io::stdout())).trim_end()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Runs a future to its end, on this thread. A resolver that still blocks then is not waited for.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    block_on_threads(1, future)
}

/// Runs a future to its end, and what it spawns on so many threads.
pub fn block_on_threads<T>(threads: usize, future: impl Future<Output = T>) -> Result<T, Failure> {
    let mut builder = match threads {
        // Tasks that wake one another on one thread cost no system call for it.
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let result = runtime.block_on(future);
    // Tasks are dropped, which writes the records of requests that are cut off; a resolver that blocks is given up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(result)
}
