//! To the upstream and back.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, StatusCode, Uri, Version, request::Parts, uri::PathAndQuery};

use super::{
    Gateway,
    error_response::{ErrorResponse, ResponseFormat},
    fields::{self, Framing},
    held_body::INCOMPLETE,
};
use crate::upstream::{Reuse, UpstreamError};

/// Streams a request through that is not a submission.
pub async fn pass(gateway: &Gateway, format: ResponseFormat, head: Parts, body: Body) -> Response {
    let target = path_and_query(&head.uri);
    let request = upstream_request(gateway, head, target, body, Framing::AsSent);
    match gateway.upstream.send(request, Reuse::Any).await {
        Ok(response) => client_response(response, false, None),
        Err(error) => upstream_failure(format, &error, None),
    }
}

/// Sends a submission on.
pub async fn send_submission(
    gateway: &Gateway,
    format: ResponseFormat,
    request: Request,
    decision: Option<HeaderValue>,
) -> Response {
    let reuse = Reuse::IdleLess(gateway.upstream.reuse_idle());
    match gateway.upstream.send(request, reuse).await {
        Ok(response) => client_response(response, true, decision),
        Err(error) => upstream_failure(format, &error, decision),
    }
}

/// The target in origin form, as sent. (An absolute form without a path is `/`.)
pub fn path_and_query(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

/// A request as the upstream gets it.
pub fn upstream_request(gateway: &Gateway, head: Parts, target: PathAndQuery, body: Body, framing: Framing) -> Request {
    let mut request = Request::new(body);
    *request.method_mut() = head.method;
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = fields::upstream_fields(&head.headers, gateway.upstream.origin().host_field(), framing);
    *request.extensions_mut() = head.extensions;
    request
}

fn client_response(response: Response, is_submission: bool, decision: Option<HeaderValue>) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers = fields::client_fields(&head.headers, is_submission, decision);
    // Each hop speaks its own version (RFC 9110, section 2.5).
    head.version = Version::HTTP_11;
    Response::from_parts(head, body)
}

fn upstream_failure(format: ResponseFormat, error: &UpstreamError, decision: Option<HeaderValue>) -> Response {
    tracing::warn!(cause = error.cause(), "{error}");
    let (status, code) = match error {
        UpstreamError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "ERROR_SERVICE_NOT_AVAILABLE"),
        UpstreamError::Body(_) => (StatusCode::REQUEST_TIMEOUT, INCOMPLETE),
        _ => (StatusCode::BAD_GATEWAY, "ERROR_SERVICE_NOT_AVAILABLE"),
    };
    let response = format.render(&ErrorResponse::new(status, code, error.to_string()));
    fields::with_decision(response, decision)
}
