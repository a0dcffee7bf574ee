//! Clients that risk a ban, or misuse nocache, as JSON.

use axum::{extract::State, response::Response};
use serde_json::{Value, json};

use super::{exchange::json_response, service::Shown};
use crate::observe::{
    clients::Warning,
    time::{rfc3339, unix_millis},
};

/// `GET /api/warnings`: what clients did in the last hour, the latest first.
pub async fn list(State(shown): State<Shown>) -> Response {
    let warnings = shown.gateway.observers().clients.warnings();
    json_response(&json!({ "warnings": warnings.iter().map(to_json).collect::<Vec<Value>>() }))
}

fn to_json(warning: &Warning) -> Value {
    let now = std::time::SystemTime::now();
    let latest = now.checked_sub(warning.latest.elapsed()).unwrap_or(now);
    json!({
        "warning": warning.habit.name(),
        "client": warning.client,
        "times": warning.times,
        "latest": rfc3339(unix_millis(latest)),
        "advice": warning.habit.advice(),
    })
}
