//! Admits a request and tells submissions from everything else.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::Method;
use http_body::Body as _;
use tower_http::timeout::TimeoutBody;

use super::{
    Gateway, admission, error_response::ErrorResponse, forward, held_body::HeldBody, recording::Recording, submit,
};
use crate::{
    rules::Unreadable,
    submission::{Dialect, Endpoint},
};

/// Handles a request to the API listener. It is an axum handler without a router, so that nothing else decides about
/// paths and methods, and no field is added to a response.
pub async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    let dialect = submission_dialect(endpoint, request.method());
    let mut recording = Recording::begin(&gateway, &request, endpoint, dialect);
    let response = match admission::check(&gateway, &request) {
        Ok(()) => route(&gateway, request, &mut recording).await,
        Err(refusal) => Err(refusal),
    };
    let response = response.unwrap_or_else(|refusal| recording.refuse(&refusal));
    recording.finish(response)
}

/// Tells submissions from everything else.
async fn route(gateway: &Arc<Gateway>, request: Request, recording: &mut Recording) -> Result<Response, ErrorResponse> {
    let (head, body) = request.into_parts();
    let body = if body.is_end_stream() {
        body
    } else {
        recording.counted(Body::new(TimeoutBody::new(gateway.settings.body_timeout, body)))
    };
    let body = HeldBody::new(body, &head.headers, &gateway.settings, &gateway.budget);
    let is_submission_path = matches!(recording.format.endpoint(), Endpoint::CreateTask | Endpoint::In);
    let denies_unread = || gateway.rules().unreadable() == Unreadable::Deny;
    match recording.record.dialect {
        Some(dialect) => submit::submit(gateway, dialect, head, body, recording).await,
        None if is_submission_path && head.method != Method::OPTIONS && denies_unread() => {
            Ok(submit::deny_unread(gateway, recording))
        }
        None => forward::pass(gateway, head, body, recording).await,
    }
}

/// The dialect of a request that is read as a submission; `None` for any other request.
fn submission_dialect(endpoint: Endpoint, method: &Method) -> Option<Dialect> {
    match (endpoint, method) {
        (Endpoint::CreateTask, &Method::POST) => Some(Dialect::CreateTask),
        (Endpoint::In, &Method::GET | &Method::HEAD | &Method::POST) => Some(Dialect::Legacy),
        _ => None,
    }
}
