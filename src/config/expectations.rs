//! The file's own tests, its `[[test]]` entries.

use super::{Code, Config, Report, Test, report::Problem, warnings::in_line};
use crate::{
    rewrite::{self, Outcome},
    rules::Rule,
    submission::Site,
};

/// Runs the tests; those that fail are errors.
pub fn failures(config: &Config) -> Report {
    Report::about(
        config,
        config.tests.iter().filter_map(|test| run(test, config)).collect(),
    )
}

fn run(test: &Test, config: &Config) -> Option<Problem> {
    let outcome = rewrite::outcome_for(&Site::parse(&test.site), &test.captcha, &config.rules);
    let decided_by = outcome.rule.map(|rule| rule.id.as_str());
    let is_right = outcome.decision == test.expect && test.rule.as_deref().is_none_or(|rule| decided_by == Some(rule));
    if is_right {
        return None;
    }
    let expected = match &test.rule {
        Some(rule) => format!("\"{}\" by the rule \"{rule}\"", test.expect),
        None => format!("\"{}\"", test.expect),
    };
    let problem = Problem::new(
        Code::TestFailed,
        test.span.clone(),
        format!("this test fails: expected {expected}, but it is {}", in_words(&outcome)),
    );
    let explain = format!(
        "for details run: nocache-gateway explain --site {} --captcha {}",
        test.site, test.captcha
    );
    let wanted = config
        .rules
        .rules()
        .iter()
        .find(|rule| Some(rule.id.as_str()) == test.rule.as_deref());
    let is_matched =
        |rule: &Rule| Site::parse(&test.site).is_ok_and(|site| rule.sites.iter().any(|pattern| pattern.matches(&site)));
    Some(problem.help(match wanted.filter(|rule| !is_matched(rule)) {
        Some(rule) => format!(
            "no pattern of the rule \"{}\" matches this site: add it to its sites, or correct the test; {explain}",
            rule.id
        ),
        None => format!("change the rule or the test; {explain}"),
    }))
}

fn in_words(outcome: &Outcome<'_>) -> String {
    let mut words = format!("\"{}\"", outcome.decision);
    if let Some(rule) = outcome.rule {
        words += &format!(" by the rule \"{}\"{}", rule.id, in_line(rule));
    }
    if let Some(reason) = outcome.reason {
        words += &format!(", {reason}");
    }
    words
}
