//! `explain --batch` and `--against`: many sites at once, and what another configuration would change. What a careful
//! person runs before a reload.

use std::{fs, io::Read};

use serde_json::{Value, json};

use super::{
    Failure,
    explain::{ExplainArgs, captcha},
    load, print,
};
use crate::{
    config::Overrides,
    rewrite::{self, Outcome, Reason},
    submission::Submission,
};

const HEAD: &str = "site,captcha,decision,action,via,rule,reason";

/// Explains each site, one line for each.
pub fn run(overrides: &Overrides, args: &ExplainArgs) -> Result<(), Failure> {
    let config = load(overrides)?;
    let sites = sites(args)?;
    // In another configuration the same name may be of another kind.
    let captcha_here = captcha(&args.captcha, &config)?;
    let Some(path) = &args.against else {
        if !args.json {
            print(HEAD)?;
        }
        for site in &sites {
            let submission = Ok(Submission::bare(captcha_here.clone(), site));
            let outcome = rewrite::plan(&submission, &config.rules).outcome;
            match args.json {
                true => print(&object(site, &args.captcha, &outcome).to_string())?,
                false => print(&row(site, &args.captcha, &outcome))?,
            }
        }
        return Ok(());
    };
    let other = load(&Overrides {
        file: Some(path.clone()),
        ..overrides.clone()
    })?;
    let captcha_there = captcha(&args.captcha, &other)?;
    let mut changed = 0;
    for site in &sites {
        let here = Ok(Submission::bare(captcha_here.clone(), site));
        let there = Ok(Submission::bare(captcha_there.clone(), site));
        let before = rewrite::plan(&here, &config.rules).outcome;
        let after = rewrite::plan(&there, &other.rules).outcome;
        if before.to_string() == after.to_string() {
            continue;
        }
        changed += 1;
        match args.json {
            true => {
                print(&json!({ "site": site, "before": before.to_string(), "after": after.to_string() }).to_string())?
            }
            false => print(&format!("{site}\n  - {before}\n  + {after}"))?,
        }
    }
    eprintln!(
        "{changed} of {} sites are decided otherwise by {}",
        sites.len(),
        path.display()
    );
    Ok(())
}

/// The sites, one a line; what begins with `#` is a comment.
fn sites(args: &ExplainArgs) -> Result<Vec<String>, Failure> {
    let text = match args.batch.as_deref() {
        None => return Ok(args.site.iter().cloned().collect()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(Failure::failed)?;
            text
        }
        Some(path) => fs::read_to_string(path)
            .map_err(|error| Failure::Wrong(format!("error: {path} cannot be read: {error}")))?,
    };
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect())
}

/// The words of an outcome, in the order of [`HEAD`].
fn words(outcome: &Outcome<'_>) -> [String; 5] {
    [
        outcome.token.name().to_owned(),
        outcome.action().map_or(String::new(), |action| action.to_string()),
        outcome.via.map_or(String::new(), |via| via.to_string()),
        outcome.rule.map_or(String::new(), |rule| rule.id.clone()),
        outcome.reason.map_or(String::new(), |reason| reason.name().to_owned()),
    ]
}

/// A line of CSV (RFC 4180).
fn row(site: &str, captcha: &str, outcome: &Outcome<'_>) -> String {
    let quoted = |field: String| match field.contains(['"', ',']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field,
    };
    let fields = [site.to_owned(), captcha.to_owned()].into_iter().chain(words(outcome));
    fields.map(quoted).collect::<Vec<_>>().join(",")
}

fn object(site: &str, captcha: &str, outcome: &Outcome<'_>) -> Value {
    json!({
        "site": site,
        "captcha": captcha,
        "decision": outcome.token.name(),
        "action": outcome.action().map(|action| action.to_string()),
        "via": outcome.via.map(|via| via.to_string()),
        "rule": outcome.rule.map(|rule| &rule.id),
        "reason": outcome.reason.map(Reason::name),
    })
}
