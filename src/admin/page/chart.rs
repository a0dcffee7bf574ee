//! The last hour as a chart: submissions per minute, by decision.

use maud::{Markup, html};
use strum::VariantArray;

use crate::{
    observe::activity::{MINUTES, Minute},
    rewrite::Decision,
};

/// The chart's size, in its own units.
const WIDTH: usize = 600;
const HEIGHT: f64 = 120.0;
const STEP: usize = WIDTH / MINUTES;

/// The columns of a minute: their name, and what it means.
fn columns() -> Vec<(&'static str, &'static str)> {
    let meaning = |decision: Decision| match decision {
        Decision::Set => "nocache was turned on",
        Decision::Removed => "nocache was turned off",
        Decision::Kept => "left as sent, as the rules require",
        Decision::Skipped => "left as sent: not covered, or not readable",
        Decision::Denied => "refused by a rule",
    };
    let of_decision = |decision: &Decision| (decision.into(), meaning(*decision));
    let mut columns: Vec<(&str, &str)> = Decision::VARIANTS.iter().map(of_decision).collect();
    columns.push(("refused", "refused or given up before a decision"));
    columns
}

/// Bars of a minute each, the current one last, and what the colours mean.
pub fn render(hour: &[Minute; MINUTES]) -> Markup {
    let columns = columns();
    let total = |column: usize| hour.iter().map(|minute| u64::from(minute[column])).sum::<u64>();
    let totals: Vec<u64> = (0..columns.len()).map(total).collect();
    let all: u64 = totals.iter().sum();
    let highest = hour
        .iter()
        .map(|minute| minute.iter().sum::<u32>())
        .max()
        .unwrap_or(0)
        .max(1);
    html! {
        section aria-labelledby="hour" {
            h2 #hour { "Submissions in the last hour: " (all) }
            @if all == 0 {
                p { "None yet. Point a bot at the address above, or ask the box below what would happen." }
            } @else {
                figure {
                    svg.chart viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" aria-hidden="true" {
                        @for (number, minute) in hour.iter().enumerate() { (bar(number * STEP, minute, &columns, highest)) }
                    }
                    figcaption { span { "60 minutes ago" } span { "at most " (highest) " a minute" } span { "now" } }
                }
                ul.legend {
                    @for ((name, meaning), total) in columns.iter().zip(&totals) {
                        @if *total > 0 { li { span.swatch.(name) {} " " strong { (name) } " " (total) " " span.muted { (meaning) } } }
                    }
                }
            }
        }
    }
}

fn bar(x: usize, minute: &Minute, columns: &[(&str, &str)], highest: u32) -> Markup {
    let height = |count: u32| f64::from(count) / f64::from(highest) * HEIGHT;
    // Each part stands on those below it.
    let parts = columns.iter().zip(minute).scan(0, |below, ((name, _), count)| {
        *below += count;
        Some((*name, *count, HEIGHT - height(*below)))
    });
    html! {
        @for (name, count, top) in parts.filter(|(_, count, _)| *count > 0) {
            rect class=(name) x=(x) y=(format!("{top:.2}")) width=(STEP - 2) height=(format!("{:.2}", height(count))) {}
        }
    }
}
