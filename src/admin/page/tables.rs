//! Tables: rules, sites without a rule, the last decisions.

use maud::{Markup, html};
use strum::VariantArray;

use super::state::ago;
use crate::{
    observe::{
        activity::{Activity, Decided},
        record::shown_host,
    },
    rewrite,
    rules::{Action, CaptchaPattern, Rule, RuleSet},
    submission::{Kind, Site},
};

/// How many rows a table has at most.
pub const FEW: usize = 20;
/// How many rules are looked through.
const MANY: usize = 1_000;

/// A table with its title in front of it, which scrolls by itself on a narrow screen.
pub fn table(id: &str, title: &str, columns: &[&str], rows: &[Markup]) -> Markup {
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

/// Sites that the default decided about, and still does, with a rule to paste.
pub fn sites(rules: &RuleSet, activity: &Activity) -> Markup {
    let sites = activity.without_rule();
    let sites = sites.iter().filter(|(site, _)| is_default_for(site, rules)).take(FEW);
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
    let rows: Vec<Markup> = sites.map(row).collect();
    html! {
        section aria-labelledby="sites" {
            h2 #sites { (title) }
            @if rows.is_empty() {
                p { "None lately: the default decided about no submission." }
            } @else {
                p {
                    "The default (" (rules.default_rule().action) ") decided about them in the last hour or two. To change that, "
                    "paste the lines into the configuration."
                }
                (table("sites", title, &["Site", "Submissions", "Lines to paste"], &rows))
            }
        }
    }
}

/// Whether the default decides about any captcha of a site's first page, by the rules that are in force now.
fn is_default_for(site: &str, rules: &RuleSet) -> bool {
    let page = Site::parse(&format!("https://{site}/"));
    Kind::VARIANTS.iter().any(|kind| {
        let captcha = CaptchaPattern::Kind(*kind).example(rules.names());
        let outcome = captcha.map(|captcha| rewrite::outcome_for(&page, &captcha, rules).rule.map(|rule| &rule.id));
        outcome.flatten().is_some_and(|rule| rule == Rule::DEFAULT)
    })
}

/// A rule for one site. A host that is shown has no character that TOML would have to escape, and but for addresses none that
/// an id may not have.
fn rule_to_paste(site: &str, action: Action) -> String {
    let id = site.replace([':', '[', ']'], "-");
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
            td { (word(decided.site.as_ref().map(shown_host).as_deref())) }
            td { (word(why)) }
            td { (word(decided.rule.as_deref())) }
            td { (word(decided.captcha.as_ref().map(ToString::to_string).as_deref())) }
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
