//! `explain --batch` and `--against`: many sites at once, and what another configuration would change. To run before a
//! reload.

use std::{fs, io::Read};

use serde_json::{Value, json};

use super::{
    explain::{ExplainArgs, captcha},
    output::{Failure, load, print, tell},
};
use crate::{
    config::{Config, Overrides, mask::mask_value},
    rewrite::{Outcome, outcome_for},
    submission::{Captcha, Site},
};

/// Explains each site, one line for each.
pub fn run(overrides: &Overrides, args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let sites = sites(args)?;
    // In another configuration the same name may be of another kind.
    let captcha_here = captcha(&args.captcha, &config)?;
    let Some(path) = &args.against else {
        let captcha = mask_value(&args.captcha);
        if !args.json {
            print(&head())?;
        }
        for site in &sites {
            let outcome = outcome(site, &captcha_here, &config);
            match args.json {
                true => print(&object(&mask_value(site), &captcha, &outcome).to_string())?,
                false => print(&row([mask_value(site).as_str(), &captcha]
                    .into_iter()
                    .chain(words(&outcome))))?,
            }
        }
        return Ok(());
    };
    let other = load(&Overrides {
        file: Some(path.clone()),
        file_variable: None,
        ..overrides.clone()
    })?;
    let captcha_there = captcha(&args.captcha, &other)?;
    let mut changed = 0;
    for site in &sites {
        let before = outcome(site, &captcha_here, &config).to_string();
        let after = outcome(site, &captcha_there, &other).to_string();
        if before == after {
            continue;
        }
        changed += 1;
        let shown = mask_value(site);
        match args.json {
            true => print(&json!({ "site": shown, "before": before, "after": after }).to_string())?,
            false => print(&format!("{shown}\n  - {before}\n  + {after}"))?,
        }
    }
    tell(&format!(
        "{changed} of {} sites are decided differently by {}",
        sites.len(),
        mask_value(&path.display().to_string())
    ));
    Ok(())
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
