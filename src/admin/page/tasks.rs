//! What became of the tasks: sites with the most submissions first.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use maud::{Markup, html};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::tables::{FEW, table};
use crate::{
    api::Gateway,
    observe::ledger::{Line, Stats},
};

/// How old the section may be: with many sites it takes a while to gather it.
const FRESH: Duration = Duration::from_secs(5);

/// The section, as it was rendered last. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Mutex<Option<(Instant, Markup)>>>);

impl Tasks {
    /// The section of the last 24 hours, as of a few seconds ago. Of all who ask, one gathers it, on a thread that serves nobody.
    pub async fn render(&self, gateway: &Arc<Gateway>) -> Markup {
        if !gateway.observers().ledger.is_on() {
            return without_ledger();
        }
        let mut rendered = self.0.lock().await;
        if let Some((at, markup)) = &*rendered
            && at.elapsed() < FRESH
        {
            return markup.clone();
        }
        let gateway = gateway.clone();
        let gathered = spawn_blocking(move || gateway.observers().ledger.stats(24).map(|stats| section(&stats)));
        // The file is not read for the last 24 hours, and that the thread panicked is in the log.
        let Ok(Ok(markup)) = gathered.await else {
            return html! {};
        };
        *rendered = Some((Instant::now(), markup.clone()));
        markup
    }
}

const TITLE: &str = "What became of the tasks, last 24 hours";

fn without_ledger() -> Markup {
    html! {
        section aria-labelledby="tasks" { h2 #tasks { (TITLE) } p { "The ledger is off: [ledger] max_tasks is 0." } }
    }
}

fn section(stats: &Stats) -> Markup {
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
            h2 #tasks { (TITLE) }
            @if rows.is_empty() {
                p { "No task yet." }
            } @else {
                (table("tasks", TITLE, &columns, &rows))
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
        None if line.sum.reported_bad > 0 => line.sum.reported_bad.to_string(),
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
