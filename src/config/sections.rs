//! Every setting, declared once: a line says its section, key, field, kind of value, purpose, and how it can be
//! overridden. Its default is that of its owner. From these lines come the reading of files and flags, the file that
//! `init` writes, the JSON Schema, `config show`, and the list of settings that a reload does not change.

use serde_json::Value as Json;
use strum::VariantArray;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Code, Config, LogFormat, LogLevel, Provenance,
    address_value::*,
    files::Files,
    report::Problem,
    rule_value::{captcha, captchas, rule_id, site_patterns, sites_file},
    value::{self, *},
};
use crate::{
    api::{CrossSite, Outage, PollGuard},
    rewrite::Decision,
    rules::{Action, CaptchaPattern, LegacyPlace, SitePattern, Unreadable, Via},
    submission::Kind,
};

/// A table of the configuration file, read into a `C`.
pub struct Section<C> {
    pub name: &'static str,
    /// What all its keys are for, if that is one thing.
    pub note: Option<&'static str>,
    /// Its keys, in the order of the documentation.
    pub keys: Vec<Key<C>>,
}

/// A setting of a section.
pub struct Key<C> {
    pub name: &'static str,
    pub about: &'static str,
    pub flag: Option<Flag>,
    /// Whether a reload puts a change into force.
    pub is_live: bool,
    /// What to write, if it cannot be left out.
    pub required: Option<String>,
    pub schema: Json,
    pub example: Json,
    pub read: Set<C>,
    /// The value in force; `None` if it is not set.
    pub show: Show<C>,
}

type Set<C> = Box<dyn Fn(&mut C, &Value<'_>, &mut Files<'_>) -> Result<(), Vec<Problem>>>;

/// A flag and an environment variable for a setting.
#[derive(Clone, Debug)]
pub struct Flag {
    pub name: &'static str,
    pub variable: &'static str,
    /// The name of its value in the help.
    pub value_name: &'static str,
    /// The help, with `{}` for the default.
    pub help: String,
}

impl<C: 'static> Key<C> {
    fn new<T: 'static>(
        name: &'static str,
        shape: Shape<T>,
        about: &'static str,
        get: impl Fn(&C) -> &T + 'static,
        get_mut: impl Fn(&mut C) -> &mut T + 'static,
    ) -> Self {
        Self {
            name,
            about,
            flag: None,
            is_live: false,
            required: None,
            schema: shape.schema,
            example: shape.example,
            read: Box::new(move |container, value, files| {
                *get_mut(container) = (shape.read)(value, files)?;
                Ok(())
            }),
            show: Box::new(move |container| (shape.show)(get(container))),
        }
    }

    fn flag(
        mut self,
        name: &'static str,
        variable: &'static str,
        value_name: &'static str,
        help: impl Into<String>,
    ) -> Self {
        self.flag = Some(Flag {
            name,
            variable,
            value_name,
            help: help.into(),
        });
        self
    }

    fn live(mut self) -> Self {
        self.is_live = true;
        self
    }

    fn required(mut self, what: impl Into<String>) -> Self {
        self.required = Some(what.into());
        self
    }

    /// Whether its value can be a list.
    pub fn is_list(&self) -> bool {
        self.schema["type"] == "array" || self.schema["anyOf"].is_array()
    }

    /// Reads what a flag or a variable says, with commas between the entries of a list. White space around an entry does
    /// not belong to it.
    pub fn read_text(&self, container: &mut C, text: &str) -> Result<(), String> {
        let toml = match self.schema["type"].as_str() {
            _ if self.is_list() => Json::from(text.split(',').map(str::trim).collect::<Vec<_>>()).to_string(),
            Some("boolean" | "integer") if serde_json::from_str::<Json>(text).is_ok() => text.to_owned(),
            _ => Json::from(text).to_string(),
        };
        value::read_toml(&toml, |value, files| (self.read)(container, value, files))
    }
}

/// A key whose value is a field of the section's container.
macro_rules! key {
    ($container:ty, $($place:ident).+, $name:literal, $shape:expr, $about:literal) => {
        Key::new($name, $shape, $about, |of: &$container| &of.$($place).+, |of: &mut $container| &mut of.$($place).+)
    };
}

fn section<C>(name: &'static str, keys: Vec<Key<C>>) -> Section<C> {
    Section { name, note: None, keys }
}

