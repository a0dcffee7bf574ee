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
//! | `/api/log-level` | the log's level |

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router, middleware,
    routing::{get, post},
};
use parking_lot::Mutex;

use super::{
    LogLevel, Settings, Status, access::check_host, in_force, ledger_api, log_level, metrics_page, page, ready,
    wrong_port,
};
use crate::{api::Gateway, observe::ledger::Stats};

/// What the admin side shows.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The process and its configuration.
    pub status: Status,
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// The log's level.
    pub log_level: LogLevel,
    stats: Arc<Mutex<Option<Gathered>>>,
}

/// Statistics, and when they were gathered.
type Gathered = (Instant, Arc<Stats>);

/// How old the statistics of the page may be: with many sites it takes a while to gather them.
const FRESH: Duration = Duration::from_secs(5);

impl Shown {
    /// What became of the tasks of the last 24 hours, as of a few seconds ago; `None` without a ledger.
    pub async fn stats(&self) -> Option<Arc<Stats>> {
        if !self.gateway.observers().ledger.is_on() {
            return None;
        }
        if let Some((at, stats)) = &*self.stats.lock()
            && at.elapsed() < FRESH
        {
            return Some(stats.clone());
        }
        let gateway = self.gateway.clone();
        let gathered = tokio::task::spawn_blocking(move || gateway.observers().ledger.stats(24));
        let stats = Arc::new(gathered.await.ok()?);
        *self.stats.lock() = Some((Instant::now(), stats.clone()));
        Some(stats)
    }
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
        .route("/api/log-level", get(log_level::show).post(log_level::change))
        .fallback(wrong_port::respond)
        .layer(middleware::from_fn_with_state(Arc::new(settings), check_host))
        .with_state(Shown {
            status,
            gateway,
            log_level: level,
            stats: Arc::default(),
        })
}
