//! The admin side as a service.
//!
//! | path | response |
//! |---|---|
//! | `/` | the status page; `/live` is the part of it that is renewed |
//! | `/livez` | 200 while the process runs |
//! | `/readyz`, `/healthz` | 200 while it accepts work, 503 once it is stopping |
//! | `/config` | what is in force |
//! | `/metrics` | the metrics |
//! | `/api/stats`, `/api/tasks`, `/api/tasks/{id}`, `/api/feedback` | the ledger |
//! | `/api/warnings` | clients that risk a ban, or misuse nocache |
//! | `/api/log-level` | the log's level |

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};

use super::{
    LogLevel, Settings, Status, access::check_host, client_warnings, in_force, ledger_api, log_level, metrics_page,
    page, ready, wrong_port,
};
use crate::api::Gateway;

/// What the admin side shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The process and its configuration.
    pub status: Status,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The log's level.
    pub log_level: LogLevel,
    /// What became of the tasks, as the page shows it.
    pub tasks: page::Tasks,
}

/// The admin side as a service.
pub fn service(settings: Settings, status: Status, gateway: Arc<Gateway>, level: LogLevel) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/live", get(page::part))
        .route("/assets/{name}", get(page::asset))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::page))
        .route("/healthz", get(ready::page))
        .route("/config", get(in_force::page))
        .route("/metrics", get(metrics_page::page))
        .route("/api/stats", get(ledger_api::stats))
        .route("/api/tasks", get(ledger_api::latest))
        .route("/api/tasks/{id}", get(ledger_api::task))
        .route("/api/feedback", post(ledger_api::feedback))
        .route("/api/warnings", get(client_warnings::list))
        .route("/api/log-level", get(log_level::show).post(log_level::change))
        .fallback(wrong_port::respond)
        .method_not_allowed_fallback(wrong_port::wrong_method)
        .layer(middleware::from_fn_with_state(Arc::new(settings), check_host))
        .with_state(Shown {
            status,
            gateway,
            log_level: level,
            tasks: page::Tasks::default(),
        })
}