/// The sections that appear once in a file.
#[rustfmt::skip]
pub fn plain() -> Vec<Section<Config>> {
    type C = Config;
    vec![
        section("server", vec![
            key!(C, server.listen, "listen", addresses(), "where the API is mirrored: one address or a list; port 0 picks a free one")
                .flag("--listen", "NOCACHE_GATEWAY_LISTEN", "ADDRESS", "Address to listen on (comma-separated for several) [default: {}]"),
            key!(C, server.api.names, "names", hosts("gateway.internal"), "further names of its own, for absolute-form requests"),
            key!(C, server.api.body_limit, "body_limit", size(), "largest body of a submission; everything else streams"),
            key!(C, server.api.body_budget, "body_budget", size(), "largest sum of all bodies that are held at one moment; further ones get 503"),
            key!(C, server.api.body_timeout, "body_timeout", time_limit(), "longest pause while a body is received from, or sent to, a client"),
            key!(C, server.api.allow, "allow", list("a list of address ranges", "10.0.0.0/8", |value| parse(Code::InvalidAddress, value)), "peers beside loopback, as address ranges; empty: all that reach the listener"),
            key!(C, server.api.cross_site, "cross_site", choice::<CrossSite>(), "\"deny\" refuses what a browser sends for a page of another site; the vendor's SDK in a page needs \"allow\""),
            key!(C, server.limits.head, "head_limit", size(), "largest request line and header section"),
            key!(C, server.limits.head_timeout, "head_timeout", time_limit(), "from the first byte of a request line and header section to the last"),
            key!(C, server.limits.keep_alive, "keep_alive", time_limit(), "how long a client's connection may be idle"),
            key!(C, server.limits.connections, "max_connections", count(), "client connections open at once; further ones queue"),
            key!(C, server.api.max_in_flight, "max_in_flight", count(), "requests in flight at once; further ones get 503"),
            key!(C, server.api.decision_header, "decision_header", boolean(), "x-nocache-gateway on responses to submissions"),
            key!(C, server.api.request_id, "request_id", boolean(), "the request's id as a parameter of that field; the log always has it"),
            key!(C, server.workers, "workers", count(), "threads that serve; one serves thousands of requests per second"),
            key!(C, server.shutdown_delay, "shutdown_delay", duration(), "between /readyz turning 503 and the listeners closing"),
            key!(C, server.shutdown_grace, "shutdown_grace", duration(), "how long requests in flight may take after a stop signal"),
        ]),
        section("server.tls", vec![
            key!(C, server.tls.listen, "listen", addresses_or_none("127.0.0.1:6626"), "where the API is mirrored over TLS, such as \"127.0.0.1:6626\"; empty: nowhere")
                .flag("--tls-listen", "NOCACHE_GATEWAY_TLS_LISTEN", "ADDRESS", "Address to listen on over TLS, such as 127.0.0.1:6626"),
            key!(C, server.certificates.certificate, "certificate", file("certificate.pem").optional(), "its certificate chain (PEM), followed like this file; without it the local CA issues one"),
            key!(C, server.certificates.key, "key", file("key.pem").optional(), "the key of that certificate (PEM)"),
        ]),
        section("server.proxy", vec![
            key!(C, server.proxy.listen, "listen", addresses_or_none("127.0.0.1:6625"), "a proxy for the upstream's names alone, such as \"127.0.0.1:6625\", for HTTPS_PROXY of clients that trust the local CA; empty: none")
                .flag("--proxy-listen", "NOCACHE_GATEWAY_PROXY_LISTEN", "ADDRESS", "Address of the proxy for clients with a fixed address, such as 127.0.0.1:6625"),
            key!(C, server.api.proxy_names, "names", hosts("2captcha.com"), "further names that it stands for"),
        ]),
        section("server.hosts", vec![
            key!(C, server.api.hosts_file_names, "names", hosts("2captcha.com"), "names that this machine's hosts file points at the gateway; nocache-gateway hosts shows its lines"),
            key!(C, server.hosts.http, "http", addresses(), "where these names are served without TLS, if there are any"),
            key!(C, server.hosts.https, "https", addresses(), "where these names are served over TLS, by the local CA"),
        ]),
        section("ca", vec![
            key!(C, server.certificates.ca_folder, "folder", file("nocache-gateway-ca"), "the local CA, beside this file; nocache-gateway ca init makes it"),
        ]),
        section("upstream", vec![
            key!(C, upstream.url, "url", parsed(Code::InvalidUrl, "https://api.capmonster.cloud"), "the API; the documented alternate is https://ru.api.capmonster.cloud")
                .flag("--upstream", "NOCACHE_GATEWAY_UPSTREAM", "URL", "The API to forward to [default: {}]"),
            key!(C, upstream.fallback, "fallback", parsed(Code::InvalidUrl, "https://ru.api.capmonster.cloud").optional(), "used only if no connection to url can be made"),
            key!(C, upstream.connect_to, "connect_to", address("203.0.113.5:443").optional(), "dial this address instead; Host and SNI stay those of url"),
            key!(C, upstream.proxy, "proxy", parsed(Code::InvalidUrl, "http://me:pw@proxy.example:3128").optional(), "make every connection through it: http (by CONNECT), socks5 or socks5h (it looks names up)"),
            key!(C, upstream.connect_timeout, "connect_timeout", time_limit(), "from the lookup of the name to the end of the TLS handshake"),
            key!(C, upstream.timeout, "timeout", time_limit(), "until the response begins"),
            key!(C, upstream.idle_timeout, "idle_timeout", time_limit(), "between two reads of a response; also how long a pooled connection may be idle"),
            key!(C, upstream.reuse_idle, "reuse_idle", duration(), "a submission reuses no connection that was idle longer"),
            key!(C, upstream.ca_file, "ca_file", file("ca.pem").optional(), "certificates (PEM) to trust as well as the built-in roots"),
            key!(C, upstream.system_roots, "system_roots", boolean(), "trust the certificates of this system as well"),
        ]),
        section("admin", vec![
            key!(C, admin.listen, "listen", admin_listen("127.0.0.1:6623"), "where health is shown, or \"off\"")
                .flag("--admin-listen", "NOCACHE_GATEWAY_ADMIN_LISTEN", "ADDRESS", "Where health is shown, or \"off\" [default: {}]"),
            key!(C, admin.settings.hosts, "hosts", names("gateway.internal"), "names it responds to, beside IP addresses and localhost"),
        ]),
        section("guard", vec![
            key!(C, server.api.guard.polls, "polls", choice::<PollGuard>(), "polls that earn the vendor's ban: \"pace\" answers those that come too early itself"),
            key!(C, server.api.guard.outage, "outage", choice::<Outage>(), "what a poll of a new task gets while the upstream cannot be reached"),
            key!(C, server.api.guard.warning_header, "warning_header", boolean(), "x-nocache-gateway-warning on responses to clients that risk a ban, or misuse nocache"),
        ]),
        section("ledger", vec![
            key!(C, ledger.max_tasks, "max_tasks", count_or_none(), "tasks that are followed at once, for at most 15 minutes each; 0: no ledger, so no stats"),
            key!(C, ledger.file, "file", file("ledger.sqlite").optional(), "an SQLite file that keeps it for 30 days, beyond a restart; without it 24 hours in memory"),
        ]),
        section("log", vec![
            key!(C, log.level, "level", choice(), "the least important level that is logged")
                .flag("--log-level", "NOCACHE_GATEWAY_LOG_LEVEL", "LEVEL", in_words::<LogLevel>() + " [default: {}]"),
            key!(C, log.format, "format", choice::<LogFormat>(), "auto is pretty on a terminal, otherwise JSON")
                .flag("--log-format", "NOCACHE_GATEWAY_LOG_FORMAT", "FORMAT", in_words::<LogFormat>() + " [default: {}]"),
        ]),
        section("default", vec![
            key!(C, general.default.action, "action", choice::<Action>(), "for sites that no rule matches").live(),
            key!(C, general.default.captchas, "captchas", captchas(), "the two that the vendor documents nocache for; for deny \"*\"").live(),
            key!(C, general.default.via, "via", choice::<Via>(), "or the suffix __nocache of the API key").live(),
            key!(C, general.unreadable, "unreadable", choice::<Unreadable>(), "deny is the default if any rule denies").live(),
        ]),
        section("legacy", vec![
            key!(C, general.legacy_place, "place", choice::<LegacyPlace>(), "where nocache=1 is written: beside method, or always into the URL").live(),
        ]),
        Section {
            name: "captchas",
            note: Some("Type names of other vendors for a kind of captcha, exact."),
            keys: Kind::VARIANTS.iter().map(|&kind| type_names(kind).live()).collect(),
        },
    ]
}

