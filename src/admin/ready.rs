//! Whether the gateway accepts work: one line per fact for people, JSON for who accepts that.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{
    exchange::{accepts, json_response},
    service::Shown,
    status::Facts,
};
use crate::api::Gateway;

/// `/readyz`: 200 while it accepts work, also if the configuration on disk is not in force; 503 once it is stopping.
pub async fn page(State(shown): State<Shown>, fields: HeaderMap) -> Response {
    let facts = shown.status.facts();
    let status = match facts.is_stopping {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    };
    match accepts(&fields, "application/json") {
        true => (status, json_response(&to_json(&facts, &shown.gateway))).into_response(),
        false => (status, text(&facts, &shown.gateway)).into_response(),
    }
}

fn text(facts: &Facts, gateway: &Gateway) -> String {
    if facts.is_stopping {
        return "stopping\n".to_owned();
    }
    let mut text = match &facts.complaint {
        Some(complaint) => format!("ready, but: {complaint}\n"),
        None => "ready\n".to_owned(),
    };
    if facts.reads_slowly() {
        text += "the files of the configuration are still being read\n";
    }
    if let Some((_, Some(failure))) = gateway.observers().ledger.file() {
        text += &format!("{failure}\n");
    }
    match facts.warnings.len() {
        0 => {}
        1 => text += "the configuration has 1 warning; nocache-gateway check shows it\n",
        count => text += &format!("the configuration has {count} warnings; nocache-gateway check shows them\n"),
    }
    if !facts.needs_restart.is_empty() {
        text += &format!(
            "these settings take effect at the next start: {}\n",
            facts.needs_restart.join(", ")
        );
    }
    text
}

/// Everything that is known, the upstream as the last requests saw it. The vendor is never called for it.
fn to_json(facts: &Facts, gateway: &Gateway) -> Value {
    json!({
        "status": if facts.is_stopping { "stopping" } else { "ready" },
        "version": env!("CARGO_PKG_VERSION"),
        "api": facts.api_addresses,
        "configuration": facts.config_state(),
        "rules": gateway.rules().rules().len(),
        "upstream": upstream(gateway),
        "ledger": ledger(gateway),
    })
}

/// The file that the ledger is saved in; null without one.
fn ledger(gateway: &Gateway) -> Option<Value> {
    let (file, failure) = gateway.observers().ledger.file()?;
    Some(json!({ "file": file.display().to_string(), "error": failure }))
}

fn upstream(gateway: &Gateway) -> Value {
    let mut upstream = gateway.observers().upstream_seen.seen().to_json();
    upstream["url"] = gateway.upstream().origin().to_string().into();
    upstream
}
