//! `config show`: every setting with its value, and where that comes from.

use clap::Args;
use serde_json::{Map, Value};

use super::{
    admin_client,
    output::{Failure, block_on, load, print},
};
use crate::config::{Overrides, sections, shown, value};

#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    /// Ask the gateway that runs on this machine, by its admin listener, instead of reading the files
    #[arg(long)]
    running: bool,
    /// One JSON object, for machines
    #[arg(long)]
    json: bool,
}

/// Shows every setting with its value and origin, as a configuration file that says the same.
pub fn run(overrides: &Overrides, args: &ConfigShowArgs) -> Result<(), Failure> {
    let config = match args.running {
        true => block_on(admin_client::get(overrides, "/config"))??,
        false => {
            let config = load(overrides)?;
            let settings = sections::in_force(&config);
            shown::to_json(config.file.as_deref(), &settings, &config.rules, usize::MAX)
        }
    };
    match args.json {
        true => print(&by_path(&config).to_string()),
        false => print(text(&config).trim_end()),
    }
}

/// The settings by their path.
fn by_path(config: &Value) -> Value {
    let one = |setting: &Value| {
        let mut rest = setting.as_object().cloned().unwrap_or_default();
        let path = rest.remove("setting")?.as_str()?.to_owned();
        Some((path, Value::Object(rest)))
    };
    Value::Object(entries(config, "settings").filter_map(one).collect::<Map<_, _>>())
}

fn entries<'c>(config: &'c Value, name: &str) -> impl Iterator<Item = &'c Value> {
    config[name].as_array().into_iter().flatten()
}

fn text(config: &Value) -> String {
    let mut shown = String::new();
    let mut section = String::new();
    for setting in entries(config, "settings") {
        let Some((name, key)) = setting["setting"].as_str().and_then(|path| path.rsplit_once('.')) else {
            continue;
        };
        if section != name {
            section = name.to_owned();
            shown += &format!("{}[{name}]\n", if shown.is_empty() { "" } else { "\n" });
        }
        let text = match &setting["value"] {
            Value::Null => format!("# {key} is not set"),
            value => format!("{key} = {}", value::toml(value)),
        };
        shown += &format!("{text:<47} # {}\n", word(&setting["origin"]));
    }
    let rules = entries(config, "rules").map(|rule| format!("\n{}", rule_text(rule)));
    shown += &rules.collect::<String>();
    match config["furtherRules"].as_u64() {
        None | Some(0) => shown,
        Some(further) => shown + &format!("\n# and {further} more rules\n"),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A rule as it could be written.
fn rule_text(rule: &Value) -> String {
    let more = match rule["furtherSites"].as_u64() {
        None | Some(0) => String::new(),
        Some(more) => format!("    # and {more} more"),
    };
    format!(
        "[[rule]]{:<38} # {}\nid = \"{}\"\nsites = {}{more}\ncaptchas = {}\naction = \"{}\"\nvia = \"{}\"\n",
        "",
        word(&rule["place"]),
        word(&rule["id"]),
        value::toml(&rule["sites"]),
        value::toml(&rule["captchas"]),
        word(&rule["action"]),
        word(&rule["via"]),
    )
}
