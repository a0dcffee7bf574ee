//! `init`: writes a configuration to begin with.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

use clap::Args;

use super::output::{Failure, print};
use crate::config::sample;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write, or "-" for stdout
    #[arg(default_value = "nocache-gateway.toml")]
    file: PathBuf,
}

pub fn run(args: &InitArgs) -> Result<(), Failure> {
    if args.file.as_os_str() == "-" {
        return print(sample::sample().trim_end());
    }
    let path = args.file.display();
    // An existing file holds somebody's rules.
    let file = OpenOptions::new().write(true).create_new(true).open(&args.file);
    let written = file.and_then(|mut file| file.write_all(sample::sample().as_bytes()));
    match written {
        Ok(()) => print(&format!(
            "{path} is written: its rule adds nocache for shop.example, and other sites stay as sent.\n\
             Write your sites into it, then: nocache-gateway check {path}"
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::wrong(format!("{path} is there already and was left as it is")))
        }
        Err(error) => Err(Failure::failed(format!("{path} cannot be written: {error}"))),
    }
}
