//! Reads a configuration file over the defaults, and collects every mistake in it.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Code, Config, Provenance, Test,
    files::{Files, Reading},
    report::{Problem, Report, SHOWN, Source, meant},
    sections::{self, Key, RuleDraft, Section, TestDraft},
    syntax,
    value::{Value, toml, unexpected},
};
use crate::rules::{Rule, RuleSet};

/// The number of rules, in file order, among which one is looked for that a test can have meant.
const SUGGESTED: usize = 5_000;

/// Reads a file over the defaults, and the files it names, relative to `folder`. All mistakes are reported, in file order.
pub fn read(source: Source, folder: &Path, reading: Reading<'_>) -> Result<Config, Report> {
    let text = source.text.clone();
    let (root, errors) = DeTable::parse_recoverable(&text);
    let place = |error: &toml::de::Error| (error.span().unwrap_or_default(), error.message().to_owned());
    let mut reader = Reader::new(source, folder, reading);
    reader.problems = syntax::problems(&text, &errors.iter().map(place).collect::<Vec<_>>());
    let mut config = Config::default();
    // A tree with holes in it would only raise false mistakes.
    if errors.is_empty() {
        reader.root(root.get_ref(), &mut config);
    }
    config.sources = reader.files.sources;
    if reader.problems.is_empty() {
        return Ok(config);
    }
    let mut report = Report {
        sources: config.sources,
        problems: reader.problems,
    };
    report.sort();
    report.hide_proposals();
    Err(report)
}

/// The plain settings of a file, as far as they can be read: it may have mistakes.
pub fn read_leniently(text: String) -> Config {
    let mut config = Config::default();
    let (root, _) = DeTable::parse_recoverable(&text);
    let mut reader = Reader::new(Source::new(String::new(), text.clone()), Path::new(""), Reading::First);
    reader.plain(root.get_ref(), &sections::plain(), &mut config);
    config
}

struct Reader<'f> {
    files: Files<'f>,
    problems: Vec<Problem>,
    /// Every key with its section, to say where one belongs.
    names: Vec<(&'static str, &'static str)>,
}

impl<'f> Reader<'f> {
    fn new(source: Source, folder: &'f Path, reading: Reading<'f>) -> Self {
        Self {
            files: Files {
                folder,
                sources: vec![source],
                reading,
            },
            problems: Vec::new(),
            names: sections::all_names(),
        }
    }

    /// The line of the configuration file that an offset is in.
    fn line(&self, offset: usize) -> usize {
        self.files.sources[0].line(offset)
    }

    fn root(&mut self, root: &DeTable<'_>, config: &mut Config) {
        let plain = sections::plain();
        self.plain(root, &plain, config);
        let (rules, ids) = self.rules(root);
        let general = &mut config.general;
        let said = |key: &str| config.provenance.contains_key(&sections::path("default", key));
        if !said("captchas") {
            general.default.captchas = general.default.action.default_captchas();
        }
        config.rules = general.rule_set(rules, said("unreadable").then_some(general.unreadable));
        general.unreadable = config.rules.unreadable();
        config.tests = self.tests(root, &config.rules, &ids);
        let names = plain
            .iter()
            .map(|section| section.name)
            .filter(|name| !name.contains('.'));
        self.unknown("", root, &names.chain(["rule", "test"]).collect::<Vec<_>>());
    }

    /// Reads the sections that appear once in a file.
    fn plain(&mut self, root: &DeTable<'_>, sections: &[Section<Config>], config: &mut Config) {
        for section in sections {
            let name = section.name;
            let Some(value) = sections::table(root, name) else {
                continue;
            };
            let DeValue::Table(table) = value.get_ref() else {
                let help = match value.get_ref() {
                    DeValue::Array(_) => format!("write [{name}]"),
                    DeValue::String(text) if name == "default" => {
                        format!("use two lines: [default] and below it action = \"{text}\"")
                    }
                    _ => format!("put its settings below a line [{name}]"),
                };
                self.problems
                    .push(unexpected(value.span(), "a table", value.get_ref()).help(help));
                continue;
            };
            self.keys(section, value, table, config);
            for key in &section.keys {
                if let Some(value) = table.get(key.name) {
                    let from = Provenance::File {
                        path: self.files.sources[0].path.clone(),
                        line: self.line(value.span().start),
                    };
                    config.provenance.insert(sections::path(name, key.name), from);
                }
            }
            if name == "default" {
                let first = table.keys().map(|key| key.span().start).min();
                let action = table.get("action").map(|action| action.span().start);
                config.general.default.line = action.or(first).map(|offset| self.line(offset));
            }
            let keys = section.keys.iter().map(|key| key.name);
            let tables = sections
                .iter()
                .filter_map(|inner| inner.name.strip_prefix(name)?.strip_prefix('.'));
            self.unknown(name, table, &keys.chain(tables).collect::<Vec<_>>());
        }
    }

