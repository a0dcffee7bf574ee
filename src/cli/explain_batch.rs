//! `explain --batch` and `--against`: many sites at once, and what another configuration would change. To run before a
//! reload.

use std::{fs, io::Read, path::Path};

use serde_json::{Value, json};

use super::{
    explain::{ExplainArgs, captcha},
    explain_input,
    output::{Failure, load, print, tell},
};
use crate::{
    config::{Config, Overrides, mask::mask_value},
    rewrite::{self, Outcome, outcome_for},
    submission::{Captcha, Site},
};

/// Explains each site, one line for each; or what another configuration decides differently.
pub fn run(overrides: &Overrides, args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    if let Some(path) = &args.against {
        let other = load(&overrides.with_file(path))?;
        return compare(args, &config, &other, path);
    }
    let captcha_here = captcha(&args.captcha, &config)?;
    let captcha = mask_value(&args.captcha);
    if !args.json {
        print(&head())?;
    }
    for site in &sites(args)? {
        let outcome = outcome(site, &captcha_here, &config);
        match args.json {
            true => print(&object(&mask_value(site), &captcha, &outcome).to_string())?,
            false => print(&row([mask_value(site).as_str(), &captcha]
                .into_iter()
                .chain(words(&outcome))))?,
        }
    }
    Ok(())
}

/// Shows what two configurations decide differently. Exit code 1 if there is anything.
fn compare(args: &ExplainArgs, config: &Config, other: &Config, path: &Path) -> Result<(), Failure> {
    // What is compared, in words, and its outcomes before and after.
    let mut compared: Vec<[String; 3]> = Vec::new();
    if let Some(request) = &args.request {
        let input = explain_input::read(request)?;
        let outcome = |config: &Config| {
            let reading = input.read(&config.rules);
            rewrite::plan(&reading, &config.rules).outcome.to_string()
        };
        compared.push(["the request".to_owned(), outcome(config), outcome(other)]);
    } else {
        // In another configuration the same name may be of another kind.
        let (here, there) = (captcha(&args.captcha, config)?, captcha(&args.captcha, other)?);
        for site in &sites(args)? {
            let outcomes = (outcome(site, &here, config), outcome(site, &there, other));
            compared.push([mask_value(site), outcomes.0.to_string(), outcomes.1.to_string()]);
        }
    }
    let changed = compared.iter().filter(|[_, before, after]| before != after);
    for [what, before, after] in changed.clone() {
        match args.json {
            true if args.request.is_some() => print(&json!({ "before": before, "after": after }).to_string())?,
            true => print(&json!({ "site": what, "before": before, "after": after }).to_string())?,
            false => print(&format!("{what}\n  - {before}\n  + {after}"))?,
        }
    }
    let path = mask_value(&path.display().to_string());
    let changed = changed.count();
    tell(&match (&args.request, changed) {
        (Some(_), 0) => format!("{path} decides the same"),
        (Some(_), _) => format!("{path} decides differently"),
        (None, _) => format!(
            "{changed} of {} sites are decided differently by {path}",
            compared.len()
        ),
    });
    match changed {
        0 => Ok(()),
        // As `diff` has it.
        _ => Err(Failure::Said(1)),
    }
}

fn outcome<'c>(site: &str, captcha: &Captcha, config: &'c Config) -> Outcome<'c> {
    outcome_for(&Site::parse(site), captcha, &config.rules)
}

/// The sites, one per line; a line that begins with `#` is a comment.
fn sites(args: &ExplainArgs) -> Result<Vec<String>, Failure> {
    let text = match args.batch.as_deref() {
        None => return Ok(args.site.iter().cloned().collect()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(Failure::failed)?;
            text
        }
        Some(path) => {
            fs::read_to_string(path).map_err(|error| Failure::wrong(format!("{path} cannot be read: {error}")))?
        }
    };
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// The head of the CSV.
fn head() -> String {
    // Every outcome has the same fields.
    let names = Outcome::denied_unreadable().fields().map(|(name, _)| name);
    row(["site", "captcha"].into_iter().chain(names))
}

fn words<'r>(outcome: &Outcome<'r>) -> impl Iterator<Item = &'r str> {
    outcome.fields().into_iter().map(|(_, value)| value.unwrap_or_default())
}

/// A line of CSV (RFC 4180).
fn row<'f>(fields: impl Iterator<Item = &'f str>) -> String {
    let quoted = |field: &str| match field.contains(['"', ',']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    };
    fields.map(quoted).collect::<Vec<_>>().join(",")
}

fn object(site: &str, captcha: &str, outcome: &Outcome<'_>) -> Value {
    let mut object = json!({ "site": site, "captcha": captcha });
    for (name, value) in outcome.fields() {
        object[name] = Value::from(value);
    }
    object
}
