//! `check` and `config show`: what the configuration says.

use std::io::stderr;

use serde_json::{Value, json};

use super::{Failure, ShowArgs, block_on, has_colours, load, print};
use crate::{
    config::{
        self, Config, LoadError, Overrides, lint,
        report::{Report, Severity},
        settings::{self, InForce},
    },
    rules::Rule,
    upstream::Upstream,
};

/// `check`: mistakes end it with exit code 2, warnings do not.
pub fn run(overrides: &Overrides, args: &ShowArgs) -> Result<(), Failure> {
    let config = match config::load(overrides) {
        Ok(config) => config,
        Err(LoadError::Mistakes(report)) if args.json => {
            print(&json!({ "valid": false, "problems": problems(&report) }).to_string())?;
            return Err(Failure::Wrong("the configuration is wrong".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let upstream = Upstream::new(config.upstream.clone(), &config.server.listen).map_err(Failure::wrong)?;
    let looped = block_on(upstream.leads_back())?.err();
    let warnings = lint::warnings(&config);
    let failed = lint::run_tests(&config);
    if args.json {
        let looped = looped.map(|error| json!({ "severity": "warning", "message": error.to_string() }));
        let found = [&warnings, &failed].into_iter().flat_map(problems);
        let found: Vec<Value> = looped.into_iter().chain(found).collect();
        let summary = json!({
            "valid": failed.is_empty(),
            "file": config.file,
            "rules": config.rules.rules().len(),
            "patterns": patterns(&config),
            "tests": config.tests.len(),
            "problems": found,
        });
        print(&summary.to_string())?;
    } else {
        if let Some(error) = looped {
            eprintln!("warning: {error}\n");
        }
        for report in [&warnings, &failed].into_iter().filter(|report| !report.is_empty()) {
            eprintln!("{}\n", report.render(has_colours(&stderr())));
        }
    }
    if !failed.is_empty() {
        let (failed, all) = (failed.problems.len(), config.tests.len());
        return Err(Failure::Wrong(format!("{failed} of {all} tests failed")));
    }
    if args.json { Ok(()) } else { print(&summary(&config)) }
}

fn patterns(config: &Config) -> usize {
    config.rules.rules().iter().map(|rule| rule.sites.len()).sum()
}

fn summary(config: &Config) -> String {
    let first = match &config.file {
        Some(file) => format!("{} is right.", file.display()),
        None => "There is no configuration file: the defaults are in force.".to_owned(),
    };
    let row = |name: &str, path: &str| {
        let in_force = settings::in_force(config)
            .into_iter()
            .find(|setting| setting.path == path);
        in_force.map_or(String::new(), |InForce { value, origin, .. }| {
            format!(
                "\n  {name:<9} {} ({origin})",
                value.unwrap_or_default().replace('"', "")
            )
        })
    };
    let rules = config.rules.rules().len();
    let tests = match config.tests.len() {
        0 => String::new(),
        count => format!("\n  {:<9} {count}, all passed", "tests"),
    };
    format!(
        "{first}{}{}{}\n  {:<9} {rules}, with {} site patterns{}{tests}",
        row("listens", "server.listen"),
        row("forwards", "upstream.url"),
        row("admin", "admin.listen"),
        "rules",
        patterns(config),
        row("elsewhere", "default.action"),
    )
}

fn problems(report: &Report) -> Vec<Value> {
    let one = |problem: &crate::config::report::Problem| {
        let source = &report.sources[problem.source];
        json!({
            "severity": match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "file": source.path,
            "line": source.line(problem.span.start),
            "message": problem.message,
            "help": problem.help,
        })
    };
    report.problems.iter().map(one).collect()
}

/// `config show`: every setting with its value and origin, as a configuration file that says the same.
pub fn show(overrides: &Overrides, args: &ShowArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let settings = settings::in_force(&config);
    if args.json {
        let one = |setting: InForce| {
            let value = setting
                .value
                .and_then(|value| serde_json::from_str::<Value>(&value).ok());
            (
                setting.path,
                json!({ "value": value, "origin": setting.origin.to_string() }),
            )
        };
        let object: serde_json::Map<String, Value> = settings.into_iter().map(one).collect();
        return print(&Value::Object(object).to_string());
    }
    let mut shown = String::new();
    let mut section = String::new();
    for setting in settings {
        let Some((name, key)) = setting.path.split_once('.') else {
            continue;
        };
        if section != name {
            section = name.to_owned();
            shown += &format!("{}[{name}]\n", if shown.is_empty() { "" } else { "\n" });
        }
        let text = match setting.value {
            Some(value) => format!("{key} = {value}"),
            None => format!("# {key} is not set"),
        };
        shown += &format!("{text:<47} # {}\n", setting.origin);
    }
    let rules = config
        .rules
        .rules()
        .iter()
        .map(|rule| format!("\n{}", show_rule(rule, &config)));
    print((shown + &rules.collect::<String>()).trim_end())
}

/// A rule as it could be written. Of a long list of sites the first few.
fn show_rule(rule: &Rule, config: &Config) -> String {
    const FEW: usize = 8;
    let list = |items: Vec<String>| Value::from(items).to_string().replace("\",\"", "\", \"");
    let sites: Vec<String> = rule.sites.iter().take(FEW).map(ToString::to_string).collect();
    let more = match rule.sites.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!("    # and {more} more"),
    };
    format!(
        "[[rule]]{:<38} # {}\nid = \"{}\"\nsites = {}{more}\ncaptchas = {}\naction = \"{}\"\nvia = \"{}\"\n",
        "",
        place(rule, config),
        rule.id,
        list(sites),
        list(rule.captchas.iter().map(ToString::to_string).collect()),
        rule.action,
        rule.via,
    )
}

/// Where a rule stands.
pub fn place(rule: &Rule, config: &Config) -> String {
    match (&config.file, rule.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.display()),
        _ => "built in".to_owned(),
    }
}
