//! The sections and keys of the configuration file.

use std::{collections::HashMap, ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    Config, LEVELS, LogFormat,
    reader::{self, Section, Value, unexpected},
    report::Problem,
};
use crate::{
    rules::{Action, CaptchaPattern, CaptchaPatternError, Rule, RuleSet, Unreadable, Via},
    submission::{CaptchaNames, Kind},
};

/// Reads a file's text over the defaults. Paths in it are relative to `folder`. All mistakes are returned, in file order.
pub fn read(text: &str, folder: &Path) -> Result<Config, Vec<Problem>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut problems: Vec<Problem> = errors
        .iter()
        .map(|error| Problem::new(error.span().unwrap_or_default(), error.message()))
        .collect();
    if problems.is_empty() {
        let mut config = Config::default();
        let mut root = Section::new("", root.get_ref());
        root.section("server", |section| server(section, &mut config));
        root.section("upstream", |section| upstream(section, &mut config, folder));
        root.section("admin", |section| {
            section.set(&mut config.admin.listen, "listen", reader::parsed);
            section.set(&mut config.admin.settings.hosts, "hosts", names);
        });
        root.section("log", |section| {
            section.set(&mut config.log.level, "level", reader::name(&LEVELS));
            section.set(&mut config.log.format, "format", reader::name(&LogFormat::NAMES));
        });
        config.rules = rules(&mut root, text);
        problems = root.finish();
        if problems.is_empty() {
            return Ok(config);
        }
    }
    problems.sort_by_key(|problem| problem.span.start);
    Err(problems)
}

fn server(section: &mut Section<'_, '_>, config: &mut Config) {
    let server = &mut config.server;
    section.set(&mut server.listen, "listen", reader::addresses);
    section.set(&mut server.api.names, "names", names);
    section.set(&mut server.api.body_limit, "body_limit", reader::size);
    section.set(&mut server.api.body_timeout, "body_timeout", reader::duration);
    section.set(&mut server.api.decision_header, "decision_header", reader::boolean);
    section.set(&mut server.limits.head, "head_limit", reader::size);
    section.set(&mut server.limits.keep_alive, "keep_alive", reader::duration);
    section.set(&mut server.limits.connections, "max_connections", reader::count);
    section.set(&mut server.shutdown_grace, "shutdown_grace", reader::duration);
}

fn upstream(section: &mut Section<'_, '_>, config: &mut Config, folder: &Path) {
    let upstream = &mut config.upstream;
    section.set(&mut upstream.url, "url", reader::parsed);
    section.set(&mut upstream.connect_to, "connect_to", |value| {
        reader::address(value).map(Some)
    });
    section.set(&mut upstream.connect_timeout, "connect_timeout", reader::duration);
    section.set(&mut upstream.timeout, "timeout", reader::duration);
    section.set(&mut upstream.idle_timeout, "idle_timeout", reader::duration);
    section.set(&mut upstream.reuse_idle, "reuse_idle", reader::duration);
    section.set(&mut upstream.ca_file, "ca_file", |value| {
        Ok(Some(folder.join(reader::string(value)?)))
    });
}

fn names(value: &Value<'_>) -> reader::Read<Vec<String>> {
    reader::list("a list of names", |name| reader::string(name).map(str::to_owned))(value)
}

fn rules(root: &mut Section<'_, '_>, text: &str) -> RuleSet {
    let mut default = Rule::built_in_default();
    let mut unreadable = None;
    root.section("default", |section| {
        let settings = settings(section);
        default = Rule {
            sites: Vec::new(),
            line: line_of(section, text),
            ..settings.rule(Rule::DEFAULT.to_owned())
        };
        unreadable = section.take("unreadable", reader::name(&Unreadable::NAMES));
    });
    let mut captcha_names = CaptchaNames::default();
    root.section("captchas", |section| {
        for kind in Kind::ALL {
            for name in section.take(kind.name(), names).into_iter().flatten() {
                captcha_names.add(&name, kind);
            }
        }
    });
    let rules = root.take("rule", |value| match value.get_ref() {
        DeValue::Array(entries) => {
            let mut ids = HashMap::new();
            reader::collect(entries.iter().map(|entry| rule(entry, text, &mut ids)))
        }
        other => Err(vec![
            unexpected(value.span(), "a list of tables", other)
                .help("write [[rule]], with two brackets, above each rule"),
        ]),
    });
    RuleSet::new(rules.unwrap_or_default(), default, unreadable, captcha_names)
}

