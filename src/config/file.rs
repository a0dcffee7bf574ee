//! The sections and keys of the configuration file.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::SocketAddr,
    ops::Range,
    path::Path,
};

use strum::VariantArray;
use toml::de::{DeTable, DeValue};

use super::{
    AdminListen, Config, Provenance, Test,
    reader::{self, Findings, Read, Section, Value, unexpected},
    report::{Problem, Report, Source, closest},
};
use crate::{
    rules::{Action, CaptchaPattern, CaptchaPatternError, LegacyPlace, Rule, RuleSet, SitePattern, Via},
    submission::{Captcha, CaptchaNames, Kind},
};

/// Reads a file over the defaults, and the files it names, relative to `folder`. All mistakes are reported, in file order.
pub fn read(source: Source, folder: &Path) -> Result<Config, Report> {
    let text = source.text.clone();
    let (root, errors) = DeTable::parse_recoverable(&text);
    let syntax = |error: &toml::de::Error| Problem::new(error.span().unwrap_or_default(), error.message());
    let mut files = Files {
        folder,
        sources: vec![source],
    };
    let mut problems: Vec<Problem> = errors.iter().map(syntax).collect();
    let mut config = Config::default();
    // A tree with holes in it would only raise mistakes that are none.
    if problems.is_empty() {
        let findings = sections(root.get_ref(), &mut config, &mut files);
        config.provenance = provenance(&findings, &files.sources[0]);
        problems = findings.problems;
    }
    config.sources = files.sources;
    if problems.is_empty() {
        return Ok(config);
    }
    let mut report = Report {
        sources: config.sources,
        problems,
    };
    report.sort();
    Err(report)
}

/// The listeners that a file names, admin side and API, as far as they can be read: it may have mistakes.
pub fn listeners(text: &str) -> (Option<AdminListen>, Option<Vec<SocketAddr>>) {
    let (root, _) = DeTable::parse_recoverable(text);
    let listen = |section: &str| root.get_ref().get(section)?.get_ref().as_table()?.get("listen");
    (
        listen("admin").and_then(|value| reader::parsed(value).ok()),
        listen("server").and_then(|value| reader::addresses(value).ok()),
    )
}

/// The files of a configuration, as they are read.
struct Files<'f> {
    folder: &'f Path,
    sources: Vec<Source>,
}

impl Files<'_> {
    /// The line of the configuration file that an offset is in.
    fn line(&self, offset: usize) -> usize {
        self.sources[0].line(offset)
    }
}

fn provenance(findings: &Findings, source: &Source) -> BTreeMap<String, Provenance> {
    let from = |offset| Provenance::File {
        path: source.path.clone(),
        line: source.line(offset),
    };
    findings
        .set
        .iter()
        .map(|(path, offset)| (path.clone(), from(*offset)))
        .collect()
}

/// Reads every section.
fn sections(root: &DeTable<'_>, config: &mut Config, files: &mut Files<'_>) -> Findings {
    let mut root = Section::new("", root);
    root.section("server", |section| server(section, config));
    root.section("upstream", |section| upstream(section, config, files.folder));
    root.section("admin", |section| {
        section.set(&mut config.admin.listen, "listen", reader::parsed);
        section.set(&mut config.admin.settings.hosts, "hosts", names);
    });
    root.section("log", |section| {
        section.set(&mut config.log.level, "level", reader::choice);
        section.set(&mut config.log.format, "format", reader::choice);
    });
    config.rules = rules(&mut root, files);
    config.tests = tables(&mut root, "test", |value| test(value, &config.rules));
    root.finish()
}

fn server(section: &mut Section<'_, '_>, config: &mut Config) {
    let server = &mut config.server;
    section.set(&mut server.listen, "listen", reader::addresses);
    section.set(&mut server.api.names, "names", names);
    section.set(&mut server.api.body_limit, "body_limit", reader::size);
    section.set(&mut server.api.body_timeout, "body_timeout", reader::time_limit);
    // One setting for both directions.
    server.limits.write_timeout = server.api.body_timeout;
    section.set(&mut server.api.decision_header, "decision_header", reader::boolean);
    section.set(&mut server.api.request_id, "request_id", reader::boolean);
    section.set(&mut server.limits.head, "head_limit", reader::size);
    section.set(&mut server.limits.keep_alive, "keep_alive", reader::time_limit);
    section.set(&mut server.limits.connections, "max_connections", reader::count);
    section.set(&mut server.limits.head_timeout, "head_timeout", reader::time_limit);
    section.set(&mut server.api.max_in_flight, "max_in_flight", reader::count);
    section.set(&mut server.shutdown_delay, "shutdown_delay", reader::duration);
    section.set(&mut server.shutdown_grace, "shutdown_grace", reader::duration);
}

