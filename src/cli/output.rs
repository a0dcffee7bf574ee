//! What verbs share: results on stdout, failures with their exit codes, and the runtime.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use crate::config::{self, Config, LoadError, Overrides, Reading, report::without_userinfo};

/// The reason why a verb ends without success.
#[derive(Debug)]
pub enum Failure {
    /// It failed: exit code 1.
    Failed(String),
    /// Its input is wrong: exit code 2.
    Wrong(String),
    /// The reader of stdout has gone, as `head` does. There is nobody left to tell.
    Unread,
}

impl Failure {
    pub fn failed(error: impl ToString) -> Self {
        Self::Failed(error.to_string())
    }

    pub fn wrong(error: impl ToString) -> Self {
        Self::Wrong(error.to_string())
    }

    /// Reports it on stderr and returns the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Failed(message) => {
                eprintln!("nocache-gateway: {message}");
                ExitCode::from(1)
            }
            Self::Wrong(message) => {
                eprintln!("{message}");
                ExitCode::from(2)
            }
            Self::Unread => ExitCode::from(1),
        }
    }
}

pub fn load(overrides: &Overrides) -> Result<Config, Failure> {
    config::load(overrides, Reading::First).map_err(Failure::from)
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Mistakes(report) => Self::Wrong(report.render(has_colours(&std::io::stderr()))),
            error => Self::Wrong(format!("error: {}", without_userinfo(&error.to_string()))),
        }
    }
}

/// Whether a stream shows colours (<https://no-color.org>).
pub fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a result.
pub fn print(text: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{text}").map_err(|_| Failure::Unread)
}

/// Runs a future to its end. A resolver that still blocks then is not waited for.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::failed)?;
    let result = runtime.block_on(future);
    // Tasks are dropped, which writes the records of requests that are cut off; a resolver that blocks is given up.
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(result)
}
