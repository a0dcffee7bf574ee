//! `check`: validates the configuration and runs its tests.

use std::{fmt, io::stderr, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    listeners::{self, ShownCertificates},
    output::{Failure, block_on, counted, has_colours, print, tell},
    proxy_variables, unknown_variables,
};
use crate::{
    config::{
        self, Code, Config, LoadError, Overrides, Reading, expectations,
        mask::mask,
        report::{Problem, Report, Severity},
        sections, value, warnings,
    },
    upstream::Upstream,
};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file to check, as --config names it
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// One JSON object, for machines
    #[arg(long)]
    json: bool,
    /// Let warnings be errors: exit code 2
    #[arg(long)]
    deny_warnings: bool,
}

/// Validates. Errors end it with exit code 2, warnings only if they are denied.
pub fn run(overrides: &Overrides, args: &CheckArgs) -> Result<(), Failure> {
    let overrides = match &args.file {
        Some(_) if overrides.is_file_named() => {
            return Err(Failure::wrong("name the file once: behind check, or with --config"));
        }
        Some(file) => &overrides.with_file(file),
        None => overrides,
    };
    let found = Found::of(overrides)?;
    let is_valid = found.count(Severity::Error) == 0;
    let told = match args.json {
        true => print(&found.json(is_valid).to_string()),
        false => {
            found.tell();
            Ok(())
        }
    };
    let failed = found.failed_tests;
    if failed > 0 {
        let all = found.config.map_or(0, |config| config.tests.len());
        return Err(Failure::Wrong(format!("{failed} of {all} tests failed")));
    }
    if !is_valid {
        return Err(Failure::Said(2));
    }
    match found.count(Severity::Warning) {
        1 if args.deny_warnings => return Err(Failure::Wrong("there is a warning".to_owned())),
        warnings if args.deny_warnings && warnings > 0 => {
            return Err(Failure::Wrong(format!("there are {warnings} warnings")));
        }
        _ => {}
    }
    match &found.config {
        Some(config) if !args.json => print(&summary(config)),
        _ => told,
    }
}

/// All that was found.
#[derive(Default)]
struct Found {
    /// The configuration, if it can be used.
    config: Option<Config>,
    /// What has a place in a file.
    reports: Vec<Report>,
    /// What has none.
    unplaced: Vec<Unplaced>,
    failed_tests: usize,
}

struct Unplaced {
    severity: Severity,
    code: Code,
    message: String,
}

impl Found {
    fn of(overrides: &Overrides) -> Result<Self, Failure> {
        let config = match config::load(overrides, Reading::First) {
            Ok(config) => config,
            Err(LoadError::Mistakes(report)) => {
                return Ok(Self {
                    reports: vec![report],
                    ..Self::default()
                });
            }
            Err(error) => return Ok(Self::error(error.code(), &error)),
        };
        let upstream = match Upstream::new(config.upstream.clone(), &listeners::addresses(&config.server)) {
            Ok(upstream) => upstream,
            Err(error) => return Ok(Self::error(Code::InvalidCertificate, &error)),
        };
        let certificates = match ShownCertificates::read(&config) {
            Ok(certificates) => certificates,
            Err(error) => return Ok(Self::error(Code::InvalidCertificate, &error)),
        };
        if let Err(error) = upstream.leads_back_for_certain() {
            return Ok(Self::error(Code::UpstreamLoop, &error));
        }
        let looped = block_on(upstream.leads_back())?.err().map(|error| error.to_string());
        let doubts = [
            (Code::UpstreamLoop, looped.into_iter().collect()),
            (Code::DoubtfulListener, listeners::doubts(&config, &certificates)),
            (
                Code::UnusedProxyVariable,
                proxy_variables::warning(&config).into_iter().collect(),
            ),
            (Code::MisspelledVariable, unknown_variables::warnings()),
        ];
        let unplaced = doubts.into_iter().flat_map(|(code, messages): (Code, Vec<String>)| {
            messages.into_iter().map(move |message| Unplaced {
                severity: Severity::Warning,
                code,
                message,
            })
        });
        let failures = expectations::failures(&config);
        Ok(Self {
            failed_tests: failures.problems.len(),
            reports: vec![warnings::warnings(&config), failures],
            unplaced: unplaced.collect(),
            config: Some(config),
        })
    }

