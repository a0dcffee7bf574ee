//! The box that asks the core what would happen to a site.

use maud::{Markup, html};
use strum::VariantArray;

use crate::{
    admin::exchange::form_value,
    rewrite::{self, Decision, Outcome},
    rules::{CaptchaPattern, RuleSet},
    submission::{Kind, Site},
};

/// The box, and the outcome for what its query asks.
pub fn render(rules: &RuleSet, query: Option<&str>) -> Markup {
    let query = query.unwrap_or_default().as_bytes();
    let field = |name| form_value(query, name).map_or_else(String::new, |value| value.trim().to_owned());
    let (site, captcha) = (field("site"), field("captcha"));
    let kind = captcha.parse::<Kind>().unwrap_or(Kind::RecaptchaV2);
    html! {
        section aria-labelledby="explain" {
            h2 #explain { "What would happen to a site?" }
            form action="/" method="get" {
                label for="site" { "Target page" }
                input #site name="site" type="text" inputmode="url" autocomplete="off" spellcheck="false"
                    placeholder="https://shop.example/login" value=(site);
                label for="captcha" { "Captcha" }
                select #captcha name="captcha" {
                    @for known in Kind::VARIANTS { option value=(known) selected[*known == kind] { (known) } }
                }
                button type="submit" { "Explain" }
            }
            div #outcome role="status" { @if !site.is_empty() { (outcome(rules, &site, kind)) } }
        }
    }
}

fn outcome(rules: &RuleSet, page: &str, kind: Kind) -> Markup {
    let site = Site::parse(page);
    let Some(captcha) = CaptchaPattern::Kind(kind).example(rules.names()) else {
        return html! {};
    };
    let outcome = rewrite::outcome_for(&site, &captcha, rules);
    let decision: &str = outcome.decision.into();
    html! {
        p { span.swatch.(decision) {} " " strong { (decision) } ": " (words(&outcome)) }
        p.muted {
            @match (&site, outcome.rule) {
                (Err(error), _) => { (error) }
                (_, Some(rule)) => {
                    "Decided by the rule " code { (rule.id) }
                    @if let Some(line) = rule.line { " in line " (line) }
                    ", action " code { (rule.action) } ". A client that sets nocache itself can change that; see "
                    "nocache-gateway explain."
                }
                _ => "No rule covers this captcha.",
            }
        }
    }
}

fn words(outcome: &Outcome<'_>) -> &'static str {
    match outcome.decision {
        Decision::Set => "nocache is turned on",
        Decision::Removed => "nocache is turned off",
        Decision::Kept => "the submission is forwarded as sent",
        Decision::Skipped => "the submission is forwarded as sent, no rule applies to it",
        Decision::Denied => "the submission is refused, and nothing is sent",
    }
}