/// The settings that rules and the default share.
struct Settings {
    captchas: Option<Vec<CaptchaPattern>>,
    action: Option<Action>,
    via: Option<Via>,
}

fn settings(section: &mut Section<'_, '_>) -> Settings {
    Settings {
        captchas: section.take("captchas", reader::list("a list of captchas", captcha_pattern)),
        action: section.take("action", reader::name(&Action::NAMES)),
        via: section.take("via", reader::name(&Via::NAMES)),
    }
}

impl Settings {
    fn rule(self, id: String) -> Rule {
        let action = self.action.unwrap_or(Action::Add);
        Rule {
            id,
            sites: Vec::new(),
            captchas: self.captchas.unwrap_or_else(|| action.default_captchas()),
            action,
            via: self.via.unwrap_or(Via::Parameter),
            line: None,
        }
    }
}

fn rule(value: &Value<'_>, text: &str, ids: &mut HashMap<String, usize>) -> reader::Read<Rule> {
    let DeValue::Table(table) = value.get_ref() else {
        return Err(vec![unexpected(value.span(), "a table", value.get_ref())]);
    };
    let line = line_at(text, value.span().start);
    let mut section = Section::new("rule", table);
    let id = section.take("id", |value| id(value, ids, line));
    let sites = section.take("sites", reader::list("a list of site patterns", reader::parsed));
    let settings = settings(&mut section);
    if table.get("action").is_none() {
        section.problem(missing(value.span(), "action", "add, force, strip, keep or deny"));
    }
    if table.get("id").is_none() {
        section.problem(missing(
            value.span(),
            "id",
            "a name such as \"shop\", for the log and the answer's header",
        ));
    }
    match &sites {
        Some(sites) if sites.is_empty() => {
            section.problem(Problem::new(value.span(), "this rule has no sites").help("\"*\" is every site"));
        }
        None if table.get("sites").is_none() => {
            section.problem(missing(value.span(), "sites", "a list such as [\"example.com\"]"));
        }
        _ => {}
    }
    let problems = section.finish();
    match (id, sites) {
        (Some(id), Some(sites)) if problems.is_empty() => Ok(Rule {
            sites,
            line: Some(line),
            ..settings.rule(id)
        }),
        _ => Err(problems),
    }
}

fn missing(span: Range<usize>, key: &str, what: &str) -> Problem {
    Problem::new(span, format!("this rule has no \"{key}\"")).help(format!("{key} is {what}"))
}

/// A rule's id: a token that is not taken.
fn id(value: &Value<'_>, ids: &mut HashMap<String, usize>, line: usize) -> reader::Read<String> {
    let id = reader::string(value)?;
    let problem = |message: String| Err(vec![Problem::new(value.span(), message)]);
    let is_token = id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
    if !is_token {
        return problem(format!(
            "\"{id}\" is no id: an id begins with a small letter and has small letters, digits, \".\", \"_\" and \"-\" in it"
        ));
    }
    if id == Rule::DEFAULT {
        return problem("the id \"default\" is the [default] section's".to_owned());
    }
    if let Some(first) = ids.insert(id.to_owned(), line) {
        return problem(format!("the id \"{id}\" is taken by the rule in line {first}"));
    }
    Ok(id.to_owned())
}

fn captcha_pattern(value: &Value<'_>) -> reader::Read<CaptchaPattern> {
    let text = reader::string(value)?;
    text.parse().map_err(|error| {
        let problem = Problem::new(value.span(), format!("\"{text}\" is no captcha: {error}"));
        let kinds = Kind::ALL.map(Kind::name);
        vec![match error {
            CaptchaPatternError::EmptyMethod => problem.help("write the legacy method's name, such as \"method=hcaptcha\""),
            CaptchaPatternError::Unknown => match super::report::closest(text, kinds) {
                Some(kind) => problem.help(format!("did you mean \"{kind}\"?")),
                None => problem.help(format!(
                    "a captcha is one of {}, \"*\", a JSON type name such as \"TurnstileTask\", or a legacy method such as \"method=hcaptcha\"",
                    kinds.join(", ")
                )),
            },
        }]
    })
}

fn line_of(section: &Section<'_, '_>, text: &str) -> Option<usize> {
    section.keys().map(|(_, span, _)| line_at(text, span.start)).min()
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests;
