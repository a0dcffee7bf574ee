//! The configuration in force.

use axum::{extract::State, response::Response};

use super::service::{Shown, json};

/// `/config`: every setting with its value and where that comes from, secrets masked, and the first rules.
pub async fn page(State(shown): State<Shown>) -> Response {
    json(&shown.status.facts().config)
}
