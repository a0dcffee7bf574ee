//! `completions`: prints completions for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::Failure;

pub fn run(shell: Shell) -> Result<(), Failure> {
    clap_complete::generate(
        shell,
        &mut super::Cli::command(),
        "nocache-gateway",
        &mut std::io::stdout(),
    );
    Ok(())
}
