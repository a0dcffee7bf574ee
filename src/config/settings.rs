//! Every setting, once: section, key, shape, default, what it is for. From this table come the file that `init` writes,
//! the JSON Schema and `config show`; tests hold it to what [`super::file`] reads and what [`Config::default`] says.

use serde_json::Value;

use super::{AdminListen, Config, Provenance, units};

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section; `rule`, `test` and `captchas` are the ones that hold more than settings.
    pub section: &'static str,
    /// The key in it.
    pub key: &'static str,
    /// What its value is.
    pub shape: Shape,
    /// The default as TOML; none where there is none.
    pub default: Option<&'static str>,
    /// What it is for.
    pub about: &'static str,
    /// The flag and the environment variable that override it.
    pub overridden_by: Option<(&'static str, &'static str)>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string; the example shows of what kind.
    Text(&'static str),
    /// A list of strings, with an example.
    Texts(&'static str),
    /// One string or a list of them.
    TextOrTexts(&'static str),
    /// `true` or `false`.
    Boolean,
    /// A whole number, 1 or more.
    Count,
    /// A duration with its unit.
    Duration,
    /// A size with its unit.
    Size,
    /// One of some words.
    Choice(&'static [&'static str]),
}

const fn setting(
    section: &'static str,
    key: &'static str,
    shape: Shape,
    default: Option<&'static str>,
    about: &'static str,
) -> Setting {
    Setting {
        section,
        key,
        shape,
        default,
        about,
        overridden_by: None,
    }
}

impl Setting {
    const fn or(mut self, flag: &'static str, variable: &'static str) -> Self {
        self.overridden_by = Some((flag, variable));
        self
    }

    /// The TOML that stands behind the key in examples.
    pub fn example(&self) -> String {
        match (self.default, self.shape) {
            (Some(default), _) => default.to_owned(),
            (None, Shape::Text(example)) => format!("\"{example}\""),
            (None, Shape::Texts(example) | Shape::TextOrTexts(example)) => format!("[\"{example}\"]"),
            (None, Shape::Choice(words)) => format!("\"{}\"", words[0]),
            (None, _) => String::new(),
        }
    }
}

const ACTIONS: &[&str] = &["add", "force", "strip", "keep", "deny"];
const WAYS: &[&str] = &["parameter", "key"];
const TOKENS: &[&str] = &["set", "removed", "kept", "skipped", "denied"];
const SITE: Shape = Shape::Texts("example.com");
const CAPTCHAS: Shape = Shape::Texts("recaptcha-v2");

/// Every setting, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    setting(
        "server",
        "listen",
        Shape::TextOrTexts("127.0.0.1:6622"),
        Some(r#"["127.0.0.1:6622", "[::1]:6622"]"#),
        "where the API is mirrored; one address or a list, port 0 picks a free one",
    )
    .or("--listen", "NOCACHE_GATEWAY_LISTEN"),
    setting(
        "server",
        "names",
        Shape::Texts("gateway.internal"),
        Some("[]"),
        "further names of its own, for absolute-form requests",
    ),
    setting(
        "server",
        "body_limit",
        Shape::Size,
        Some("\"32 MiB\""),
        "of a submission; everything else streams",
    ),
    setting(
        "server",
        "body_timeout",
        Shape::Duration,
        Some("\"30s\""),
        "between two pieces of a body, to come from a client or to be taken by it",
    ),
    setting(
        "server",
        "head_limit",
        Shape::Size,
        Some("\"64 KiB\""),
        "of a request's head",
    ),
    setting(
        "server",
        "head_timeout",
        Shape::Duration,
        Some("\"10s\""),
        "from a head's first byte to its last",
    ),
    setting(
        "server",
        "keep_alive",
        Shape::Duration,
        Some("\"120s\""),
        "how long a client's connection may rest",
    ),
    setting(
        "server",
        "max_connections",
        Shape::Count,
        Some("10000"),
        "more wait to be accepted",
    ),
    setting(
        "server",
        "max_in_flight",
        Shape::Count,
        Some("1024"),
        "requests under way at once; more are refused with 503",
    ),
    setting(
        "server",
        "decision_header",
        Shape::Boolean,
        Some("true"),
        "x-nocache-gateway on answers to submissions",
    ),
    setting(
        "server",
        "request_id",
        Shape::Boolean,
        Some("false"),
        "the request's id as a parameter of that field; the log always has it",
    ),
    setting(
        "server",
        "shutdown_delay",
        Shape::Duration,
        Some("\"0s\""),
        "between /readyz turning 503 and the listeners closing",
    ),
    setting(
        "server",
        "shutdown_grace",
        Shape::Duration,
        Some("\"30s\""),
        "what runs at a stop may finish within it",
    ),
    setting(
        "upstream",
        "url",
        Shape::Text("https://api.capmonster.cloud"),
        Some("\"https://api.capmonster.cloud\""),
        "the API; the documented alternate is https://ru.api.capmonster.cloud",
    )
    .or("--upstream", "NOCACHE_GATEWAY_UPSTREAM"),
    setting(
        "upstream",
        "fallback",
        Shape::Text("https://ru.api.capmonster.cloud"),
        None,
        "used only where no connection to url can be made",
    ),
    setting(
        "upstream",
        "connect_to",
        Shape::Text("203.0.113.5:443"),
        None,
        "dial this address, but keep Host and SNI",
    ),
    setting(
        "upstream",
        "connect_timeout",
        Shape::Duration,
        Some("\"5s\""),
        "from the look-up of the name to the end of the TLS handshake",
    ),
    setting(
        "upstream",
        "timeout",
        Shape::Duration,
        Some("\"60s\""),
        "until the head of the answer",
    ),
    setting(
        "upstream",
        "idle_timeout",
        Shape::Duration,
        Some("\"60s\""),
        "between two pieces of an answer; and how long a pooled connection may rest",
    ),
    setting(
        "upstream",
        "reuse_idle",
        Shape::Duration,
        Some("\"2s\""),
        "a submission takes no connection that rested longer",
    ),
    setting(
        "upstream",
        "ca_file",
        Shape::Text("ca.pem"),
        None,
        "certificates (PEM) to trust as well as the built-in roots",
    ),
    setting(
        "admin",
        "listen",
        Shape::Text("127.0.0.1:6623"),
        Some("\"127.0.0.1:6623\""),
        "where health is shown, or \"off\"",
    )
    .or("--admin-listen", "NOCACHE_GATEWAY_ADMIN_LISTEN"),
    setting(
        "admin",
        "hosts",
        Shape::Texts("gateway.internal"),
        Some("[]"),
        "names it answers to, beside IP addresses and localhost",
    ),
    setting(
        "log",
        "level",
        Shape::Choice(&["error", "warn", "info", "debug", "trace"]),
        Some("\"info\""),
        "the least important level that is logged",
    )
    .or("--log-level", "NOCACHE_GATEWAY_LOG_LEVEL"),
    setting(
        "log",
        "format",
        Shape::Choice(&["auto", "pretty", "json"]),
        Some("\"auto\""),
        "auto is pretty on a terminal, else JSON",
    ),
    setting(
        "legacy",
        "place",
        Shape::Choice(&["auto", "query"]),
        Some("\"auto\""),
        "where nocache=1 goes: beside method, or always into the URL",
    ),
    setting(
        "default",
        "action",
        Shape::Choice(ACTIONS),
        Some("\"add\""),
        "for sites that no rule names",
    ),
    setting(
        "default",
        "captchas",
        CAPTCHAS,
        Some(r#"["recaptcha-v2", "recaptcha-v3"]"#),
        "the two that the vendor documents nocache for; for deny \"*\"",
    ),
    setting(
        "default",
        "via",
        Shape::Choice(WAYS),
        Some("\"parameter\""),
        "or the suffix __nocache of the API key",
    ),
    setting(
        "default",
        "unreadable",
        Shape::Choice(&["forward", "deny"]),
        Some("\"forward\""),
        "where a deny is configured, deny is the default",
    ),
    setting(
        "rule",
        "id",
        Shape::Text("shop"),
        None,
        "its name in log, header and explain; unique",
    ),
    setting("rule", "sites", SITE, None, "site patterns"),
    setting(
        "rule",
        "sites_file",
        Shape::Text("sites.txt"),
        None,
        "a file with more of them, one a line, # comments",
    ),
    setting(
        "rule",
        "captchas",
        CAPTCHAS,
        Some(r#"["recaptcha-v2", "recaptcha-v3"]"#),
        "kinds, \"*\", JSON type names, \"method=…\"; for deny \"*\"",
    ),
    setting(
        "rule",
        "action",
        Shape::Choice(ACTIONS),
        None,
        "what it wants of nocache",
    ),
    setting(
        "rule",
        "via",
        Shape::Choice(WAYS),
        Some("\"parameter\""),
        "or the suffix __nocache of the API key",
    ),
    setting(
        "captchas",
        "recaptcha-v2",
        Shape::Texts("MyVendorTask"),
        Some("[]"),
        "more type names for this kind, exact",
    ),
    setting(
        "captchas",
        "recaptcha-v2-enterprise",
        Shape::Texts("MyVendorTask"),
        Some("[]"),
        "more type names for this kind, exact",
    ),
    setting(
        "captchas",
        "recaptcha-v3",
        Shape::Texts("MyVendorTask"),
        Some("[]"),
        "more type names for this kind, exact",
    ),
    setting(
        "captchas",
        "recaptcha-v3-enterprise",
        Shape::Texts("MyVendorTask"),
        Some("[]"),
        "more type names for this kind, exact",
    ),
    setting(
        "test",
        "site",
        Shape::Text("https://shop.example/cart"),
        None,
        "a target page",
    ),
    setting(
        "test",
        "captcha",
        Shape::Text("recaptcha-v2"),
        Some("\"recaptcha-v2\""),
        "a kind, a JSON type name, or \"method=…\"",
    ),
    setting(
        "test",
        "expect",
        Shape::Choice(TOKENS),
        None,
        "what has to happen to a submission for it",
    ),
    setting("test", "rule", Shape::Text("shop"), None, "the rule that has to decide"),
];

/// The settings of a section.
pub fn of_section(section: &str) -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().filter(move |setting| setting.section == section)
}

/// The sections that hold plain settings.
pub const PLAIN_SECTIONS: [&str; 6] = ["server", "upstream", "admin", "log", "legacy", "default"];

/// A setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// `section.key`
    pub path: String,
    /// The value as TOML; none where nothing is set.
    pub value: Option<String>,
    /// Where it comes from.
    pub provenance: Provenance,
}