    fn error(code: Code, error: &impl fmt::Display) -> Self {
        Self {
            unplaced: vec![Unplaced {
                severity: Severity::Error,
                code,
                message: mask(&error.to_string()),
            }],
            ..Self::default()
        }
    }

    fn count(&self, severity: Severity) -> usize {
        let placed = self.reports.iter().flat_map(|report| &report.problems);
        let severities = placed.map(|problem| problem.severity);
        let unplaced = self.unplaced.iter().map(|unplaced| unplaced.severity);
        severities.chain(unplaced).filter(|found| *found == severity).count()
    }

    fn tell(&self) {
        for Unplaced {
            severity,
            code,
            message,
        } in &self.unplaced
        {
            tell(&match severity {
                Severity::Error => format!("error[{code}]: {message}"),
                Severity::Warning => format!("warning[{code}]: {message}\n"),
            });
        }
        let is_valid = self.config.is_some();
        for report in self.reports.iter().filter(|report| !report.is_empty()) {
            let end = if is_valid { "\n" } else { "" };
            tell(&format!("{}{end}", report.render(has_colours(&stderr()))));
        }
    }

    fn json(&self, is_valid: bool) -> Value {
        let unplaced = self.unplaced.iter().map(|unplaced| {
            json!({
                "severity": <&str>::from(unplaced.severity),
                "code": unplaced.code.to_string(),
                "message": unplaced.message,
            })
        });
        let problems: Vec<Value> = unplaced.chain(self.reports.iter().flat_map(problems)).collect();
        let mut found = json!({ "valid": is_valid, "problems": problems });
        if let Some(config) = &self.config {
            found["file"] = json!(config.file);
            found["rules"] = json!(config.rules.rules().len());
            found["patterns"] = json!(patterns(config));
            found["tests"] = json!(config.tests.len());
        }
        found
    }
}

fn patterns(config: &Config) -> usize {
    config.rules.rules().iter().map(|rule| rule.sites.len()).sum()
}

fn summary(config: &Config) -> String {
    let first = match &config.file {
        Some(file) => format!("{}: OK", file.display()),
        None => "No configuration file: the defaults apply.".to_owned(),
    };
    let settings = sections::in_force(config);
    let row = |name: &str, path: &str| {
        let in_force = settings.iter().find(|setting| setting.path == path);
        in_force.map_or(String::new(), |setting| {
            let value = setting.value.as_ref().map(value::toml).unwrap_or_default();
            format!("\n  {name:<11} {} ({})", value.replace('"', ""), setting.provenance)
        })
    };
    let rules = config.rules.rules().len();
    let tests = match config.tests.len() {
        0 => String::new(),
        count => format!("\n  {:<11} {count}, all passed", "tests"),
    };
    let proxy = match config.upstream.proxy {
        Some(_) => row("through", "upstream.proxy"),
        None => String::new(),
    };
    let server = &config.server;
    let further = [
        ("over TLS", "server.tls.listen", !server.tls.listen.is_empty()),
        ("as proxy", "server.proxy.listen", !server.proxy.listen.is_empty()),
        ("hosts", "server.hosts.names", !server.api.hosts_file_names.is_empty()),
    ];
    let further = further.into_iter().filter(|(.., is_there)| *is_there);
    let further: String = further.map(|(name, path, _)| row(name, path)).collect();
    format!(
        "{first}{}{further}{}{proxy}{}\n  {:<11} {rules} ({}){}{tests}",
        row("listens", "server.listen"),
        row("forwards", "upstream.url"),
        row("admin", "admin.listen"),
        "rules",
        counted(patterns(config), "site pattern"),
        row("other sites", "default.action"),
    )
}

fn problems(report: &Report) -> Vec<Value> {
    let one = |problem: &Problem| {
        let source = &report.sources[problem.source];
        let (start, end) = (problem.span.start, problem.span.end);
        json!({
            "severity": <&str>::from(problem.severity),
            "code": problem.code.to_string(),
            "file": mask(&source.path),
            "line": source.line(start),
            "column": source.column(start),
            "endLine": source.line(end),
            "endColumn": source.column(end),
            "message": mask(&problem.message),
            "help": problem.help.as_deref().map(mask),
        })
    };
    report.problems.iter().map(one).collect()
}
