//! `init`: writes a configuration to begin with.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::PathBuf,
};

use clap::Args;

use super::output::{Failure, print};
use crate::config::{load::PLACES, sample};

#[derive(Debug, Args)]
pub struct InitArgs {
    /// The file to write, or "-" for stdout
    #[arg(default_value = "nocache-gateway.toml")]
    file: PathBuf,
    /// The same, as other commands name it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

pub fn run(args: &InitArgs) -> Result<(), Failure> {
    let file = args.config.as_ref().unwrap_or(&args.file);
    if file.as_os_str() == "-" {
        return print(sample::sample().trim_end());
    }
    let path = file.display();
    // An existing file holds somebody's rules.
    let opened = OpenOptions::new().write(true).create_new(true).open(file);
    let written = opened.and_then(|mut file| file.write_all(sample::sample().as_bytes()));
    match written {
        Ok(()) => print(&format!(
            "Wrote {path}: its rule adds nocache for shop.example, and other sites stay as sent.\n\
             Write your sites into it, then: nocache-gateway check {path}{}",
            // This name is looked for.
            match file.as_os_str() == PLACES[0] {
                true => "\nA gateway that runs in this folder takes it at once.",
                false => "",
            }
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            Err(Failure::wrong(format!("{path} already exists and was not overwritten")))
        }
        Err(error) => Err(Failure::failed(format!("{path} cannot be written: {error}"))),
    }
}
