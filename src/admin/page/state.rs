//! Whether it works: what is wrong comes first.

use std::time::{Duration, Instant};

use maud::{Markup, html};

use crate::{
    admin::status::Facts,
    api::Gateway,
    observe::{Ledger, clients::Warning, upstream_seen::Seen},
};

/// The state of the gateway and of its upstream.
pub fn render(facts: &Facts, gateway: &Gateway) -> Markup {
    let seen = gateway.observers().upstream_seen.seen();
    let mut problems = problems(facts, &seen, &gateway.observers().ledger);
    problems.extend(
        gateway
            .observers()
            .clients
            .warnings()
            .iter()
            .take(FEW)
            .map(client_problem),
    );
    let (class, words) = match (facts.is_stopping, problems.is_empty()) {
        (true, _) => ("bad", "Stopping: requests in flight finish, new ones are refused soon"),
        (false, true) => ("good", "Working"),
        (false, false) => ("doubtful", "Working, but something needs you"),
    };
    let upstream = gateway.upstream().origin().to_string();
    html! {
        section aria-labelledby="state" {
            h2 #state .state.(class) { (words) }
            @if !problems.is_empty() {
                ul.problems { @for problem in &problems { li { (problem) } } }
            }
            dl.facts {
                div { dt { "Bots use" } dd { @for address in &facts.api_addresses { code { (address) } " " } } }
                div { dt { "Forwarded to" } dd { code { (upstream) } } }
                div { dt { "Upstream" } dd { (last_response(&seen)) } }
                div { dt { "In flight" } dd { (gateway.in_flight()) } }
                div { dt { "Running for" } dd { (length(gateway.observers().activity.began().elapsed())) } }
                div { dt { "Configuration" } dd {
                    @match facts.config["file"].as_str() {
                        Some(file) => { code { (file) } }
                        None => "none: the defaults apply",
                    }
                } }
            }
        }
    }
}

/// How many warnings about clients are shown.
const FEW: usize = 5;

fn client_problem(warning: &Warning) -> String {
    let Warning {
        habit,
        client,
        times,
        latest,
    } = warning;
    format!(
        "{} ({client}, {times} times, last {})",
        sentence(habit.advice()),
        ago(*latest)
    )
}

fn problems(facts: &Facts, seen: &Seen, ledger: &Ledger) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(failure) = seen.failure.as_ref().filter(|_| seen.fails()) {
        let cause: &str = failure.cause.into();
        problems.push(format!(
            "The upstream fails: {} ({cause}, {})",
            failure.error,
            ago(failure.at)
        ));
    }
    if let Some(complaint) = &facts.complaint {
        problems.push(sentence(complaint));
    }
    if let Some((_, Some(failure))) = ledger.file() {
        problems.push(format!("{}; what it counts is in memory alone", sentence(&failure)));
    }
    if facts.reads_slowly() {
        problems.push("The files of the configuration are still being read: their disk does not respond".to_owned());
    }
    problems.extend(
        facts
            .warnings
            .iter()
            .map(|warning| format!("The configuration: {warning}")),
    );
    if !facts.needs_restart.is_empty() {
        problems.push(format!(
            "These settings take effect at the next start: {}",
            facts.needs_restart.join(", ")
        ));
    }
    problems
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

fn last_response(seen: &Seen) -> String {
    let responded = match seen.response {
        Some((at, status)) => format!("last responded {} (status {status})", ago(at)),
        None => "no response yet".to_owned(),
    };
    match seen.failure.as_ref().filter(|_| !seen.fails()) {
        Some(failure) => format!(
            "{responded}; last failed {} ({})",
            ago(failure.at),
            <&str>::from(failure.cause)
        ),
        None => responded,
    }
}

/// How long ago something was.
pub fn ago(at: Instant) -> String {
    format!("{} ago", length(at.elapsed()))
}

fn length(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}
