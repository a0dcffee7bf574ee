//! Admits a request and tells submissions from everything else.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::{Method, StatusCode, Uri, header, uri::PathAndQuery};
use http_body::Body as _;
use tokio::sync::OwnedSemaphorePermit;
use tower_http::timeout::TimeoutBody;

use super::{
    Gateway,
    error_response::{ErrorResponse, ResponseFormat, SERVICE_NOT_AVAILABLE},
    forward,
    recording::Recording,
    request_target, submit,
};
use crate::{
    observe::Cause,
    rewrite::{Outcome, Plan},
    rules::Unreadable,
    server::LocalAddress,
    submission::{Dialect, Endpoint, form},
};

/// Handles a request to the API listener. It is an axum handler without a router, so that nothing else decides about
/// paths and methods, and no field is added to a response.
pub async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let format = response_format(request.uri());
    let dialect = submission_dialect(format.endpoint, request.method());
    let mut recording = Recording::begin(&gateway, &request, format.endpoint, dialect);
    match admit(&gateway, &request) {
        Ok(place) => {
            let response = route(&gateway, format, request, &mut recording).await;
            recording.finish(response, Some(place))
        }
        Err(refusal) => {
            let response = recording.refuse(format, &refusal);
            recording.finish(response, None)
        }
    }
}

/// Takes a place among the requests in flight for a request that is served here.
fn admit(gateway: &Gateway, request: &Request) -> Result<OwnedSemaphorePermit, ErrorResponse> {
    let local = request.extensions().get::<LocalAddress>().copied();
    request_target::check(request, gateway.upstream.origin(), local, &gateway.settings.names)?;
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    if codings.any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(ErrorResponse::new(
            StatusCode::NOT_IMPLEMENTED,
            "ERROR_GATEWAY_TRANSFER_CODING",
            Cause::TransferCoding,
            "the only transfer coding served is chunked; nothing was sent on",
        ));
    }
    // Refused at once: a queue would outlive the client's patience, and the task would be paid for nothing.
    gateway.in_flight.clone().try_acquire_owned().map_err(|_| {
        ErrorResponse::new(
            StatusCode::SERVICE_UNAVAILABLE,
            SERVICE_NOT_AVAILABLE,
            Cause::Overload,
            "too many requests are in flight ([server] max_in_flight); nothing was sent on",
        )
    })
}

/// Tells submissions from everything else.
async fn route(gateway: &Gateway, format: ResponseFormat, request: Request, recording: &mut Recording) -> Response {
    let (head, body) = request.into_parts();
    // An absent body stays absent: wrapped, it would be framed as a body of unknown length.
    let body = if body.is_end_stream() {
        Body::empty()
    } else {
        recording.counted(Body::new(TimeoutBody::new(gateway.settings.body_timeout, body)))
    };
    let is_submission_path = matches!(format.endpoint, Endpoint::CreateTask | Endpoint::In);
    let denies_unread = || gateway.rules().unreadable() == Unreadable::Deny;
    match recording.record.dialect {
        Some(dialect) => submit::submit(gateway, dialect, format, head, body, recording).await,
        // It is not read, so it is not known to be harmless where a rule denies.
        None if is_submission_path && head.method != Method::OPTIONS && denies_unread() => submit::deny(
            gateway,
            format,
            &Plan::untouched(Outcome::denied_unreadable()),
            recording,
        ),
        None => forward::pass(gateway, format, head, body, recording).await,
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

/// The format of the gateway's own responses, as far as the request target tells it.
fn response_format(uri: &Uri) -> ResponseFormat {
    let target = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let query = form::query(target);
    ResponseFormat {
        endpoint: Endpoint::of(uri.path()),
        wants_json: query
            .named("json")
            .last()
            .is_some_and(|json| query.scalar(&query.items[json]).is_on()),
    }
}
