//! The metrics, as OpenMetrics for who accepts it, otherwise in Prometheus' own text format.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::{exchange::accepts, service::Shown};
use crate::observe::metrics;

/// The metrics, in the format that the client accepts
/// (<https://prometheus.io/docs/instrumenting/content_negotiation/>).
pub async fn page(State(shown): State<Shown>, fields: HeaderMap) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text";
    let is_accepted = accepts(&fields, OPEN_METRICS);
    // With many rules it is a long page.
    let page = tokio::task::spawn_blocking(move || {
        let page = shown.gateway.metrics();
        match is_accepted {
            true => page,
            false => metrics::prometheus_text(&page),
        }
    });
    let Ok(page) = page.await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let content_type = match is_accepted {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    ([(header::CONTENT_TYPE, content_type)], page).into_response()
}