fn type_names(kind: Kind) -> Key<Config> {
    Key::new(
        kind.into(),
        names("MyVendorTask"),
        "more type names for this kind, exact",
        move |of: &Config| &of.general.type_names[kind as usize],
        move |of: &mut Config| &mut of.general.type_names[kind as usize],
    )
}

/// A `[[rule]]` as it is read.
pub struct RuleDraft {
    pub id: Option<String>,
    pub sites: Option<Vec<SitePattern>>,
    pub sites_file: Option<Vec<SitePattern>>,
    pub captchas: Vec<CaptchaPattern>,
    pub action: Option<Action>,
    pub via: Via,
}

impl Default for RuleDraft {
    fn default() -> Self {
        Self {
            id: None,
            sites: None,
            sites_file: None,
            captchas: Action::Add.default_captchas(),
            action: None,
            via: Via::Parameter,
        }
    }
}

/// `[[rule]]`
#[rustfmt::skip]
pub fn rule() -> Section<RuleDraft> {
    type R = RuleDraft;
    section("rule", vec![
        key!(R, id, "id", rule_id().optional(), "its name in log, header and explain; unique")
            .required("its name in the log and in the header x-nocache-gateway"),
        key!(R, sites, "sites", site_patterns().optional(), "site patterns"),
        key!(R, sites_file, "sites_file", sites_file().optional(), "a file with more patterns, one per line, # comments"),
        key!(R, captchas, "captchas", captchas(), "kinds, \"*\", JSON type names, \"method=…\"; for deny \"*\""),
        key!(R, action, "action", choice().optional(), "what it does to nocache").required(in_words::<Action>()),
        key!(R, via, "via", choice::<Via>(), "or the suffix __nocache of the API key"),
    ])
}

