//! `check`: validates the configuration and runs its tests.

use std::{io::stderr, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    listeners::{self, ShownCertificates},
    output::{Failure, block_on, has_colours, print, tell},
    proxy_variables, unknown_variables,
};
use crate::{
    config::{
        self, Config, LoadError, Overrides, Reading, expectations,
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
        Some(file) => &Overrides {
            file: Some(file.clone()),
            file_variable: None,
            ..overrides.clone()
        },
        None => overrides,
    };
    let config = match config::load(overrides, Reading::First) {
        Ok(config) => config,
        Err(LoadError::Mistakes(report)) if args.json => {
            // It is wrong whether or not anybody reads why.
            let _unread = print(&json!({ "valid": false, "problems": problems(&report) }).to_string());
            return Err(Failure::Wrong("the configuration is wrong".to_owned()));
        }
        Err(error) => return Err(error.into()),
    };
    let upstream =
        Upstream::new(config.upstream.clone(), &listeners::addresses(&config.server)).map_err(Failure::wrong)?;
    let certificates = ShownCertificates::read(&config).map_err(Failure::wrong)?;
    let looped = block_on(upstream.leads_back())?.err();
    let warnings = warnings::warnings(&config);
    let failed = expectations::failures(&config);
    let unplaced: Vec<String> = looped
        .map(|error| error.to_string())
        .into_iter()
        .chain(listeners::doubts(&config, &certificates))
        .chain(proxy_variables::warning(&config))
        .chain(unknown_variables::warnings())
        .collect();
    let told = if args.json {
        let unplaced = unplaced
            .iter()
            .map(|message| json!({ "severity": "warning", "message": message }));
        let found: Vec<Value> = unplaced
            .chain([&warnings, &failed].into_iter().flat_map(problems))
            .collect();
        let summary = json!({
            "valid": failed.is_empty(),
            "file": config.file,
            "rules": config.rules.rules().len(),
            "patterns": patterns(&config),
            "tests": config.tests.len(),
            "problems": found,
        });
        print(&summary.to_string())
    } else {
        for message in &unplaced {
            tell(&format!("warning: {message}\n"));
        }
        for report in [&warnings, &failed].into_iter().filter(|report| !report.is_empty()) {
            tell(&format!("{}\n", report.render(has_colours(&stderr()))));
        }
        Ok(())
    };
    if !failed.is_empty() {
        let (failed, all) = (failed.problems.len(), config.tests.len());
        return Err(Failure::Wrong(format!("{failed} of {all} tests failed")));
    }
    let doubts = warnings.problems.len() + unplaced.len();
    if args.deny_warnings && doubts > 0 {
        return Err(Failure::Wrong(match doubts {
            1 => "there is a warning".to_owned(),
            _ => format!("there are {doubts} warnings"),
        }));
    }
    if args.json { told } else { print(&summary(&config)) }
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
            format!("\n  {name:<9} {} ({})", value.replace('"', ""), setting.provenance)
        })
    };
    let rules = config.rules.rules().len();
    let tests = match config.tests.len() {
        0 => String::new(),
        count => format!("\n  {:<9} {count}, all passed", "tests"),
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
        "{first}{}{further}{}{proxy}{}\n  {:<9} {rules}, with {} site patterns{}{tests}",
        row("listens", "server.listen"),
        row("forwards", "upstream.url"),
        row("admin", "admin.listen"),
        "rules",
        patterns(config),
        row("elsewhere", "default.action"),
    )
}

fn problems(report: &Report) -> Vec<Value> {
    let one = |problem: &Problem| {
        let source = &report.sources[problem.source];
        json!({
            "severity": match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            "file": mask(&source.path),
            "line": source.line(problem.span.start),
            "message": mask(&problem.message),
            "help": problem.help.as_deref().map(mask),
        })
    };
    report.problems.iter().map(one).collect()
}
