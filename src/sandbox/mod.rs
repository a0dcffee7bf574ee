//! The embedded stand-in of the vendor's API: for testing bots without an account, and for the gateway's own tests.
//!
//! It reads requests with other code than the gateway does (a JSON tree, `form_urlencoded`, multer), so that it is a
//! witness to what arrives. It is deterministic: ids count up from [`tasks::FIRST_ID`], and a token says whether nocache
//! reached its task. Legacy and JSON ids share one space.
//!
//! | key | what it does |
//! |---|---|
//! | `wrong-key`, or none | `ERROR_KEY_DOES_NOT_EXIST` |
//! | `zero-balance` | `ERROR_ZERO_BALANCE` |
//! | any other | works; suffixes behind `__` are understood |
//!
//! Beside the API it has `GET /sandbox/tasks` (what became of each task), and with [`Settings::record`]
//! `GET /sandbox/requests` (every request as it arrived).

mod json_api;
mod legacy_api;
pub mod tasks;
pub mod tls;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use http::{StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde_json::{Value, json};

use tasks::Tasks;

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many polls find a task processing before one finds it ready.
    pub polls: u32,
    /// How long a task is processing at least.
    pub delay: Duration,
    /// Whether every request is kept, to be shown. It holds keys: not for real ones.
    pub record: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polls: 1,
            delay: Duration::ZERO,
            record: false,
        }
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The method.
    pub method: String,
    /// The request target.
    pub target: String,
    /// The fields, in order.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
}

/// The sandbox. Clones share their tasks.
#[derive(Clone, Debug)]
pub struct Sandbox(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: Settings,
    state: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    tasks: Tasks,
    received: Vec<Received>,
}

impl Sandbox {
    /// A sandbox without tasks.
    pub fn new(settings: Settings) -> Self {
        let tasks = Tasks::new(settings.polls, settings.delay);
        Self(Arc::new(Shared {
            settings,
            state: Mutex::new(Memory {
                tasks,
                received: Vec::new(),
            }),
        }))
    }

    /// The sandbox as a service.
    pub fn service(&self) -> Router {
        Router::new()
            .route("/sandbox/tasks", get(show_tasks))
            .route("/sandbox/requests", get(show_requests))
            .fallback(api)
            .with_state(self.clone())
    }

    /// Every request so far, if they are recorded.
    pub fn received(&self) -> Vec<Received> {
        self.memory().received.clone()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // What a panic may leave half-done is a test's own concern.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn show_tasks(State(sandbox): State<Sandbox>) -> Response {
    json_response(&sandbox.memory().tasks.to_json())
}

async fn show_requests(State(sandbox): State<Sandbox>) -> Response {
    if !sandbox.0.settings.record {
        return (
            StatusCode::NOT_FOUND,
            "requests are not recorded: start the sandbox with --record\n",
        )
            .into_response();
    }
    let requests = sandbox.received().into_iter().map(|request| {
        json!({
            "method": request.method,
            "target": request.target,
            "fields": request.fields,
            "body": String::from_utf8_lossy(&request.body),
        })
    });
    json_response(&Value::Array(requests.collect()))
}

/// The largest body it takes.
const BODY_LIMIT: usize = 256 << 20;

async fn api(State(sandbox): State<Sandbox>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    let target = head.uri.to_string();
    let content_type = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let path = head.uri.path().to_ascii_lowercase();
    if sandbox.0.settings.record {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let fields = head.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        let received = Received {
            method: head.method.to_string(),
            target,
            fields: fields.collect(),
            body: body.clone(),
        };
        sandbox.memory().received.push(received);
    }
    match path.trim_matches('/') {
        "in.php" | "res.php" => {
            let parameters = legacy_api::parameters(head.uri.query().unwrap_or(""), content_type, body).await;
            let mut memory = sandbox.memory();
            if path.contains("in.php") {
                legacy_api::submit(&parameters, &mut memory.tasks)
            } else {
                legacy_api::result(&parameters, &mut memory.tasks)
            }
        }
        method => json_response(&json_api::call(method, &body, &mut sandbox.memory().tasks)),
    }
}

fn json_response(value: &Value) -> Response {
    let fields = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (fields, Body::from(value.to_string())).into_response()
}

/// The error for a key that does not work.
fn key_error(key: &str) -> Option<&'static str> {
    match key.split("__").next() {
        None | Some("" | "wrong-key") => Some("ERROR_KEY_DOES_NOT_EXIST"),
        Some("zero-balance") => Some("ERROR_ZERO_BALANCE"),
        Some(_) => None,
    }
}

/// Whether a key turns nocache on.
fn key_has_nocache(key: &str) -> bool {
    key.split("__")
        .skip(1)
        .any(|segment| segment.eq_ignore_ascii_case("nocache"))
}
