//! The part of the page that is renewed: everything but the box.

use axum::{extract::State, response::Response};
use maud::{Markup, html};

use super::{chart, document::html_response, state, tables};
use crate::admin::service::Shown;

/// `/live`: the part as a document of its own, for the page's script.
pub async fn part(State(shown): State<Shown>) -> Response {
    html_response(render(&shown).await)
}

/// The part, in the order of what matters.
pub async fn render(shown: &Shown) -> Markup {
    let activity = &shown.gateway.observers().activity;
    let rules = shown.gateway.rules();
    let facts = shown.status.facts();
    let tasks = shown.tasks.render(&shown.gateway).await;
    html! {
        (state::render(&facts, &shown.gateway))
        (chart::render(&activity.last_hour()))
        (tasks)
        (tables::rules(&rules, activity))
        (tables::sites(&rules, activity))
        (tables::decisions(&activity.latest()))
    }
}
