//! Admits a request and tells submissions from everything else.

use std::{convert::Infallible, sync::Arc};

use http::{Method, Request, StatusCode, request::Parts};
use http_body::Body as _;
use http_body_util::{Either, Full};
use hyper::ext::ReasonPhrase;
use tower::service_fn;

use super::{
    Gateway, Response, admission,
    error_response::ErrorResponse,
    forward,
    held_body::HeldBody,
    recording::{Recorded, Recording},
    submit,
};
use crate::{
    observe::Cause,
    rules::Unreadable,
    server::{RequestBody, Requests},
    submission::{
        Dialect, Endpoint,
        plain_shape::{self, Doubt},
    },
};

/// The reason phrase of a CONNECT to a listener that is no proxy.
const NO_PROXY: ReasonPhrase =
    ReasonPhrase::from_static(b"this port of nocache-gateway is not a proxy: [server.proxy] listen is one");

/// The reason phrase of a CONNECT to a name that is not the API's.
const NO_TUNNEL: ReasonPhrase =
    ReasonPhrase::from_static(b"nocache-gateway serves the API's names alone, by the listener of [server.proxy]");

/// The API listener as a service, without a router in front of it: nothing but the gateway decides about paths and
/// methods, and adds fields to a response.
pub fn service(gateway: Arc<Gateway>) -> impl Requests {
    service_fn(move |request: Request<RequestBody>| {
        let (head, body) = request.into_parts();
        handle(gateway.clone(), Box::new(head), body)
    })
}

async fn handle(
    gateway: Arc<Gateway>,
    head: Box<Parts>,
    mut body: RequestBody,
) -> Result<http::Response<Recorded>, Infallible> {
    let endpoint = Endpoint::of(head.uri.path());
    let dialect = submission_dialect(endpoint, &head.method);
    let mut recording = Recording::begin(gateway.clone(), &head, body.take_client(), endpoint, dialect);
    let is_connect = head.method == Method::CONNECT;
    let response = match admission::check(&gateway, &head, body.is_end_stream(), recording.entrance()) {
        // The server opens the tunnel.
        Ok(()) if is_connect => Ok(Response::new(Either::Left(Full::default()))),
        Ok(()) => route(&gateway, head, body, &mut recording).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = response.unwrap_or_else(|refusal| recording.refuse(&refusal));
    if is_connect && recording.record.cause == Some(Cause::NotAProxy) {
        // Clients show of a refused CONNECT the status line alone.
        let is_no_proxy = response.status() == StatusCode::METHOD_NOT_ALLOWED;
        response
            .extensions_mut()
            .insert(if is_no_proxy { NO_PROXY } else { NO_TUNNEL });
    }
    Ok(recording.finish(response))
}

/// Tells submissions from everything else.
async fn route(
    gateway: &Gateway,
    head: Box<Parts>,
    body: RequestBody,
    recording: &mut Recording,
) -> Result<Response, ErrorResponse> {
    let is_bare = head.uri.query().is_none() && body.is_end_stream();
    let mut body = HeldBody::new(body, &gateway.settings, &gateway.budget);
    match recording.record.dialect {
        Some(dialect) => submit::submit(gateway, dialect, head, &mut body, recording).await,
        None => match doubt_of_unread(gateway, &head, is_bare) {
            Some(doubt) => Ok(submit::deny_unread(gateway, doubt, recording)),
            None => forward::pass(gateway, head, &mut body, recording).await,
        },
    }
}

/// The doubt about a request that is not read, where a rule denies: it is not known to be harmless.
fn doubt_of_unread(gateway: &Gateway, head: &Parts, is_bare: bool) -> Option<Doubt> {
    match gateway.unreadable() {
        Unreadable::Forward => None,
        Unreadable::Deny => plain_shape::unread(head.uri.path(), head.method.as_str(), is_bare).err(),
    }
}

/// The dialect of a request that is read as a submission; `None` for any other request.
pub fn submission_dialect(endpoint: Endpoint, method: &Method) -> Option<Dialect> {
    match (endpoint, method) {
        (Endpoint::CreateTask, &Method::POST) => Some(Dialect::CreateTask),
        (Endpoint::In, &Method::GET | &Method::HEAD | &Method::POST) => Some(Dialect::Legacy),
        _ => None,
    }
}
