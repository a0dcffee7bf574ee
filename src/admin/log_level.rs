//! The log's level, which can be changed until the next start.

use std::{fmt, sync::Arc};

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, header};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use tracing::{Level, info};

use super::{
    exchange::{Refusal, SmallBody, form_value, json_response},
    service::Shown,
};

/// The levels, the least important last.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// The log's level. Clones share it.
#[derive(Clone)]
pub struct LogLevel {
    level: Arc<Mutex<Level>>,
    apply: Arc<dyn Fn(Level) + Send + Sync>,
}

impl LogLevel {
    /// The level that the log has, and how it gets another.
    pub fn new(level: Level, apply: impl Fn(Level) + Send + Sync + 'static) -> Self {
        Self {
            level: Arc::new(Mutex::new(level)),
            apply: Arc::new(apply),
        }
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.level.lock().to_string().to_ascii_lowercase()
    }

    fn set(&self, level: Level) {
        *self.level.lock() = level;
        (self.apply)(level);
        info!(level = self.name(), "the log's level was changed until the next start");
    }
}

impl fmt::Debug for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevel").field(&self.name()).finish()
    }
}

/// `GET /api/log-level`
pub async fn show(State(shown): State<Shown>) -> Response {
    json_response(&json!({ "level": shown.log_level.name() }))
}

/// `POST /api/log-level {"level": "debug"}`, or a form with the same field, which leads back to the page.
pub async fn change(
    State(shown): State<Shown>,
    fields: HeaderMap,
    SmallBody(body): SmallBody,
) -> Result<Response, Refusal> {
    #[derive(Deserialize)]
    struct Wanted {
        level: String,
    }
    let content_type = fields.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let is_form = content_type == Some(b"application/x-www-form-urlencoded") && !body.starts_with(b"{");
    let wanted = match is_form {
        true => form_value(&body, "level"),
        false => serde_json::from_slice(&body).ok().map(|Wanted { level }| level),
    };
    let wanted = wanted.filter(|wanted| LEVELS.contains(&wanted.as_str()));
    let Some(level) = wanted.and_then(|wanted| wanted.parse().ok()) else {
        let levels = LEVELS.join(", ");
        return Err(Refusal::bad_request(format!(
            r#"expected {{"level": "debug"}}, with one of {levels}"#
        )));
    };
    shown.log_level.set(level);
    Ok(match is_form {
        true => Redirect::to("/").into_response(),
        false => json_response(&json!({ "level": shown.log_level.name() })),
    })
}
