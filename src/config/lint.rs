//! What is no mistake but cannot be meant: patterns that match nothing or half the internet. And the file's own tests.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Config, Report, Test, report::Problem};
use crate::{
    rewrite::{self, Outcome},
    rules::{Rule, SitePattern},
    submission::Submission,
};

/// Warnings about a configuration that was read without a mistake.
pub fn warnings(config: &Config) -> Report {
    let places = places(config);
    let mut problems = Vec::new();
    for (number, rule) in config.rules.rules().iter().enumerate() {
        for (pattern, place) in rule.sites.iter().zip(&places[number]) {
            let at = || Problem::new(place.span.clone(), "").warning().in_source(place.source);
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
                    ..at()
                });
            } else if is_public_suffix(pattern) {
                problems.push(Problem {
                    message: format!("\"{pattern}\" is a public suffix: this matches every site under it"),
                    help: Some("a site is one label longer, such as \"example.co.uk\"".to_owned()),
                    ..at()
                });
            }
        }
    }
    report(config, problems)
}

/// Runs the file's `[[test]]` entries; those that fail are mistakes.
pub fn run_tests(config: &Config) -> Report {
    report(
        config,
        config.tests.iter().filter_map(|test| run(test, config)).collect(),
    )
}

fn run(test: &Test, config: &Config) -> Option<Problem> {
    let submission = Submission::bare(test.captcha.clone(), &test.site);
    let outcome = rewrite::plan(&Ok(submission), &config.rules).outcome;
    let decided_by = outcome.rule.map(|rule| rule.id.as_str());
    let is_right = outcome.token == test.expect && test.rule.as_deref().is_none_or(|rule| decided_by == Some(rule));
    if is_right {
        return None;
    }
    let expected = match &test.rule {
        Some(rule) => format!("\"{}\" by the rule \"{rule}\"", test.expect.name()),
        None => format!("\"{}\"", test.expect.name()),
    };
    let problem = Problem::new(
        test.span.clone(),
        format!("this test fails: expected {expected}, but it is {}", in_words(&outcome)),
    );
    Some(problem.help(format!(
        "nocache-gateway explain --site {} --captcha {} tells more",
        test.site, test.captcha
    )))
}

fn in_words(outcome: &Outcome<'_>) -> String {
    let mut words = format!("\"{}\"", outcome.token.name());
    if let Some(rule) = outcome.rule {
        words += &format!(" by the rule \"{}\"{}", rule.id, in_line(rule));
    }
    if let Some(reason) = outcome.reason {
        words += &format!(", {}", reason.name());
    }
    words
}

fn in_line(rule: &Rule) -> String {
    rule.line.map_or(String::new(), |line| format!(" in line {line}"))
}

fn report(config: &Config, problems: Vec<Problem>) -> Report {
    let mut report = Report {
        sources: config.sources.clone(),
        problems,
    };
    report.sort();
    report
}

/// Where a pattern is written.
struct Place {
    source: usize,
    span: std::ops::Range<usize>,
}

/// Where each pattern of each rule is written. Found by reading the files' syntax again, so that a running gateway does
/// not carry places around that only `check` asks for.
fn places(config: &Config) -> Vec<Vec<Place>> {
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
            let inline = list(rule, "sites").into_iter().map(|span| Place { source: 0, span });
            let mut places: Vec<Place> = inline.collect();
            if rule.contains_key("sites_file") {
                let source = next_source;
                next_source += 1;
                let spans = super::file::lines(&config.sources[source].text).filter(|span| !span.is_empty());
                places.extend(spans.map(|span| Place { source, span }));
            }
            places
        })
        .collect()
}

/// Whether a pattern is a whole public suffix such as `com` or `co.uk` (<https://publicsuffix.org>, the ICANN section).
fn is_public_suffix(pattern: &SitePattern) -> bool {
    let suffix_of = |domain: &str| {
        let suffix = psl::suffix(domain.as_bytes())?;
        Some(suffix.is_known() && suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == domain.as_bytes())
    };
    pattern.domain().and_then(suffix_of).unwrap_or(false)
}
