//! `config show`: every setting with its value, and where that comes from.

use serde_json::{Value, json};

use super::{
    args::ShowArgs,
    output::{Failure, load, print},
};
use crate::{
    config::{
        Config, Overrides,
        mask::{mask, mask_json},
        sections::{self, InForce},
        value,
    },
    rules::Rule,
};

/// Shows every setting with its value and origin, as a configuration file that says the same.
pub fn run(overrides: &Overrides, args: &ShowArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let mut settings = sections::in_force(&config);
    settings
        .iter_mut()
        .filter_map(|setting| setting.value.as_mut())
        .for_each(mask_json);
    if args.json {
        let one = |setting: InForce| {
            let origin = setting.provenance.to_string();
            (setting.path, json!({ "value": setting.value, "origin": mask(&origin) }))
        };
        let object: serde_json::Map<String, Value> = settings.into_iter().map(one).collect();
        return print(&Value::Object(object).to_string());
    }
    let mut shown = String::new();
    let mut section = String::new();
    for setting in settings {
        let Some((name, key)) = setting.path.rsplit_once('.') else {
            continue;
        };
        if section != name {
            section = name.to_owned();
            shown += &format!("{}[{name}]\n", if shown.is_empty() { "" } else { "\n" });
        }
        let text = match setting.value {
            Some(value) => format!("{key} = {}", value::toml(&value)),
            None => format!("# {key} is not set"),
        };
        shown += &format!("{text:<47} # {}\n", mask(&setting.provenance.to_string()));
    }
    let rules = config
        .rules
        .rules()
        .iter()
        .map(|rule| format!("\n{}", show_rule(rule, &config)));
    print((shown + &rules.collect::<String>()).trim_end())
}

/// A rule as it could be written. Of a long list of sites the first few.
fn show_rule(rule: &Rule, config: &Config) -> String {
    const FEW: usize = 8;
    let list = |items: Vec<String>| {
        let mut items = Value::from(items);
        mask_json(&mut items);
        value::toml(&items)
    };
    let sites: Vec<String> = rule.sites.iter().take(FEW).map(ToString::to_string).collect();
    let more = match rule.sites.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!("    # and {more} more"),
    };
    format!(
        "[[rule]]{:<38} # {}\nid = \"{}\"\nsites = {}{more}\ncaptchas = {}\naction = \"{}\"\nvia = \"{}\"\n",
        "",
        config.place(rule),
        rule.id,
        list(sites),
        list(rule.captchas.iter().map(ToString::to_string).collect()),
        rule.action,
        rule.via,
    )
}
