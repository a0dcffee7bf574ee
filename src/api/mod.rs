//! The mirrored API: what comes in, and which way it goes.
//!
//! A submission is held in memory, read, decided and rewritten by the core, and sent on; everything else streams through.
//!
//! # Layout
//! - [`head`]: fields on their way through
//! - [`answer`]: answers of the gateway's own
//! - [`body`]: bodies that are held or thrown away; [`coding`]: compressed ones
//! - [`target`]: which request targets are served, since this is no open proxy

pub mod answer;
pub mod body;
pub mod coding;
pub mod head;
pub mod target;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, Version, header, request::Parts, uri::PathAndQuery};
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::timeout::TimeoutBody;
use tracing::{info, warn};

use crate::{
    guarded::guard,
    rewrite::{self, Outcome, Plan, Token},
    rules::{RuleSet, Unreadable},
    server::LocalAddress,
    submission::{self, Dialect, Endpoint, Part, Submission, Unread},
    upstream::{Reuse, Upstream, UpstreamError},
};
use answer::{Answer, Asker};
use head::Framing;

/// How the API listener behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Further names of the gateway's own, for absolute-form requests.
    pub names: Vec<String>,
    /// The largest body of a submission, in bytes.
    pub body_limit: usize,
    /// The longest pause between two pieces of a request's body.
    pub body_timeout: Duration,
    /// How many requests may be under way at once, answers included. More are refused.
    pub max_in_flight: usize,
    /// Whether answers to submissions carry [`head::DECISION`].
    pub decision_header: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            body_limit: 32 << 20,
            body_timeout: Duration::from_secs(30),
            max_in_flight: 1024,
            decision_header: true,
        }
    }
}

/// What every request is handled with.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    rules: RwLock<Arc<RuleSet>>,
    upstream: Upstream,
    in_flight: Arc<Semaphore>,
}

impl Gateway {
    /// A gateway by these rules to this upstream.
    pub fn new(settings: Settings, rules: RuleSet, upstream: Upstream) -> Self {
        Self {
            in_flight: Arc::new(Semaphore::new(settings.max_in_flight)),
            settings,
            rules: RwLock::new(Arc::new(rules)),
            upstream,
        }
    }

    /// The upstream.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Puts other rules in force. Requests that began under the old ones end under them.
    pub fn set_rules(&self, rules: RuleSet) {
        let old = std::mem::replace(
            &mut *self.rules.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(rules),
        );
        // Freeing a long list takes a while, and happens here, outside of the lock.
        drop(old);
    }

    /// The rules in force.
    fn rules(&self) -> Arc<RuleSet> {
        // Nothing panics while the lock is held.
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Handles a request to the API listener. As an axum handler, without a router before it, nothing but this decides
/// about paths and methods, and no field is added to an answer.
pub async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let asker = asker(request.uri());
    let place = match admit(&gateway, &request) {
        Ok(place) => place,
        Err(refusal) => {
            let (head, body) = request.into_parts();
            body::discard(&head.headers, body);
            return asker.answer(&refusal);
        }
    };
    guard(route(&gateway, asker, request).await, place)
}

/// A place among the requests under way, for one that is served here.
fn admit(gateway: &Gateway, request: &Request) -> Result<OwnedSemaphorePermit, Answer> {
    let local = request.extensions().get::<LocalAddress>().copied();
    target::check(request, gateway.upstream.origin(), local, &gateway.settings.names)?;
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(Answer::new(
            StatusCode::NOT_IMPLEMENTED,
            "ERROR_GATEWAY_TRANSFER_CODING",
            "no transfer coding but chunked is served; nothing was sent on",
        ));
    }
    // Refused at once: a queue would outlive the client's patience, and the task would be paid for nothing.
    gateway.in_flight.clone().try_acquire_owned().map_err(|_| {
        Answer::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ERROR_SERVICE_NOT_AVAILABLE",
            "too many requests are under way ([server] max_in_flight); nothing was sent on",
        )
    })
}

