//! The sandbox as a service.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use http::{StatusCode, header, uri::Authority};
use http_body_util::{BodyExt, Limited};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    json_api::{self, json_response},
    legacy_api,
    tasks::Tasks,
};

/// How the sandbox behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many polls find a task processing before one finds it ready.
    pub polls: u32,
    /// How long a task is processing in the mean, if it is not polled less: from half of it to one and a half.
    pub delay: Duration,
    /// How much longer with nocache.
    pub nocache_delay: Duration,
    /// Sites that do not take every token that was solved without nocache.
    pub accept: Vec<Odds>,
    /// Of so many tasks one cannot be solved; 0 for none.
    pub fail_every: u64,
    /// Whether keys are locked as the vendor locks them.
    pub ban: bool,
    /// Whether every request is kept, to be shown. It holds keys: not for real ones.
    pub record: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            polls: 1,
            delay: Duration::ZERO,
            nocache_delay: Duration::ZERO,
            accept: Vec::new(),
            fail_every: 0,
            ban: false,
            record: false,
        }
    }
}

/// How many of the tokens that were solved without nocache a site takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Odds {
    /// The site's host.
    pub site: String,
    /// From 0, none, to 1, all.
    pub share: f64,
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
        let tasks = Tasks::new(settings.clone());
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
            .route("/sandbox/bans", get(show_bans))
            .route("/sandbox/check", post(check_token))
            .layer(middleware::from_fn(check_host))
            .fallback(api)
            .with_state(self.clone())
    }

    /// Every request so far, if they are recorded.
    pub fn received(&self) -> Vec<Received> {
        self.0.state.lock().received.clone()
    }
}

/// Shows what it received only to who asks by an address, `localhost` or a name without a dot: a web page can make a name of
/// its own lead here (DNS rebinding).
async fn check_host(request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts
        .next()
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let is_fine = host.is_some_and(|authority| {
        let host = authority.host();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        address.parse::<IpAddr>().is_ok() || !host.contains('.') || host.ends_with(".localhost")
    });
    match is_fine && hosts.next().is_none() {
        true => next.run(request).await,
        false => (
            StatusCode::FORBIDDEN,
            "this is shown only at an IP address, localhost or a name without a dot\n",
        )
            .into_response(),
    }
}

async fn show_tasks(State(sandbox): State<Sandbox>) -> Response {
    json_response(&sandbox.0.state.lock().tasks.to_json())
}

async fn show_bans(State(sandbox): State<Sandbox>) -> Response {
    json_response(&sandbox.0.state.lock().tasks.bans.to_json())
}

/// Whether its site takes a token, which is the whole body.
async fn check_token(State(sandbox): State<Sandbox>, token: String) -> Response {
    let is_accepted = sandbox.0.state.lock().tasks.is_accepted(token.trim());
    json_response(&json!({ "accepted": is_accepted }))
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
        sandbox.0.state.lock().received.push(received);
    }
    match path.trim_matches('/') {
        path @ ("in.php" | "res.php") => {
            let parameters = legacy_api::parameters(head.uri.query().unwrap_or(""), content_type, body).await;
            legacy_api::call(path, &parameters, &mut sandbox.0.state.lock().tasks)
        }
        method => json_response(&json_api::call(method, &body, &mut sandbox.0.state.lock().tasks)),
    }
}