fn upstream(section: &mut Section<'_, '_>, config: &mut Config, folder: &Path) {
    let upstream = &mut config.upstream;
    section.set(&mut upstream.url, "url", reader::parsed);
    section.set(&mut upstream.fallback, "fallback", |value| {
        reader::parsed(value).map(Some)
    });
    section.set(&mut upstream.connect_to, "connect_to", |value| {
        reader::address(value).map(Some)
    });
    section.set(&mut upstream.connect_timeout, "connect_timeout", reader::time_limit);
    section.set(&mut upstream.timeout, "timeout", reader::time_limit);
    section.set(&mut upstream.idle_timeout, "idle_timeout", reader::time_limit);
    section.set(&mut upstream.reuse_idle, "reuse_idle", reader::duration);
    section.set(&mut upstream.ca_file, "ca_file", |value| {
        Ok(Some(folder.join(reader::string(value)?)))
    });
}

fn names(value: &Value<'_>) -> Read<Vec<String>> {
    reader::list("a list of names", |name| reader::string(name).map(str::to_owned))(value)
}

fn rules(root: &mut Section<'_, '_>, files: &mut Files<'_>) -> RuleSet {
    let mut default = Rule::built_in_default();
    let mut unreadable = None;
    root.section("default", |section| {
        let line = section.place("action").map(|span| files.line(span.start));
        default = Rule {
            line,
            ..settings(section).rule(Rule::DEFAULT.to_owned())
        };
        unreadable = section.take("unreadable", reader::choice);
    });
    let mut place = LegacyPlace::Auto;
    root.section("legacy", |section| section.set(&mut place, "place", reader::choice));
    let mut captcha_names = CaptchaNames::default();
    root.section("captchas", |section| {
        for &kind in Kind::VARIANTS {
            for name in section.take(kind.into(), names).into_iter().flatten() {
                captcha_names.add(&name, kind);
            }
        }
    });
    let mut ids = HashMap::new();
    let rules = tables(root, "rule", |value| rule(value, files, &mut ids));
    RuleSet::new(rules, default, unreadable, captcha_names).with_legacy_place(place)
}

/// The tables of a list such as `[[rule]]`; those with mistakes are left out.
fn tables<'t, 'i: 't, T>(
    root: &mut Section<'t, 'i>,
    key: &'static str,
    mut read: impl FnMut(&'t Value<'i>) -> Result<T, Findings>,
) -> Vec<T> {
    let mut values = Vec::new();
    let mut findings = Findings::default();
    root.take(key, |value| match value.get_ref() {
        DeValue::Array(entries) => {
            for entry in entries.iter() {
                match read(entry) {
                    Ok(value) => values.push(value),
                    Err(more) => findings.problems.extend(more.problems),
                }
            }
            Ok(())
        }
        other => {
            let help = format!("write [[{key}]], with two brackets, above each");
            Err(vec![unexpected(value.span(), "a list of tables", other).help(help)])
        }
    });
    findings.problems.into_iter().for_each(|problem| root.problem(problem));
    values
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
        action: section.take("action", reader::choice),
        via: section.take("via", reader::choice),
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

fn rule(value: &Value<'_>, files: &mut Files<'_>, ids: &mut HashMap<String, usize>) -> Result<Rule, Findings> {
    let line = files.line(value.span().start);
    let mut section = table("rule", value)?;
    let id = section.take("id", |value| id(value, ids, line));
    let sites = section.take("sites", reader::list("a list of site patterns", site_pattern));
    let file = section.take("sites_file", |value| sites_file(value, files));
    let settings = settings(&mut section);
    for (key, what) in [
        ("id", "a name such as \"shop\", for the log and the answer's header"),
        ("action", "add, force, strip, keep or deny"),
    ] {
        require(&mut section, value, key, what);
    }
    let says_no_sites = !section.has("sites") && !section.has("sites_file");
    if says_no_sites {
        require(
            &mut section,
            value,
            "sites",
            "a list such as [\"example.com\"]; or sites_file names a file with one pattern a line",
        );
    }
    let sites: Vec<SitePattern> = sites.into_iter().chain(file).flatten().collect();
    if sites.is_empty() && !says_no_sites && section.is_right() {
        section.problem(Problem::new(value.span(), "this rule has no sites").help("\"*\" is every site"));
    }
    let findings = section.finish();
    match id {
        Some(id) if findings.problems.is_empty() => Ok(Rule {
            sites,
            line: Some(line),
            ..settings.rule(id)
        }),
        _ => Err(findings),
    }
}

fn test(value: &Value<'_>, rules: &RuleSet) -> Result<Test, Findings> {
    let mut section = table("test", value)?;
    let site = section.take("site", |value| reader::string(value).map(str::to_owned));
    let captcha = section.take("captcha", |value| captcha_of_test(value, rules.names()));
    let expect = section.take("expect", reader::choice);
    let rule = section.take("rule", |value| known_rule(value, rules));
    for (key, what) in [
        ("site", "a target page such as \"https://shop.example/\""),
        ("expect", "set, removed, kept, skipped or denied"),
    ] {
        require(&mut section, value, key, what);
    }
    let span = section.place("expect").unwrap_or_default();
    let findings = section.finish();
    match (site, expect) {
        (Some(site), Some(expect)) if findings.problems.is_empty() => Ok(Test {
            site,
            captcha: captcha.unwrap_or_else(|| rules.names().of_type("RecaptchaV2Task", false)),
            expect,
            rule,
            span,
        }),
        _ => Err(findings),
    }
}

fn known_rule(value: &Value<'_>, rules: &RuleSet) -> Read<String> {
    let id = reader::string(value)?;
    let known: Vec<&str> = rules
        .rules()
        .iter()
        .map(|rule| rule.id.as_str())
        .chain([Rule::DEFAULT])
        .collect();
    if known.contains(&id) {
        return Ok(id.to_owned());
    }
    let problem = Problem::new(value.span(), format!("there is no rule with the id \"{id}\""));
    Err(vec![problem.suggest(id, known)])
}

fn captcha_of_test(value: &Value<'_>, names: &CaptchaNames) -> Read<Captcha> {
    captcha_pattern(value)?.example(names).ok_or_else(|| {
        vec![Problem::new(
            value.span(),
            "a test is about one captcha: write a kind or a type name",
        )]
    })
}

/// A table of a list.
fn table<'t, 'i>(name: &'static str, value: &'t Value<'i>) -> Result<Section<'t, 'i>, Findings> {
    match value.get_ref() {
        DeValue::Table(table) => Ok(Section::new(name, table)),
        other => Err(Findings {
            problems: vec![unexpected(value.span(), "a table", other)],
            ..Findings::default()
        }),
    }
}

/// Notes that a key is missing.
fn require(section: &mut Section<'_, '_>, value: &Value<'_>, key: &str, what: &str) {
    if !section.has(key) {
        section.problem(missing(value.span(), section.name(), key, what));
    }
}

/// A file of site patterns: one a line, `#` and what follows it is a comment.
fn sites_file(value: &Value<'_>, files: &mut Files<'_>) -> Read<Vec<SitePattern>> {
    let path = files.folder.join(reader::string(value)?);
    let problem = |message: String| Err(vec![Problem::new(value.span(), message)]);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return problem(format!("{} cannot be read: {error}", path.display())),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return problem(format!("{} is not UTF-8 text", path.display()));
    };
    let number = files.sources.len();
    let patterns = reader::collect(lines(&text).filter(|span| !span.is_empty()).map(|span| {
        let pattern = text[span.clone()].parse::<SitePattern>();
        pattern.map_err(|error| vec![Problem::new(span, error.to_string()).in_source(number)])
    }));
    files.sources.push(Source {
        path: path.display().to_string(),
        text: text.clone(),
    });
    patterns
}