/// Tells submissions from all else.
async fn route(gateway: &Gateway, asker: Asker, request: Request) -> Response {
    let (head, body) = request.into_parts();
    // A body that is none stays none: wrapped, it would be framed as one of unknown length.
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        Body::new(TimeoutBody::new(gateway.settings.body_timeout, body))
    };
    match (asker.endpoint, &head.method) {
        (Endpoint::CreateTask, &Method::POST) => submit(gateway, Dialect::CreateTask, asker, head, body).await,
        (Endpoint::In, &Method::GET | &Method::HEAD | &Method::POST) => {
            submit(gateway, Dialect::Legacy, asker, head, body).await
        }
        // Not read, and so not known to be harmless where a rule denies.
        (Endpoint::CreateTask | Endpoint::In, method)
            if method != Method::OPTIONS && gateway.rules().unreadable() == Unreadable::Deny =>
        {
            let rules = gateway.rules();
            let outcome = rewrite::plan(&Err(Unread::Unreadable), &rules).outcome;
            body::discard(&head.headers, body);
            answer_denied(gateway, asker, &outcome)
        }
        _ => pass(gateway, asker, head, body).await,
    }
}

/// What an answer of the gateway's own needs to know before anything but the target was read.
fn asker(uri: &Uri) -> Asker {
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let query = submission::form::query(target);
    Asker {
        endpoint: Endpoint::of(uri.path()),
        wants_json: query
            .named("json")
            .last()
            .is_some_and(|json| query.scalar(&query.items[json]).is_on()),
    }
}

/// Streams a request through that is no submission.
async fn pass(gateway: &Gateway, asker: Asker, head: Parts, body: Body) -> Response {
    let target = path_and_query(&head.uri);
    let request = upstream_request(gateway, head, target, body, Framing::AsSent);
    match gateway.upstream.send(request, Reuse::Any).await {
        Ok(response) => client_response(response, false, None),
        Err(error) => answer_upstream_error(asker, &error, None),
    }
}

/// Holds a submission, decides about it, and sends it on with the edits that follow.
async fn submit(gateway: &Gateway, dialect: Dialect, mut asker: Asker, head: Parts, mut body: Body) -> Response {
    let body = match body::hold(&mut body, &head.headers, &gateway.settings).await {
        Ok(held) => held,
        Err(answer) => {
            body::discard(&head.headers, body);
            return asker.answer(&answer);
        }
    };
    let (readable, coded) = match body::decoded(&body, &head.headers, gateway.settings.body_limit).await {
        Ok(readable) => readable,
        Err(answer) => return asker.answer(&answer),
    };
    let rules = gateway.rules();
    let target = path_and_query(&head.uri);
    let reading = readable.as_ref().map_err(|unread| *unread).and_then(|body| {
        let request = submission::Request {
            target: target.as_str(),
            content_type: head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
            body,
        };
        match head.headers.get_all(header::CONTENT_TYPE).iter().count() {
            0 | 1 => submission::read(dialect, request, rules.names()),
            // Two readers could take one each.
            _ => Err(Unread::Ambiguous),
        }
    });
    if let Ok(submission) = &reading {
        asker.wants_json = submission.wants_json;
    }
    let plan = rewrite::plan(&reading, &rules);
    log(dialect, &reading, &plan.outcome);
    if plan.outcome.token == Token::Denied {
        return answer_denied(gateway, asker, &plan.outcome);
    }
    let decision = decision_field(gateway, &plan.outcome);
    let (target, body, framing) = match edited(&target, &body, readable.as_ref().ok(), coded, &plan) {
        Ok(edited) => edited,
        Err(answer) => return asker.answer(&answer),
    };
    let request = upstream_request(gateway, head, target, Body::from(body), framing);
    match gateway
        .upstream
        .send(request, Reuse::Rested(gateway.upstream.reuse_idle()))
        .await
    {
        Ok(response) => client_response(response, true, decision),
        Err(error) => answer_upstream_error(asker, &error, decision),
    }
}