/// A `[[test]]` as it is read.
pub struct TestDraft {
    pub site: Option<String>,
    pub captcha: CaptchaPattern,
    pub expect: Option<Decision>,
    pub rule: Option<String>,
}

impl Default for TestDraft {
    fn default() -> Self {
        Self {
            site: None,
            captcha: CaptchaPattern::Kind(Kind::RecaptchaV2),
            expect: None,
            rule: None,
        }
    }
}

/// `[[test]]`
#[rustfmt::skip]
pub fn test() -> Section<TestDraft> {
    type T = TestDraft;
    section("test", vec![
        key!(T, site, "site", text("https://shop.example/cart").optional(), "a target page")
            .required("a target page"),
        key!(T, captcha, "captcha", captcha(), "a kind, a JSON type name, or \"method=…\""),
        key!(T, expect, "expect", choice().optional(), "what must happen to a submission for it").required(in_words::<Decision>()),
        key!(T, rule, "rule", text("shop").optional(), "the rule that must decide"),
    ])
}

/// Every key with its section.
pub fn all_names() -> Vec<(&'static str, &'static str)> {
    fn of<C>(section: Section<C>) -> impl Iterator<Item = (&'static str, &'static str)> {
        section.keys.into_iter().map(move |key| (section.name, key.name))
    }
    plain()
        .into_iter()
        .flat_map(of)
        .chain(of(rule()))
        .chain(of(test()))
        .collect()
}

/// The table of a section, or `None` if it is not in the file. A dot in its name is a table in a table.
pub fn table<'t, 'i>(root: &'t DeTable<'i>, name: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    match name.split_once('.') {
        None => root.get(name),
        Some((outer, inner)) => table(root.get(outer)?.get_ref().as_table()?, inner),
    }
}

/// The path of a key of a section.
pub fn path(section: &str, key: &str) -> String {
    format!("{section}.{key}")
}

/// A setting as it is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub path: String,
    /// The value; `None` if it is not set.
    pub value: Option<Json>,
    pub provenance: Provenance,
    /// Whether a reload puts a change into force.
    pub is_live: bool,
}

/// Every setting of the plain sections as it is in force.
pub fn in_force(config: &Config) -> Vec<InForce> {
    let mut settings = Vec::new();
    for section in plain() {
        for key in section.keys {
            let path = path(section.name, key.name);
            settings.push(InForce {
                value: (key.show)(config),
                provenance: config.provenance.get(&path).cloned().unwrap_or(Provenance::Default),
                is_live: key.is_live,
                path,
            });
        }
    }
    settings
}
