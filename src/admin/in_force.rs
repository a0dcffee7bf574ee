//! The configuration in force.

use axum::{extract::State, response::Response};

use super::{exchange::json_response, service::Shown};

/// `/config`: every setting with its value and where that comes from, secrets masked, and the first rules.
pub async fn page(State(shown): State<Shown>) -> Response {
    json_response(&shown.status.facts().config)
}
