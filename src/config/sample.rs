//! The configuration to begin with, made from the sections.

use super::{
    Config,
    sections::{self, Key, Section},
    value::{in_words, toml},
};
use crate::rules::Action;

/// The configuration that `init` writes: a rule and a default that keeps other sites as they are, and every other setting
/// with its default, commented out.
pub fn sample() -> String {
    let (rules, others): (Vec<_>, Vec<_>) = sections::plain()
        .into_iter()
        .partition(|section| section.name == "default");
    let all = |sections: Vec<Section<Config>>| sections.into_iter().map(lines).collect::<String>();
    let (rules, others) = (all(rules), all(others));
    let actions = in_words::<Action>();
    let (default, keep) = (Config::default().general.default.action, Action::Keep);
    let active = |action: Action| format!("action = \"{}\"", <&str>::from(action));
    let commented = format!("# {}", active(default));
    let rules = rules.replace(&commented, &format!("{:<1$}", active(keep), commented.len()));
    format!("{HEAD}{rules}{}{OTHERS}{others}", RULES.replace("{actions}", &actions))
}

/// A section with its settings, commented out.
fn lines(section: Section<Config>) -> String {
    let note = section.note.map_or(String::new(), |note| format!("# {note}\n"));
    let keys = section.keys.iter();
    let lines = keys.map(|key| line(key, &Config::default(), section.note.is_none()));
    format!("\n{note}[{}]\n{}", section.name, lines.collect::<String>())
}

fn line(key: &Key<Config>, default: &Config, is_explained: bool) -> String {
    let (value, note) = match (key.show)(default) {
        Some(value) => (value, ""),
        None => (key.example.clone(), " (none by default)"),
    };
    let text = format!("# {} = {}", key.name, toml(&value));
    match is_explained {
        true => format!("{text:<47} # {}{note}\n", key.about),
        false => text + "\n",
    }
}

const HEAD: &str = "\
#:schema ./nocache-gateway.schema.json
# nocache-gateway. A setting that is commented out shows its default. To check this file: nocache-gateway check
# The first line is for editors: nocache-gateway schema > nocache-gateway.schema.json
";

const RULES: &str = r##"
# Rules: the first whose sites and captchas both match decides. Write your sites instead of shop.example.

[[rule]]
id = "shop"                              # its name in log, header and explain
sites = ["shop.example"]
    # "shop.example" the domain and every subdomain    "*.shop.test"  subdomains only
    # "=shop.example" that host only                   "*"            every site
    # each may add a path: "/login" is /login and what is below it
action = "add"                           # {actions}

# [[rule]]
# id = "bank"
# sites = ["bank.example"]
# captchas = ["recaptcha-v2-enterprise", "recaptcha-v3-enterprise"]
# action = "force"
# via = "key"

# Tests: "nocache-gateway check" runs them. Change them with your rules.
#
# [[test]]
# site = "https://www.shop.example/cart"
# expect = "set"
# rule = "shop"
"##;

const OTHERS: &str = "\n# Every other setting.\n";
