//! To the upstream and back.

use std::time::Instant;

use http::{HeaderValue, Request, Uri, Version, header, request::Parts, uri::PathAndQuery};
use http_body_util::Either;

use super::{
    Gateway, Response,
    error_response::ErrorResponse,
    fields::{self, Framing},
    guard,
    held_body::HeldBody,
    places::Place,
    recording::Recording,
};
use crate::{
    submission::{self, Endpoint, Wishes},
    until::until,
    upstream::{Outgoing, Purpose, ResponseBody},
};

/// Passes on a request that is not a submission. A large body streams.
pub async fn pass(
    gateway: &Gateway,
    head: Box<Parts>,
    body: &mut HeldBody,
    recording: &mut Recording,
) -> Result<Response, ErrorResponse> {
    body.begin(&mut recording.record.bytes_in).await?;
    let target = path_and_query(&head.uri);
    // The query is looked at only for a response of the gateway's own.
    if recording.format.endpoint() == Endpoint::Res && body.is_whole() && !body.so_far().is_empty() {
        recording.format.set_wishes(Wishes::of(&submission::Request {
            target: target.as_str(),
            content_type: head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes),
            body: body.so_far(),
        }));
    }
    if body.is_whole() {
        let id = recording.note_request(target.as_str(), body.so_far(), &head.headers);
        if let Some(response) = guard::refuse_wrong_id(gateway, id.as_deref(), recording) {
            return Ok(response);
        }
    }
    recording.place = Some(match body.is_whole() {
        true => gateway.places.take()?,
        false => {
            body.charge_buffers()?;
            gateway.places.take_arriving()?
        }
    });
    let now = Instant::now();
    // A poll that found no place is none.
    if let Some(response) = guard::pace(gateway, now, recording) {
        recording.place = None;
        return Ok(response);
    }
    let request = as_sent(gateway, head, target, body, recording);
    let mut response = match send(gateway, request, Purpose::Other, now, recording).await {
        Ok(response) => client_response(response, false, None),
        Err(failure) => failure,
    };
    guard::warn(gateway, recording, &mut response);
    Ok(response)
}

/// A request as it came, and comes: what is still to come of its body is counted, and keeps its place among those that
/// arrive.
pub fn as_sent(
    gateway: &Gateway,
    head: Box<Parts>,
    target: PathAndQuery,
    body: &mut HeldBody,
    recording: &mut Recording,
) -> Box<Request<Outgoing>> {
    let arriving = recording.place.as_mut().and_then(Place::arriving);
    let body = body.take_body(|| recording.count(), arriving);
    upstream_request(gateway, head, target, body, Framing::AsSent)
}

/// Sends a submission on.
pub async fn send_submission(
    gateway: &Gateway,
    request: Box<Request<Outgoing>>,
    decision: Option<HeaderValue>,
    recording: &mut Recording,
) -> Response {
    let mut response = match send(gateway, request, Purpose::Submission, Instant::now(), recording).await {
        Ok(response) => client_response(response, true, decision),
        Err(failure) => fields::with_decision(failure, decision),
    };
    guard::warn(gateway, recording, &mut response);
    response
}

/// The upstream's response, or the gateway's own to a failure. The upstream's time begins at `began`.
async fn send(
    gateway: &Gateway,
    request: Box<Request<Outgoing>>,
    purpose: Purpose,
    began: Instant,
    recording: &mut Recording,
) -> Result<http::Response<ResponseBody>, Response> {
    if gateway.has_cut_off() {
        return Err(recording.refuse(&ErrorResponse::stopping()));
    }
    let result = tokio::select! {
        biased;
        result = gateway.upstream.send(request, purpose, began, || recording.is_client_gone()) => {
            result.map_err(|error| ErrorResponse::from(&error))
        }
        () = until(|| gateway.has_cut_off()) => Err(ErrorResponse::stopped()),
    };
    recording.record.upstream = Some(began.elapsed());
    match result {
        Ok(response) => {
            recording.note_response(&response);
            Ok(response)
        }
        Err(error) => {
            let failure = recording.refuse(&error);
            Err(guard::outage(gateway, recording).unwrap_or(failure))
        }
    }
}

/// The target in origin form, as sent. (An absolute form without a path is `/`.)
pub fn path_and_query(uri: &Uri) -> PathAndQuery {
    uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
}

/// A request as the upstream gets it.
pub fn upstream_request(
    gateway: &Gateway,
    mut head: Box<Parts>,
    target: PathAndQuery,
    body: Outgoing,
    framing: Framing,
) -> Box<Request<Outgoing>> {
    head.uri = Uri::from(target);
    let fields = std::mem::take(&mut head.headers);
    head.headers = fields::upstream_fields(fields, gateway.upstream.origin().host_field(), framing);
    // Each hop speaks its own version (RFC 9110, section 2.5).
    head.version = Version::HTTP_11;
    Box::new(Request::from_parts(*head, body))
}

fn client_response(
    response: http::Response<ResponseBody>,
    is_submission: bool,
    decision: Option<HeaderValue>,
) -> Response {
    let (mut head, body) = response.into_parts();
    head.headers = fields::client_fields(head.headers, is_submission, decision);
    head.version = Version::HTTP_11;
    Response::from_parts(head, Either::Right(body))
}
