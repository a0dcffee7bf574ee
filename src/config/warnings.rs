//! Valid settings that are probably not intended: patterns that match nothing, or half the internet.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Code, Config, Report, report::Problem, vendor};
use crate::{
    rules::{Action, CaptchaPattern, Rule},
    submission::CaptchaNames,
};

/// Warnings about a valid configuration.
pub fn warnings(config: &Config) -> Report {
    let places = places(config);
    let has_default = config.provenance.contains_key("default.action");
    let mut problems = Vec::new();
    for (number, rule) in config.rules.rules().iter().enumerate() {
        if let Some(place) = places[number].sites.first()
            && changes_nothing(config, number)
            && rule
                .sites
                .iter()
                .all(|pattern| config.rules.shadow_of(pattern, number).is_none())
        {
            let action: &str = rule.action.into();
            let help = match rule.action {
                Action::Add => match has_default {
                    true => "to add nocache only for the sites in your rules, set action = \"keep\" below [default]",
                    false => {
                        "to add nocache only for the sites in your rules, add these two lines: [default] and action = \"keep\""
                    }
                },
                _ => "leave the rule out, or give it another action",
            };
            let message = format!(
                "the rule \"{}\" has no effect: every site gets the action \"{action}\" already, by {}",
                rule.id,
                if has_default {
                    "[default]"
                } else {
                    "the built-in default"
                },
            );
            problems.push(
                Problem::new(Code::RuleChangesNothing, place.span.clone(), message)
                    .warning()
                    .in_source(place.source)
                    .help(help),
            );
        }
        for (captcha, place) in rule.captchas.iter().zip(&places[number].captchas) {
            if let Some(meant) = misspelled(captcha) {
                let message = format!("unknown captcha \"{captcha}\"");
                let problem = Problem::new(Code::MisspelledCaptcha, place.span.clone(), message).warning();
                let kind = CaptchaNames::default().of_type(&meant, false).kind;
                problems.push(problem.help(match kind {
                    Some(kind) => format!("write \"{kind}\" for every type of it, or \"{meant}\" for that type alone"),
                    None => format!("did you mean \"{meant}\"?"),
                }));
            }
        }
        for (pattern, place) in rule.sites.iter().zip(&places[number].sites) {
            let at = |code| {
                Problem::new(code, place.span.clone(), "")
                    .warning()
                    .in_source(place.source)
            };
            if let Some(shadow) = config.rules.shadow_of(pattern, number) {
                problems.push(Problem {
                    message: format!(
                        "this pattern never matches: the rule \"{}\"{} comes first",
                        shadow.id,
                        in_line(shadow)
                    ),
                    help: Some(
                        "the first rule that matches decides: put the narrower rule above the wider one".to_owned(),
                    ),
                    ..at(Code::ShadowedPattern)
                });
            } else if pattern.domain().is_some_and(is_public_suffix) {
                problems.push(Problem {
                    message: format!("\"{pattern}\" is a public suffix: this matches every site under it"),
                    help: Some("for one site write its domain, such as \"example.com\"; leave it as it is if every one is meant".to_owned()),
                    ..at(Code::PublicSuffix)
                });
            }
        }
    }
    Report::about(config, problems)
}

/// The name of the vendor's that a captcha almost has.
fn misspelled(pattern: &CaptchaPattern) -> Option<String> {
    /// How many characters may be wrong.
    const WRONG: usize = 2;
    let (prefix, written, known) = match pattern {
        CaptchaPattern::Type(name) => ("", name, &vendor::TYPES[..]),
        CaptchaPattern::Method(name) => ("method=", name, &vendor::METHODS[..]),
        CaptchaPattern::Any | CaptchaPattern::Kind(_) => return None,
    };
    let written = written.to_ascii_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&written, &name.to_ascii_lowercase());
    let is_known = |name: &&&str| name.to_ascii_lowercase().strip_suffix("task") == Some(written.as_str());
    let meant = known
        .iter()
        .find(is_known)
        .or(known.iter().min_by_key(|name| distance(name)))?;
    // With a short name, two wrong characters make another word.
    let is_cut = meant.to_ascii_lowercase().strip_suffix("task") == Some(&written);
    let is_close = is_cut || (1..=WRONG.min(meant.len() / 3)).contains(&distance(meant));
    is_close.then(|| format!("{prefix}{meant}"))
}

/// Whether a rule does what the default does anyway, and is no exception to a rule below it.
fn changes_nothing(config: &Config, number: usize) -> bool {
    let default = config.rules.default_rule();
    let is_default =
        |rule: &Rule| (rule.action, rule.via, &rule.captchas) == (default.action, default.via, &default.captchas);
    config.rules.rules()[number..].iter().all(is_default)
}

/// The line of a rule, in words.
pub(super) fn in_line(rule: &Rule) -> String {
    rule.line.map_or(String::new(), |line| format!(" in line {line}"))
}

/// Where the patterns of a rule are written.
struct Places {
    sites: Vec<Place>,
    captchas: Vec<Place>,
}

/// Where a pattern is written.
struct Place {
    source: usize,
    span: std::ops::Range<usize>,
}

/// Where each pattern of each rule is written. Found by reading the files' syntax again, so that a running gateway does
/// not carry places around that only `check` asks for.
fn places(config: &Config) -> Vec<Places> {
    let Some(main) = config.sources.first() else {
        return Vec::new();
    };
    let (root, _) = DeTable::parse_recoverable(&main.text);
    let list = |table: &DeTable<'_>, key: &str| match table.get(key).map(Spanned::get_ref) {
        Some(DeValue::Array(entries)) => entries.iter().map(Spanned::span).collect(),
        _ => Vec::new(),
    };
    let mut next_source = 1;
    let rules = match root.get_ref().get("rule").map(Spanned::get_ref) {
        Some(DeValue::Array(rules)) => rules.iter().filter_map(|rule| rule.get_ref().as_table()).collect(),
        _ => Vec::new(),
    };
    rules
        .into_iter()
        .map(|rule| {
            let inline = |key: &str| -> Vec<Place> {
                let spans = list(rule, key).into_iter();
                spans.map(|span| Place { source: 0, span }).collect()
            };
            let mut sites = inline("sites");
            if rule.contains_key("sites_file") {
                let source = next_source;
                next_source += 1;
                let spans = super::rule_value::lines(&config.sources[source].text).filter(|span| !span.is_empty());
                sites.extend(spans.map(|span| Place { source, span }));
            }
            Places {
                sites,
                captchas: inline("captchas"),
            }
        })
        .collect()
}

/// Whether a domain is a whole public suffix such as `com` or `co.uk` (<https://publicsuffix.org>, the ICANN section).
pub fn is_public_suffix(domain: &str) -> bool {
    psl::suffix(domain.as_bytes()).is_some_and(|suffix| {
        suffix.is_known() && suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == domain.as_bytes()
    })
}
