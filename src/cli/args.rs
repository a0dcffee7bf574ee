//! The flags that verbs share, and their environment variables.

use std::{env, ffi::OsString, marker::PhantomData, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};

use super::curl_command::NAMES;
use crate::config::{
    Config, Overrides, Provenance,
    load::{self, Override},
    mask::{is_secret, mask, mask_value},
    sections::{self, Flag, Key},
};

/// What overrides the configuration file: `--config`, and the flags of the settings that have one, as far as the verb has a
/// use for them. Their variables are read here and not by clap, for which an empty variable is a value, and an invalid one
/// the fault of the flag.
#[derive(Debug)]
pub struct OverrideArgs<F>(pub Overrides, PhantomData<F>);

/// The flags that a verb has a use for.
pub trait Flags {
    fn has(name: &str) -> bool;

    /// The default of a flag, if it is another than that of its setting.
    fn default(_: &str) -> Option<&'static str> {
        None
    }
}

/// Every flag.
#[derive(Debug)]
pub enum Every {}

/// The file alone.
#[derive(Debug)]
pub enum FileAlone {}

/// The file and the upstream.
#[derive(Debug)]
pub enum OfUpstream {}

/// What says where the running gateway is.
#[derive(Debug)]
pub enum OfRunning {}

/// What a server has that reads no file.
#[derive(Debug)]
pub enum OfSandbox {}

impl Flags for Every {
    fn has(_: &str) -> bool {
        true
    }
}

impl Flags for FileAlone {
    fn has(name: &str) -> bool {
        name == CONFIG
    }
}

impl Flags for OfUpstream {
    fn has(name: &str) -> bool {
        [CONFIG, "--upstream"].contains(&name)
    }
}

impl Flags for OfRunning {
    fn has(name: &str) -> bool {
        [CONFIG, "--listen", "--admin-listen"].contains(&name)
    }
}

impl Flags for OfSandbox {
    fn has(name: &str) -> bool {
        ["--listen", "--log-level", "--log-format"].contains(&name)
    }

    fn default(name: &str) -> Option<&'static str> {
        (name == "--listen").then_some("127.0.0.1:6624")
    }
}

/// The flag that names the configuration file.
const CONFIG: &str = "--config";

impl<F: Flags> OverrideArgs<F> {
    /// The flags that are there.
    fn flags(&self) -> impl Iterator<Item = &'static str> {
        let of_settings = self.0.said.iter().filter_map(|said| match said.provenance {
            Provenance::Flag(name) => Some(name),
            _ => None,
        });
        self.0.is_file_named().then_some(CONFIG).into_iter().chain(of_settings)
    }

    /// Fails with a flag, if there is one: for a command that has a use for none.
    pub fn refuse(&self) -> Result<(), &'static str> {
        self.flags().next().map_or(Ok(()), Err)
    }

    /// Adds the flags in front of the command; those behind it win.
    ///
    /// # Errors
    /// The flag that the command has no use for.
    pub fn add_front(&mut self, front: &OverrideArgs<Every>) -> Result<(), &'static str> {
        if let Some(useless) = front.flags().find(|name| !F::has(name)) {
            return Err(useless);
        }
        let own = &mut self.0;
        if front.0.is_file_named() && !own.is_file_named() {
            (own.file, own.file_variable) = (front.0.file.clone(), None);
        }
        let is_flag = |said: &Override| matches!(said.provenance, Provenance::Flag(_));
        for said in front.0.said.iter().filter(|said| is_flag(said)) {
            match own.said.iter_mut().find(|own| own.path == said.path) {
                Some(own) if is_flag(own) => {}
                Some(own) => own.clone_from(said),
                None => own.said.push(said.clone()),
            }
        }
        Ok(())
    }
}

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "NOCACHE_GATEWAY_CONFIG";

impl<F: Flags> Args for OverrideArgs<F> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .short('c')
            .long("config")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help(help(
                "The configuration file [default: ./nocache-gateway.toml, then /etc/nocache-gateway/config.toml, if one is there]",
                CONFIG_VARIABLE,
            ));
        command
            .next_help_heading("Configuration (a flag wins over its environment variable, that over the file)")
            .args(F::has(CONFIG).then_some(config))
            .args(flags_of::<F>().map(|(path, key, flag)| arg(path, &key, flag, F::default)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: Flags> FromArgMatches for OverrideArgs<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut overrides = Overrides::default();
        if F::has(CONFIG) {
            overrides.file = matches.get_one::<PathBuf>("config").cloned();
        }
        if F::has(CONFIG) && overrides.file.is_none() {
            overrides.file = variable(CONFIG_VARIABLE).map(PathBuf::from);
            overrides.file_variable = overrides.file.is_some().then_some(CONFIG_VARIABLE);
        }
        for (path, _, flag) in flags_of::<F>() {
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
        Ok(Self(overrides, PhantomData))
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

/// Those that a verb has a use for.
fn flags_of<F: Flags>() -> impl Iterator<Item = (String, Key<Config>, Flag)> {
    flags().into_iter().filter(|(.., flag)| F::has(flag.name))
}

fn arg(path: String, key: &Key<Config>, flag: Flag, default: fn(&str) -> Option<&'static str>) -> Arg {
    let of_setting = || {
        let shown = (key.show)(&Config::default())?;
        Some(match shown.as_array() {
            Some(entries) => entries.iter().map(text).collect::<Vec<_>>().join(","),
            None => text(&shown),
        })
    };
    let default = default(flag.name)
        .map(str::to_owned)
        .or_else(of_setting)
        .unwrap_or_default();
    // A value is read here too, so that an invalid one is reported as clap reports them.
    let checked = move |text: &str| match load::set(&mut Config::default(), &path, text) {
        Ok(()) => Ok(text.to_owned()),
        Err(message) => Err(mask(&message)),
    };
    let arg = Arg::new(flag.name)
        .long(flag.name.trim_start_matches('-'))
        .value_name(flag.value_name)
        .value_parser(checked)
        .help(help(&flag.help.replace("{}", &default), flag.variable));
    match key.is_list() {
        true => arg.action(ArgAction::Append).value_delimiter(','),
        false => arg,
    }
}

/// The arguments, with a command line of curl behind `explain` as one, so that it can be typed without quotes around it.
pub fn with_curl_joined(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_curl = arguments.len() > 3 && arguments[1] == "explain" && NAMES.iter().any(|name| arguments[2] == *name);
    let words = is_curl.then(|| {
        arguments[2..]
            .iter()
            .map(|word| word.to_str())
            .collect::<Option<Vec<_>>>()
    });
    if let Some(joined) = words.flatten().and_then(|words| shlex::try_join(words).ok()) {
        arguments.truncate(2);
        arguments.push(joined.into());
    }
    arguments
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
