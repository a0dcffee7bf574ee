//! The admin side: whether the gateway lives and is ready, and its metrics.
//!
//! | path | response |
//! |---|---|
//! | `/livez` | 200 while the process runs |
//! | `/readyz`, `/healthz` | 200 while it accepts work, 503 once it is stopping; the body says if the configuration on disk is not in force |
//! | `/metrics` | the metrics, as OpenMetrics for who accepts it, otherwise in Prometheus' own text format |
//!
//! It shows no secret. But a web page could reach it under a name of its own (DNS rebinding), so it responds only to IP
//! literals, `localhost` and configured names.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use parking_lot::Mutex;

use crate::{
    api::Gateway,
    observe::metrics,
    submission::{Host, host::is_own_origin},
};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whom the admin side responds to.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Names it responds to, beside IP literals and `localhost`.
    pub hosts: Vec<String>,
}

/// Whether the gateway accepts work. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Facts>>);

#[derive(Debug, Default)]
struct Facts {
    is_stopping: bool,
    complaint: Option<String>,
    /// How many warnings the configuration in force has.
    warnings: usize,
    /// Since when the files of the configuration are being read.
    reading: Option<Instant>,
}

/// How long the files of the configuration may take to be read before that is said.
const SLOW: Duration = Duration::from_secs(10);

impl Readiness {
    /// Says that the gateway is stopping.
    pub fn stop(&self) {
        self.0.lock().is_stopping = true;
    }

    /// Says that something is wrong that does not keep the gateway from working, or that it no longer is.
    pub fn set_complaint(&self, complaint: Option<String>) {
        self.0.lock().complaint = complaint;
    }

    /// Says how many warnings the configuration in force has.
    pub fn set_warnings(&self, warnings: usize) {
        self.0.lock().warnings = warnings;
    }

    /// Says that the files of the configuration are being read. On a mount that hangs that does not end.
    pub fn begin_reading(&self) {
        self.0.lock().reading = Some(Instant::now());
    }

    /// Says that they have been read.
    pub fn end_reading(&self) {
        self.0.lock().reading = None;
    }
}

/// The admin side as a service.
pub fn service(settings: Settings, readiness: Readiness, gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/healthz", get(ready))
        .route("/metrics", get(move |fields| metrics_page(gateway, fields)))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "only /livez, /readyz, /healthz and /metrics are here\n",
            )
        })
        .layer(middleware::from_fn_with_state(Arc::new(settings), check_host))
        .with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let facts = readiness.0.lock();
    if facts.is_stopping {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    let mut body = match &facts.complaint {
        Some(complaint) => format!("ready, but: {complaint}\n"),
        None => "ready\n".to_owned(),
    };
    if facts.reading.is_some_and(|since| since.elapsed() > SLOW) {
        body += "the files of the configuration are still being read\n";
    }
    match facts.warnings {
        0 => {}
        1 => body += "the configuration has 1 warning; nocache-gateway check shows it\n",
        count => body += &format!("the configuration has {count} warnings; nocache-gateway check shows them\n"),
    }
    body.into_response()
}

/// The metrics, in the format that the client accepts
/// (<https://prometheus.io/docs/instrumenting/content_negotiation/>).
async fn metrics_page(gateway: Arc<Gateway>, fields: HeaderMap) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text";
    let mut accepted = fields.get_all(header::ACCEPT).iter();
    let is_accepted = accepted.any(|value| value.to_str().is_ok_and(|value| value.contains(OPEN_METRICS)));
    // With many rules it is a long page.
    let page = tokio::task::spawn_blocking(move || {
        let page = gateway.metrics();
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

/// Rejects requests that another web page may have caused.
async fn check_host(State(settings): State<Arc<Settings>>, request: Request, next: Next) -> Response {
    if is_own_request(request.headers(), &settings) {
        next.run(request).await
    } else {
        (
            StatusCode::FORBIDDEN,
            "the admin side responds only to IP addresses, localhost and the names in [admin] hosts\n",
        )
            .into_response()
    }
}

/// Whether no page of another site could have sent a request: no foreign Host, no foreign Origin, no cross-site fetch.
fn is_own_request(fields: &HeaderMap, settings: &Settings) -> bool {
    // Of two, another reader could use the other one.
    let field = |name: HeaderName| match fields.get_all(name).iter().collect::<Vec<_>>()[..] {
        [] => Some(None),
        [value] => value.to_str().ok().map(Some),
        [..] => None,
    };
    let Some(Some(host)) = field(header::HOST) else {
        return false;
    };
    // A page of any machine can have an address as its origin, so that alone does not do.
    let origin_is_ours = |origin: &str| is_own_origin(origin, Some(host), &settings.hosts);
    is_ours(host, settings)
        && field(header::ORIGIN).is_some_and(|origin| origin.is_none_or(origin_is_ours))
        && matches!(field(SEC_FETCH_SITE), Some(None | Some("same-origin" | "none")))
}

/// Whether an authority is one that it may be asked by: an address, or a name that is its own.
fn is_ours(authority: &str, settings: &Settings) -> bool {
    Host::of_authority(authority).is_some_and(|(host, _)| {
        matches!(host, Host::Address(_)) || host.is_loopback() || host.is_one_of(&settings.hosts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebinding_needs_a_name() {
        let settings = Settings {
            hosts: vec!["gateway.internal".into()],
        };
        for (host, served) in [
            ("127.0.0.1:6623", true),
            ("[::1]:6623", true),
            ("10.1.2.3", true),
            ("localhost:6623", true),
            ("gateway.internal:80", true),
            ("evil.example:6623", false),
            ("localhost.evil.example", false),
            ("127.0.0.1:6623.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_ours(host, &settings), served, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_machine_is_refused() {
        let settings = Settings::default();
        for (fields, served) in [
            (
                &[("host", "10.1.2.3:6623"), ("origin", "http://10.1.2.3:6623")][..],
                true,
            ),
            (&[("host", "10.1.2.3:6623"), ("origin", "http://localhost:3000")], true),
            (&[("host", "10.1.2.3:6623"), ("origin", "http://10.1.2.3:80")], false),
            (&[("host", "127.0.0.1:6623"), ("origin", "http://203.0.113.9")], false),
            (&[("host", "127.0.0.1:6623"), ("origin", "null")], false),
            (
                &[
                    ("host", "127.0.0.1:6623"),
                    ("origin", "http://localhost"),
                    ("origin", "http://localhost"),
                ],
                false,
            ),
            (&[("host", "127.0.0.1:6623"), ("host", "127.0.0.1:6623")], false),
            (&[("host", "127.0.0.1:6623"), ("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://localhost")], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(*name, value.parse().unwrap());
            }
            assert_eq!(is_own_request(&map, &settings), served, "{fields:?}");
        }
    }
}
