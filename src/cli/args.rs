//! The flags that verbs share, and their environment variables.

use std::{env, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use crate::config::{
    Config, Overrides, Provenance,
    load::{self, Override},
    mask::{is_secret, mask, mask_value},
    sections::{self, Flag, Key},
};

/// What overrides the configuration file: `--config`, and the flags of the settings that have one. Their variables are
/// read here and not by clap, for which an empty variable is a value, and an invalid one the fault of the flag.
#[derive(Debug)]
pub struct OverrideArgs(pub Overrides);

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "NOCACHE_GATEWAY_CONFIG";

impl Args for OverrideArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .short('c')
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help(
                "The configuration file [default: ./nocache-gateway.toml, then /etc/nocache-gateway/config.toml, if one is there]",
                CONFIG_VARIABLE,
            ))
            .global(true);
        command
            .next_help_heading("Configuration (a flag wins over its environment variable, that over the file)")
            .arg(config)
            .args(flags().into_iter().map(|(path, key, flag)| arg(path, &key, flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for OverrideArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut overrides = Overrides {
            file: matches.get_one::<PathBuf>("config").cloned(),
            ..Overrides::default()
        };
        if overrides.file.is_none() {
            overrides.file = variable(CONFIG_VARIABLE).map(PathBuf::from);
            overrides.file_variable = overrides.file.is_some().then_some(CONFIG_VARIABLE);
        }
        for (path, _, flag) in flags() {
            let of_flag = matches
                .get_many::<String>(flag.name)
                .map(|texts| texts.map(String::as_str).collect::<Vec<_>>().join(","));
            let of_variable = || variable(flag.variable).map(|text| text.to_string_lossy().into_owned());
            let said = match of_flag {
                Some(text) => Some((text, Provenance::Flag(flag.name))),
                None => of_variable().map(|text| (text, Provenance::Variable(flag.variable))),
            };
            overrides
                .said
                .extend(said.map(|(text, provenance)| Override { path, text, provenance }));
        }
        Ok(Self(overrides))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The value of an environment variable. One that is empty or blank counts as not set.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
}

/// A flag's help with its variable. The variable's value is not shown: it can hold a password.
fn help(text: &str, variable: &str) -> String {
    format!("{text} [env: {variable}]")
}

/// All variables that are read.
pub fn variables() -> Vec<&'static str> {
    let of_flags = flags().into_iter().map(|(.., flag)| flag.variable);
    of_flags.chain([CONFIG_VARIABLE]).collect()
}

/// Every setting that has a flag, with its path.
fn flags() -> Vec<(String, Key<Config>, Flag)> {
    let mut flags = Vec::new();
    for section in sections::plain() {
        for key in section.keys {
            if let Some(flag) = key.flag.clone() {
                flags.push((sections::path(section.name, key.name), key, flag));
            }
        }
    }
    flags
}

fn arg(path: String, key: &Key<Config>, flag: Flag) -> Arg {
    let default = (key.show)(&Config::default()).map_or(String::new(), |default| match default.as_array() {
        Some(entries) => entries.iter().map(text).collect::<Vec<_>>().join(","),
        None => text(&default),
    });
    // A value is read here too, so that an invalid one is reported as clap reports them.
    let checked = move |text: &str| match load::set(&mut Config::default(), &path, text) {
        Ok(()) => Ok(text.to_owned()),
        Err(message) => Err(mask(&message)),
    };
    let arg = Arg::new(flag.name)
        .long(flag.name.trim_start_matches('-'))
        .value_name(flag.value_name)
        .value_parser(checked)
        .help(help(&flag.help.replace("{}", &default), flag.variable))
        .global(true);
    match key.is_list() {
        true => arg.action(ArgAction::Append).value_delimiter(','),
        false => arg,
    }
}

/// Arguments with asterisks for secrets.
pub fn masked(arguments: &[OsString]) -> Vec<OsString> {
    let mut is_value = false;
    let one = |argument: &OsString| {
        let text = argument.to_string_lossy();
        let is_flag = text.starts_with('-');
        let shown = match is_value && !is_flag {
            true => "*".repeat(text.len()),
            false => mask_value(&text),
        };
        is_value = is_flag && !text.contains('=') && is_secret(&text);
        shown.into()
    };
    arguments.iter().map(one).collect()
}

/// A value as a flag has it: without quotation marks.
fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
