//! `completions`: prints completions for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::{Failure, print};

pub fn run(shell: Shell) -> Result<(), Failure> {
    // Into memory first: clap_complete panics when it cannot write.
    let mut completions = Vec::new();
    clap_complete::generate(shell, &mut super::Cli::command(), "nocache-gateway", &mut completions);
    print(String::from_utf8_lossy(&completions).trim_end())
}
