//! To the upstream and back.

use std::time::Instant;

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderValue, Uri, Version, header, request::Parts, uri::PathAndQuery};

use super::{
    Gateway,
    error_response::ErrorResponse,
    fields::{self, Framing},
    held_body::HeldBody,
    recording::Recording,
};
use crate::{
    submission::{self, Endpoint, Wishes},
    upstream::Purpose,
};

/// Passes on a request that is not a submission. A large body streams.
pub async fn pass(
    gateway: &Gateway,
    head: Parts,
    mut body: HeldBody,
    recording: &mut Recording,
) -> Result<Response, ErrorResponse> {
    body.begin().await?;
    let target = path_and_query(&head.uri);
    // The query is looked at only for a response of the gateway's own.
    if recording.format.endpoint() == Endpoint::Res && body.is_whole() && !body.so_far().is_empty() {
        recording.format.set_wishes(Wishes::of(&submission::Request {
            target: target.as_str(),
            content_type: head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
            body: body.so_far(),
        }));
    }
    recording.place = Some(match body.is_whole() {
        true => gateway.places.take()?,
        false => gateway.places.take_arriving()?,
    });
    let request = upstream_request(gateway, head, target, body.into_body(), Framing::AsSent);
    Ok(match send(gateway, request, Purpose::Other, recording).await {
        Ok(response) => client_response(response, false, None),
        Err(failure) => failure,
    })
}

/// Sends a submission on.
pub async fn send_submission(
    gateway: &Gateway,
    request: Request,
    decision: Option<HeaderValue>,
    recording: &mut Recording,
) -> Response {
    match send(gateway, request, Purpose::Submission, recording).await {
        Ok(response) => client_response(response, true, decision),
        Err(failure) => fields::with_decision(failure, decision),
    }
}

/// The upstream's response, or the gateway's own to a failure.
async fn send(
    gateway: &Gateway,
    request: Request,
    purpose: Purpose,
    recording: &mut Recording,
) -> Result<Response, Response> {
    let began = Instant::now();
    let result = gateway.upstream.send(request, purpose, recording.client_gone()).await;
    recording.record.upstream = Some(began.elapsed());
    match result {
        Ok(response) => {
            recording.record.upstream_status = Some(response.status());
            Ok(response)
        }
        Err(error) => Err(recording.refuse(&(&error).into())),
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
