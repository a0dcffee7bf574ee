//! `man`: writes the manual pages.

use std::{fs, path::PathBuf};

use clap::{Args, CommandFactory};

use super::output::{Failure, print};

#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, which is made if it is not there
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Writes a page for the gateway and one per verb.
pub fn run(args: &ManArgs) -> Result<(), Failure> {
    let folder = args.folder.display();
    fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(super::Cli::command(), &args.folder))
        .map_err(|error| Failure::failed(format!("the manual pages cannot be written into {folder}: {error}")))?;
    print(&format!("{folder}/nocache-gateway.1 and a page per verb are written"))
}
