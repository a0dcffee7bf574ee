//! The configuration to begin with, made from the sections.

use super::{
    Config,
    sections::{self, Key},
    value::{in_words, toml},
};
use crate::rules::Action;

/// The configuration that `init` writes: every setting with its default, commented out, and a few rules.
pub fn sample() -> String {
    let mut sample = String::from(
        "#:schema ./nocache-gateway.schema.json\n\
         # nocache-gateway. A line that is commented out shows a default. To check this file: nocache-gateway check\n\
         # The first line is for editors: nocache-gateway schema > nocache-gateway.schema.json\n",
    );
    let mut sections = sections::plain();
    // The sections that rules depend on come next to them.
    sections.sort_by_key(|section| ["default", "captchas"].iter().position(|last| *last == section.name));
    let default = Config::default();
    for section in sections {
        let note = section.note.map_or(String::new(), |note| format!("# {note}\n"));
        sample += &format!("\n{note}[{}]\n", section.name);
        for key in &section.keys {
            sample += &line(key, &default, section.note.is_none());
        }
    }
    sample + &RULES.replace("{actions}", &in_words::<Action>())
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

const RULES: &str = r##"
# Rules: the first whose sites and captchas both match decides. Remove the "#" before those you want.
#
# [[rule]]
# id = "shop"                              # its name in log, header and explain
# sites = ["shop.example", "*.shop.test/login"]
#     # "shop.example" the domain and every subdomain    "*.shop.test"  subdomains only
#     # "=shop.example" that host only                   "*"            every site
#     # each may add a path: "/login" is /login and what is below it
# action = "force"                         # {actions}
#
# [[rule]]
# id = "bank"
# sites = ["bank.example"]
# captchas = ["recaptcha-v2-enterprise", "recaptcha-v3-enterprise"]
# action = "add"
# via = "key"
#
# Tests: "nocache-gateway check" runs them.
#
# [[test]]
# site = "https://www.shop.example/cart"
# expect = "set"
# rule = "shop"
"##;