/// Where each line's content stands: without a byte order mark, comment and white space.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        let content = line.split('#').next().unwrap_or_default();
        let content = content.trim_start_matches('\u{feff}');
        let skipped = content.as_ptr() as usize - line.as_ptr() as usize;
        let leading = content.len() - content.trim_start().len();
        let begin = start + skipped + leading;
        begin..begin + content.trim().len()
    })
}

fn site_pattern(value: &Value<'_>) -> Read<SitePattern> {
    let text = reader::string(value)?;
    text.parse()
        .map_err(|error: crate::rules::SitePatternError| vec![Problem::new(value.span(), error.to_string())])
}

fn missing(span: Range<usize>, name: &str, key: &str, what: &str) -> Problem {
    Problem::new(span, format!("this {name} has no \"{key}\"")).help(format!("{key} is {what}"))
}

/// A rule's id: a token that is not taken.
fn id(value: &Value<'_>, ids: &mut HashMap<String, usize>, line: usize) -> Read<String> {
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

fn captcha_pattern(value: &Value<'_>) -> Read<CaptchaPattern> {
    let text = reader::string(value)?;
    text.parse().map_err(|error| {
        let problem = Problem::new(value.span(), format!("\"{text}\" is no captcha: {error}"));
        let kinds = Kind::VARIANTS.iter().map(Into::<&str>::into).collect::<Vec<_>>();
        vec![match error {
            CaptchaPatternError::EmptyMethod => problem.help("write the legacy method's name, such as \"method=hcaptcha\""),
            // A kind's name is known by its hyphen or what somebody took for one.
            CaptchaPatternError::Unknown => match closest(text, kinds.iter().copied()).filter(|_| text.contains(['-', '_'])) {
                Some(kind) => problem.help(format!("did you mean \"{kind}\"?")),
                None => problem.help(format!(
                    "a captcha is one of {}, \"*\", a JSON type name such as \"TurnstileTask\", or a legacy method such as \"method=hcaptcha\"",
                    kinds.join(", ")
                )),
            },
        }]
    })
}

#[cfg(test)]
mod tests;
