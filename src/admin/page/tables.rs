//! Tables: what became of the tasks, rules, sites without a rule, the last decisions.

use std::collections::HashMap;

use maud::{Markup, html};

use super::state::ago;
use crate::{
    observe::{
        activity::{Activity, Decided},
        ledger::{Line, Stats},
    },
    rules::{Action, Rule, RuleSet},
};

/// How many rows a table has at most.
const FEW: usize = 20;
/// How many rules are looked through.
const MANY: usize = 1_000;

/// A table with its title in front of it, which scrolls by itself on a narrow screen.
fn table(id: &str, title: &str, columns: &[&str], rows: &[Markup]) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-labelledby=(id) {
            table {
                caption.hidden { (title) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { @for row in rows { tr { (row) } } }
            }
        }
    }
}

/// What became of the tasks of the last 24 hours, the sites with the most submissions first.
pub fn tasks(stats: Option<&Stats>) -> Markup {
    let title = "What became of the tasks, last 24 hours";
    let Some(stats) = stats else {
        return html! {
            section aria-labelledby="tasks" { h2 #tasks { (title) } p { "The ledger is off: [ledger] max_tasks is 0." } }
        };
    };
    let mut lines: Vec<Line<'_>> = stats.lines().collect();
    let mut of_site: HashMap<&str, u32> = HashMap::new();
    for line in &lines {
        *of_site.entry(line.site).or_default() += line.submissions();
    }
    // Both arms of a site stay beside each other.
    lines.sort_by(|a, b| of_site[b.site].cmp(&of_site[a.site]).then_with(|| a.site.cmp(b.site)));
    let further = lines.len().saturating_sub(FEW);
    let rows: Vec<Markup> = lines.iter().take(FEW).map(task_row).collect();
    let columns = [
        "Site",
        "nocache",
        "Reported bad",
        "Solved",
        "Sent",
        "Failed",
        "Median",
        "95 % within",
        "Polls per task",
    ];
    html! {
        section aria-labelledby="tasks" {
            h2 #tasks { (title) }
            @if rows.is_empty() {
                p { "No task yet." }
            } @else {
                (table("tasks", title, &columns, &rows))
                @if further > 0 { p.muted { "and " (further) " more: nocache-gateway stats" } }
                p.muted {
                    "“Reported bad” is what your bots said of solved tasks; in parentheses the share that is likely, with "
                    "95 % confidence. Times are from the creation of a task to the poll that found it solved."
                }
            }
        }
    }
}

fn task_row(line: &Line<'_>) -> Markup {
    let seconds = |time: Option<u64>| time.map_or("–".to_owned(), |time| format!("{:.1} s", time as f64 / 1000.0));
    let bad = match line.reported_bad_share() {
        Some((low, high)) if line.sum.reported_bad + line.sum.reported_good > 0 => {
            format!(
                "{} ({:.0} to {:.0} %)",
                line.sum.reported_bad,
                low * 100.0,
                high * 100.0
            )
        }
        _ => "no reports".to_owned(),
    };
    html! {
        th scope="row" { (line.site) }
        td { @match line.nocache { Some(true) => "on", Some(false) => "off", None => "unknown" } }
        td.number { (bad) }
        td.number { (line.sum.solved) }
        td.number { (line.submissions()) }
        td.number { (line.sum.errors.total() + line.sum.refused.total()) }
        td.number { (seconds(line.sum.solve_times.quantile(0.5))) }
        td.number { (seconds(line.sum.solve_times.quantile(0.95))) }
        td.number { (line.polls_per_task().map_or("–".to_owned(), |polls| format!("{polls:.1}"))) }
    }
}

/// The rules with how often each decided since the start; those that never did stand out.
pub fn rules(rules: &RuleSet, activity: &Activity) -> Markup {
    let all = rules.rules();
    let hits = activity.hits(all.iter().take(MANY));
    let never = hits.iter().filter(|hits| **hits == 0).count();
    let title = "Rules";
    let rows: Vec<Markup> = all
        .iter()
        .zip(&hits)
        .take(FEW)
        .map(|(rule, hits)| rule_row(rule, *hits))
        .collect();
    let further = all.len().saturating_sub(FEW);
    html! {
        section aria-labelledby="rules" {
            h2 #rules { (title) }
            p {
                @if all.is_empty() { "There are none. " }
                "Sites that no rule names: " strong { (rules.default_rule().action) } "."
                @if never > 0 { " " (never) " of " (hits.len()) " rules never decided since the start." }
            }
            @if !rows.is_empty() {
                (table("rules", title, &["Rule", "Submissions", "Action", "Sites"], &rows))
                @if further > 0 { p.muted { "and " (further) " more: nocache-gateway config show --running" } }
            }
        }
    }
}

fn rule_row(rule: &Rule, hits: u64) -> Markup {
    let mut sites: Vec<String> = rule.sites.iter().take(3).map(ToString::to_string).collect();
    if rule.sites.len() > sites.len() {
        sites.push(format!("and {} more", rule.sites.len() - sites.len()));
    }
    html! {
        th scope="row" { (rule.id) @if let Some(line) = rule.line { " " span.muted { "line " (line) } } }
        @if hits == 0 { td.number.never { "none yet" } } @else { td.number { (hits) } }
        td { (rule.action) }
        td { (sites.join(", ")) }
    }
}

/// Sites that the default decided about, with a rule to paste.
pub fn sites(rules: &RuleSet, activity: &Activity) -> Markup {
    let sites = activity.without_rule(FEW);
    let title = "Sites without a rule";
    // The rule does what the default does not.
    let action = match rules.default_rule().action {
        Action::Add | Action::Force => Action::Keep,
        Action::Strip | Action::Keep | Action::Deny => Action::Add,
    };
    let row = |(site, count): &(String, u64)| {
        html! {
            th scope="row" { (site) }
            td.number { (count) }
            td { code.paste { (rule_to_paste(site, action)) } }
        }
    };
    let rows: Vec<Markup> = sites.iter().map(row).collect();
    html! {
        section aria-labelledby="sites" {
            h2 #sites { (title) }
            @if rows.is_empty() {
                p { "None yet: no submission was decided by the default." }
            } @else {
                p { "The default (" (rules.default_rule().action) ") decided about them. To change that, paste the lines into the configuration." }
                (table("sites", title, &["Site", "Submissions", "Lines to paste"], &rows))
            }
        }
    }
}

/// A rule for one site. A host has no character that TOML would have to escape.
fn rule_to_paste(site: &str, action: Action) -> String {
    let id: String = site
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("[[rule]]\nid = \"site-{id}\"\nsites = [\"{site}\"]\naction = \"{action}\"")
}

/// The last decisions, the latest first.
pub fn decisions(latest: &[Decided]) -> Markup {
    let title = "Last decisions";
    let row = |decided: &Decided| {
        let word = |text: Option<&str>| text.unwrap_or("–").to_owned();
        let why = decided.reason.map(<&str>::from).or(decided.cause.map(<&str>::from));
        let decision = decided.decision.map_or("refused", <&str>::from);
        html! {
            td { (ago(decided.at)) }
            td { span.swatch.(decision) {} " " (decision) }
            td { (word(decided.site.as_deref())) }
            td { (word(why)) }
            td { (word(decided.rule.as_deref())) }
            td { (word(decided.captcha.as_deref())) }
        }
    };
    let rows: Vec<Markup> = latest.iter().map(row).collect();
    html! {
        section aria-labelledby="decisions" {
            h2 #decisions { (title) }
            @if rows.is_empty() {
                p { "None yet." }
            } @else {
                (table("decisions", title, &["When", "Decision", "Site", "Why", "Rule", "Captcha"], &rows))
            }
        }
    }
}