    /// The rules without mistakes, and the ids of all.
    fn rules(&mut self, root: &DeTable<'_>) -> (Vec<Rule>, HashSet<String>) {
        let section = sections::rule();
        let mut ids = HashMap::new();
        let tables = self.tables(root, section.name);
        let rules = tables
            .into_iter()
            .filter_map(|(value, table)| self.rule(&section, value, table, &mut ids))
            .collect();
        (rules, ids.into_keys().collect())
    }

    /// Reads a rule; none if there are mistakes in it.
    fn rule(
        &mut self,
        section: &Section<RuleDraft>,
        value: &Value<'_>,
        table: &DeTable<'_>,
        ids: &mut HashMap<String, usize>,
    ) -> Option<Rule> {
        let before = self.problems.len();
        let line = self.line(value.span().start);
        let mut draft = RuleDraft::default();
        self.keys(section, value, table, &mut draft);
        if let (Some(id), Some(place)) = (&draft.id, table.get("id"))
            && let Some(first) = ids.insert(id.clone(), line)
        {
            let message = format!("the id \"{id}\" is already used by the rule in line {first}");
            let problem = Problem::new(Code::IdTaken, place.span(), message);
            self.problems.push(problem.help("choose another one"));
        }
        let says_sites = table.contains_key("sites") || table.contains_key("sites_file");
        let sites: Vec<_> = draft.sites.into_iter().chain(draft.sites_file).flatten().collect();
        if !says_sites && !is_misnamed(section, table, "sites") {
            let what = "or sites_file, which names a file with one pattern per line";
            let sites = section.keys.iter().find(|key| key.name == "sites");
            self.problems
                .extend(sites.map(|key| missing(value, section, key, what)));
        } else if says_sites && sites.is_empty() && self.problems.len() == before {
            self.problems
                .push(Problem::new(Code::NoSites, value.span(), "this rule has no sites").help("\"*\" is every site"));
        }
        self.unknown_of(section, table);
        let (id, action) = (draft.id?, draft.action?);
        let rule = Rule {
            id: id.into(),
            sites,
            captchas: match table.contains_key("captchas") {
                true => draft.captchas,
                false => action.default_captchas(),
            },
            action,
            via: draft.via,
            line: Some(line),
        };
        (self.problems.len() == before).then_some(rule)
    }

    fn tests(&mut self, root: &DeTable<'_>, rules: &RuleSet, known: &HashSet<String>) -> Vec<Test> {
        let section = sections::test();
        let ids = || rules.rules().iter().map(|rule| rule.id.as_str()).chain([Rule::DEFAULT]);
        let tables = self.tables(root, section.name);
        let mut tests = Vec::new();
        let mut suggestions = 0;
        for (value, table) in tables {
            let before = self.problems.len();
            let mut draft = TestDraft::default();
            self.keys(&section, value, table, &mut draft);
            if let (Some(id), Some(place)) = (&draft.rule, table.get("rule"))
                && !known.contains(id)
                && id != Rule::DEFAULT
            {
                let problem = Problem::new(
                    Code::UnknownRule,
                    place.span(),
                    format!("there is no rule with the id \"{id}\""),
                );
                suggestions += 1;
                // A search through all the rules is for those that are shown.
                self.problems.push(match suggestions <= SHOWN {
                    true => problem.suggest(id, ids().take(SUGGESTED)),
                    false => problem,
                });
            }
            self.unknown_of(&section, table);
            if let (Some(site), Some(expect)) = (draft.site, draft.expect)
                && let Some(captcha) = draft.captcha.example(rules.names())
                && self.problems.len() == before
            {
                tests.push(Test {
                    site,
                    captcha,
                    expect,
                    rule: draft.rule,
                    span: table.get("expect").map(Spanned::span).unwrap_or_default(),
                });
            }
        }
        tests
    }