/// Target and body as they go upstream.
fn edited(
    target: &PathAndQuery,
    body: &Bytes,
    readable: Option<&Bytes>,
    was_coded: bool,
    plan: &Plan<'_>,
) -> Result<(PathAndQuery, Bytes, Framing), Answer> {
    let touches = |part| plan.edits.iter().any(|edit| edit.part == part);
    let target = if touches(Part::Target) {
        let bytes = rewrite::apply(target.as_str().as_bytes(), Part::Target, &plan.edits);
        PathAndQuery::try_from(bytes).map_err(|_| {
            Answer::new(
                StatusCode::URI_TOO_LONG,
                "ERROR_GATEWAY_TARGET_TOO_LONG",
                "the request target is too long to take one more parameter",
            )
        })?
    } else {
        target.clone()
    };
    match readable.filter(|_| touches(Part::Body)) {
        None => Ok((target, body.clone(), Framing::Buffered(body.len()))),
        Some(readable) => {
            let body = Bytes::from(rewrite::apply(readable, Part::Body, &plan.edits));
            let length = body.len();
            Ok((target, body, Framing::Edited { length, was_coded }))
        }
    }
}

/// The target in origin form, as sent. (An absolute form without a path is `/`.)
fn path_and_query(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

fn upstream_request(gateway: &Gateway, head: Parts, target: PathAndQuery, body: Body, framing: Framing) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = head::upstream_fields(&head.headers, gateway.upstream.origin().host_field(), framing);
    *request.extensions_mut() = head.extensions;
    request
}

fn client_response(response: Response, is_submission: bool, decision: Option<HeaderValue>) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers = head::client_fields(&head.headers, is_submission, decision);
    // Each hop speaks its own version (RFC 9110, section 2.5).
    head.version = Version::HTTP_11;
    Response::from_parts(head, body)
}

fn answer_upstream_error(asker: Asker, error: &UpstreamError, decision: Option<HeaderValue>) -> Response {
    warn!(cause = error.cause(), "{error}");
    let (status, code) = match error {
        UpstreamError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "ERROR_SERVICE_NOT_AVAILABLE"),
        UpstreamError::Body(_) => (StatusCode::REQUEST_TIMEOUT, body::INCOMPLETE),
        _ => (StatusCode::BAD_GATEWAY, "ERROR_SERVICE_NOT_AVAILABLE"),
    };
    with_decision(asker.answer(&Answer::new(status, code, error.to_string())), decision)
}

/// A denial is an API answer, not a failure of HTTP: the vendor's SDKs throw on any status but 200 before they read the code.
fn answer_denied(gateway: &Gateway, asker: Asker, outcome: &Outcome<'_>) -> Response {
    let answer = match outcome.rule {
        Some(rule) => Answer::new(
            StatusCode::OK,
            "ERROR_DOMAIN_NOT_ALLOWED",
            format!("the rule \"{}\" denies this site", rule.id),
        ),
        None => Answer::new(
            StatusCode::OK,
            "ERROR_GATEWAY_UNREADABLE",
            "this request cannot be read without doubt, and a configuration that denies sites lets no such request pass \
             ([default] unreadable = \"forward\" changes that)",
        ),
    };
    with_decision(asker.answer(&answer), decision_field(gateway, outcome))
}

fn with_decision(mut response: Response, decision: Option<HeaderValue>) -> Response {
    if let Some(decision) = decision {
        response.headers_mut().insert(head::DECISION, decision);
    }
    response
}

fn decision_field(gateway: &Gateway, outcome: &Outcome<'_>) -> Option<HeaderValue> {
    let is_on = gateway.settings.decision_header;
    is_on.then(|| HeaderValue::try_from(outcome.to_string()).ok()).flatten()
}

/// One line for each decision: no key, no query, nothing of the path.
fn log(dialect: Dialect, reading: &Result<Submission<'_>, Unread>, outcome: &Outcome<'_>) {
    let submission = reading.as_ref().ok();
    info!(
        decision = outcome.token.name(),
        rule = outcome.rule.map(|rule| rule.id.as_str()),
        via = outcome.via.map(tracing::field::display),
        reason = outcome.reason.map(rewrite::Reason::name),
        site = submission.and_then(|submission| Some(submission.site.as_ref().ok()?.host())),
        captcha = submission
            .and_then(|submission| submission.captcha.as_ref())
            .map(tracing::field::display),
        method = match dialect {
            Dialect::CreateTask => "createTask",
            Dialect::Legacy => "in.php",
        },
        "submission"
    );
}
