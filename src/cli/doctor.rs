//! `doctor`: what is wrong between a bot and the API, seen from this machine. Safe to paste into a report: no key, no
//! password, and no request is sent.

use std::fmt::Write;

use clap::Args;
use serde_json::{Value, json};

use super::{
    doctor_checks as checks,
    finding::Finding,
    output::{Failure, block_on, has_colours, print},
};
use crate::config::{self, LoadError, Overrides, Reading, report::Severity};

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// One JSON object, for machines
    #[arg(long)]
    json: bool,
}

/// Looks at everything. Exit code 1 if something is wrong.
pub fn run(overrides: &Overrides, args: &DoctorArgs) -> Result<(), Failure> {
    let findings = block_on(find(overrides))?;
    match args.json {
        true => print(&json(&findings).to_string())?,
        false => print(text(&findings, has_colours(&std::io::stdout())).trim_end())?,
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Some(Severity::Error));
    match errors.count() {
        0 => Ok(()),
        1 => Err(Failure::failed("something is wrong")),
        count => Err(Failure::failed(format!("{count} things are wrong"))),
    }
}

async fn find(overrides: &Overrides) -> Vec<Finding> {
    let mut findings = vec![checks::version()];
    let config = match config::load(overrides, Reading::First) {
        Ok(config) => config,
        Err(error) => {
            let message = match &error {
                LoadError::Mistakes(report) => match report.problems.len() {
                    1 => "there is a mistake in it".to_owned(),
                    count => format!("there are {count} mistakes in it"),
                },
                error => error.to_string(),
            };
            findings.push(Finding::error("configuration", message).advise("nocache-gateway check says more"));
            findings.push(checks::clock());
            return findings;
        }
    };
    findings.extend(checks::configuration(&config));
    findings.extend(checks::listeners(&config).await);
    findings.extend(checks::certificates(&config));
    findings.extend(checks::upstream(&config).await);
    findings.extend(checks::environment(&config));
    findings.push(checks::clock());
    findings.push(checks::open_files(&config));
    findings.extend(checks::ledger(&config));
    findings
}

fn text(findings: &[Finding], has_colours: bool) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.about.len())
        .max()
        .unwrap_or_default();
    let mut text = String::new();
    for finding in findings {
        let (word, colour) = match finding.severity {
            None => ("OK", "32"),
            Some(Severity::Warning) => ("warning", "33"),
            Some(Severity::Error) => ("error", "31"),
        };
        let word = match has_colours {
            true => format!("\x1b[{colour}m{word:<7}\x1b[0m"),
            false => format!("{word:<7}"),
        };
        let _infallible = writeln!(text, "{word}  {:<width$}  {}", finding.about, finding.message);
        if let Some(advice) = &finding.advice {
            let _infallible = writeln!(text, "{:7}  {:width$}  = help: {advice}", "", "");
        }
    }
    text
}

fn json(findings: &[Finding]) -> Value {
    let one = |finding: &Finding| {
        json!({
            "about": finding.about,
            "result": result(finding.severity),
            "message": finding.message,
            "advice": finding.advice,
        })
    };
    let worst = findings.iter().filter_map(|finding| finding.severity).min();
    json!({ "result": result(worst), "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

fn result(severity: Option<Severity>) -> &'static str {
    severity.map_or("ok", Into::into)
}