/// Every plain setting as it is in force.
pub fn in_force(config: &Config) -> Vec<InForce> {
    let setting = |setting: &Setting| {
        let path = format!("{}.{}", setting.section, setting.key);
        InForce {
            value: value(config, setting.section, setting.key),
            provenance: config.provenance.get(&path).cloned().unwrap_or(Provenance::Default),
            path,
        }
    };
    SETTINGS
        .iter()
        .filter(|setting| PLAIN_SECTIONS.contains(&setting.section))
        .map(setting)
        .collect()
}

/// The value of a plain setting, as TOML.
fn value(config: &Config, section: &str, key: &str) -> Option<String> {
    let text = |text: &dyn ToString| Value::from(text.to_string()).to_string();
    let texts = |list: Vec<String>| Value::from(list).to_string().replace("\",\"", "\", \"");
    let duration = |duration| text(&units::show_duration(duration));
    let size = |bytes| text(&units::show_size(bytes));
    let (server, upstream, admin, rules) = (&config.server, &config.upstream, &config.admin, &config.rules);
    let default = rules.default_rule();
    Some(match (section, key) {
        ("server", "listen") => texts(server.listen.iter().map(ToString::to_string).collect()),
        ("server", "names") => texts(server.api.names.clone()),
        ("server", "body_limit") => size(server.api.body_limit),
        ("server", "body_timeout") => duration(server.api.body_timeout),
        ("server", "head_limit") => size(server.limits.head),
        ("server", "head_timeout") => duration(server.limits.head_timeout),
        ("server", "max_in_flight") => server.api.max_in_flight.to_string(),
        ("server", "shutdown_delay") => duration(server.shutdown_delay),
        ("server", "keep_alive") => duration(server.limits.keep_alive),
        ("server", "max_connections") => server.limits.connections.to_string(),
        ("server", "decision_header") => server.api.decision_header.to_string(),
        ("server", "request_id") => server.api.request_id.to_string(),
        ("server", "shutdown_grace") => duration(server.shutdown_grace),
        ("upstream", "url") => text(&upstream.url),
        ("upstream", "fallback") => text(upstream.fallback.as_ref()?),
        ("upstream", "connect_to") => text(&upstream.connect_to?),
        ("upstream", "connect_timeout") => duration(upstream.connect_timeout),
        ("upstream", "timeout") => duration(upstream.timeout),
        ("upstream", "idle_timeout") => duration(upstream.idle_timeout),
        ("upstream", "reuse_idle") => duration(upstream.reuse_idle),
        ("upstream", "ca_file") => text(&upstream.ca_file.as_ref()?.display()),
        ("admin", "listen") => match admin.listen {
            AdminListen::At(address) => text(&address),
            AdminListen::Off => text(&"off"),
        },
        ("admin", "hosts") => texts(admin.settings.hosts.clone()),
        ("log", "level") => text(&config.log.level),
        ("log", "format") => text(&config.log.format),
        ("legacy", "place") => text(&rules.legacy_place()),
        ("default", "action") => text(&default.action),
        ("default", "captchas") => texts(default.captchas.iter().map(ToString::to_string).collect()),
        ("default", "via") => text(&default.via),
        ("default", "unreadable") => text(&rules.unreadable()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_the_defaults() {
        for in_force in in_force(&Config::default()) {
            let setting = SETTINGS
                .iter()
                .find(|setting| format!("{}.{}", setting.section, setting.key) == in_force.path);
            assert_eq!(in_force.value.as_deref(), setting.unwrap().default, "{}", in_force.path);
        }
    }

    #[test]
    fn the_table_has_every_word_of_a_choice() {
        use crate::{
            config::{LogFormat, LogLevel},
            rewrite::Decision,
            rules::{Action, LegacyPlace, Unreadable, Via},
        };
        fn words<T: strum::VariantArray + Into<&'static str> + Copy>() -> Vec<&'static str> {
            T::VARIANTS.iter().map(|word| (*word).into()).collect()
        }
        for (section, key, words) in [
            ("rule", "action", words::<Action>()),
            ("rule", "via", words::<Via>()),
            ("default", "unreadable", words::<Unreadable>()),
            ("legacy", "place", words::<LegacyPlace>()),
            ("test", "expect", words::<Decision>()),
            ("log", "level", words::<LogLevel>()),
            ("log", "format", words::<LogFormat>()),
        ] {
            let setting = of_section(section).find(|setting| setting.key == key).unwrap();
            assert!(
                matches!(setting.shape, Shape::Choice(known) if known == words),
                "{section}.{key}"
            );
        }
    }
}
