//! The configuration to begin with, made from the table of settings.

use super::settings::{PLAIN_SECTIONS, Setting, of_section};
use crate::submission::Kind;
use strum::VariantArray;

/// The configuration that `init` writes: every setting with its default, commented out, and a few rules.
pub fn sample() -> String {
    let line = |setting: &Setting| {
        let note = if setting.default.is_none() {
            " (none by default)"
        } else {
            ""
        };
        let text = format!("# {} = {}", setting.key, setting.example());
        format!("{text:<47} # {}{note}\n", setting.about)
    };
    let section = |name: &str| -> String { of_section(name).map(line).collect() };
    let mut sample = String::from(
        "#:schema ./nocache-gateway.schema.json\n\
         # nocache-gateway. A line that is commented out shows a default. To check this file: nocache-gateway check\n\
         # The first line is for editors: nocache-gateway schema > nocache-gateway.schema.json\n",
    );
    for name in PLAIN_SECTIONS {
        sample += &format!("\n[{name}]\n{}", section(name));
    }
    sample += &format!(
        "\n# Type names of other vendors for a kind of captcha, exact.\n[captchas]\n{}",
        Kind::VARIANTS
            .iter()
            .map(|kind| format!("# {kind} = []\n"))
            .collect::<String>()
    );
    sample += RULES;
    sample
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
# action = "force"                         # add, force, strip, keep or deny
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
