//! `stats`: what became of the tasks, per site, with nocache and without.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{
    admin_client,
    output::{Failure, block_on, print},
};
use crate::config::{Overrides, units};

#[derive(Debug, Args)]
pub struct StatsArgs {
    /// How far back, in whole hours up to "24h", or up to "30d" if the ledger has a file
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = hours)]
    since: u64,
    /// One JSON object, for machines
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// One line of CSV per site and arm
    #[arg(long)]
    csv: bool,
}

/// Whole hours, rounded up.
fn hours(text: &str) -> Result<u64, String> {
    const HOUR: Duration = Duration::from_secs(3600);
    const MOST: u64 = 30 * 24;
    let days = text
        .strip_suffix('d')
        .and_then(|days| days.trim_end().parse::<u64>().ok());
    let hours = match days {
        Some(days) => days.checked_mul(24),
        None => units::duration(text).map(|time| time.as_secs().div_ceil(HOUR.as_secs())),
    };
    match hours {
        Some(hours @ 1..=MOST) => Ok(hours),
        _ => Err("expected a time from \"1h\" to \"24h\", or with [ledger] file to \"30d\"".to_owned()),
    }
}

/// The columns: the member of `/api/stats`, its title in the table.
const COLUMNS: [(&str, &str); 11] = [
    ("site", "site"),
    ("nocache", "nocache"),
    ("submissions", "sent"),
    ("created", "created"),
    ("solved", "solved"),
    ("reported", "reported"),
    ("reportedBad", "bad"),
    ("reportedBadShare", "bad of solved"),
    ("solveMsMedian", "median"),
    ("solveMsP95", "p95"),
    ("pollsPerTask", "polls/task"),
];

/// Asks the running gateway and prints what it says.
pub fn run(overrides: &Overrides, args: &StatsArgs) -> Result<(), Failure> {
    let target = format!("/api/stats?hours={}", args.since);
    let (stats, warnings) = block_on(async {
        let stats = admin_client::get(overrides, &target).await?;
        let warnings = admin_client::get(overrides, "/api/warnings").await?;
        Ok::<_, Failure>((stats, warnings))
    })??;
    if args.json {
        return print(&stats.to_string());
    }
    let sites = stats["sites"].as_array().map_or(&[][..], Vec::as_slice);
    match args.csv {
        true => print(&csv(sites)),
        false => print(&(table(&stats, sites) + &clients(&warnings))),
    }
}

/// A site has no comma and no quote in it: it is a host.
fn csv(sites: &[Value]) -> String {
    let head = "site,nocache,submissions,created,refused,solved,failed,polls,reported,reported_bad,reported_bad_low,\
        reported_bad_high,solve_ms_median,solve_ms_p95";
    let mut lines = vec![head.to_owned()];
    for site in sites {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let total = |codes: &Value| -> u64 {
            let codes = codes.as_object().into_iter().flat_map(|codes| codes.values());
            codes.filter_map(Value::as_u64).sum()
        };
        let share = &site["reportedBadShare"];
        lines.push(
            [
                text(&site["site"]),
                text(&site["nocache"]),
                text(&site["submissions"]),
                text(&site["created"]),
                total(&site["refused"]).to_string(),
                text(&site["solved"]),
                total(&site["errors"]).to_string(),
                text(&site["polls"]),
                text(&site["reported"]),
                text(&site["reportedBad"]),
                text(&share["low"]),
                text(&share["high"]),
                text(&site["solveMsMedian"]),
                text(&site["solveMsP95"]),
            ]
            .join(","),
        );
    }
    lines.join("\n")
}

fn table(stats: &Value, sites: &[Value]) -> String {
    let word = |name: &str| stats[name].as_str().unwrap_or_default().to_owned();
    let head = format!("from {} to {}", word("since"), word("until"));
    if sites.is_empty() {
        return format!("{head}: no submission has been sent on");
    }
    let mut rows = vec![COLUMNS.map(|(_, title)| title.to_owned())];
    rows.extend(
        sites
            .iter()
            .map(|site| COLUMNS.map(|(name, _)| cell(name, &site[name]))),
    );
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
    let line = |row: &[String; COLUMNS.len()]| {
        let cells = row.iter().zip(&widths).enumerate();
        let padded = cells.map(|(column, (cell, &width))| match column {
            0 | 1 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![head, String::new()];
    lines.extend(rows.iter().map(line));
    for site in sites {
        for (member, what) in [("refused", "submissions were refused"), ("errors", "tasks failed")] {
            let codes = site[member].as_object().into_iter().flatten();
            let codes: Vec<String> = codes.map(|(code, count)| format!("{code} {count}")).collect();
            if !codes.is_empty() {
                let (name, arm) = (cell("site", &site["site"]), cell("nocache", &site["nocache"]));
                lines.push(format!("{name}, nocache {arm}: {what}: {}", codes.join(", ")));
            }
        }
    }
    lines.push(String::new());
    lines.push("\"bad of solved\" is the 95 % interval of the share that your bot reported as not accepted".to_owned());
    lines.join("\n")
}

/// What clients do that risks a ban, in lines of its own.
fn clients(warnings: &Value) -> String {
    let warnings = warnings["warnings"].as_array().map_or(&[][..], Vec::as_slice);
    let line = |warning: &Value| {
        let word = |name: &str| warning[name].as_str().unwrap_or_default().to_owned();
        let (advice, client, latest) = (word("advice"), word("client"), word("latest"));
        format!(
            "\nwarning: {advice} ({client}, {} times, last at {latest})",
            warning["times"]
        )
    };
    let lines: String = warnings.iter().map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{lines}") }
}

fn cell(name: &str, value: &Value) -> String {
    let seconds = |milliseconds: f64| format!("{:.1} s", milliseconds / 1000.0);
    match (name, value) {
        ("nocache", Value::Bool(true)) => "on".to_owned(),
        ("nocache", Value::Bool(false)) => "off".to_owned(),
        ("nocache", _) => "unknown".to_owned(),
        ("reportedBadShare", Value::Object(share)) => {
            let percent = |name: &str| share.get(name).and_then(Value::as_f64).unwrap_or_default() * 100.0;
            format!("{:.1} to {:.1} %", percent("low"), percent("high"))
        }
        ("solveMsMedian" | "solveMsP95", value) => value.as_f64().map_or("-".to_owned(), seconds),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Null) => "-".to_owned(),
        (_, other) => other.to_string(),
    }
}