    /// The tables of a list such as `[[rule]]`.
    fn tables<'t, 'i>(&mut self, root: &'t DeTable<'i>, name: &str) -> Vec<(&'t Value<'i>, &'t DeTable<'i>)> {
        let mut tables = Vec::new();
        let Some(list) = root.get(name) else { return tables };
        let DeValue::Array(entries) = list.get_ref() else {
            let help = match list.get_ref() {
                DeValue::Table(_) => format!("write [[{name}]]"),
                _ => format!("put a line [[{name}]] above the settings of each"),
            };
            self.problems
                .push(unexpected(list.span(), "a list of tables", list.get_ref()).help(help));
            return tables;
        };
        for value in entries.iter() {
            match value.get_ref() {
                DeValue::Table(table) => tables.push((value, table)),
                other => self.problems.push(unexpected(value.span(), "a table", other)),
            }
        }
        tables
    }

    /// Reads the keys of a section that are there, and notes those that have to be.
    fn keys<C>(&mut self, section: &Section<C>, value: &Value<'_>, table: &DeTable<'_>, container: &mut C) {
        for key in &section.keys {
            match (table.get(key.name), &key.required) {
                (Some(value), _) => {
                    if let Err(problems) = (key.read)(container, value, &mut self.files) {
                        self.problems.extend(problems);
                    }
                }
                (None, Some(what)) if !is_misnamed(section, table, key.name) => {
                    self.problems.push(missing(value, section, key, what));
                }
                (None, _) => {}
            }
        }
    }

    fn unknown_of<C>(&mut self, section: &Section<C>, table: &DeTable<'_>) {
        let known: Vec<&str> = section.keys.iter().map(|key| key.name).collect();
        self.unknown(section.name, table, &known);
    }

    /// Notes the keys of a section that are not known.
    fn unknown(&mut self, section: &str, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let (span, key) = (key.span(), key.get_ref().as_ref());
            if known.contains(&key) {
                continue;
            }
            let place = match section {
                "" => "at the top level".to_owned(),
                section => format!("in [{section}]"),
            };
            let elsewhere = self.names.iter().filter(|(_, name)| *name == key);
            let elsewhere: Vec<String> = elsewhere.map(|(section, _)| format!("[{section}]")).collect();
            let help = match meant(key, known.iter().copied()) {
                Some("action") if key == "nocache" => {
                    "use action = \"add\" to turn nocache on, or \"strip\" to turn it off".to_owned()
                }
                _ if ["reload", "watch", "hot_reload", "auto_reload"].contains(&key) => {
                    "delete this line: changed rules are always reloaded".to_owned()
                }
                Some(word) if table.contains_key(word) => format!("\"{word}\" is there already: remove one of them"),
                Some(word) => format!("did you mean \"{word}\"?"),
                None if !elsewhere.is_empty() => format!("\"{key}\" belongs below {}", elsewhere.join(" or ")),
                None => format!("valid keys here: {}", known.join(", ")),
            };
            let problem = Problem::new(Code::UnknownKey, span, format!("unknown key \"{key}\" {place}"));
            self.problems.push(problem.help(help));
        }
    }
}

/// Whether a key of a section is there under a name that is not known, which is reported.
fn is_misnamed<C>(section: &Section<C>, table: &DeTable<'_>, key: &str) -> bool {
    let known = || section.keys.iter().map(|key| key.name);
    let mut unknown = table.keys().map(|written| written.get_ref().as_ref());
    unknown.any(|written| !known().any(|known| known == written) && meant(written, known()) == Some(key))
}

fn missing<C>(table: &Value<'_>, section: &Section<C>, key: &Key<C>, what: &str) -> Problem {
    let message = format!("this {} has no \"{}\"", section.name, key.name);
    let help = format!("add a line such as {} = {} ({what})", key.name, toml(&key.example));
    Problem::new(Code::MissingKey, table.span(), message).help(help)
}

#[cfg(test)]
mod tests;
